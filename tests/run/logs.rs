//! `cctl logs`.

use harness::{Instance, eventually};
use std::io::{BufRead, BufReader};
use std::process::Stdio;

#[test]
fn logs_are_what_was_written() {
    let cctl = Instance::start();
    let id = cctl.cctl(&["run", "-d", "base", "sh", "-c", "seq 1 5; echo err >&2; echo -n last"]).ok();
    assert_eq!(cctl.cctl(&["wait", &id]).ok(), "0");
    let logs = cctl.cctl(&["logs", &id]);
    assert_eq!((logs.code, logs.stdout.as_str(), logs.stderr.as_str()), (0, "1\n2\n3\n4\n5\nlast", "err\n"));
    let stamped = cctl.cctl(&["logs", "-t", &id]).ok();
    for (line, number) in stamped.lines().zip(1..=5) {
        let (time, text) = line.split_once(' ').unwrap();
        assert!(time.ends_with('Z') && time.contains('T') && time.len() == 30, "{line}");
        assert_eq!(text, number.to_string());
    }
    cctl.cctl(&["rm", &id]).ok();
    cctl.cctl(&["logs", &id]).fails(1, &[&id]);
}

#[test]
fn tail_and_since_choose() {
    let cctl = Instance::start();
    let id = cctl.cctl(&["run", "-d", "base", "sh", "-c", "seq 1 1000; while ! [ -e /go ]; do sleep 0.05; done"]).ok();
    eventually("all is logged", || cctl.cctl(&["logs", &id]).ok().ends_with("1000").then_some(()));
    assert_eq!(cctl.cctl(&["logs", "--tail", "2", &id]).ok(), "999\n1000");
    assert_eq!(cctl.cctl(&["logs", "--tail", "0", &id]).ok(), "");
    assert_eq!(cctl.cctl(&["logs", "--tail", "all", &id]).ok().lines().count(), 1000);
    assert_eq!(cctl.cctl(&["logs", "--since", "1h", &id]).ok().lines().count(), 1000);
    assert_eq!(cctl.cctl(&["logs", "--since", "2100-01-01T00:00:00Z", &id]).ok(), "");
    cctl.cctl(&["logs", "--tail", "many", &id]).fails(125, &["many"]);
    cctl.cctl(&["logs", "--since", "yesterday-ish", &id]).fails(125, &["yesterday-ish"]);
    cctl.cctl(&["rm", "-f", &id]).ok();
}

#[test]
fn followers_see_the_log_grow_and_end() {
    let cctl = Instance::start();
    let id = cctl.cctl(&["run", "-d", "base", "sh", "-c", "for i in $(seq 1 50); do echo $i; sleep 0.01; done"]).ok();
    let mut follower = cctl.command(&["logs", "-f", &id]).stdout(Stdio::piped()).spawn().unwrap();
    let lines: Vec<String> = BufReader::new(follower.stdout.take().unwrap()).lines().map(Result::unwrap).collect();
    assert_eq!(lines, (1..=50).map(|number| number.to_string()).collect::<Vec<_>>());
    assert!(follower.wait().unwrap().success());
    cctl.cctl(&["rm", "-f", &id]).ok();
}

#[test]
fn logs_are_bounded_and_a_follower_misses_nothing() {
    let cctl = Instance::start();
    let bounds = ["--log-opt", "max-size=64k", "--log-opt", "max-file=3"];
    let script = "for i in $(seq 1 60000); do echo $i; done";
    let run = [&["run", "-d"], &bounds[..], &["base", "sh", "-c", script]].concat();
    let id = cctl.cctl(&run).ok();
    cctl.cctl(&["wait", &id]).ok();
    let kept = cctl.cctl(&["logs", &id]).ok();
    assert!(kept.len() <= 3 * 64 * 1024, "{} bytes are kept", kept.len());
    assert!(kept.ends_with("60000"));
    let attached = cctl.cctl(&[&["run", "--rm"], &bounds[..], &["base", "sh", "-c", script]].concat()).ok();
    assert_eq!(attached.lines().last(), Some("60000"));
}
