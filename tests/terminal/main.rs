//! Interactive containers, on a real terminal.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use harness::{Instance, eventually};

#[test]
fn a_shell_is_usable() {
    let cctl = Instance::start();
    let mut terminal = cctl.terminal(&["run", "-i", "-t", "--rm", "base", "sh"]);
    assert!(terminal.is_cooked());
    terminal.shows("/ # ");
    assert!(!terminal.is_cooked(), "the client's terminal is raw while the container has it");
    terminal.type_text("tty; echo term=$TERM\n");
    terminal.shows("/dev/pts/0");
    terminal.shows("term=xterm");
    terminal.type_text("stty size\n");
    terminal.shows("24 80");
    terminal.resize(40, 100);
    eventually("the new size arrives", || {
        terminal.type_text("stty size\n");
        std::thread::sleep(std::time::Duration::from_millis(50));
        terminal.screen().contains("40 100").then_some(())
    });
    terminal.type_text("exit 5\n");
    assert_eq!(terminal.wait(), 5);
    assert!(terminal.is_cooked(), "the terminal is as it was");
}

#[test]
fn control_c_and_job_control_work() {
    let cctl = Instance::start();
    let mut terminal = cctl.terminal(&["run", "-it", "--rm", "base", "sh"]);
    terminal.shows("/ # ");
    // Keys must not come before the program that they are for.
    terminal.type_text("echo on $((40 + 2)); sleep 600\n");
    terminal.shows("on 42");
    terminal.type_text("\u{3}");
    terminal.type_text("echo interrupted $?\n");
    terminal.shows("interrupted 130");
    terminal.type_text("echo on $((40 + 3)); sleep 601\n");
    terminal.shows("on 43");
    std::thread::sleep(std::time::Duration::from_millis(300));
    terminal.type_text("\u{1a}");
    terminal.shows("Stopped");
    terminal.type_text("kill -9 %1\n");
    // The shell tells of stopped jobs at the first `exit`, and goes at the second.
    terminal.type_text("exit\nexit\n");
    terminal.wait();
}

#[test]
fn detach_keys_leave_it_running_and_attach_comes_back() {
    let cctl = Instance::start();
    let mut terminal = cctl.terminal(&["run", "-it", "--name", "shell", "base", "sh"]);
    terminal.shows("/ # ");
    terminal.type_text("\u{10}\u{11}");
    assert_eq!(terminal.wait(), 0);
    assert!(terminal.is_cooked());
    assert!(cctl.cctl(&["ps"]).ok().contains("shell"));
    let mut again = cctl.terminal(&["attach", "shell"]);
    eventually("the shell answers", || {
        again.type_text("echo $((40 + 2))\n");
        std::thread::sleep(std::time::Duration::from_millis(50));
        again.screen().contains("\n42").then_some(())
    });
    again.type_text("exit 3\n");
    assert_eq!(again.wait(), 3);
    cctl.cctl(&["rm", "shell"]).ok();
}

#[test]
fn a_terminal_without_a_terminal_is_refused() {
    let cctl = Instance::start();
    cctl.cctl(&["run", "-it", "--rm", "base", "sh"]).fails(125, &["terminal"]);
    assert_eq!(cctl.cctl(&["run", "-t", "--rm", "base", "tty"]).ok().trim_end(), "/dev/pts/0");
}

#[test]
fn a_killed_client_leaves_the_terminal_sane() {
    let cctl = Instance::start();
    let mut terminal = cctl.terminal(&["run", "-it", "--name", "shell", "base", "sh"]);
    terminal.shows("/ # ");
    let client = rustix::process::Pid::from_raw(i32::try_from(terminal.pid()).unwrap()).unwrap();
    rustix::process::kill_process(client, rustix::process::Signal::TERM).unwrap();
    terminal.wait();
    assert!(terminal.is_cooked());
    cctl.cctl(&["rm", "-f", "shell"]).ok();
}
