//! The manifest: which services there are.

use crate::duration;
use crate::limits::Limits;
use crate::restart::Policy;
use schema::Failure;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

const BUILT_IN: &str = include_str!("../../deploy/services.toml");
const BUILT_IN_NAME: &str = "deploy/services.toml (built in)";

/// Names that are not a service's: our own two processes.
const RESERVED: [&str; 2] = ["supervisor", "keeper"];

/// The contracts that a service may implement.
const INTERFACES: [&str; 6] = [
    schema::image_store::SERVICE,
    schema::filesystem::SERVICE,
    schema::network::SERVICE,
    schema::executor::SERVICE,
    schema::log_collector::SERVICE,
    schema::containers::SERVICE,
];

/// The services, in the order in which they are started and shown.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    /// At least one.
    #[serde(rename = "service")]
    pub(crate) services: Vec<Definition>,
}

/// One service; the keys are explained in `deploy/services.toml`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Definition {
    pub(crate) name: String,
    pub(crate) interface: String,
    pub(crate) executable: String,
    pub(crate) needs: Vec<String>,
    #[serde(deserialize_with = "duration::deserialize")]
    pub(crate) watchdog: Duration,
    #[serde(deserialize_with = "duration::deserialize")]
    pub(crate) start_timeout: Duration,
    pub(crate) restart: Policy,
    #[serde(default)]
    pub(crate) limits: Limits,
    #[serde(default)]
    pub(crate) shelf: bool,
}

impl Manifest {
    /// The manifest in this file, or the built-in one.
    pub(crate) fn load(file: Option<&Path>) -> Result<Self, Failure> {
        let Some(path) = file else { return Self::parse(BUILT_IN_NAME, BUILT_IN) };
        let text = std::fs::read_to_string(path)
            .map_err(|error| Failure::invalid(format_args!("cannot read the manifest {}: {error}", path.display())))?;
        Self::parse(&path.display().to_string(), &text)
    }

    /// The names of the services.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.services.iter().map(|service| service.name.as_str())
    }

    /// The programs of the services.
    pub(crate) fn executables(&self) -> Vec<&str> {
        self.services.iter().map(|service| service.executable.as_str()).collect()
    }

    fn parse(source: &str, text: &str) -> Result<Self, Failure> {
        let manifest: Self = toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
            Failure::invalid(format_args!("{source}, line {line}: {}", error.message()))
        })?;
        manifest.check().map_err(|wrong| Failure::invalid(format_args!("{source}: {wrong}")))?;
        Ok(manifest)
    }

    fn check(&self) -> Result<(), String> {
        if self.services.is_empty() {
            return Err("there is no service in it".to_owned());
        }
        let mut seen = BTreeMap::new();
        for service in &self.services {
            service.check()?;
            if seen.insert(service.name.as_str(), service).is_some() {
                return Err(format!("service {:?} is there twice", service.name));
            }
        }
        for service in &self.services {
            service.check_needs(&seen)?;
        }
        match cycle(&seen) {
            Some(names) => Err(format!("services need each other in a circle: {}", names.join(" -> "))),
            None => Ok(()),
        }
    }
}

impl Definition {
    fn check(&self) -> Result<(), String> {
        let Self { name, interface, executable, restart: Policy { backoff, .. }, .. } = self;
        if !is_name(name) {
            return Err(format!("{name:?} is not a name of a service: use 1 to 32 of a-z, 0-9 and -"));
        }
        if RESERVED.contains(&name.as_str()) {
            return Err(format!("{name:?} cannot be the name of a service: it is a process of cctl itself"));
        }
        if !INTERFACES.contains(&interface.as_str()) {
            return Err(format!(
                "service {name:?}: there is no interface {interface:?}, only {}",
                INTERFACES.join(", ")
            ));
        }
        if executable.is_empty() || executable.contains(['/', '\0']) || executable.starts_with('.') {
            return Err(format!("service {name:?}: executable {executable:?} is not a plain file name"));
        }
        if backoff.first > backoff.longest {
            return Err(format!("service {name:?}: backoff.first is longer than backoff.longest"));
        }
        Ok(())
    }

    fn check_needs(&self, services: &BTreeMap<&str, &Self>) -> Result<(), String> {
        let name = &self.name;
        for (index, need) in self.needs.iter().enumerate() {
            if !services.contains_key(need.as_str()) {
                return Err(format!("service {name:?} needs {need:?}, which is not in the manifest"));
            }
            if self.needs[..index].contains(need) {
                return Err(format!("service {name:?} needs {need:?} twice"));
            }
        }
        Ok(())
    }
}

/// Names are parts of file names and of lists that `:` separates.
fn is_name(text: &str) -> bool {
    (1..=32).contains(&text.len())
        && !text.starts_with('-')
        && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

/// A circle of needs, its first service repeated at its end. Each need is known to exist.
fn cycle<'a>(services: &BTreeMap<&'a str, &'a Definition>) -> Option<Vec<&'a str>> {
    let mut open = services.clone();
    // Take away whatever needs nothing that is left.
    while let Some(free) = open.keys().copied().find(|name| remaining(&open, name).is_none()) {
        open.remove(free);
    }
    // Each service that is left needs another that is left: following that leads into a circle.
    let mut path = vec![*open.keys().next()?];
    loop {
        let next = remaining(&open, path.last()?)?;
        if let Some(start) = path.iter().position(|name| *name == next) {
            path.push(next);
            return Some(path.split_off(start));
        }
        path.push(next);
    }
}

fn remaining<'a>(open: &BTreeMap<&'a str, &'a Definition>, name: &str) -> Option<&'a str> {
    open.get(name)?.needs.iter().map(String::as_str).find(|need| open.contains_key(need))
}

#[cfg(test)]
mod tests;
