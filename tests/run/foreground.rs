//! `cctl run` as a command like any other.

use harness::Instance;
use std::process::Stdio;

#[test]
fn output_and_exit_codes_are_the_containers_own() {
    let cctl = Instance::start();
    assert_eq!(cctl.cctl(&["run", "--rm", "base", "echo", "hello"]).ok(), "hello");
    let split = cctl.cctl(&["run", "--rm", "base", "sh", "-c", "echo out; echo err >&2"]);
    assert_eq!((split.code, split.stdout.as_str(), split.stderr.as_str()), (0, "out\n", "err\n"));
    assert_eq!(cctl.cctl(&["run", "--rm", "base", "true"]).code, 0);
    assert_eq!(cctl.cctl(&["run", "--rm", "base", "false"]).code, 1);
    assert_eq!(cctl.cctl(&["run", "--rm", "base", "sh", "-c", "exit 7"]).code, 7);
    assert_eq!(cctl.cctl(&["ps", "-aq"]).ok(), "", "--rm leaves no container");
}

#[test]
fn options_end_at_the_image() {
    let cctl = Instance::start();
    assert_eq!(cctl.cctl(&["run", "--rm", "base", "echo", "-d", "-x", "--rm"]).ok(), "-d -x --rm");
}

#[test]
fn output_is_exact_and_complete() {
    let cctl = Instance::start();
    assert_eq!(cctl.cctl(&["run", "--rm", "base", "echo", "-n", "foobar"]).ok(), "foobar");
    let lines = cctl.cctl(&["run", "--rm", "base", "seq", "1", "200000"]).ok();
    assert_eq!(lines.lines().count(), 200_000);
    assert!(lines.lines().zip(1..).all(|(line, number)| line == number.to_string()));
    let mut raw = cctl.command(&["run", "--rm", "base", "sh", "-c", "printf '\\000\\377\\n\\001'"]);
    assert_eq!(raw.output().unwrap().stdout, b"\0\xff\n\x01");
}

#[test]
fn output_beyond_the_logs_bound_reaches_the_attached_client() {
    let cctl = Instance::start();
    let script = "yes 0123456789abcdef | head -n 20000000";
    let mut client = cctl
        .command(&["run", "--rm", "base", "sh", "-c", script])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let bytes = std::io::copy(client.stdout.as_mut().unwrap(), &mut std::io::sink()).unwrap();
    let output = client.wait_with_output().unwrap();
    assert_eq!((bytes, output.stderr), (20_000_000 * 17, vec![]));
}

#[test]
fn a_closed_output_ends_the_client_quietly() {
    let cctl = Instance::start();
    let mut client = cctl.command(&["run", "--rm", "base", "yes"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut first = [0; 2];
    std::io::Read::read_exact(client.stdout.as_mut().unwrap(), &mut first).unwrap();
    assert_eq!(&first, b"y\n");
    drop(client.stdout.take());
    client.wait().unwrap();
    let ids = cctl.cctl(&["ps", "-q"]).ok();
    for id in ids.lines() {
        cctl.cctl(&["rm", "-f", id]).ok();
    }
}

#[test]
fn the_process_finds_the_world_that_was_asked_for() {
    let cctl = Instance::start();
    let run = |arguments: &[&str]| cctl.cctl(&[&["run", "--rm"], arguments].concat()).ok();
    assert_eq!(run(&["-h", "foobar", "base", "hostname"]), "foobar");
    assert_eq!(run(&["-w", "/var/tmp/new", "base", "pwd"]), "/var/tmp/new");
    assert_eq!(run(&["-e", "A=1", "-e", "PATH=/bin:/x", "base", "sh", "-c", "echo $A $PATH"]), "1 /bin:/x");
    assert_eq!(run(&["--entrypoint", "echo", "base", "a", "b"]), "a b");
    for user in ["", "root", "0"] {
        assert_eq!(run(&["-u", user, "base", "id", "-u"]), "0");
    }
    for user in ["1", "daemon"] {
        let id = run(&["-u", user, "base", "id"]);
        assert!(id.starts_with("uid=1(daemon) gid=1(daemon)"), "{id}");
    }
    assert!(run(&["-u", "1:100", "base", "id"]).contains("gid=100(users)"));
    let environment = run(&["base", "env"]);
    for variable in ["HOME=/root", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOSTNAME="] {
        assert!(environment.contains(variable), "{variable} in {environment}");
    }
    assert!(!environment.contains("CCTL"), "{environment}");
}

#[test]
fn a_container_is_named_by_its_id_by_default() {
    let cctl = Instance::start();
    let id = cctl.cctl(&["run", "-d", "base", "sleep", "600"]).ok();
    assert!(id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    assert_eq!(cctl.cctl(&["inspect", &id[..12]]).ok(), cctl.cctl(&["inspect", &id]).ok());
    let inspected: serde_json::Value = serde_json::from_str(&cctl.cctl(&["inspect", &id]).ok()).unwrap();
    assert_eq!(inspected[0]["Config"]["Hostname"], id[..12]);
    assert_eq!(inspected[0]["State"]["Running"], true);
    cctl.cctl(&["rm", "-f", &id]).ok();
}
