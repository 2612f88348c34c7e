//! The client against made-up services: what it asks for, prints and answers.
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod fake;

use fake::{Fake, eventually};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

fn with_input(fake: &Fake, arguments: &[&str]) -> Child {
    fake.command(arguments).stdin(Stdio::piped()).spawn().unwrap()
}

fn signal(child: &Child, name: &str) {
    assert!(Command::new("kill").args(["-s", name, &child.id().to_string()]).status().unwrap().success());
}

#[test]
fn output_and_exit_code_are_the_container_s() {
    let fake = Fake::start();
    let output = fake.command(&["run", "--rm", "base", "both"]).output().unwrap();
    assert_eq!(output.stdout, b"out\0\xffput\n");
    assert_eq!(output.stderr, b"err\n");
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(fake.asked("remove").len(), 1);
    assert!(fake.asked("create")[0].ends_with("AfterClient"));
    assert_eq!(fake.cctl(&["ps", "-aq"]).stdout, "");
}

#[test]
fn output_is_asked_for_again_if_there_were_no_descriptors_for_it() {
    let fake = Fake::start();
    let output = fake.cctl(&["run", "--rm", "base", "exhausting"]);
    assert_eq!((output.code, output.stdout.as_str(), output.stderr.as_str()), (0, "here\n", ""));
}

#[test]
fn attached_streams_are_chosen() {
    let fake = Fake::start();
    let only = fake.cctl(&["run", "-a", "stderr", "base", "both"]);
    assert_eq!((only.code, only.stdout.as_str(), only.stderr.as_str()), (3, "", "err\n"));
    let detached = fake.cctl(&["run", "-d", "base", "both"]);
    assert_eq!((detached.code, detached.stdout.len()), (0, 65));
}

#[test]
fn streams_to_attach_are_named_in_any_case_and_others_are_refused() {
    let fake = Fake::start();
    let only = fake.cctl(&["run", "-a", "STDERR", "-a", "Stdout", "base", "both"]);
    assert!(only.code == 3 && only.stdout.ends_with("put\n") && only.stderr == "err\n", "{only:?}");
    let unknown = fake.cctl(&["run", "-a", "foo", "base", "both"]);
    assert!(unknown.code == 125 && unknown.stderr.contains("Unsupported stream name: foo"), "{unknown:?}");
    let both = fake.cctl(&["run", "-d", "-a", "stdout", "base", "both"]);
    assert!(both.code == 125 && both.stderr.contains("Conflicting options: -a and -d"), "{both:?}");
    let keys = fake.cctl(&["run", "--detach-keys", "ctrl-?", "base", "both"]);
    assert!(keys.code == 125 && keys.stderr.contains("ctrl-?"), "{keys:?}");
    assert_eq!(fake.asked("create").len(), 1, "nothing was created for these");
}

#[test]
fn the_id_is_printed_only_when_no_output_is_attached() {
    let fake = Fake::start();
    let id_then = |arguments: &[&str]| {
        let answer = fake.cctl(&[&["run"], arguments, &["base", "echo", "hello"]].concat());
        answer.stdout
    };
    assert_eq!(id_then(&["-a", "stdout"]), "hello\n");
    assert_eq!(id_then(&["-a", "stderr"]), "");
    assert_eq!(id_then(&["-a", "stdin", "-a", "stdout"]), "hello\n");
    assert_eq!(id_then(&["-a", "stdin"]).len(), 65);
    assert_eq!(id_then(&["-i", "-a", "stdin"]).len(), 65);
    assert_eq!(id_then(&["-d"]).len(), 65);
}

#[test]
fn a_gap_is_told_of_where_it_is() {
    let fake = Fake::start();
    let run = fake.cctl(&["run", "--name", "one", "base", "gap"]);
    assert_eq!((run.code, run.stdout.as_str()), (0, "before\nafter\n"));
    let logs = fake.cctl(&["logs", "one"]);
    for said in [&run.stderr, &logs.stderr] {
        assert!(said.contains("42 bytes of stdout were dropped") && said.contains("7 bytes of stderr"), "{said}");
        assert_eq!(said.lines().count(), 2, "{said}");
    }
    let only = fake.cctl(&["run", "-a", "stdout", "base", "gap"]);
    assert!(!only.stderr.contains("stderr"), "a gap in a stream that nobody wants: {}", only.stderr);
}

#[test]
fn failures_have_docker_s_codes_and_leave_what_docker_leaves() {
    let fake = Fake::start();
    for (words, code) in [(["base", "missing"], 127), (["base", "noexec"], 126), (["nope", "true"], 125)] {
        let answer = fake.cctl(&["run", "--rm", words[0], words[1]]);
        assert_eq!(answer.code, code, "{answer:?}");
        assert!(answer.stderr.contains("cctl: "), "{answer:?}");
    }
    assert_eq!(fake.cctl(&["ps", "-aq"]).stdout, "");
    let kept = fake.cctl(&["run", "base", "missing"]);
    assert_eq!(kept.stderr, "cctl: missing: no such command\n      is it in the image?\n");
    assert_eq!(fake.cctl(&["ps", "-aq"]).stdout.lines().count(), 1);
    assert_eq!(fake.asked("create").len(), 3, "an unknown image was not even recorded");
}

#[test]
fn nothing_is_asked_for_when_a_value_is_bad() {
    let fake = Fake::start();
    for (arguments, value) in [
        (&["-m", "abc"][..], "abc"),
        (&["-p", "65536"], "65536"),
        (&["-v", "data:/x"], "data:/x"),
        (&["--cpus", "-1"], "-1"),
        (&["-z"], "-z"),
        (&["-it"], "TTY"),
        (&["-d", "-a", "stdout"], "-a and -d"),
    ] {
        let answer = fake.cctl(&[&["run"], arguments, &["base", "true"]].concat());
        assert_eq!(answer.code, 125, "{answer:?}");
        assert!(answer.stderr.contains(value) && answer.stderr.lines().count() <= 2, "{answer:?}");
    }
    assert!(fake.asked("create").is_empty());
}

#[test]
fn input_ends_with_ours() {
    let fake = Fake::start();
    let mut client = with_input(&fake, &["run", "-i", "--rm", "base", "cat"]);
    client.stdin.take().unwrap().write_all(b"hi\n").unwrap();
    let output = client.wait_with_output().unwrap();
    assert_eq!((output.stdout.as_slice(), output.status.code()), (&b"hi\n"[..], Some(0)));
    assert_eq!(fake.asked("input once=true").len(), 1);
}

#[test]
fn the_end_does_not_wait_for_input() {
    let fake = Fake::start();
    for arguments in [&["run", "base", "exit", "4"][..], &["run", "-i", "base", "exit", "4"]] {
        let mut client = with_input(&fake, arguments);
        let status = eventually("the end", || client.try_wait().unwrap());
        assert_eq!(status.code(), Some(4));
    }
}

#[test]
fn restarts_of_services_go_unnoticed() {
    let fake = Fake::start();
    let mut client = fake.command(&["run", "--rm", "base", "count", "1000"]).spawn().unwrap();
    while client.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(150));
        fake.restart_services();
    }
    let output = client.wait_with_output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(0), ""));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.lines().eq((1..=1000).map(|number| number.to_string())), "{text}");
}

#[test]
fn input_arrives_once_though_services_restart() {
    let fake = Fake::start();
    let mut client = with_input(&fake, &["run", "-i", "--rm", "base", "cat"]);
    let mut input = client.stdin.take().unwrap();
    for number in 1..=300 {
        writeln!(input, "{number}").unwrap();
        if number % 50 == 0 {
            fake.restart_services();
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    drop(input);
    let output = client.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.lines().eq((1..=300).map(|number| number.to_string())), "{text}");
}

#[test]
fn a_client_that_says_nothing_returns_after_a_restart() {
    let fake = Fake::start();
    let mut client = with_input(&fake, &["run", "-i", "--rm", "base", "cat"]);
    let mut input = client.stdin.take().unwrap();
    eventually("the input is open", || (!fake.asked("input once").is_empty()).then_some(()));
    fake.restart_services();
    // Longer than a collector waits for its clients to return.
    std::thread::sleep(Duration::from_millis(3000));
    input.write_all(b"still here\n").unwrap();
    drop(input);
    assert_eq!(client.wait_with_output().unwrap().stdout, b"still here\n");
}

#[test]
fn signals_reach_the_container() {
    let fake = Fake::start();
    let mut client = fake.command(&["run", "--rm", "base", "trap"]).spawn().unwrap();
    eventually("it runs", || (!fake.asked("start").is_empty()).then_some(()));
    let mut lines = BufReader::new(client.stdout.take().unwrap()).lines();
    signal(&client, "HUP");
    assert_eq!(lines.next().unwrap().unwrap(), "signal 1");
    signal(&client, "TERM");
    assert_eq!(lines.next().unwrap().unwrap(), "signal 15");
    assert_eq!(client.wait().unwrap().code(), Some(5));
}

#[test]
fn a_signal_during_the_start_reaches_the_container_and_a_second_one_ends_the_client() {
    let fake = Fake::start();
    let starting = |count: usize| eventually("the start", || (fake.asked("start").len() == count).then_some(()));
    let mut client = fake.command(&["run", "--rm", "base", "slow"]).spawn().unwrap();
    starting(1);
    signal(&client, "INT");
    assert_eq!(client.wait().unwrap().code(), Some(130));
    assert_eq!(fake.asked("kill").len(), 1);
    let mut client = fake.command(&["run", "--rm", "base", "slow"]).spawn().unwrap();
    starting(2);
    signal(&client, "INT");
    std::thread::sleep(Duration::from_millis(100));
    signal(&client, "TERM");
    assert_eq!(client.wait().unwrap().code(), Some(143));
    assert_eq!((fake.asked("kill").len(), fake.asked("remove").len()), (1, 2));
    assert_eq!(fake.cctl(&["ps", "-aq"]).stdout, "");
}

#[test]
fn attached_to_stdin_alone_the_client_sends_and_goes() {
    let fake = Fake::start();
    let mut client = with_input(&fake, &["run", "-a", "stdin", "--name", "one", "base", "cat"]);
    client.stdin.take().unwrap().write_all(b"for the log\n").unwrap();
    let output = client.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(0), 65), "{output:?}");
    assert_eq!(fake.cctl(&["logs", "one"]).stdout, "for the log\n");
}

#[test]
fn a_reader_that_goes_ends_the_client_quietly() {
    let fake = Fake::start();
    let mut client = fake.command(&["run", "base", "flood"]).spawn().unwrap();
    let mut first = [0; 4];
    client.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
    drop(client.stdout.take());
    let status = eventually("the end", || client.try_wait().unwrap());
    assert_eq!(status.code(), Some(141));
    let mut said = String::new();
    client.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(said, "");
}

#[test]
fn the_lease_is_renewed_while_nobody_reads() {
    let fake = Fake::start();
    let mut client = fake.command(&["run", "--rm", "base", "flood"]).spawn().unwrap();
    eventually("a second lease", || (fake.asked("keep").len() > 1).then_some(()));
    client.kill().unwrap();
    client.wait().unwrap();
}

#[test]
fn verbs_go_on_after_a_failure() {
    let fake = Fake::start();
    fake.cctl(&["run", "-d", "--name", "one", "base", "sleep"]);
    let answer = fake.cctl(&["stop", "-t", "3", "nope", "one"]);
    assert_eq!((answer.code, answer.stdout.as_str()), (1, "one\n"));
    assert!(answer.stderr.contains("no such container: nope"), "{answer:?}");
    assert_eq!(fake.asked("stop one"), ["stop one 3000"]);
    assert_eq!(fake.cctl(&["wait", "one"]).stdout, "143\n");
    assert_eq!(fake.cctl(&["start", "one"]).stdout, "one\n");
    assert_eq!(fake.cctl(&["kill", "-s", "sigint", "one"]).stdout, "one\n");
    assert_eq!(fake.asked("kill one"), ["kill one 2"]);
    assert_eq!(fake.cctl(&["rm", "one"]).stdout, "one\n");
    assert_eq!(fake.cctl(&["kill", "-s", "FOO", "one"]).code, 125);
}

#[test]
fn ps_lists_what_runs() {
    let fake = Fake::start();
    fake.cctl(&["run", "-d", "--name", "one", "base", "sleep"]);
    fake.cctl(&["run", "-d", "--name", "two", "base", "exit", "1"]);
    let table = fake.cctl(&["ps"]).stdout;
    assert!(table.lines().count() == 2 && table.contains("one") && table.contains("Up "), "{table}");
    assert_eq!(fake.cctl(&["ps", "-a"]).stdout.lines().count(), 3);
    assert_eq!(fake.cctl(&["ps", "-n", "1", "-q", "--no-trunc"]).stdout.len(), 65);
    let json = fake.cctl(&["ps", "-a", "--format", "json"]).stdout;
    let first: serde_json::Value = serde_json::from_str(json.lines().next().unwrap()).unwrap();
    assert_eq!((first["Names"].as_str(), first["State"].as_str()), (Some("two"), Some("exited")));
}

#[test]
fn logs_choose_and_stamp() {
    let fake = Fake::start();
    fake.cctl(&["run", "--name", "one", "base", "count", "20"]);
    assert_eq!(fake.cctl(&["logs", "--tail", "2", "one"]).stdout, "19\n20\n");
    assert_eq!(fake.cctl(&["logs", "--tail", "0", "one"]).stdout, "");
    assert_eq!(fake.cctl(&["logs", "--since", "1h", "one"]).stdout.lines().count(), 20);
    assert_eq!(fake.cctl(&["logs", "--since", "2100-01-01T00:00:00Z", "one"]).stdout, "");
    assert_eq!(fake.cctl(&["logs", "--until", "1h", "one"]).stdout, "");
    assert_eq!(
        fake.cctl(&["logs", "--until", "2100-01-01", "-n", "-1", "--details", "one"]).stdout.lines().count(),
        20
    );
    let stamped = fake.cctl(&["logs", "-t", "one"]).stdout;
    let tenth = stamped.lines().nth(9).and_then(|line| line.split(' ').next()).unwrap();
    assert_eq!(fake.cctl(&["logs", "--until", tenth, "one"]).stdout.lines().count(), 9);
    assert_eq!(fake.cctl(&["logs", "--since", tenth, "one"]).stdout.lines().count(), 11);
    let stamped = fake.cctl(&["logs", "-t", "--tail", "1", "one"]).stdout;
    assert!(stamped.ends_with("Z 20\n") && stamped.len() == 34, "{stamped}");
    fake.cctl(&["run", "--name", "both", "base", "both"]);
    assert_eq!(fake.cctl(&["logs", "both"]).stderr, "err\n");
    assert_eq!(fake.cctl(&["logs", "nope"]).code, 1);
}

#[test]
fn followers_end_with_the_container() {
    let fake = Fake::start();
    fake.cctl(&["run", "-d", "--name", "one", "base", "count", "300"]);
    let follower = fake.command(&["logs", "-f", "one"]).spawn().unwrap();
    fake.restart_services();
    let output = follower.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stdout.iter().filter(|&&byte| byte == b'\n').count()), (Some(0), 300));
}

#[test]
fn attach_shows_what_comes_and_answers_the_code() {
    let fake = Fake::start();
    fake.cctl(&["run", "-d", "-i", "--name", "one", "base", "cat"]);
    let mut client = with_input(&fake, &["attach", "one"]);
    let mut input = client.stdin.take().unwrap();
    writeln!(input, "hello").unwrap();
    let mut lines = BufReader::new(client.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "hello");
    // Its input was not ours alone: it goes on without us.
    drop(input);
    eventually("our session ends", || (!fake.asked("input closed").is_empty()).then_some(()));
    assert!(client.try_wait().unwrap().is_none());
    fake.cctl(&["kill", "one"]);
    assert_eq!(client.wait().unwrap().code(), Some(137));
    let refused = fake.cctl(&["attach", "one"]);
    assert!(refused.code == 1 && refused.stderr.contains("one is not running"), "{refused:?}");
}

#[test]
fn a_follower_goes_when_its_time_is_over() {
    let fake = Fake::start();
    fake.cctl(&["run", "-d", "--name", "one", "base", "sleep"]);
    let soon = std::time::SystemTime::now() + Duration::from_millis(1500);
    let soon = soon.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
    let answer = fake.cctl(&["logs", "-f", "--until", &format!("{soon:.3}"), "one"]);
    assert_eq!((answer.code, answer.stdout.as_str()), (0, ""));
}

#[test]
fn each_of_several_clients_gets_every_line_from_when_it_came_and_the_end_ends_them_all() {
    let fake = Fake::start();
    let mut first = with_input(&fake, &["run", "-i", "--name", "one", "base", "cat"]);
    let mut input = first.stdin.take().unwrap();
    writeln!(input, "1").unwrap();
    let mut lines = BufReader::new(first.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "1");
    let others: Vec<_> = (0..3).map(|_| fake.command(&["attach", "--no-stdin", "one"]).spawn().unwrap()).collect();
    let mut others: Vec<_> = others
        .into_iter()
        .map(|mut client| {
            let lines = BufReader::new(client.stdout.take().unwrap()).lines();
            (client, lines)
        })
        .collect();
    eventually("three have asked where to begin", || (fake.asked("locate End").len() == 3).then_some(()));
    writeln!(input, "2").unwrap();
    for (_, lines) in &mut others {
        assert_eq!(lines.next().unwrap().unwrap(), "2", "no output from before");
    }
    assert_eq!(lines.next().unwrap().unwrap(), "2");
    let ended = Instant::now();
    drop(input);
    assert_eq!(first.wait().unwrap().code(), Some(0));
    for (client, lines) in &mut others {
        assert_eq!(client.wait().unwrap().code(), Some(0));
        assert!(lines.next().is_none());
    }
    assert!(ended.elapsed() < Duration::from_secs(5), "{:?}", ended.elapsed());
}

#[test]
fn start_a_is_like_run() {
    let fake = Fake::start();
    assert_eq!(fake.cctl(&["run", "--name", "one", "base", "both"]).code, 3);
    let again = fake.cctl(&["start", "-a", "one"]);
    assert_eq!((again.code, again.stderr.as_str()), (3, "err\n"));
    assert_eq!(fake.cctl(&["start", "-a", "one", "two"]).code, 1);
}

#[test]
fn inspect_finds_containers_and_images() {
    let fake = Fake::start();
    fake.cctl(&["run", "-d", "--name", "one", "base", "sleep"]);
    let answer = fake.cctl(&["inspect", "one", "nope", "base"]);
    assert!(answer.code == 1 && answer.stderr.contains("No such object: nope"), "{answer:?}");
    let list: serde_json::Value = serde_json::from_str(&answer.stdout).unwrap();
    assert_eq!(
        (list[0]["Name"].as_str().map(|name| &name[1..]), list[1]["RepoTags"][0].as_str()),
        (Some("one"), Some("base:latest"))
    );
}

#[test]
fn imports_arrive_whole() {
    let fake = Fake::start();
    let archive: Vec<u8> = (0..2_500_000_u32).map(|number| (number % 251) as u8).collect();
    let sum = archive.iter().fold(0_u64, |sum, &byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    let path = fake.path().join("archive.tar");
    std::fs::write(&path, &archive).unwrap();
    // The image store forgets half a megabyte on the way.
    let answer = fake.cctl(&["import", path.to_str().unwrap(), "base:1"]);
    assert_eq!((answer.code, answer.stdout), (0, format!("sha256:{}\n", "07".repeat(32))));
    assert_eq!(fake.asked("import"), [format!("import base:1 {} 2500000 {sum}", path.display())]);
    let mut client = with_input(&fake, &["import", "-", "piped"]);
    client.stdin.take().unwrap().write_all(&archive).unwrap();
    assert!(client.wait().unwrap().success());
    assert_eq!(fake.asked("import piped"), [format!("import piped - 2500000 {sum}")]);
}

#[test]
fn what_is_no_archive_is_forgotten() {
    let fake = Fake::start();
    let mut client = with_input(&fake, &["import", "-"]);
    client.stdin.take().unwrap().write_all(b"bad").unwrap();
    let output = client.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(output.stderr, b"cctl: this is no tar archive\n");
    assert_eq!(fake.asked("abandon").len(), 1);
}

#[test]
fn without_a_system_there_is_one_line_and_a_hint() {
    let empty = tempfile::tempdir().unwrap();
    let cctl = |arguments: &[&str], run: &std::path::Path| -> fake::Answer {
        Command::new(fake::program()).args(arguments).env("CCTL_RUN", run).output().unwrap().into()
    };
    for arguments in [&["ps"][..], &["system", "status"], &["images"], &["system", "restart"], &["info"]] {
        let started = Instant::now();
        let answer = cctl(arguments, empty.path());
        assert_eq!((answer.code, answer.stdout.as_str(), answer.stderr.lines().count()), (1, "", 2), "{answer:?}");
        assert!(answer.stderr.contains("not running") && answer.stderr.contains("cctl system start"), "{answer:?}");
        assert!(started.elapsed() < Duration::from_secs(2));
    }
    assert_eq!(cctl(&["run", "base", "true"], empty.path()).code, 125);
    assert_eq!(cctl(&["system", "stop"], empty.path()).code, 0);
    assert_eq!(cctl(&["version"], empty.path()).code, 0);
    let relative = cctl(&["ps"], std::path::Path::new("run"));
    assert!(relative.code == 1 && relative.stderr.contains("CCTL_RUN=run"), "{relative:?}");
}
