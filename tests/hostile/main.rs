//! Callers that say anything: every method of every service is called with parameters that fit the contract and mean
//! nothing, and with messages of which bits were changed. Whatever comes, it is answered or the connection is closed;
//! no service ends, and nobody else waits.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod contract;
mod nonsense;
mod talk;

use contract::{Contract, Method};
use harness::{Instance, Random};
use std::env;
use talk::Talk;

/// These wait for an end, however long that takes.
const WAIT: [&str; 3] = ["executor.wait", "containers.wait", "containers.execWait"];
/// What a call of these does to others is what it is for.
const MEANT: [&str; 4] = ["supervisor.shutDown", "containers.shutDown", "network.tearDown", "supervisor.restart"];
/// Calls over one connection, all sent at once.
const AT_ONCE: usize = 24;

/// A number from the environment, which `make hostile` sets.
fn number(variable: &str, default: u64) -> u64 {
    env::var(variable)
        .map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{variable}={text:?} is no number")))
}

fn service_bears_everything(name: &str) {
    let (calls, seed) = (number("CCTL_HOSTILE_CALLS", 3000), number("CCTL_HOSTILE_SEED", 1));
    let cctl = Instance::start();
    let contract = Contract::read();
    // `hello` is of an interface that all have.
    let called = |method: &&Method| {
        (method.service == name || method.service == "common")
            && !MEANT.contains(&format!("{name}.{}", method.name).as_str())
    };
    let methods: Vec<&Method> = contract.methods.iter().filter(called).collect();
    let pid = cctl.pid(name);
    let mut random = Random::new(seed);
    let (mut sent, mut answered) = (0, 0);
    while sent < calls {
        let mut talk = Talk::with(&cctl.runtime().join(format!("{name}.sock")));
        let broken = random.once_in(4);
        for _ in 0..AT_ONCE {
            let method = random.choice(&methods);
            talk.call(&contract, method, &mut random, broken);
            sent += 1;
        }
        let waits = |method: &String| WAIT.contains(&format!("{name}.{method}").as_str());
        let unanswered = talk.unanswered(waits);
        answered += AT_ONCE - unanswered.len();
        assert!(broken || unanswered.is_empty(), "{name}, seed {seed}, call {sent}: not answered: {unanswered:?}");
        assert_eq!(cctl.pid(name), pid, "{name} ended after {sent} calls of the seed {seed}");
    }
    println!("{name}: {sent} calls of {} methods, {answered} answered", methods.len());
    let memory = cctl.status().iter().find(|row| row["name"] == name).unwrap()["memory"].as_u64().unwrap();
    assert!(memory < 96 << 20, "{name} has {memory} bytes");
    // What was made belongs to no container.
    cctl.cctl(&["system", "check", "--repair"]);
    // It may have been removed: that is a method, too.
    cctl.cctl_with_input(&["import", "-", "base"], harness::base_image()).ok();
    assert_eq!(cctl.cctl(&["run", "--rm", "base", "echo", "on"]).ok(), "on");
    cctl.cctl(&["system", "check"]).ok();
}

#[test]
fn containers_bears_everything() {
    service_bears_everything("containers");
}

#[test]
fn image_store_bears_everything() {
    service_bears_everything("image-store");
}

#[test]
fn filesystem_bears_everything() {
    service_bears_everything("filesystem");
}

#[test]
fn network_bears_everything() {
    service_bears_everything("network");
}

#[test]
fn executor_bears_everything() {
    service_bears_everything("executor");
}

#[test]
fn log_collector_bears_everything() {
    service_bears_everything("log-collector");
}

#[test]
fn supervisor_bears_everything() {
    service_bears_everything("supervisor");
}
