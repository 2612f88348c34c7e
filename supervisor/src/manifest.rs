//! The manifest: which services there are.

use crate::drop_ins::DropIn;
use crate::duration;
use crate::limits::Limits;
use crate::privileges::{Calls, Capabilities, Landlock, Network};
use crate::restart::Policy;
use schema::Failure;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;
use toml::Spanned;

const BUILT_IN: &str = include_str!("../../deploy/services.toml");
const BUILT_IN_NAME: &str = "deploy/services.toml (built in)";

/// Names that are not a service's: our own two processes.
const RESERVED: [&str; 2] = ["supervisor", "keeper"];

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
    #[serde(default)]
    pub(crate) user: Option<String>,
    #[serde(default)]
    pub(crate) capabilities: Capabilities,
    #[serde(default)]
    pub(crate) network: Network,
    #[serde(default)]
    pub(crate) new_privileges: bool,
    #[serde(default)]
    pub(crate) seccomp: Calls,
    #[serde(default)]
    pub(crate) landlock: Option<Landlock>,
    #[serde(default)]
    pub(crate) sees: Vec<String>,
    #[serde(default)]
    pub(crate) shares: Vec<String>,
    /// What has put it in the place of that of the manifest.
    #[serde(skip)]
    pub(crate) drop_in: Option<DropIn>,
}

impl Manifest {
    /// The manifest in this file, or the built-in one.
    pub(crate) fn load(file: Option<&Path>) -> Result<Self, Failure> {
        let Some(path) = file else { return Self::parse(BUILT_IN_NAME, BUILT_IN) };
        let text = std::fs::read_to_string(path)
            .map_err(|error| Failure::invalid(format_args!("cannot read the manifest {}: {error}", path.display())))?;
        Self::parse(&path.display().to_string(), &text)
    }

    /// The same with the services that drop-ins define.
    pub(crate) fn with(mut self, drop_ins: &[DropIn]) -> Result<Self, Failure> {
        for drop_in in drop_ins {
            for entry in drop_in.entries()? {
                self.put(drop_in, entry)?;
            }
        }
        self.checked_whole()
    }

    /// The same with what a drop-in says of one service.
    pub(crate) fn with_one(mut self, service: &str, drop_in: &DropIn) -> Result<Self, Failure> {
        let entries = drop_in.entries()?.into_iter();
        for entry in entries.filter(|entry| entry.as_ref().name == service) {
            self.put(drop_in, entry)?;
        }
        self.checked_whole()
    }

    /// Puts an entry of a drop-in in the place of the one of the same name.
    fn put(&mut self, drop_in: &DropIn, entry: Spanned<Definition>) -> Result<(), Failure> {
        let place = drop_in.place(entry.span().start);
        let wrong = |text: String| Failure::invalid(format_args!("{place}: {text}"));
        let definition = entry.into_inner();
        definition.check(Executable::Anywhere).map_err(wrong)?;
        let names: Vec<_> = self.names().map(str::to_owned).collect();
        let name = &definition.name;
        let Some(before) = self.services.iter_mut().find(|service| service.name == *name) else {
            return Err(wrong(format!("there is no service {name:?} to replace"))
                .hint(format_args!("services are {}", names.join(", "))));
        };
        if let Some(other) = &before.drop_in {
            return Err(wrong(format!("service {name:?} is replaced by {} already", other.source.display())));
        }
        if before.interface != definition.interface {
            let (wanted, given) = (&before.interface, &definition.interface);
            return Err(wrong(format!("service {name:?} has the interface {wanted:?}, not {given:?}")));
        }
        if definition.user.is_some() && definition.user != before.user {
            let (wanted, given) = (&before.user, &definition.user);
            return Err(wrong(format!(
                "service {name:?} has the user {wanted:?}, not {given:?}: leave the key out for root"
            )));
        }
        *before = Definition { drop_in: Some(drop_in.clone()), ..definition };
        Ok(())
    }

    /// Fails if services do not fit together; the drop-ins are what is new.
    fn checked_whole(self) -> Result<Self, Failure> {
        self.check_together().map_err(|wrong| {
            let sources: BTreeSet<_> = self.services.iter().filter_map(|service| service.drop_in.as_ref()).collect();
            let sources: Vec<_> = sources.iter().map(|drop_in| drop_in.source.display().to_string()).collect();
            Failure::invalid(format_args!("{}: {wrong}", sources.join(", ")))
        })?;
        Ok(self)
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
        let manifest: Self = parse(source, text)?;
        manifest.check().map_err(|wrong| Failure::invalid(format_args!("{source}: {wrong}")))?;
        Ok(manifest)
    }

    fn check(&self) -> Result<(), String> {
        if self.services.is_empty() {
            return Err("there is no service in it".to_owned());
        }
        self.services.iter().try_for_each(|service| service.check(Executable::Ours))?;
        self.check_together()
    }

    fn check_together(&self) -> Result<(), String> {
        let mut seen = BTreeMap::new();
        for service in &self.services {
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
    /// The name of the list of system calls that holds for it; none: it may call whatever there is.
    pub(crate) fn calls(&self) -> Option<&str> {
        self.seccomp.list(self.new_privileges)
    }

    /// Whether it is to be under rules of Landlock: a service that sees everything has none to follow.
    pub(crate) fn is_landlocked(&self) -> bool {
        self.user.is_some() && self.landlock.unwrap_or_default() == Landlock::Sees
    }

    fn check(&self, where_from: Executable) -> Result<(), String> {
        let Self { name, interface, executable, restart: Policy { backoff, .. }, .. } = self;
        if !is_name(name) {
            return Err(format!("{name:?} is not a name of a service: use 1 to 32 of a-z, 0-9 and -"));
        }
        if RESERVED.contains(&name.as_str()) {
            return Err(format!("{name:?} cannot be the name of a service: it is a process of cctl itself"));
        }
        if !schema::SERVICES.contains(&interface.as_str()) {
            return Err(format!(
                "service {name:?}: there is no interface {interface:?}, only {}",
                schema::SERVICES.join(", ")
            ));
        }
        let is_path = where_from == Executable::Anywhere && executable.starts_with('/') && !executable.contains('\0');
        if !is_path && !is_file_name(executable) {
            return Err(format!("service {name:?}: executable {executable:?} is not {}", where_from.wanted()));
        }
        self.check_privileges()?;
        if backoff.first > backoff.longest {
            return Err(format!("service {name:?}: backoff.first is longer than backoff.longest"));
        }
        Ok(())
    }

    fn check_privileges(&self) -> Result<(), String> {
        let Self { name, user, capabilities, sees, shares, new_privileges, seccomp, landlock, .. } = self;
        if user.as_deref().is_some_and(|user| user.is_empty() || user.contains([':', '\n', '\0'])) {
            return Err(format!("service {name:?}: user {user:?} is not a name"));
        }
        if user.is_some() && capabilities.are_all() {
            return Err(format!("service {name:?}: capabilities = \"all\" is for root alone: leave user out"));
        }
        if user.is_none() && !(sees.is_empty() && shares.is_empty()) {
            return Err(format!("service {name:?}: it runs as root and sees everything: sees and shares need a user"));
        }
        if user.is_none() && *landlock == Some(Landlock::Sees) {
            return Err(format!("service {name:?}: it runs as root and sees everything: landlock needs a user"));
        }
        if *new_privileges && matches!(seccomp, Calls::Listed(_)) {
            return Err(format!(
                "service {name:?}: a filter holds for whatever it executes, too, which new-privileges is for: leave seccomp out"
            ));
        }
        match sees.iter().chain(shares).find(|path| !path.starts_with(['/', '$']) || path.contains("..")) {
            Some(path) => Err(format!("service {name:?}: {path:?} is not an absolute path")),
            None => Ok(()),
        }
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

/// Where the programs of services may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Executable {
    /// Among those that are installed with this one.
    Ours,
    /// There, or wherever a drop-in says.
    Anywhere,
}

impl Executable {
    fn wanted(self) -> &'static str {
        match self {
            Self::Ours => "a plain file name",
            Self::Anywhere => "an absolute path, or the plain name of an installed program",
        }
    }
}

impl DropIn {
    /// What it says of services, each with its place.
    fn entries(&self) -> Result<Vec<Spanned<Definition>>, Failure> {
        let Entries { services } = parse(&self.source.display().to_string(), &self.text)?;
        Ok(services)
    }

    /// The file and the line of an offset into its text.
    fn place(&self, offset: usize) -> String {
        format!("{}, line {}", self.source.display(), line_of(&self.text, offset))
    }
}

/// A drop-in as it is read.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entries {
    #[serde(rename = "service", default)]
    services: Vec<Spanned<Definition>>,
}

fn parse<T: DeserializeOwned>(source: &str, text: &str) -> Result<T, Failure> {
    toml::from_str(text).map_err(|error| {
        let line = line_of(text, error.span().map_or(0, |span| span.start));
        Failure::invalid(format_args!("{source}, line {line}: {}", error.message()))
    })
}

fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

fn is_file_name(text: &str) -> bool {
    !(text.is_empty() || text.contains(['/', '\0']) || text.starts_with('.'))
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
