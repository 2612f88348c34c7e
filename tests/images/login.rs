//! Registries that want to know who one is, and TLS.

use harness::test_registry::{PASSWORD, Setup, USER};
use harness::{Instance, Registry};
use std::os::unix::fs::PermissionsExt;

fn guarded() -> (Registry, Instance) {
    let registry = Registry::with(Setup { tls: true, password: true });
    let cctl = Instance::start();
    cctl.configure(&format!(
        "default = \"{0}\"\n[registry.\"{0}\"]\nca = \"{1}\"\n",
        registry.name(),
        cctl.config().join("ca.pem").display()
    ));
    std::fs::copy(registry.ca(), cctl.config().join("ca.pem")).unwrap();
    (registry, cctl)
}

#[test]
fn who_is_logged_in_may_push_and_pull() {
    let (registry, cctl) = guarded();
    cctl.cctl(&["tag", "base", "user/base"]).ok();
    let refused = cctl.cctl(&["push", "user/base"]);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.stderr.contains("cctl login"), "{refused:?}");
    let wrong = cctl.cctl_with_input(&["login", "-u", USER, "--password-stdin", &registry.name()], b"wrong");
    wrong.fails(1, &[&registry.name()]);
    let login = cctl.cctl_with_input(&["login", "-u", USER, "--password-stdin", &registry.name()], PASSWORD.as_bytes());
    assert_eq!(login.ok(), "Login Succeeded");
    let file = cctl.scratch().join("auth/auth.json");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!std::fs::read_to_string(&file).unwrap().contains(PASSWORD));
    cctl.cctl(&["push", "-q", "user/base"]).ok();
    cctl.cctl(&["rmi", "user/base"]).ok();
    cctl.cctl(&["pull", "-q", "user/base"]).ok();
    cctl.cctl(&["logout", &registry.name()]).ok();
    cctl.cctl(&["rmi", "user/base"]).ok();
    assert_eq!(cctl.cctl(&["pull", "user/base"]).code, 1);
}

#[test]
fn a_login_at_the_terminal_does_not_show_the_password() {
    let (registry, cctl) = guarded();
    let mut terminal = cctl.terminal(&["login", &registry.name()]);
    terminal.shows("Username:");
    terminal.type_text(&format!("{USER}\n"));
    terminal.shows("Password:");
    terminal.type_text(&format!("{PASSWORD}\n"));
    terminal.shows("Login Succeeded");
    assert_eq!(terminal.wait(), 0);
    assert!(!terminal.screen().contains(PASSWORD), "{}", terminal.screen());
    assert!(terminal.is_cooked());
}

#[test]
fn a_certificate_of_nobody_known_is_refused() {
    let registry = Registry::with(Setup { tls: true, password: false });
    let cctl = Instance::start();
    cctl.configure(&format!("[registry.\"{}\"]\nplain-http = false\n", registry.name()));
    let pull = cctl.cctl(&["pull", &format!("{}/base", registry.name())]);
    assert_eq!(pull.code, 1, "{pull:?}");
    assert!(pull.stderr.to_lowercase().contains("certificate"), "{pull:?}");
}
