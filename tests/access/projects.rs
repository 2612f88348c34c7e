//! Users who have a part of the containers.

use crate::audit;
use crate::host::{self, ALICE, BOB, NOBODY};
use harness::{Instance, eventually};
use schema::access::Verb;
use std::process::Stdio;

/// Alice works on web, Bob's group may look at it and has its own.
pub(crate) const WEB: &str = r#"
[[project]]
name = "web"
label = "project=web"
users = ["alice"]
verbs = ["run", "ps", "logs", "stop", "exec", "inspect"]

[[project]]
name = "look"
label = "project=web"
groups = ["webdev"]
verbs = ["ps", "logs"]

[[project]]
name = "ops"
label = "team=ops"
groups = ["webdev"]
verbs = ["create", "start", "rm", "ps"]
permits = ["volume"]
"#;

/// Alice's verbs.
pub(crate) const ALICES: &[Verb] = &[
    Verb::Create,
    Verb::Start,
    Verb::Attach,
    Verb::Wait,
    Verb::Kill,
    Verb::Rm,
    Verb::Ps,
    Verb::Logs,
    Verb::Stop,
    Verb::Exec,
    Verb::Inspect,
];

fn names(cctl: &Instance, who: host::Who) -> String {
    let text = host::run(cctl, who, &["ps", "-a", "--format", "{{.Names}}"]).ok();
    let mut names: Vec<&str> = text.lines().collect();
    names.sort_unstable();
    names.join(" ")
}

#[test]
fn its_users_see_and_touch_their_own() {
    let cctl = host::start(WEB);
    let say = ["base", "sh", "-c", "echo said; exec sleep 600"];
    cctl.cctl(&[&["run", "-d", "--name", "web1", "--label", "project=web", "-e", "SECRET=x"], &say[..]].concat()).ok();
    let other = cctl.cctl(&[&["run", "-d", "--name", "other"], &say[..]].concat()).ok();
    cctl.cctl(&[&["run", "-d", "--name", "ops1", "--label", "team=ops"], &say[..]].concat()).ok();
    assert_eq!((names(&cctl, ALICE), names(&cctl, BOB)), ("web1".to_owned(), "ops1 web1".to_owned()));
    let alice = |arguments: &[&str]| host::run(&cctl, ALICE, arguments);
    let bob = |arguments: &[&str]| host::run(&cctl, BOB, arguments);
    assert_eq!(alice(&["logs", "web1"]).ok(), "said");
    assert_eq!(alice(&["exec", "web1", "echo", "in"]).ok(), "in");
    // Others' are not there: by no name, id or beginning of one.
    for arguments in [
        &["stop", "other"][..],
        &["stop", &other],
        &["stop", &other[..8]],
        &["rm", "-f", "ops1"],
        &["logs", "other"],
        &["logs", &other],
        &["inspect", "other"],
    ] {
        let output = alice(arguments);
        let unknown = ["No such container", "no such", "No such object", "no log"];
        assert!(
            output.code != 0 && unknown.iter().any(|word| output.stderr.contains(word)),
            "{arguments:?} {output:?}"
        );
    }
    assert_ne!(alice(&["exec", "other", "true"]).code, 0);
    // Its own it starts and stops.
    alice(&["stop", "-t", "0", "web1"]).ok();
    alice(&["start", "web1"]).ok();
    // What was not granted is not there either, on what it sees.
    alice(&["pause", "web1"]).fails(1, &["may not call containers.pause"]);
    bob(&["rm", "-f", "web1"]).fails(1, &["was not granted"]);
    assert_eq!(bob(&["logs", "web1"]).ok(), "said\nsaid");
    bob(&["logs", "ops1"]).fails(1, &["was not granted"]);
    bob(&["rm", "-f", "ops1"]).ok();
    let states = cctl.cctl(&["ps", "-a", "--format", "{{.Names}} {{.State}}"]).ok();
    assert!(states.contains("other running") && states.contains("web1 running"), "{states}");
    // An environment is for those who may inspect.
    let shown = |who| {
        let text = host::run(&cctl, who, &["ps", "-q"]).ok();
        assert!(!text.contains("SECRET"));
        host::run(&cctl, who, &["inspect", "web1"])
    };
    assert!(shown(ALICE).ok().contains("SECRET=x"));
    let text = shown(BOB).ok();
    assert!(text.contains("web1") && !text.contains("SECRET"), "{text}");
}

#[test]
fn what_they_make_carries_their_label_and_reaches_no_further() {
    let cctl = host::start(WEB);
    let alice = |arguments: &[&str]| host::run(&cctl, ALICE, arguments);
    assert_eq!(alice(&["run", "--rm", "base", "echo", "hello"]).ok(), "hello");
    let id = alice(&["run", "-d", "--name", "mine", "base", "sleep", "600"]).ok();
    let label = cctl.cctl(&["inspect", "--format", "{{index .Config.Labels \"project\"}}", &id]).ok();
    assert_eq!(label, "web");
    for options in [
        &["-v", "/etc:/x"][..],
        &["-p", "8080:80"],
        &["--network", "host"],
        &["--privileged"],
        &["--cap-add", "SYS_ADMIN"],
        &["--device", "/dev/null"],
        &["--security-opt", "seccomp=unconfined"],
        &["--label", "project=other"],
        &["--label", "team=ops"],
    ] {
        let output = alice(&[&["run", "--rm"], options, &["base", "true"]].concat());
        assert_eq!(output.code, 125, "{options:?} {output:?}");
    }
    // A name that others have is taken; nothing else is told of it.
    cctl.cctl(&["create", "--name", "theirs", "base", "true"]).ok();
    assert_ne!(alice(&["create", "--name", "theirs", "base", "true"]).code, 0);
    // What is permitted goes.
    let ops = host::run(&cctl, BOB, &["create", "--name", "vol", "-v", "/tmp:/x", "base", "true"]).ok();
    assert_eq!(cctl.cctl(&["inspect", "--format", "{{index .Config.Labels \"team\"}}", &ops]).ok(), "ops");
    assert_eq!(names(&cctl, ALICE), "mine");
    let refused = audit(&cctl, &["--user", "alice", "--verb", "create", "--format", "{{.Outcome}} {{.Details}}"]);
    assert!(
        refused.iter().any(|line| line.starts_with("permissionDenied") && line.contains("volume=/etc:/x")),
        "{refused:#?}"
    );
    assert!(!refused.iter().any(|line| line.contains("SECRET")));
}

#[test]
fn a_file_that_is_wrong_leaves_admins_and_nobody_else() {
    let cctl = host::start(WEB);
    cctl.cctl(&["run", "-d", "--name", "web1", "--label", "project=web", "base", "sleep", "600"]).ok();
    let ps = |who| host::run(&cctl, who, &["ps"]).code;
    assert_eq!([ps(ALICE), ps(BOB), ps(host::VIEWER), ps(host::ADMIN)], [0; 4]);
    // What is followed ends when it is not granted any more.
    let mut follower = host::command(&cctl, ALICE, &["logs", "-f", "web1"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    host::configure(&cctl, &WEB.replace("\"exec\"", "\"execute\""));
    eventually("nobody has access but admins", || {
        ([ps(ALICE) == 0, ps(BOB) == 0, ps(host::VIEWER) == 0] == [false; 3]).then_some(())
    });
    assert_eq!(ps(host::ADMIN), 0);
    assert!(!follower.wait().unwrap().success());
    let check = cctl.cctl(&["system", "check"]);
    assert!(check.code == 1 && check.stdout.contains("execute"), "{check:?}");
    assert!(cctl.cctl(&["system", "status"]).stderr.contains("execute"));
    let told = audit(&cctl, &["--verb", "access.toml", "--format", "{{.Outcome}} {{.Message}}"]);
    assert!(told.last().unwrap().contains("invalidArgument") && told.last().unwrap().contains("execute"), "{told:?}");
    // It stays so, whoever is restarted.
    cctl.kill_service("supervisor");
    assert_ne!(ps(ALICE), 0);
    host::configure(&cctl, WEB);
    eventually("it is mended", || (ps(ALICE) == 0 && ps(host::VIEWER) == 0).then_some(()));
    // Nor is a file believed that others may write.
    std::fs::set_permissions(cctl.config().join("access.toml"), std::os::unix::fs::PermissionsExt::from_mode(0o666))
        .unwrap();
    eventually("it is not believed", || (ps(ALICE) != 0).then_some(()));
    assert_eq!((ps(host::ADMIN), ps(NOBODY) != 0), (0, true));
    assert_eq!(cctl.cctl(&["ps", "--format", "{{.Names}}"]).ok(), "web1");
}
