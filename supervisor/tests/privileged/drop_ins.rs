//! Definitions in the place of those of the manifest.

use crate::instance::{Instance, eventually, names, signal};
use rustix::process::Signal;
use schema::supervisor::State;
use schema::{Code, Failure};
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

fn restart(instance: &Instance, service: &str) -> Result<(), Failure> {
    instance.ask(async |supervisor, call| supervisor.restart(call, service).await)
}

fn program(instance: &Instance, name: &str, text: &str) -> PathBuf {
    let path = instance.path(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
    path
}

/// The program of a service, but one that can be told from it, somewhere else.
fn marked(instance: &Instance, service: &str) -> PathBuf {
    let text = fs::read_to_string(instance.path("libexec").join(service)).unwrap();
    program(instance, "marked", &text.replace("FAKE=", "MARKED=1 FAKE="))
}

fn is_marked(instance: &Instance, service: &str) -> bool {
    instance.talk(service).2.split(' ').any(|name| name == "MARKED")
}

fn entry(service: &str, executable: &Path) -> String {
    format!(
        r#"[[service]]
name = "{service}"
interface = "executor"
executable = "{}"
needs = []
watchdog = "1s"
start-timeout = "3s"
restart = {{ intensity = 3, period = "1m", backoff = {{ first = "10ms", longest = "100ms" }} }}
"#,
        executable.display()
    )
}

fn write(instance: &Instance, name: &str, text: &str) -> PathBuf {
    let directory = instance.path("config/services.d");
    fs::create_dir_all(&directory).unwrap();
    let path = directory.join(name);
    fs::write(&path, text).unwrap();
    path
}

#[test]
fn a_drop_in_takes_effect_for_one_service_and_no_other() {
    let instance = Instance::start(&["one", "two"]);
    let (inode, two) = (instance.inode("one"), instance.row("two").pid);
    let marked = marked(&instance, "one");
    let file = write(&instance, "one.toml", &entry("one", &marked));
    write(&instance, "one.toml~", "what an editor leaves");
    assert!(!is_marked(&instance, "one"), "not before it is wanted");
    restart(&instance, "one").unwrap();
    assert!(is_marked(&instance, "one"));
    let row = instance.row("one");
    assert_eq!((row.state, row.executable.as_str()), (State::Ready, marked.to_str().unwrap()));
    // It is supervised as every other is.
    signal(row.pid, Signal::KILL);
    instance.successor("one", row.pid);
    assert!(is_marked(&instance, "one"));
    // What became of the file is no matter until somebody asks.
    fs::write(&file, "nonsense").unwrap();
    let supervisor = instance.row("supervisor").pid;
    signal(supervisor, Signal::KILL);
    instance.successor("supervisor", supervisor);
    eventually("it is ready", || (instance.row("one").state == State::Ready).then_some(()));
    assert!(is_marked(&instance, "one"));
    let pid = instance.row("one").pid;
    let failure = restart(&instance, "one").unwrap_err();
    assert_eq!((failure.code, instance.row("one").pid), (Code::InvalidArgument, pid), "{failure:?}");
    assert!(failure.message.contains("one.toml, line 1"), "{failure:?}");
    fs::remove_file(file).unwrap();
    restart(&instance, "one").unwrap();
    assert!(!is_marked(&instance, "one"));
    assert!(instance.row("one").executable.is_empty());
    assert_eq!((instance.inode("one"), names(&instance.run().join("drop-ins"))), (inode, vec![]));
    assert_ne!(two, 0);
}

#[test]
fn an_instance_starts_with_its_drop_ins_or_says_what_is_wrong() {
    let mut instance = Instance::prepare(&["one", "two"]);
    let marked = marked(&instance, "one");
    let file = write(&instance, "one.toml", &entry("one", &marked).replace("watchdog", "wachdog"));
    let refused = instance.command().stderr(std::process::Stdio::piped()).output().unwrap();
    let text = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && text.contains("one.toml, line 6") && text.contains("wachdog"), "{text}");
    fs::write(&file, entry("one", &marked)).unwrap();
    instance.adopt(instance.command().spawn().unwrap());
    eventually("the services are ready", || {
        instance.status().ok()?.iter().all(|row| row.state == State::Ready).then_some(())
    });
    assert!(is_marked(&instance, "one") && !is_marked(&instance, "two"));
    instance.ask(async |supervisor, call| supervisor.shut_down(call).await).unwrap();
    assert!(instance.wait_for_keeper());
    assert!(!instance.run().join("drop-ins").exists());
}

#[test]
fn what_is_wrong_is_named_and_nothing_is_touched() {
    let instance = Instance::start(&["one", "two"]);
    let before = instance.row("one");
    let good = marked(&instance, "one");
    let text = program(&instance, "text", "not a program");
    let check = |file: &str, text: &str, code: Code, words: &[&str]| {
        let path = write(&instance, file, text);
        let failure = restart(&instance, "one").unwrap_err();
        assert_eq!(failure.code, code, "{failure:?}");
        for word in words {
            assert!(failure.message.contains(word), "{word:?} in {failure:?}");
        }
        fs::remove_file(path).unwrap();
    };
    let entry = |service: &str| entry(service, &good);
    let (one, two) = (entry("one"), entry("two"));
    check("a.toml", &format!("\n{}", entry("three")), Code::InvalidArgument, &["a.toml, line 2", "\"three\""]);
    check("a.toml", &format!("{two}{one}{one}"), Code::InvalidArgument, &["a.toml, line 17", "already"]);
    let circle = [two.replace("[]", "[\"one\"]"), one.replace("[]", "[\"two\"]")].concat();
    check("a.toml", &circle, Code::InvalidArgument, &["a.toml", "one -> two -> one"]);
    check("a.toml", &one.replace("executor", "network"), Code::InvalidArgument, &["line 1", "\"network\""]);
    check("a.toml", &one.replace(good.to_str().unwrap(), "../sh"), Code::InvalidArgument, &["../sh", "absolute path"]);
    check("a.toml", &one.replace(good.to_str().unwrap(), "/no/such"), Code::NotFound, &["/no/such"]);
    check("a.toml", &one.replace(good.to_str().unwrap(), "missing"), Code::NotFound, &["missing"]);
    check("a.toml", &one.replace(good.to_str().unwrap(), text.to_str().unwrap()), Code::NotExecutable, &["text"]);
    let file = write(&instance, "a.toml", &one);
    fs::set_permissions(&file, Permissions::from_mode(0o666)).unwrap();
    let failure = restart(&instance, "one").unwrap_err();
    assert!(failure.code == Code::PermissionDenied && failure.message.contains("a.toml"), "{failure:?}");
    fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
    chown(&good, Some(1), None).unwrap();
    let failure = restart(&instance, "one").unwrap_err();
    assert!(failure.code == Code::PermissionDenied && failure.message.contains("marked"), "{failure:?}");
    let now = instance.row("one");
    assert_eq!((now.pid, now.restarts), (before.pid, 0));
}

#[test]
fn a_definition_that_does_not_serve_is_taken_back() {
    let instance = Instance::start(&["one", "two"]);
    for (name, text, word) in [
        ("exits", "#!/bin/sh\nexit 7\n", "exited with status 7"),
        ("hangs", "#!/bin/sh\nexec sleep 600\n", "was not ready for 3s"),
    ] {
        let bad = program(&instance, name, text);
        write(&instance, "one.toml", &entry("one", &bad));
        let failure = restart(&instance, "one").unwrap_err();
        assert!(failure.code == Code::Unavailable && failure.message.contains(word), "{failure:?}");
        assert!(failure.message.contains("definition of before is back"), "{failure:?}");
        let row = instance.row("one");
        assert!(row.state == State::Ready && row.executable.is_empty(), "{row:?}");
        // Also the next supervisor knows that it was no good.
        let supervisor = instance.row("supervisor").pid;
        signal(supervisor, Signal::KILL);
        instance.successor("supervisor", supervisor);
        eventually("it is ready", || (instance.row("one").state == State::Ready).then_some(()));
        assert!(instance.row("one").executable.is_empty());
    }
    assert_eq!(instance.row("two").restarts, 0);
}

/// A drop-in that tries things before it serves: what became of them is in its log.
#[test]
fn a_drop_in_is_refused_what_its_list_does_not_name() {
    let tries = "echo \"mode $(sed -n 's/^Seccomp:.//p' /proc/self/status)\"\n\
        for how in --user --mount --net; do unshare $how true; echo \"unshare $how $?\"; done\n\
        chroot / true; echo \"chroot $?\"\n";
    let outcome = |more: &str| {
        let instance = Instance::start(&["one"]);
        let text = fs::read_to_string(instance.path("libexec/one")).unwrap().replacen('\n', &format!("\n{tries}"), 1);
        let program = program(&instance, "tries", &text);
        write(&instance, "one.toml", &(entry("one", &program) + more));
        restart(&instance, "one").unwrap();
        let log = fs::read_to_string(instance.path("root/logs/one.log")).unwrap();
        ["mode", "unshare --user", "unshare --mount", "unshare --net", "chroot"].map(|what| {
            let said = log.lines().find_map(|line| line.strip_prefix(what)?.strip_prefix(' '));
            said.unwrap_or_else(|| panic!("{what}: {log}")).to_owned()
        })
    };
    let capabilities = "capabilities = [\"SYS_ADMIN\", \"SYS_CHROOT\"]\n";
    // The usual list, whatever capabilities it has.
    let [mode, user, mount, network, chroot] = outcome(capabilities);
    assert_eq!((mode.as_str(), chroot.as_str()), ("2", "0"));
    for refused in [user, mount, network] {
        assert_ne!(refused, "0");
    }
    // Another one, and none at all: no capability is needed for the namespace of a user.
    assert_eq!(outcome(&format!("{capabilities}seccomp = \"filesystem\"\n"))[..2], ["2", "0"]);
    assert_eq!(outcome("seccomp = \"none\"\n")[..2], ["0", "0"]);
}
