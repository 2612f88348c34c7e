//! The client on a terminal: raw mode while the container has the keys, and never after.
#![allow(missing_docs, unreachable_pub, dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod fake;

use fake::{Fake, eventually};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};

/// A terminal whose only process is the client.
struct Terminal {
    keys: File,
    slave: File,
    client: Child,
    screen: Arc<Mutex<Vec<u8>>>,
}

impl Terminal {
    fn run(fake: &Fake, arguments: &[&str]) -> Self {
        Self::begin(fake, arguments, &[])
    }

    fn begin(fake: &Fake, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let master: OwnedFd = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let slave =
            OpenOptions::new().read(true).write(true).open(std::ffi::OsStr::from_bytes(name.as_bytes())).unwrap();
        tcsetwinsize(&slave, size(24, 80)).unwrap();
        let plain = fake.command(arguments);
        // A session of its own, whose controlling terminal this is.
        let mut command = Command::new("setsid");
        command.arg("--ctty").arg(plain.get_program()).args(plain.get_args());
        command.envs(plain.get_envs().filter_map(|(key, value)| Some((key, value?)))).envs(environment.iter().copied());
        let stream = || slave.try_clone().unwrap();
        let client = command.stdin(stream()).stdout(stream()).stderr(stream()).spawn().unwrap();
        let keys = File::from(master);
        let screen = Arc::<Mutex<Vec<u8>>>::default();
        let (mut reader, written) = (keys.try_clone().unwrap(), screen.clone());
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = reader.read(&mut buffer) {
                written.lock().unwrap().extend_from_slice(&buffer[..length]);
            }
        });
        Self { keys, slave, client, screen }
    }

    fn is_raw(&self) -> bool {
        let modes = tcgetattr(&self.slave).unwrap().local_modes;
        !modes.intersects(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG)
    }

    fn echoes(&self) -> bool {
        tcgetattr(&self.slave).unwrap().local_modes.contains(LocalModes::ECHO)
    }

    fn becomes_raw(&self) {
        eventually("raw mode", || self.is_raw().then_some(()));
    }

    fn types(&mut self, keys: &[u8]) {
        self.keys.write_all(keys).unwrap();
    }

    fn shows(&self, text: &str) {
        eventually(text, || String::from_utf8_lossy(&self.screen.lock().unwrap()).contains(text).then_some(()));
    }

    fn ends(&mut self) -> i32 {
        let status = eventually("the end", || self.client.try_wait().unwrap());
        assert!(!self.is_raw(), "the terminal is as it was");
        status.code().unwrap()
    }

    fn signal(&self, name: &str) {
        assert!(Command::new("kill").args(["-s", name, &self.client.id().to_string()]).status().unwrap().success());
    }
}

fn size(rows: u16, columns: u16) -> Winsize {
    Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }
}

#[test]
fn every_key_goes_to_the_container() {
    let fake = Fake::start();
    let mut terminal = Terminal::run(&fake, &["run", "-it", "--rm", "--name", "one", "base", "cat"]);
    terminal.becomes_raw();
    terminal.types(b"hello \x03\x1a\x04.");
    terminal.shows("hello \u{3}\u{1a}\u{4}.");
    fake.cctl(&["kill", "-s", "TERM", "one"]);
    assert_eq!(terminal.ends(), 143);
    assert!(fake.asked("input once=false").len() == 1, "another may attach to a terminal after us");
}

#[test]
fn sizes_follow() {
    let fake = Fake::start();
    let mut terminal = Terminal::run(&fake, &["run", "-it", "--name", "one", "base", "cat"]);
    eventually("the size at the start", || (!fake.asked("resize 24 80").is_empty()).then_some(()));
    tcsetwinsize(&terminal.keys, size(40, 100)).unwrap();
    eventually("the new size", || (!fake.asked("resize 40 100").is_empty()).then_some(()));
    fake.cctl(&["kill", "one"]);
    assert_eq!(terminal.ends(), 137);
}

#[test]
fn detach_keys_leave_it_and_attach_returns() {
    let fake = Fake::start();
    let mut terminal = Terminal::run(&fake, &["run", "-it", "--name", "one", "base", "cat"]);
    terminal.becomes_raw();
    terminal.types(b"a\x10\x11");
    assert_eq!(terminal.ends(), 0);
    terminal.shows("cctl attach");
    assert!(fake.cctl(&["ps"]).stdout.contains("one"));
    let mut again = Terminal::run(&fake, &["attach", "one"]);
    again.becomes_raw();
    again.types(b"back");
    again.shows("back");
    assert!(!fake.asked("resize 25 81").is_empty(), "the screen is drawn again");
    fake.cctl(&["kill", "one"]);
    assert_eq!(again.ends(), 137);
}

#[test]
fn other_detach_keys_may_be_chosen() {
    let fake = Fake::start();
    let mut terminal =
        Terminal::run(&fake, &["run", "-it", "--detach-keys", "ctrl-x,x", "--name", "one", "base", "cat"]);
    terminal.becomes_raw();
    terminal.types(b"\x10\x11 stays\x18");
    terminal.shows("\u{10}\u{11} stays");
    terminal.types(b"x");
    assert_eq!(terminal.ends(), 0);
    let mut again = Terminal::run(&fake, &["attach", "--detach-keys", "q", "one"]);
    again.becomes_raw();
    again.types(b"q");
    assert_eq!(again.ends(), 0);
    assert!(fake.cctl(&["ps"]).stdout.contains("one"));
}

#[test]
fn a_terminal_is_left_as_it_is_if_the_user_wants() {
    let fake = Fake::start();
    let mut terminal = Terminal::begin(&fake, &["run", "-it", "--name", "one", "base", "cat"], &[("NORAW", "1")]);
    terminal.types(b"a whole line\n");
    terminal.shows("a whole line\r\na whole line");
    assert!(!terminal.is_raw());
    fake.cctl(&["kill", "one"]);
    assert_eq!(terminal.ends(), 137);
}

#[test]
fn signals_that_end_the_client_restore_the_terminal() {
    for (name, code) in [("TERM", 143), ("HUP", 129), ("USR1", 138)] {
        let fake = Fake::start();
        let mut terminal = Terminal::run(&fake, &["run", "-it", "--name", "one", "base", "cat"]);
        terminal.becomes_raw();
        terminal.signal(name);
        assert_eq!(terminal.ends(), code);
        assert!(fake.asked("kill").is_empty(), "the container goes on");
    }
}

#[test]
fn a_terminal_stays_raw_through_restarts_of_services() {
    let fake = Fake::start();
    let mut terminal = Terminal::run(&fake, &["run", "-it", "--name", "one", "base", "cat"]);
    terminal.becomes_raw();
    fake.restart_services();
    terminal.types(b"after");
    terminal.shows("after");
    assert!(terminal.is_raw());
    fake.cctl(&["kill", "one"]);
    assert_eq!(terminal.ends(), 137);
}

#[test]
fn without_i_control_c_is_a_signal_for_the_container() {
    let fake = Fake::start();
    let mut terminal = Terminal::run(&fake, &["run", "-t", "--name", "one", "base", "trap"]);
    eventually("it runs", || (!fake.asked("resize").is_empty()).then_some(()));
    assert!(!terminal.is_raw());
    terminal.types(b"\x03");
    terminal.shows("signal 2");
    terminal.types(b"\x03");
    assert_eq!(terminal.ends(), 5);
}

#[test]
fn a_container_that_does_not_read_can_be_left() {
    let fake = Fake::start();
    let mut terminal = Terminal::run(&fake, &["run", "-it", "--name", "one", "base", "deaf"]);
    terminal.becomes_raw();
    for _ in 0..80 {
        terminal.types(b"does anybody read this?");
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    terminal.types(b"\x10\x11");
    assert_eq!(terminal.ends(), 0);
}

#[test]
fn a_password_is_asked_for_and_does_not_show() {
    let fake = Fake::start();
    let mut terminal = Terminal::run(&fake, &["login"]);
    terminal.shows("Username: ");
    terminal.types(b"me\n");
    terminal.shows("Password: ");
    assert!(!terminal.echoes(), "it is hidden before anybody types");
    terminal.types(b"right:or:wrong\n");
    terminal.shows("Login Succeeded");
    assert_eq!(terminal.ends(), 0);
    assert!(terminal.echoes());
    assert!(!String::from_utf8_lossy(&terminal.screen.lock().unwrap()).contains("right:or"));
    // Enter keeps the user, and the password.
    let mut again = Terminal::run(&fake, &["login"]);
    again.shows("Username (me): ");
    again.types(b"\n");
    again.shows("Login Succeeded");
    assert_eq!(again.ends(), 0);
    // Another user must give one.
    let mut other = Terminal::run(&fake, &["login"]);
    other.shows("Username (me): ");
    other.types(b"you\n");
    other.shows("Password: ");
    other.types(b"\n");
    other.shows("Password Required");
    assert_eq!(other.ends(), 1);
}

#[test]
fn control_c_at_the_password_restores_the_terminal() {
    let fake = Fake::start();
    let mut terminal = Terminal::run(&fake, &["login", "-u", "me"]);
    terminal.shows("Password: ");
    assert!(!terminal.echoes(), "it is hidden before anybody types");
    terminal.types(b"\x03");
    assert_eq!(terminal.ends(), 130);
    assert!(terminal.echoes());
}

#[test]
fn push_asks_who_one_is() {
    let fake = Fake::start();
    let mut terminal = Terminal::run(&fake, &["push", "me/web"]);
    terminal.shows("Username: ");
    terminal.types(b"me\n");
    terminal.shows("Password: ");
    terminal.types(b"right:or:wrong\n");
    terminal.shows("size: 123");
    assert_eq!(terminal.ends(), 0);
    assert_eq!(fake.asked("push"), ["push me/web as ", "push me/web as me"]);
}

#[test]
fn archives_are_not_written_to_a_terminal() {
    let fake = Fake::start();
    for verb in ["export", "save"] {
        let mut terminal = Terminal::run(&fake, &[verb, "base"]);
        terminal.shows("cowardly refusing to save to a terminal");
        assert_eq!(terminal.ends(), 1);
    }
}

#[test]
fn a_pull_draws_over_what_it_drew() {
    let fake = Fake::start();
    let mut terminal = Terminal::run(&fake, &["pull", "web"]);
    terminal.shows("layer-of-web: Downloading [======");
    terminal.shows("\u{1b}[1A\r\u{1b}[2Klayer-of-web: Pull complete");
    assert_eq!(terminal.ends(), 0);
}
