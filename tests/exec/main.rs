//! Further processes in a running container.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use harness::{Instance, eventually};

fn sleeper(cctl: &Instance) {
    cctl.cctl(&["run", "-d", "--name", "box", "-e", "A=container", "-w", "/tmp", "base", "sleep", "600"]).ok();
}

#[test]
fn it_is_in_the_container_and_its_exit_code_is_its_own() {
    let cctl = Instance::start();
    sleeper(&cctl);
    assert_eq!(cctl.cctl(&["exec", "box", "echo", "hello"]).ok(), "hello");
    assert_eq!(cctl.cctl(&["exec", "box", "sh", "-c", "exit 7"]).code, 7);
    let split = cctl.cctl(&["exec", "box", "sh", "-c", "echo out; echo err >&2"]);
    assert_eq!((split.stdout.as_str(), split.stderr.as_str()), ("out\n", "err\n"));
    let inside = cctl.cctl(&["exec", "box", "ps", "-o", "pid,args"]).ok();
    assert!(inside.contains("1 sleep 600"), "{inside}");
    let host = cctl.cctl(&["exec", "box", "hostname"]).ok();
    assert!(cctl.cctl(&["ps", "-q"]).ok().starts_with(&host[..12]));
    assert_eq!(
        cctl.cctl(&["exec", "box", "cat", "/proc/self/cgroup"]).ok(),
        cctl.cctl(&["exec", "box", "cat", "/proc/1/cgroup"]).ok()
    );
}

#[test]
fn environment_user_and_directory_are_the_containers_or_what_is_asked_for() {
    let cctl = Instance::start();
    sleeper(&cctl);
    let exec = |arguments: &[&str]| cctl.cctl(&[&["exec"], arguments].concat()).ok();
    assert_eq!(exec(&["box", "sh", "-c", "echo $A; pwd; id -u"]), "container\n/tmp\n0");
    assert_eq!(
        exec(&["-e", "A=exec", "-w", "/etc", "-u", "daemon", "box", "sh", "-c", "echo $A; pwd; id -u"]),
        "exec\n/etc\n1"
    );
}

#[test]
fn it_holds_no_more_power_than_the_container() {
    let cctl = Instance::start();
    sleeper(&cctl);
    let facts = "grep -E '^(CapBnd|CapEff|NoNewPrivs|Seccomp):' /proc/$0/status";
    let first = cctl.cctl(&["exec", "box", "sh", "-c", facts, "1"]).ok();
    assert_eq!(cctl.cctl(&["exec", "box", "sh", "-c", facts, "self"]).ok(), first);
    assert!(first.contains("NoNewPrivs:\t1") && first.contains("Seccomp:\t2"), "{first}");
}

#[test]
fn what_cannot_be_executed_is_126_and_what_is_not_there_is_127() {
    let cctl = Instance::start();
    sleeper(&cctl);
    cctl.cctl(&["exec", "box", "nonesuch"]).fails(127, &["nonesuch"]);
    cctl.cctl(&["exec", "box", "/etc/passwd"]).fails(126, &["/etc/passwd"]);
    cctl.cctl(&["exec", "-u", "nobodyatall", "box", "true"]).fails(1, &["nobodyatall"]);
    cctl.cctl(&["exec", "other", "true"]).fails(1, &["No such container", "other"]);
    cctl.cctl(&["stop", "-t", "0", "box"]).ok();
    cctl.cctl(&["exec", "box", "true"]).fails(1, &["box", "not running"]);
}

#[test]
fn input_reaches_it_and_its_end_too() {
    let cctl = Instance::start();
    sleeper(&cctl);
    assert_eq!(cctl.cctl_with_input(&["exec", "-i", "box", "cat"], b"one\ntwo\n").ok(), "one\ntwo");
    assert_eq!(cctl.cctl_with_input(&["exec", "box", "cat"], b"unread").ok(), "", "without -i there is no input");
    let megabytes = vec![b'x'; 5 << 20];
    assert_eq!(cctl.cctl_with_input(&["exec", "-i", "box", "wc", "-c"], &megabytes).ok(), "5242880");
}

#[test]
fn it_can_have_a_terminal() {
    let cctl = Instance::start();
    sleeper(&cctl);
    let mut terminal = cctl.terminal(&["exec", "-it", "box", "sh"]);
    terminal.type_text("tty; echo $TERM; stty size\n");
    terminal.shows("/dev/pts/");
    terminal.shows("xterm");
    terminal.type_text("exit 3\n");
    assert_eq!(terminal.wait(), 3);
}

#[test]
fn it_ends_with_its_container() {
    let cctl = Instance::start();
    sleeper(&cctl);
    let exec = cctl.spawn_with_input(&["exec", "-i", "box", "sh", "-c", "echo ready; sleep 601"]);
    eventually("the exec runs", || cctl.cctl(&["top", "box"]).stdout.contains("sleep 601").then_some(()));
    cctl.cctl(&["rm", "-f", "box"]).ok();
    let output: harness::Output = exec.wait_with_output().unwrap().into();
    assert_eq!(output.code, 137, "{output:?}");
}

#[test]
fn a_detached_one_goes_on_by_itself() {
    let cctl = Instance::start();
    sleeper(&cctl);
    cctl.cctl(&["exec", "-d", "box", "sh", "-c", "echo done > /made"]).ok();
    eventually("it has run", || (cctl.cctl(&["exec", "box", "cat", "/made"]).stdout == "done\n").then_some(()));
}

#[test]
fn no_killed_service_disturbs_it() {
    let cctl = Instance::start();
    sleeper(&cctl);
    let script = "for i in $(seq 1 40); do echo line $i; sleep 0.1; done; exit 9";
    let exec = cctl.spawn_with_input(&["exec", "-i", "box", "sh", "-c", script]);
    for service in ["containers", "executor", "log-collector", "supervisor"] {
        cctl.kill_service(service);
    }
    let output: harness::Output = exec.wait_with_output().unwrap().into();
    let lines: Vec<String> = (1..=40).map(|number| format!("line {number}")).collect();
    assert_eq!((output.stdout.trim_end(), output.code), (lines.join("\n").as_str(), 9), "{}", output.stderr);
}

#[test]
fn many_leave_nothing() {
    let cctl = Instance::start();
    sleeper(&cctl);
    for number in 0..30 {
        assert_eq!(cctl.cctl(&["exec", "box", "echo", &number.to_string()]).ok(), number.to_string());
    }
    let running: Vec<_> = (0..12).map(|_| cctl.spawn_with_input(&["exec", "box", "true"])).collect();
    for exec in running {
        assert_eq!(exec.wait_with_output().unwrap().status.code(), Some(0));
    }
    eventually("only the container's own sandbox is left", || {
        (std::fs::read_dir(cctl.runtime().join("sandboxes")).unwrap().count() == 1).then_some(())
    });
}
