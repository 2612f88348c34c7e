//! What systemd relies on: being told, restarts of the main process, and programs that a package has replaced.

use crate::instance::{Instance, Process, eventually, signal};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The socket of a service manager.
fn manager(instance: &Instance) -> UnixDatagram {
    let socket = UnixDatagram::bind(instance.path("manager")).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    socket
}

fn started_by_manager(instance: &Instance, mut command: Command) -> Child {
    command.env("NOTIFY_SOCKET", instance.path("manager")).spawn().unwrap()
}

fn told(manager: &UnixDatagram) -> String {
    let mut text = [0; 100];
    let length = manager.recv(&mut text).unwrap();
    String::from_utf8_lossy(&text[..length]).into_owned()
}

fn standing_by(instance: &Instance) -> Command {
    let mut command = instance.command();
    command.arg("--stand-by");
    command
}

#[test]
fn a_manager_is_told_once_that_the_system_serves() {
    let mut instance = Instance::prepare(&["steady"]);
    let manager = manager(&instance);
    instance.adopt(started_by_manager(&instance, standing_by(&instance)));
    assert_eq!(told(&manager), "READY=1");
    let before = instance.row("supervisor").pid;
    let (_, _, environment) = instance.talk("steady");
    assert!(environment.contains("NOTIFY_SOCKET"));
    signal(before, Signal::KILL);
    instance.successor("supervisor", before);
    signal(instance.keeper(), Signal::TERM);
    assert!(instance.wait_for_keeper());
    manager.set_nonblocking(true).unwrap();
    assert!(manager.recv(&mut [0; 100]).is_err(), "nobody but the keeper speaks with the manager");
}

#[test]
fn a_successor_stands_by_and_hands_on_what_it_is_told() {
    let mut instance = Instance::start(&["steady"]);
    let manager = manager(&instance);
    let before = instance.row("supervisor").pid;
    signal(instance.keeper(), Signal::KILL);
    assert!(!instance.wait_for_keeper());
    // At once, as the manager may.
    instance.adopt(started_by_manager(&instance, standing_by(&instance)));
    assert_eq!(told(&manager), "READY=1");
    let row = instance.successor("supervisor", before);
    assert_eq!(instance.keeper(), before, "the supervisor has become the keeper, and stays it");
    let stand_by = instance.keeper_started_here();
    signal(stand_by, Signal::HUP);
    instance.successor("supervisor", row.pid);
    assert_eq!(instance.keeper(), before);
    signal(stand_by, Signal::TERM);
    assert!(instance.wait_for_keeper(), "that was in order");
    assert_eq!(instance.processes(), Vec::<i32>::new());
}

#[test]
fn a_successor_that_stands_by_fails_when_all_are_killed() {
    let mut instance = Instance::start(&["steady"]);
    let manager = manager(&instance);
    signal(instance.keeper(), Signal::KILL);
    assert!(!instance.wait_for_keeper());
    instance.adopt(started_by_manager(&instance, standing_by(&instance)));
    assert_eq!(told(&manager), "READY=1");
    let (keeper, supervisor) = eventually("a supervisor", || {
        let row = instance.status().ok()?.into_iter().find(|row| row.service == "supervisor")?;
        (row.pid != instance.keeper()).then(|| (instance.keeper(), row.pid))
    });
    signal(supervisor, Signal::STOP);
    signal(keeper, Signal::KILL);
    signal(supervisor, Signal::KILL);
    assert!(!instance.wait_for_keeper(), "the manager is to start another");
    instance.adopt(started_by_manager(&instance, standing_by(&instance)));
    assert_eq!(told(&manager), "READY=1");
    instance.successor("steady", 0);
}

/// Puts a copy of the program to a path as packages do: another file of the same name.
fn install(program: &Path) {
    let new = program.with_extension("new");
    fs::copy(env!("CARGO_BIN_EXE_cctl-supervisor"), &new).unwrap();
    fs::rename(new, program).unwrap();
}

fn runs(pid: i32) -> String {
    fs::read_link(format!("/proc/{pid}/exe")).unwrap().display().to_string()
}

#[test]
fn what_is_installed_takes_over_and_nobody_is_refused() {
    let mut instance = Instance::prepare(&["one", "parent"]);
    let program = instance.path("cctl-supervisor");
    install(&program);
    instance.adopt(instance.command_of(&program).spawn().unwrap());
    let rows = ["one", "parent"].map(|name| instance.successor(name, 0));
    let orphan: i32 = fs::read_to_string(instance.run().join("orphan")).unwrap().parse().unwrap();
    let (orphan, old) = (Process::of(orphan), instance.row("supervisor").pid);
    let (keeper, inode) = (instance.keeper(), instance.inode("one"));
    // A newer version knows one service more.
    crate::fake::install(&instance.path("libexec"), "two");
    let manifest = fs::read_to_string(instance.path("services.toml")).unwrap();
    let section = manifest.split("[[service]]").nth(1).unwrap().replace("\"one\"", "\"two\"");
    fs::write(instance.path("services.toml"), format!("{manifest}\n[[service]]{section}")).unwrap();
    install(&program);
    assert!(runs(keeper).ends_with(" (deleted)"));
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let user = scope.spawn(|| {
            let mut answers = 0;
            while !done.load(Ordering::Relaxed) {
                // An answer may be cut off; nobody is refused.
                let _ = std::io::Read::read_to_string(&mut instance.connect("one"), &mut String::new());
                answers += 1;
            }
            answers
        });
        signal(keeper, Signal::HUP);
        let now = instance.successor("supervisor", old);
        instance.successor("two", 0);
        for row in &rows {
            instance.successor(&row.service, row.pid);
        }
        assert_eq!((instance.keeper(), instance.inode("one")), (keeper, inode));
        assert_eq!([keeper, now.pid].map(runs), [program.display().to_string(), program.display().to_string()]);
        assert_eq!((now.restarts, now.last_error.as_str()), (0, ""));
        assert!(orphan.is_alive());
        done.store(true, Ordering::Relaxed);
        println!("{} answers meanwhile", user.join().unwrap());
    });
    let _ = kill_process(Pid::from_raw(keeper).unwrap(), Signal::TERM);
    assert!(instance.wait_for_keeper());
    assert!(!instance.run().join("two.sock").exists());
}

#[test]
fn without_an_installed_program_the_old_one_goes_on() {
    let mut instance = Instance::prepare(&["one"]);
    let program = instance.path("cctl-supervisor");
    install(&program);
    instance.adopt(instance.command_of(&program).spawn().unwrap());
    let before = instance.successor("one", 0);
    fs::remove_file(&program).unwrap();
    signal(instance.keeper(), Signal::HUP);
    let log = instance.path("root/logs/keeper.log");
    eventually("it says so", || fs::read_to_string(&log).unwrap().contains("no program is installed").then_some(()));
    assert_eq!(instance.row("one").pid, before.pid);
}
