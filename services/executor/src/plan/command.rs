//! What a container executes, with which environment, and where.

use super::{Plan, c_string, malformed};
use crate::users::User;
use schema::Failure;
use schema::executor::ProcessSpec;
use shim_protocol::plan::{Step, Strings};
use std::ffi::CString;

/// Where commands are looked up if the environment does not say.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Adds the last step.
pub(super) fn add(plan: &mut Plan, process: &ProcessSpec, user: &User) -> Result<(), Failure> {
    let environment = environment(&process.environment, &user.home);
    let command = process.arguments.first().ok_or_else(|| Failure::invalid("a process needs a command"))?;
    let candidates = joined(&candidates(command, lookup(&environment, "PATH")))?;
    let arguments = joined(&process.arguments)?;
    let environment = joined(&environment)?;
    let strings = |bytes| Strings::new(bytes).map_err(malformed);
    plan.add(&Step::Execute {
        candidates: strings(&candidates)?,
        arguments: strings(&arguments)?,
        environment: strings(&environment)?,
    });
    Ok(())
}

/// The directory as the kernel wants it. It is resolved inside the container's root.
pub(super) fn working_directory(path: &str) -> Result<CString, Failure> {
    match path {
        "" => Ok(c"/".to_owned()),
        absolute if absolute.starts_with('/') => c_string(absolute),
        other => Err(Failure::invalid(format_args!("the working directory {other:?} is not an absolute path"))),
    }
}

fn joined(texts: &[String]) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    for text in texts {
        bytes.extend_from_slice(c_string(text)?.as_bytes_with_nul());
    }
    Ok(bytes)
}

fn key(entry: &str) -> &str {
    entry.split_once('=').map_or(entry, |(key, _)| key)
}

fn lookup<'e>(environment: &'e [String], wanted: &str) -> Option<&'e str> {
    environment.iter().find_map(|entry| entry.split_once('=').filter(|(key, _)| *key == wanted)).map(|(_, value)| value)
}

/// Each key once, with its last value, in the order of their first; and HOME.
fn environment(given: &[String], home: &str) -> Vec<String> {
    let mut entries: Vec<String> = Vec::new();
    for entry in given {
        match entries.iter_mut().find(|known| key(known) == key(entry)) {
            Some(known) => known.clone_from(entry),
            None => entries.push(entry.clone()),
        }
    }
    if lookup(&entries, "HOME").is_none() {
        entries.push(format!("HOME={home}"));
    }
    entries
}

/// Where the command may be: a name is looked up, a path is taken as it is.
fn candidates(command: &str, path: Option<&str>) -> Vec<String> {
    if command.contains('/') {
        return vec![command.to_owned()];
    }
    let directories = path.unwrap_or(DEFAULT_PATH).split(':').filter(|directory| !directory.is_empty());
    directories.map(|directory| format!("{}/{command}", directory.trim_end_matches('/'))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn commands_are_looked_up_in_the_containers_path() {
        assert_eq!(candidates("sh", Some("/a:/b/::/")), texts(&["/a/sh", "/b/sh", "/sh"]));
        assert_eq!(candidates("./sh", Some("/a")), texts(&["./sh"]));
        assert_eq!(candidates("sh", None).len(), 6);
        assert_eq!(candidates("sh", Some("")), texts(&[]));
    }

    #[test]
    fn the_last_of_a_key_wins() {
        let given = texts(&["A=1", "B=2", "A=3", "EMPTY="]);
        assert_eq!(environment(&given, "/root"), texts(&["A=3", "B=2", "EMPTY=", "HOME=/root"]));
        assert_eq!(environment(&texts(&["HOME=/x"]), "/root"), texts(&["HOME=/x"]));
    }

    #[test]
    fn working_directories_are_absolute() {
        assert_eq!(working_directory(""), Ok(c"/".to_owned()));
        assert_eq!(working_directory("/a/../b"), Ok(c"/a/../b".to_owned()));
        assert!(working_directory("a").unwrap_err().message.contains("\"a\""));
    }
}
