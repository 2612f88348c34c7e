//! Programs in the place of others.

use crate::instance::{Instance, eventually, names, signal};
use rustix::process::Signal;
use schema::supervisor::State;
use schema::{Code, Failure};
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

fn replace(instance: &Instance, service: &str, program: &Path) -> Result<(), Failure> {
    let path = program.display().to_string();
    instance.ask(async |supervisor, call| supervisor.replace(call, service, &path).await)
}

fn written(instance: &Instance, name: &str, text: &str, mode: u32) -> PathBuf {
    let path = instance.path(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    path
}

/// The program of a service, but one that can be told from it.
fn marked(instance: &Instance, service: &str) -> PathBuf {
    let text = fs::read_to_string(instance.path("libexec").join(service)).unwrap();
    written(instance, "marked", &text.replace("FAKE=", "MARKED=1 FAKE="), 0o755)
}

fn is_marked(instance: &Instance, service: &str) -> bool {
    instance.talk(service).2.split(' ').any(|name| name == "MARKED")
}

fn programs(instance: &Instance) -> Vec<String> {
    names(&instance.path("root/supervisor/programs"))
}

#[test]
fn a_program_is_replaced_until_that_is_undone() {
    let instance = Instance::start(&["one", "two"]);
    let (before, other, inode) = (instance.row("one"), instance.row("two").pid, instance.inode("one"));
    assert!(before.executable.is_empty());
    let program = marked(&instance, "one");
    replace(&instance, "one", &program).unwrap();
    // Its file may go.
    fs::remove_file(program).unwrap();
    assert!(is_marked(&instance, "one") && !is_marked(&instance, "two"));
    let now = instance.row("one");
    assert!(now.state == State::Ready && now.pid != before.pid, "{now:?}");
    assert!(Path::new(&now.executable).starts_with(instance.path("root/supervisor/programs")), "{now:?}");
    // It stays, whoever is restarted.
    signal(now.pid, Signal::KILL);
    instance.successor("one", now.pid);
    assert!(is_marked(&instance, "one"));
    let supervisor = instance.row("supervisor").pid;
    signal(supervisor, Signal::KILL);
    instance.successor("supervisor", supervisor);
    eventually("it is ready", || (instance.row("one").state == State::Ready).then_some(()));
    assert!(is_marked(&instance, "one"));
    assert_eq!(instance.row("one").executable, now.executable);
    replace(&instance, "one", Path::new("")).unwrap();
    assert!(!is_marked(&instance, "one"));
    assert_eq!((instance.row("one").executable.as_str(), programs(&instance)), ("", vec![]));
    // Again is no harm.
    replace(&instance, "one", Path::new("")).unwrap();
    assert_eq!(instance.inode("one"), inode);
    assert_ne!(instance.row("two").pid, 0);
    assert_ne!(other, 0);
}

/// The command fails, says why, and the service is as before.
fn is_no_good(instance: &Instance, service: &str, program: &Path, words: &[&str]) {
    let failure = replace(instance, service, program).unwrap_err();
    assert_eq!(failure.code, Code::Unavailable, "{failure:?}");
    for word in words {
        assert!(failure.message.contains(word), "{word:?} in {failure:?}");
    }
    assert!(failure.hint.contains(&format!("{service}.log")), "{failure:?}");
    let row = instance.row(service);
    assert!(row.state == State::Ready && row.executable.is_empty(), "{row:?}");
    assert!(!is_marked(instance, service));
    assert_eq!(programs(instance), Vec::<String>::new());
}

#[test]
fn a_program_that_does_not_serve_is_taken_back() {
    let instance = Instance::start(&["brisk"]);
    let exits = written(&instance, "exits", "#!/bin/sh\nexit 7\n", 0o755);
    is_no_good(&instance, "brisk", &exits, &["exited with status 7", "before is back"]);
    let hangs = written(&instance, "hangs", "#!/bin/sh\nexec sleep 600\n", 0o755);
    is_no_good(&instance, "brisk", &hangs, &["was not ready for 3s"]);
    let unknown = written(&instance, "unknown", "#!/no/such/interpreter\n", 0o755);
    is_no_good(&instance, "brisk", &unknown, &["cannot be started"]);
    let broken = written(&instance, "broken", "\x7fELF and nothing more", 0o755);
    is_no_good(&instance, "brisk", &broken, &["cannot be started"]);
    // What was replaced already is what comes back.
    replace(&instance, "brisk", &marked(&instance, "brisk")).unwrap();
    let kept = programs(&instance);
    assert_eq!(replace(&instance, "brisk", &exits).unwrap_err().code, Code::Unavailable);
    assert!(is_marked(&instance, "brisk"));
    assert_eq!(programs(&instance), kept);
}

#[test]
fn what_is_no_program_changes_nothing() {
    let instance = Instance::start(&["one"]);
    let before = instance.row("one");
    let text = written(&instance, "text", "not a program", 0o755);
    let plain = written(&instance, "plain", "#!/bin/sh\n", 0o644);
    let open = written(&instance, "open", "#!/bin/sh\n", 0o757);
    let directory = instance.path("libexec");
    let link = instance.path("link");
    symlink(&directory, &link).unwrap();
    for (path, code, word) in [
        (text.as_path(), Code::NotExecutable, "neither ELF nor"),
        (&plain, Code::NotExecutable, "not executable"),
        (&open, Code::PermissionDenied, "757"),
        (&directory, Code::InvalidArgument, "a directory"),
        (&link, Code::InvalidArgument, "a directory"),
        (Path::new("/dev/null"), Code::InvalidArgument, "not a regular file"),
        (Path::new("/no/such/file"), Code::NotFound, "/no/such/file"),
        (Path::new("relative"), Code::InvalidArgument, "relative"),
    ] {
        let failure = replace(&instance, "one", path).unwrap_err();
        assert_eq!(failure.code, code, "{failure:?}");
        assert!(failure.message.contains(word) || code == Code::NotExecutable, "{failure:?}");
    }
    for service in ["three", "supervisor", "keeper", ""] {
        let failure = replace(&instance, service, &text).unwrap_err();
        assert_eq!(failure.code, Code::NotFound, "{failure:?}");
    }
    let now = instance.row("one");
    assert_eq!((now.pid, now.restarts, programs(&instance)), (before.pid, 0, vec![]));
}
