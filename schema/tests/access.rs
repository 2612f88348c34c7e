//! Every method of the contract is classified: who may call it, and whether that is recorded.
#![allow(clippy::unwrap_used, clippy::panic)]
use capnp::message::ReaderOptions;
use capnp::schema_capnp::{code_generator_request, node};
use schema::access::{METHODS, Recorded, method};
use std::collections::BTreeSet;

/// The interfaces of the compiled contract: id, display name, names of the methods by ordinal.
fn interfaces() -> Vec<(u64, String, Vec<String>)> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/contract.cgr");
    let bytes = std::fs::read(path).unwrap();
    let message = capnp::serialize::read_message(bytes.as_slice(), ReaderOptions::new()).unwrap();
    let request: code_generator_request::Reader = message.get_root().unwrap();
    let mut found = Vec::new();
    for node in request.get_nodes().unwrap() {
        let Ok(node::Interface(body)) = node.which() else { continue };
        let name = node.get_display_name().unwrap().to_string().unwrap();
        let methods = body.get_methods().unwrap().iter();
        let methods = methods.map(|method| method.get_name().unwrap().to_string().unwrap()).collect();
        found.push((node.get_id(), name, methods));
    }
    found
}

#[test]
fn each_method_of_the_contract_is_listed_under_its_name() {
    let interfaces = interfaces();
    assert!(interfaces.len() >= 9, "{interfaces:?}");
    for (id, name, methods) in &interfaces {
        let (_, listed) =
            METHODS.iter().find(|(known, _)| known == id).unwrap_or_else(|| panic!("{name} is not listed"));
        let listed: Vec<&str> = listed.iter().map(|method| method.name.rsplit('.').next().unwrap()).collect();
        assert_eq!(*methods, listed, "{name}: say in schema/src/access/methods.rs who may call what is new");
        for ordinal in 0..methods.len() {
            assert!(method(*id, u16::try_from(ordinal).unwrap()).is_some());
        }
        assert_eq!(method(*id, u16::try_from(methods.len()).unwrap()), None);
    }
    assert_eq!(METHODS.len(), interfaces.len());
    assert_eq!(method(0, 0), None);
}

#[test]
fn names_are_whole_and_different() {
    let all: Vec<&str> = METHODS.iter().flat_map(|(_, methods)| methods.iter().map(|method| method.name)).collect();
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
}

#[test]
fn what_nobody_but_services_calls_no_verb_grants() {
    for (_, methods) in METHODS {
        for method in *methods {
            let is_inner =
                ["executor.", "network.", "filesystem."].iter().any(|service| method.name.starts_with(service));
            assert!(!is_inner || (method.of_services && method.verbs.is_empty()), "{}", method.name);
            // What is read by verbs that only look is not recorded; what is recorded needs a verb of its own, or an admin.
            let looks = method.verbs.iter().any(|verb| schema::access::VIEWER.contains(verb));
            assert!(!looks || method.recorded == Recorded::No, "{}", method.name);
        }
    }
}
