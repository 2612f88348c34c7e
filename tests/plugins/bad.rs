//! Plugins that are no good: they harm nobody else, and the user is told.

use crate::{conformance, drop_in, drop_in_file, others, python, script};
use harness::{Instance, eventually};
use std::fs;

/// Says that it is ready, goes on saying that it is alive, and does this with each connection.
fn ready_and(connection: &str) -> String {
    format!(
        r#"#!{}
import os, socket, threading, time
notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
notify.connect(os.environ["NOTIFY_SOCKET"])
notify.send(b"READY=1")
def alive():
    while True:
        time.sleep(1)
        notify.send(b"WATCHDOG=1")
threading.Thread(target=alive, daemon=True).start()
listener, kept = socket.socket(fileno=3), []
listener.setblocking(True)
while True:
    one, _ = listener.accept()
    kept.append(one)
    {connection}
"#,
        python().display()
    )
}

/// A system with a container that counts, and how it is asked whether all is well with it.
fn system() -> Instance {
    let cctl = Instance::start();
    let count = "i=0; while :; do echo $((i=i+1)); sleep 0.05; done";
    cctl.cctl(&["run", "-d", "--name", "counting", "base", "sh", "-c", count]).ok();
    cctl
}

/// The container goes on, and can be looked at.
fn goes_on(cctl: &Instance) {
    let lines = || cctl.cctl(&["logs", "counting"]).ok().lines().count();
    let before = lines();
    eventually("the container goes on", || (lines() > before).then_some(()));
    assert!(cctl.cctl(&["ps", "--format", "{{.Names}} {{.State}}"]).ok().contains("counting running"));
    assert_eq!(cctl.cctl(&["exec", "counting", "echo", "here"]).ok(), "here");
}

#[test]
fn one_that_does_not_serve_is_taken_back_and_the_user_is_told() {
    let cctl = system();
    let before = others(&cctl);
    let eats = format!(
        "#!{}\nimport os, socket\nn = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n\
         n.connect(os.environ['NOTIFY_SOCKET'])\nn.send(b'READY=1')\nhave = []\nwhile True: have.append(bytearray(1 << 20))\n",
        python().display()
    );
    for (name, text, words) in [
        ("exits", "#!/bin/sh\nexit 7\n", &["network", "exited with status 7", "before is back"][..]),
        ("hangs", "#!/bin/sh\nexec sleep 600\n", &["network", "was not ready for 3s", "before is back"]),
        ("eats", &eats, &["network", "out of memory", "before is back"]),
    ] {
        let plugin = script(&cctl, name, text);
        drop_in(&cctl, &plugin);
        let file = drop_in_file(&cctl);
        fs::write(&file, fs::read_to_string(&file).unwrap().replace("\"20s\"", "\"3s\"")).unwrap();
        cctl.cctl(&["system", "restart", "network"]).fails(1, words);
        assert_eq!(cctl.cctl(&["run", "--rm", "base", "echo", "on"]).ok(), "on", "{name}");
        goes_on(&cctl);
    }
    assert_eq!(others(&cctl), before);
    cctl.cctl(&["rm", "-f", "counting"]).ok();
}

#[test]
fn one_that_answers_nonsense_fails_what_needs_it_and_nothing_else() {
    let cctl = system();
    let before = others(&cctl);
    let plugin = script(&cctl, "nonsense", &ready_and("one.sendall(b'\\xff' * 64); one.close()"));
    drop_in(&cctl, &plugin);
    cctl.cctl(&["system", "restart", "network"]).ok();
    let (good, text) = conformance(&cctl, "network", &[]);
    assert!(!good && text.contains("FAIL  hello says which service it is"), "{text}");
    cctl.cctl(&["run", "--rm", "base", "true"]).fails(125, &["network"]);
    goes_on(&cctl);
    fs::remove_file(drop_in_file(&cctl)).unwrap();
    cctl.cctl(&["system", "restart", "network"]).ok();
    assert_eq!(cctl.cctl(&["run", "--rm", "base", "echo", "on"]).ok(), "on");
    assert_eq!(others(&cctl), before);
    cctl.cctl(&["rm", "-f", "counting"]).ok();
}

#[test]
fn one_that_never_answers_holds_up_what_needs_it_and_nothing_else() {
    let cctl = system();
    let before = others(&cctl);
    let plugin = script(&cctl, "silent", &ready_and("pass"));
    drop_in(&cctl, &plugin);
    cctl.cctl(&["system", "restart", "network"]).ok();
    let mut waiting =
        cctl.command(&["run", "--rm", "base", "echo", "on"]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    goes_on(&cctl);
    assert!(waiting.try_wait().unwrap().is_none(), "it waits for the network");
    // With a network that answers, what waited is done.
    fs::remove_file(drop_in_file(&cctl)).unwrap();
    cctl.cctl(&["system", "restart", "network"]).ok();
    let output = waiting.wait_with_output().unwrap();
    assert_eq!((output.status.success(), output.stdout), (true, b"on\n".to_vec()));
    assert_eq!(others(&cctl), before);
    cctl.cctl(&["rm", "-f", "counting"]).ok();
}
