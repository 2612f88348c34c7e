//! Every method of the contract, called by those who must not have it. The list is the contract's: `schema/tests/access.rs`
//! holds it equal to what the .capnp files say.

use crate::host::{self, ALICE, VIEWER, Who};
use crate::{audit, projects, wire};
use harness::{Instance, within};
use schema::access::{HELLO, METHODS, VIEWER as LOOKS, Verb};
use std::io::Read;
use std::time::Duration;

const REACHED: [&str; 4] = ["containers", "image-store", "log-collector", "supervisor"];

/// Calls all methods of all interfaces at all services that can be reached, and tells which of them are refused.
fn try_all(cctl: &Instance, who: Who, granted: &[Verb]) {
    for service in REACHED {
        let stream = host::connect(cctl, who, service).unwrap();
        wire::speak(stream, |client| async move {
            for (interface, methods) in METHODS {
                for (ordinal, method) in (0..).zip(*methods) {
                    let came = wire::call(&client, *interface, ordinal).await;
                    let has = (*interface, ordinal) == HELLO || method.verbs.iter().any(|verb| granted.contains(verb));
                    let refused = matches!(&came, Ok(Some(code)) if code == "permissionDenied");
                    // What it has may fail as it likes: there is no container "", and services have their own methods.
                    assert_eq!(!has, refused, "{} at {service}: {came:?}", method.name);
                }
                // And what will be added to it.
                let unheard = u16::try_from(methods.len()).unwrap();
                assert!(wire::call(&client, *interface, unheard).await.is_err());
            }
            assert!(wire::call(&client, 0xdead_beef, 0).await.is_err());
        });
    }
}

#[test]
fn a_viewer_has_the_methods_that_look_and_no_other() {
    let cctl = host::start("");
    let before = cctl.status();
    try_all(&cctl, VIEWER, LOOKS);
    let after = cctl.status();
    let pids = |rows: &[serde_json::Value]| rows.iter().map(|row| row["pid"].clone()).collect::<Vec<_>>();
    assert_eq!(pids(&before), pids(&after), "nothing was ended");
    let refused = audit(&cctl, &["--user", &VIEWER.uid.to_string(), "--format", "{{.Method}} {{.Outcome}} {{.Role}}"]);
    assert!(refused.iter().any(|line| line == "containers.create permissionDenied viewer"), "{refused:#?}");
    // No flood of them makes an admin's record go.
    assert!(refused.len() <= 4 * 50, "{}", refused.len());
}

#[test]
fn a_project_has_the_methods_of_its_verbs_and_no_other() {
    let cctl = host::start(projects::WEB);
    try_all(&cctl, ALICE, projects::ALICES);
}

#[test]
fn a_capability_is_void_when_the_role_is_gone() {
    let cctl = host::start(projects::WEB);
    let mut stream = host::connect(&cctl, ALICE, "containers").unwrap();
    let kept = stream.try_clone().unwrap();
    let list = METHODS.iter().find(|(_, methods)| methods[0].name == "containers.create").unwrap().0;
    wire::speak(kept, |client| async move {
        assert_eq!(wire::call(&client, list, 7).await.unwrap().as_deref(), Some("ok"));
        host::configure(&cctl, "");
        // The connection is closed, and what was had over it with it.
        let ended = tokio::time::timeout(Duration::from_secs(20), async {
            while wire::call(&client, list, 7).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        ended.await.expect("the capability is still good");
        let again =
            within(Duration::from_secs(20), || host::connect(&cctl, ALICE, "containers").is_err().then_some(()));
        again.expect("it can still connect");
    });
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let _ = stream.read_to_end(&mut Vec::new());
}
