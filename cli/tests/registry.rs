//! The verbs of registries against a made-up image store: what is shown, kept and asked for.
#![allow(missing_docs, unreachable_pub, dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod fake;

use fake::{Answer, Fake, eventually};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

const PASSWORD: &str = "right:or:wrong";

fn with_input(fake: &Fake, arguments: &[&str], input: &str) -> Answer {
    let mut client = fake.command(arguments).stdin(Stdio::piped()).spawn().unwrap();
    client.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    client.wait_with_output().unwrap().into()
}

#[test]
fn a_pull_without_a_terminal_has_a_line_for_each_layer() {
    let fake = Fake::start();
    let pull = fake.cctl(&["pull", "web"]);
    assert_eq!(
        pull.stdout,
        "Using default tag: latest\nlatest: Pulling from web\nlayer-of-web: Pull complete\nDigest: sha256:ab\n\
         Status: Downloaded newer image for web:latest\nweb:latest\n"
    );
    assert_eq!((pull.code, pull.stderr.as_str()), (0, ""));
    assert_eq!(fake.cctl(&["pull", "-q", "web:1"]).stdout, "web:1\n");
    assert_eq!(fake.cctl(&["pull", "-a", "web:1"]).code, 1);
}

#[test]
fn a_pull_that_is_interrupted_answers_130() {
    let fake = Fake::start();
    let mut client = fake.command(&["pull", "endless"]).spawn().unwrap();
    eventually("the pull", || (!fake.asked("pull").is_empty()).then_some(()));
    assert!(Command::new("kill").args(["-s", "INT", &client.id().to_string()]).status().unwrap().success());
    assert_eq!(client.wait().unwrap().code(), Some(130));
}

#[test]
fn run_brings_an_image_that_is_missing_once() {
    let fake = Fake::start();
    let run = fake.cctl(&["run", "--rm", "web", "echo", "hi"]);
    assert_eq!((run.code, run.stdout.as_str()), (0, "hi\n"), "{run:?}");
    assert!(run.stderr.starts_with("Unable to find image 'web:latest' locally\nlatest: Pulling from web\n"), "{run:?}");
    assert_eq!(fake.cctl(&["run", "--rm", "web", "echo", "hi"]).stderr, "");
    assert_eq!(fake.asked("pull").len(), 1);
    assert_eq!(fake.cctl(&["run", "--pull", "never", "other", "true"]).code, 125);
    assert_eq!(fake.asked("pull").len(), 1);
    assert_eq!(fake.cctl(&["run", "--pull", "always", "-q", "--rm", "web", "echo", "hi"]).stderr, "");
    assert_eq!(fake.asked("pull").len(), 2);
    let created = fake.cctl(&["create", "another", "true"]);
    assert_eq!((created.code, created.stdout.len()), (0, 65), "{created:?}");
}

#[test]
fn the_file_of_the_id_is_there_with_its_container() {
    let fake = Fake::start();
    let path = fake.path().join("cid");
    let path = path.to_str().unwrap();
    let id = fake.cctl(&["run", "-d", "--cidfile", path, "base", "sleep"]).stdout;
    assert_eq!(std::fs::read_to_string(path).unwrap(), id.trim_end());
    assert!(fake.cctl(&["run", "--cidfile", path, "base", "true"]).stderr.contains("container ID file found"));
    std::fs::remove_file(path).unwrap();
    assert_eq!(fake.cctl(&["run", "--pull", "never", "--cidfile", path, "nope", "true"]).code, 125);
    assert!(!std::path::Path::new(path).exists());
}

#[test]
fn a_login_is_confirmed_kept_and_used() {
    let fake = Fake::start();
    let refused = fake.cctl(&["push", "me/web"]);
    assert!(refused.code == 1 && refused.stderr.contains("cctl login docker.io"), "{refused:?}");
    let wrong = with_input(&fake, &["login", "-u", "me", "--password-stdin"], "wrong\n");
    assert!(wrong.code == 1 && !fake.path().join("auth").exists(), "{wrong:?}");
    let login = with_input(&fake, &["login", "-u", "me", "--password-stdin"], &format!("{PASSWORD}\n"));
    assert_eq!((login.code, login.stdout.as_str()), (0, "Login Succeeded\n"), "{login:?}");
    let file = fake.path().join("auth/auth.json");
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let pushed = fake.cctl(&["push", "me/web"]);
    assert!(pushed.code == 0 && pushed.stdout.ends_with("latest: digest: sha256:ab size: 123\n"), "{pushed:?}");
    assert_eq!(fake.asked("push"), ["push me/web as ", "push me/web as me"]);
    assert_eq!(fake.cctl(&["push", "host:5000/web"]).code, 1, "another registry is told nothing");
    assert_eq!(fake.cctl(&["logout"]).stdout, "Removing login credentials for docker.io\n");
    assert_eq!(fake.cctl(&["logout"]).stdout, "Not logged in to docker.io\n");
    assert_eq!(fake.cctl(&["push", "me/web"]).code, 1);
}

#[test]
fn a_file_of_logins_that_others_can_read_is_refused() {
    let fake = Fake::start();
    let file = fake.path().join("auth/auth.json");
    std::fs::create_dir(file.parent().unwrap()).unwrap();
    std::fs::write(&file, "{}").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let refused = fake.cctl(&["pull", "web"]);
    assert!(
        refused.code == 1 && refused.stderr.contains("others may read it") && refused.stderr.contains("chmod 600"),
        "{refused:?}"
    );
    assert!(fake.asked("pull").is_empty());
}

#[test]
fn a_credential_helper_keeps_what_it_is_given() {
    let fake = Fake::start();
    let programs = fake.path().join("programs");
    std::fs::create_dir(&programs).unwrap();
    let helper = programs.join("docker-credential-box");
    let script = "#!/bin/sh\ncase $1 in\nstore) cat > \"$BOX\";;\nerase) rm -f \"$BOX\";;\n\
                  get) [ -f \"$BOX\" ] && cat \"$BOX\" || { echo 'credentials not found in native keychain'; exit 1; };;\nesac\n";
    std::fs::write(&helper, script).unwrap();
    std::fs::set_permissions(&helper, std::fs::Permissions::from_mode(0o755)).unwrap();
    let file = fake.path().join("auth/auth.json");
    std::fs::create_dir(file.parent().unwrap()).unwrap();
    std::fs::write(&file, r#"{"credsStore":"box"}"#).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let cctl = |arguments: &[&str]| -> Answer {
        let mut command = fake.command(arguments);
        command.env("PATH", &path).env("BOX", fake.path().join("box"));
        command.output().unwrap().into()
    };
    let login = cctl(&["login", "-u", "me", "-p", PASSWORD, "host:5000"]);
    assert_eq!(login.code, 0, "{login:?}");
    assert!(std::fs::read_to_string(fake.path().join("box")).unwrap().contains("\"ServerURL\":\"host:5000\""));
    assert!(!std::fs::read_to_string(&file).unwrap().contains("auth\":\""));
    assert_eq!(cctl(&["push", "host:5000/web"]).code, 0);
    assert_eq!(cctl(&["logout", "host:5000"]).code, 0);
    assert!(!fake.path().join("box").exists());
}

#[test]
fn templates_and_filters_choose_what_is_listed() {
    let fake = Fake::start();
    fake.cctl(&["run", "-d", "--name", "one", "-l", "tier=web", "base", "sleep"]);
    fake.cctl(&["run", "-d", "--name", "two", "base", "exit", "1"]);
    let shown = |arguments: &[&str]| fake.cctl(arguments).stdout;
    assert_eq!(shown(&["ps", "-a", "--format", "{{.Names}} {{.State}}"]), "two exited\none running\n");
    assert_eq!(shown(&["ps", "--format", r#"{{.Label "tier"}}"#]), "web\n");
    assert_eq!(shown(&["ps", "-a", "--filter", "label=tier=web", "--format", "{{.Names}}"]), "one\n");
    assert_eq!(shown(&["ps", "--filter", "status=exited", "--format", "{{.Names}}"]), "two\n");
    assert_eq!(shown(&["inspect", "-f", "{{.State.Status}}", "one"]), "running\n");
    assert_eq!(shown(&["images", "--format", "{{.Repository}}:{{.Tag}}"]), "base:latest\n");
    let bad = fake.cctl(&["ps", "--format", "{{.Names"]);
    assert!(bad.code == 125 && bad.stderr.contains("template 1:1: unclosed action"), "{bad:?}");
    let unknown = fake.cctl(&["ps", "--format", "{{.Nmaes}}"]);
    assert!(unknown.code == 1 && unknown.stderr.contains("Names"), "{unknown:?}");
}
