//! The host restarts, as a user sees it: restart policies apply, and nothing of the last boot is believed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod power;

use harness::{Boot, Instance, eventually};
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Says which boot of the container it is, in its log and by its files, and serves these.
const SERVE: &str = "echo boot >> /www/boots; n=$(wc -l < /www/boots); echo started $n; \
    (i=0; while :; do echo $n.$((i=i+1)); sleep 0.05; done) & exec httpd -f -p 80 -h /www";

fn inspect(cctl: &Instance, name: &str) -> Value {
    serde_json::from_str::<Value>(&cctl.cctl(&["inspect", name]).ok()).unwrap()[0].take()
}

/// What a page of a published port says.
fn page(port: u16, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer.split_once("\r\n\r\n").filter(|_| answer.contains(" 200 "))?.1.to_owned())
}

fn state(cctl: &Instance, name: &str) -> String {
    let state = &inspect(cctl, name)["State"];
    format!("{} {}", state["Status"].as_str().unwrap(), state["ExitCode"])
}

/// The image `base` with what SERVE needs.
fn image(cctl: &Instance) {
    cctl.cctl(&["run", "--name", "site", "base", "mkdir", "/www"]).ok();
    cctl.cctl(&["commit", "site", "site"]).ok();
    cctl.cctl(&["rm", "site"]).ok();
}

fn run(cctl: &Instance, name: &str, options: &[&str], command: &str) {
    cctl.cctl(&[&["run", "-d", "--name", name], options, &["site", "sh", "-c", command]].concat()).ok();
}

/// Brings containers of every kind into the states that a power cut may find them in.
fn prepare(cctl: &Instance) {
    let shared = cctl.scratch().join("shared");
    std::fs::create_dir(&shared).unwrap();
    run(cctl, "always", &["--restart", "always", "-p", "127.0.0.1:18080:80"], SERVE);
    let volume = format!("{}:/www:idmap", shared.display());
    run(cctl, "unless", &["--restart", "unless-stopped", "-p", "80", "-v", &volume], SERVE);
    run(cctl, "failing", &["--restart", "on-failure:3", "-h", "fails"], SERVE);
    run(cctl, "frozen", &["--restart", "always"], SERVE);
    run(cctl, "no", &["-p", "127.0.0.1:18081:80"], SERVE);
    run(cctl, "paused", &[], "sleep 600");
    run(cctl, "gone", &["--rm"], "sleep 600");
    for (name, policy) in [("stopped", "unless-stopped"), ("stopped-failing", "on-failure"), ("again", "always")] {
        run(cctl, name, &["--restart", policy], SERVE);
        eventually("it has begun", || cctl.cctl(&["logs", name]).stdout.contains("started 1\n").then_some(()));
        cctl.cctl(&["stop", "-t", "0", name]).ok();
    }
    run(cctl, "done", &["--restart", "on-failure"], "exit 0");
    run(cctl, "failed", &[], "exit 3");
    cctl.cctl(&["create", "--name", "created", "--restart", "always", "site", "true"]).ok();
    for (name, ended) in [("done", "exited 0"), ("failed", "exited 3")] {
        eventually("it has ended", || (state(cctl, name) == ended).then_some(()));
    }
    for name in ["always", "unless", "failing", "frozen", "no"] {
        eventually("it logs", || cctl.cctl(&["logs", name]).stdout.contains("1.5\n").then_some(()));
    }
    eventually("it serves", || page(18080, "/boots"));
    cctl.cctl(&["exec", "-d", "always", "sh", "-c", "echo exec > /www/exec; exec sleep 600"]).ok();
    eventually("the exec has run", || page(18080, "/exec"));
    cctl.cctl(&["pause", "frozen"]).ok();
    cctl.cctl(&["pause", "paused"]).ok();
}

/// Everybody's state, by what policies say. `boots` have been, with the one that is.
fn expect(cctl: &Instance, boots: usize) {
    let lines = "boot\n".repeat(boots);
    // What a policy wants runs again, with its files and its port.
    for (name, boots) in [("always", boots), ("unless", boots), ("failing", boots), ("frozen", boots), ("again", boots)]
    {
        let log = eventually("it runs again, and logs", || {
            let log = cctl.cctl(&["logs", name]).stdout;
            log.contains(&format!("\n{boots}.5\n")).then_some(log)
        });
        assert_eq!(state(cctl, name), "running 0", "{name}");
        let started: Vec<&str> = log.lines().filter(|line| line.starts_with("started")).collect();
        let expected: Vec<String> = (1..=boots).map(|boot| format!("started {boot}")).collect();
        assert_eq!(started, expected, "{name}: once a boot");
        assert_eq!(cctl.cctl(&["exec", name, "cat", "/www/boots"]).ok() + "\n", lines, "{name}: its files");
    }
    eventually("its port answers", || page(18080, "/boots").filter(|boots| *boots == lines));
    assert_eq!(page(18080, "/exec").as_deref(), Some("exec\n"));
    let port = cctl.cctl(&["port", "unless", "80"]).ok();
    let port = port.lines().next().unwrap().rsplit(':').next().unwrap().parse().unwrap();
    eventually("its port answers", || page(port, "/boots").filter(|boots| *boots == lines));
    // Of the others each is told how it ended, as far as anybody can know.
    for name in ["no", "paused"] {
        assert_eq!(state(cctl, name), "exited -1", "{name}");
        let error = inspect(cctl, name)["State"]["Error"].as_str().unwrap().to_owned();
        assert!(error.contains("the host was restarted"), "{name}: {error}");
        let status = cctl.cctl(&["ps", "-a", "--filter", &format!("name=^{name}$"), "--format", "{{.Status}}"]).ok();
        assert!(status.starts_with("Exited (unknown)"), "{name}: {status}");
        assert_eq!(cctl.cctl(&["wait", name]).ok(), "-1");
    }
    for (name, expected) in [
        ("stopped", "exited 137"),
        ("stopped-failing", "exited 137"),
        ("done", "exited 0"),
        ("failed", "exited 3"),
        ("created", "created 0"),
    ] {
        assert_eq!(state(cctl, name), expected, "{name}");
    }
    cctl.cctl(&["inspect", "gone"]).fails(1, &["gone"]);
    let log = cctl.cctl(&["logs", "no"]).stdout;
    assert!(log.contains("1.5\n"), "the log of what does not run is there: {log:?}");
    assert!(TcpStream::connect(("127.0.0.1", 18081)).is_err(), "and its port is not published");
}

/// Addresses are what the containers have, each once.
fn addresses(cctl: &Instance) {
    let mut seen = BTreeSet::new();
    for name in ["always", "unless", "failing", "frozen", "again"] {
        let inspected = inspect(cctl, name);
        let address = inspected["NetworkSettings"]["IPAddress"].as_str().unwrap().to_owned();
        let has = cctl.cctl(&["exec", name, "ip", "-4", "-o", "address", "show", "eth0"]).ok();
        assert!(has.contains(&format!(" {address}/")), "{name}: {address}, and has {has}");
        let hostname = cctl.cctl(&["exec", name, "hostname"]).ok();
        let hosts = cctl.cctl(&["exec", name, "cat", "/etc/hosts"]).ok();
        let named = hosts.lines().find(|line| line.split_whitespace().any(|word| word == hostname));
        assert_eq!(named.and_then(|line| line.split_whitespace().next()), Some(address.as_str()), "{name}: {hosts}");
        assert!(seen.insert(address), "{name}: {seen:?}");
    }
    assert_eq!(cctl.cctl(&["exec", "failing", "hostname"]).ok(), "fails");
}

#[test]
fn restart_policies_apply_and_nothing_stale_is_believed() {
    let cctl = Instance::start();
    let mut boot = Boot::new(cctl.scratch());
    // What runs had begun in the boot before: so has the instance.
    cctl.cctl(&["system", "stop", "--containers"]).ok();
    cctl.cctl(&["system", "start"]).ok();
    image(&cctl);
    prepare(&cctl);
    for boots in 2..=3 {
        power::off(&cctl, &mut boot);
        // Once on a runtime directory that is in memory, as it should be, and once on one that is not.
        if boots == 2 {
            std::fs::remove_dir_all(cctl.runtime()).unwrap();
        }
        cctl.cctl(&["system", "start"]).ok();
        expect(&cctl, boots);
        addresses(&cctl);
        cctl.cctl(&["system", "check"]).ok();
        assert!(cctl.status().iter().all(|row| row["restarts"] == 0), "{:?}", cctl.status());
    }
    // What a user does next goes on as ever.
    assert_eq!(cctl.cctl(&["run", "--rm", "base", "echo", "on"]).ok(), "on");
    for name in ["no", "paused", "stopped", "created"] {
        cctl.cctl(&["start", name]).ok();
    }
    eventually("its port answers again", || page(18081, "/boots").filter(|boots| boots == "boot\nboot\n"));
    let died = ["events", "--since", "1h", "--until", "0s", "--filter", "container=no", "--format", "{{.Action}}"];
    let actions = cctl.cctl(&died).ok();
    assert_eq!(actions.lines().collect::<Vec<_>>(), ["create", "start", "die", "start"]);
    let ids = cctl.cctl(&["ps", "-aq"]).ok();
    let ids: Vec<&str> = ids.lines().collect();
    assert_eq!(ids.len(), 12);
    cctl.cctl(&[&["rm", "-f"], &ids[..]].concat()).ok();
    cctl.cctl(&["system", "stop", "--containers"]).ok();
    drop(boot);
    cctl.cctl(&["system", "start"]).ok();
}
