//! A service that speaks only the protocol of socket passing and notification. Its name says how it behaves.

use std::io::Write;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::Path;
use std::time::Duration;
use std::{env, fs, thread};

/// What the supervisor executes: a script that becomes this test program, at the test below.
pub(crate) fn install(libexec: &Path, name: &str) {
    use std::os::unix::fs::PermissionsExt;
    let program = env::current_exe().unwrap();
    let script = format!("#!/bin/sh\nFAKE={name} exec {} --exact fake::service --nocapture\n", program.display());
    let path = libexec.join(name);
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Not a test: what a fake service does.
#[test]
fn service() {
    let Ok(name) = env::var("FAKE") else { return };
    match name.as_str() {
        "crashing" => std::process::exit(3),
        "shy" => thread::sleep(Duration::from_secs(3600)),
        "late" => {
            thread::sleep(Duration::from_millis(700));
            serve("late");
        }
        name => serve(name),
    }
}

fn serve(name: &str) {
    assert_eq!(env::var("LISTEN_PID").unwrap(), std::process::id().to_string());
    let passed = (env::var("LISTEN_FDS").unwrap(), env::var("LISTEN_FDNAMES").unwrap());
    if name == "shelving" {
        assert_eq!(passed, ("3".to_owned(), "shelving:shelf.in:shelf.out".to_owned()));
    } else {
        assert_eq!(passed, ("1".to_owned(), name.to_owned()));
    }
    // Before this process opens any: what the supervisor let through. The directory listing itself is one.
    let open: Vec<String> = fs::read_dir("/proc/self/fd")
        .unwrap()
        .flatten()
        .filter_map(|entry| {
            Some(format!("{}={}", entry.file_name().to_str()?, fs::read_link(entry.path()).ok()?.display()))
        })
        .filter(|text| !text.contains("/proc/"))
        .collect();
    match name {
        "parent" => leave_an_orphan(&["sleep", "3600"]),
        // As a monitor has: a child that is the first process of a namespace.
        "engine" => leave_an_orphan(&[
            "unshare",
            "--pid",
            "--fork",
            "sh",
            "-c",
            "trap 'exit 21' TERM; echo > \"$CCTL_RUN/first\"; sleep 3600 & wait",
        ]),
        _ => {}
    }
    let listener = crate::sys::take(3);
    let shelved = if name == "shelving" { shelve() } else { 0 };
    listener.set_nonblocking(false).unwrap();
    let notify = UnixDatagram::unbound().unwrap();
    notify.connect(env::var("NOTIFY_SOCKET").unwrap()).unwrap();
    notify.send(b"READY=1").unwrap();
    let interval = Duration::from_micros(env::var("WATCHDOG_USEC").unwrap().parse().unwrap()) / 2;
    if name == "looping" {
        return turn(&listener, &notify, interval);
    }
    thread::spawn(move || {
        loop {
            thread::sleep(interval);
            notify.send(b"WATCHDOG=1").unwrap();
        }
    });
    for stream in listener.incoming() {
        let mut stream = stream.unwrap();
        let names: Vec<String> = env::vars().map(|(name, _)| name).collect();
        writeln!(stream, "{}\n{}\n{}\n{shelved}", std::process::id(), open.join(" "), names.join(" ")).unwrap();
    }
}

/// How many descriptors our predecessors have left; and leaves one more.
fn shelve() -> usize {
    let [into, out] = [4, 5].map(|number| crate::sys::take(number).into());
    let shelf = kit::shelf::Shelf::new(into, out);
    let found = shelf.all().unwrap().len();
    shelf.put(b"null", &[fs::File::open("/dev/null").unwrap()]).unwrap();
    found
}

/// Says that it is alive until somebody connects, and then turns without end.
fn turn(listener: &UnixListener, notify: &UnixDatagram, interval: Duration) {
    listener.set_nonblocking(true).unwrap();
    while listener.accept().is_err() {
        thread::sleep(interval / 10);
        notify.send(b"WATCHDOG=1").unwrap();
    }
    loop {
        std::hint::spin_loop();
    }
}

/// A process that outlives us, as a monitor of a container does. It is not ours to wait for.
#[allow(clippy::zombie_processes)]
fn leave_an_orphan(command: &[&str]) {
    let file = Path::new(&env::var_os("CCTL_RUN").unwrap()).join("orphan");
    let child = std::process::Command::new(command[0]).args(&command[1..]).spawn().unwrap();
    fs::write(file, child.id().to_string()).unwrap();
}
