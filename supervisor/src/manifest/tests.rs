use super::*;
use proptest::prelude::*;

fn entry(name: &str, needs: &[&str]) -> String {
    format!(
        r#"
        [[service]]
        name = "{name}"
        interface = "executor"
        executable = "{name}"
        needs = {needs:?}
        watchdog = "2s"
        start-timeout = "30s"
        restart = {{ intensity = 5, period = "1m", backoff = {{ first = "50ms", longest = "1s" }} }}
        "#
    )
}

fn refusal(text: &str) -> String {
    Manifest::parse("m.toml", text).unwrap_err().message
}

#[test]
fn the_built_in_manifest_has_the_six_services_in_order_of_their_needs() {
    let manifest = Manifest::load(None).unwrap();
    let names: Vec<_> = manifest.names().collect();
    assert_eq!(names, ["image-store", "filesystem", "network", "executor", "log-collector", "containers"]);
    for (index, service) in manifest.services.iter().enumerate() {
        assert!(service.needs.iter().all(|need| names[..index].contains(&need.as_str())), "{}", service.name);
    }
}

#[test]
fn unknown_keys_are_named_with_their_line() {
    let text = entry("a", &[]).replace("watchdog", "wachdog");
    let message = refusal(&text);
    assert!(message.contains("m.toml, line 7") && message.contains("wachdog"), "{message}");
    let message = refusal(&format!("colour = 1\n{}", entry("a", &[])));
    assert!(message.contains("line 1") && message.contains("colour"), "{message}");
}

#[test]
fn bad_durations_and_missing_keys_are_named() {
    let message = refusal(&entry("a", &[]).replace("\"30s\"", "\"soon\""));
    assert!(message.contains("\"soon\""), "{message}");
    let message = refusal(&entry("a", &[]).replace("interface = \"executor\"", ""));
    assert!(message.contains("interface"), "{message}");
    assert!(refusal("service = []").contains("no service"));
}

#[test]
fn wrong_references_are_named() {
    let twice = refusal(&(entry("a", &[]) + &entry("a", &[])));
    assert!(twice.contains("\"a\" is there twice"), "{twice}");
    let unknown = refusal(&entry("a", &["b"]));
    assert!(unknown.contains("\"a\" needs \"b\""), "{unknown}");
    let double = refusal(&(entry("a", &["b", "b"]) + &entry("b", &[])));
    assert!(double.contains("\"b\" twice"), "{double}");
    let itself = refusal(&entry("a", &["a"]));
    assert!(itself.contains("a -> a"), "{itself}");
    let circle = refusal(&(entry("x", &["a"]) + &entry("a", &["b"]) + &entry("b", &["c"]) + &entry("c", &["a"])));
    assert!(circle.contains("a -> b -> c -> a"), "{circle}");
}

#[test]
fn wrong_values_are_named() {
    for (from, to, named) in [
        ("name = \"a\"", "name = \"A b\"", "\"A b\""),
        ("name = \"a\"", "name = \"supervisor\"", "\"supervisor\""),
        ("interface = \"executor\"", "interface = \"exec\"", "\"exec\""),
        ("executable = \"a\"", "executable = \"../sh\"", "\"../sh\""),
        ("first = \"50ms\"", "first = \"5s\"", "backoff.first"),
    ] {
        let message = refusal(&entry("a", &[]).replace(from, to));
        assert!(message.contains(named), "{message}");
    }
}

#[test]
fn lists_of_system_calls_are_named_or_the_usual_one() {
    let manifest = Manifest::load(None).unwrap();
    for service in &manifest.services {
        let expected = (service.name != "executor").then_some(service.name.as_str());
        assert_eq!(service.calls(), expected);
    }
    let parse = |more: &str| Manifest::parse("m.toml", &format!("{}\n{more}", entry("a", &[])));
    let calls = |more: &str| parse(more).unwrap().services[0].calls().map(str::to_owned);
    assert_eq!(calls("").as_deref(), Some("plugin"));
    assert_eq!(calls("seccomp = \"network\"").as_deref(), Some("network"));
    for none in ["seccomp = \"none\"", "new-privileges = true", "new-privileges = true\nseccomp = \"none\""] {
        assert_eq!(calls(none), None);
    }
    let wrong = |more: &str| parse(more).unwrap_err().message;
    let unknown = wrong("seccomp = \"netwrk\"");
    assert!(unknown.contains("line 11") && unknown.contains("\"netwrk\"") && unknown.contains("plugin"), "{unknown}");
    assert!(wrong("new-privileges = true\nseccomp = \"plugin\"").contains("leave seccomp out"));
}

#[test]
fn rules_of_landlock_follow_from_what_is_seen() {
    let parse = |more: &str| Manifest::parse("m.toml", &format!("{}\n{more}", entry("a", &[])));
    let landlocked = |more: &str| parse(more).unwrap().services[0].is_landlocked();
    assert!(landlocked("user = \"a\"") && landlocked("user = \"a\"\nlandlock = \"sees\""));
    for none in ["", "landlock = \"none\"", "user = \"a\"\nlandlock = \"none\""] {
        assert!(!landlocked(none), "{none}");
    }
    let wrong = |more: &str| parse(more).unwrap_err().message;
    assert!(wrong("landlock = \"sees\"").contains("landlock needs a user"));
    assert!(wrong("landlock = \"all\"").contains("line 11"));
}

proptest! {
    /// Needs that point only at earlier services never make a circle; one edge back does.
    #[test]
    fn circles_are_found_exactly(edges in prop::collection::vec((0usize..8, 0usize..8), 0..20), back in any::<bool>()) {
        let name = |index: usize| format!("s{index}");
        let mut needs = vec![std::collections::BTreeSet::new(); 8];
        for (one, other) in edges {
            if one != other {
                needs[one.max(other)].insert(name(one.min(other)));
            }
        }
        if back {
            needs[7].insert(name(0));
            needs[0].insert(name(7));
        }
        let text: String = needs
            .iter()
            .enumerate()
            .map(|(index, needs)| entry(&name(index), &needs.iter().map(String::as_str).collect::<Vec<_>>()))
            .collect();
        prop_assert_eq!(Manifest::parse("m.toml", &text).is_err(), back);
    }
}
