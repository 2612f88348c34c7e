//! Instructions as of a Dockerfile, which change what an image says of the process to run.
//!
//! Rules: the Dockerfile reference. Lists of words are JSON arrays or, for commands, a line for `/bin/sh -c`;
//! words may be quoted, and name variables of the image's environment.

mod words;

use schema::Failure;
use schema::image_store::ImageConfig;
use std::fmt;
use words::{pairs, words};

const KNOWN: &str = "CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, STOPSIGNAL, USER, VOLUME and WORKDIR";
/// Ports that one range may have.
const MOST_PORTS: u16 = 1000;
const SIGNALS: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM",
    "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO",
    "PWR", "SYS",
];

/// Applies all instructions, one after another.
/// Fails: invalidArgument, naming the instruction.
pub(crate) fn apply(config: &mut ImageConfig, changes: &[String]) -> Result<(), Failure> {
    let mut command_was_set = false;
    for change in changes {
        let refuse = |why: Refusal| Failure::invalid(format_args!("change {change:?}: {why}"));
        let change = change.trim();
        let (name, rest) = change.split_once(char::is_whitespace).unwrap_or((change, ""));
        let name = name.to_ascii_uppercase();
        instruction(config, &name, rest.trim(), command_was_set).map_err(refuse)?;
        command_was_set |= name == "CMD";
    }
    Ok(())
}

/// Why an instruction is refused.
#[derive(Debug, PartialEq, Eq)]
struct Refusal(String);

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for Refusal {
    fn from(why: &str) -> Self {
        Self(why.to_owned())
    }
}

fn instruction(config: &mut ImageConfig, name: &str, rest: &str, command_was_set: bool) -> Result<(), Refusal> {
    if rest.contains(['\n', '\0']) {
        return Err("an instruction is one line".into());
    }
    if rest.is_empty() {
        return Err(if is_known(name) { "nothing follows it".into() } else { unknown(name) });
    }
    let environment = config.environment.clone();
    match name {
        "CMD" => config.command = command(rest),
        "ENTRYPOINT" => {
            config.entrypoint = command(rest);
            // The command of the image below would be arguments of a program that it was not made for.
            if !command_was_set {
                config.command = Vec::new();
            }
        }
        "ENV" => set_all(&mut config.environment, pairs(rest, &environment)?),
        "LABEL" => {
            set_all(&mut config.labels, pairs(rest, &environment)?);
            config.labels.sort();
        }
        "EXPOSE" => {
            for word in words(rest, &environment)? {
                config.exposed_ports.extend(ports(&word)?);
            }
            config.exposed_ports.sort();
            config.exposed_ports.dedup();
        }
        "VOLUME" => {
            let volumes = list(rest).map_or_else(|| words(rest, &environment), Ok)?;
            if volumes.iter().any(String::is_empty) {
                return Err("a volume needs a path".into());
            }
            config.volumes.extend(volumes);
            config.volumes.sort();
            config.volumes.dedup();
        }
        "USER" => config.user = one(rest, &environment)?,
        "WORKDIR" => config.working_directory = directory(&config.working_directory, &one(rest, &environment)?),
        "STOPSIGNAL" => config.stop_signal = signal(one(rest, &environment)?)?,
        other => return Err(unknown(other)),
    }
    Ok(())
}

fn is_known(name: &str) -> bool {
    !name.is_empty() && KNOWN.split([',', ' ']).any(|known| known == name)
}

fn unknown(name: &str) -> Refusal {
    Refusal(format!("{name:?} cannot be changed so: there are {KNOWN}"))
}

/// A JSON array of strings.
fn list(text: &str) -> Option<Vec<String>> {
    serde_json::from_str(text).ok()
}

/// What to execute: the words of a JSON array, or a line for the shell.
fn command(text: &str) -> Vec<String> {
    list(text).unwrap_or_else(|| ["/bin/sh", "-c", text].map(str::to_owned).to_vec())
}

fn one(text: &str, environment: &[String]) -> Result<String, Refusal> {
    let mut all = words(text, environment)?;
    match (all.pop(), all.is_empty()) {
        (Some(word), true) if !word.is_empty() => Ok(word),
        _ => Err("it takes exactly one word".into()),
    }
}

/// Sets `KEY=value`s; a key that is there keeps its place.
fn set_all(list: &mut Vec<String>, pairs: Vec<(String, String)>) {
    for (key, value) in pairs {
        let pair = format!("{key}={value}");
        let is_it = |known: &&mut String| known.split_once('=').map_or(known.as_str(), |(known, _)| known) == key;
        match list.iter_mut().find(is_it) {
            Some(known) => *known = pair,
            None => list.push(pair),
        }
    }
}

/// `80`, `80/udp` or `8000-8010/tcp`: one entry a port, with its protocol.
fn ports(text: &str) -> Result<Vec<String>, Refusal> {
    let (range, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = protocol.to_ascii_lowercase();
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let number = |text: &str| text.parse::<u16>().ok().filter(|port| *port != 0 && !text.starts_with('+'));
    let (Some(first), Some(last)) = (number(first), number(last)) else {
        return Err(Refusal(format!("{text:?} is not a port: write 80, 80/udp or 8000-8010/tcp")));
    };
    if !["tcp", "udp", "sctp"].contains(&protocol.as_str()) {
        return Err(Refusal(format!("{protocol:?} is not a protocol: tcp, udp or sctp")));
    }
    if last < first || last - first >= MOST_PORTS {
        return Err(Refusal(format!("{range:?} is not a range of 1 to {MOST_PORTS} ports")));
    }
    Ok((first..=last).map(|port| format!("{port}/{protocol}")).collect())
}

/// A path, relative to the one that was in force, without `.` and `..`.
fn directory(current: &str, path: &str) -> String {
    let whole = if path.starts_with('/') { path.to_owned() } else { format!("{current}/{path}") };
    let mut parts: Vec<&str> = Vec::new();
    for part in whole.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            name => parts.push(name),
        }
    }
    format!("/{}", parts.join("/"))
}

/// A signal by name, with or without SIG, or by number.
fn signal(text: String) -> Result<String, Refusal> {
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let real_time = |base: &str, sign: char| {
        let offset = name.strip_prefix(base).map(|rest| rest.strip_prefix(sign).unwrap_or(rest));
        offset.is_some_and(|offset| offset.is_empty() || offset.parse::<u8>().is_ok_and(|offset| offset <= 30))
    };
    let is_number = text.parse::<u8>().is_ok_and(|number| (1..=64).contains(&number));
    if is_number || SIGNALS.contains(&name) || real_time("RTMIN", '+') || real_time("RTMAX", '-') {
        Ok(if is_number { text } else { format!("SIG{name}") })
    } else {
        Err(Refusal(format!("{text:?} is not a signal")))
    }
}

#[cfg(test)]
#[path = "changes_tests.rs"]
mod tests;
