//! What `cctl system doctor` says of this host, with nothing running.

use harness::Instance;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;

fn nft(rules: &str) {
    let done = Command::new("nft").arg(rules).status().unwrap();
    assert!(done.success(), "{rules}");
}

fn finding(cctl: &Instance, check: &str) -> Value {
    let text = cctl.cctl(&["system", "doctor", "--format", "json"]).stdout;
    let findings: Vec<Value> = serde_json::from_str(&text).unwrap();
    findings.into_iter().find(|finding| finding["check"] == check).unwrap()
}

/// Where containers run, there is no problem; and nothing of what was tried is left.
#[test]
fn a_host_that_runs_containers_has_no_problem() {
    let cctl = Instance::prepare();
    let text = cctl.cctl(&["system", "doctor"]).ok();
    for line in [
        "ok        overlayfs      mounted on the ",
        "ok        links          a bridge and a pair were made",
        "ok        nftables       our rules were loaded",
        "\n0 problems, ",
    ] {
        assert!(text.contains(line), "{line:?} in {text}");
    }
    assert_eq!(fs::read_dir(cctl.scratch()).unwrap().count(), 0, "nothing is left, and nothing was made");
    // What it says of the network is what containers have.
    let lines = cctl.cctl(&["system", "doctor", "--format", "{{.Check}} {{.State}}"]).ok();
    assert!(lines.contains("kernel ok\n"), "{lines}");
}

#[test]
fn a_firewall_that_is_in_the_way_is_named_and_mended() {
    let cctl = Instance::prepare();
    let rules = finding(&cctl, "other rules");
    assert_eq!(rules["state"], "ok", "{rules}");
    nft("add table inet guard; add chain inet guard through { type filter hook forward priority 0; policy drop; }");
    let rules = finding(&cctl, "other rules");
    assert_eq!(rules["state"], "warning", "{rules}");
    assert!(rules["found"].as_str().unwrap().contains("inet guard through"), "{rules}");
    let warned = cctl.cctl(&["system", "doctor"]);
    assert!(
        warned.code == 0 && warned.stdout.contains("why:") && warned.stdout.contains("mend: `nft insert"),
        "{warned:?}"
    );
    // The remedy is what mends it.
    let mend = rules["mend"].as_str().unwrap().trim_matches('`').to_owned();
    assert!(Command::new("sh").args(["-ec", &mend]).status().unwrap().success(), "{mend}");
    let mended = finding(&cctl, "other rules");
    nft("delete table inet guard");
    assert_eq!(mended["state"], "ok", "{mended}");
}

#[test]
fn a_problem_is_an_exit_status() {
    let cctl = Instance::prepare();
    // An installation of which most is missing.
    let programs = cctl.path().split(':').next().unwrap().to_owned();
    let part = cctl.scratch().join("part");
    fs::create_dir(&part).unwrap();
    for name in ["cctl", "cctl-supervisor"] {
        fs::copy(Path::new(&programs).join(name), part.join(name)).unwrap();
    }
    let output = cctl.command_of(&part.join("cctl"), &["system", "doctor"]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("problem   programs       missing: "), "{text}");
    assert!(text.contains("part/network") && text.contains("mend: install the whole of cctl"), "{text}");
}
