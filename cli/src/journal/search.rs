//! All that was logged for one request, of all processes.

use super::record::Record;
use crate::parse::Parsed;
use schema::instance::previous_log;
use schema::{Failure, Instance};
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind};
use std::path::Path;

/// Digits of a request below which too many would be found.
const FEWEST: usize = 4;
/// Digits of all of it.
const MOST: usize = 16;

/// The beginning of the number of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sought(String);

/// Understands `--request`.
pub(crate) fn sought(text: &str) -> Parsed<Sought> {
    let digits = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if digits && (FEWEST..=MOST).contains(&text.len()) {
        Ok(Sought(text.to_ascii_lowercase()))
    } else {
        Err(format!(
            "{text:?} is not the number of a request: {FEWEST} to {MOST} hexadecimal digits, as errors name it"
        ))
    }
}

/// What these processes have logged for it, in the order of time; with the name of each. The log before the current one
/// counts, too. Blocks.
pub(crate) fn find(
    instance: &Instance,
    processes: &[String],
    request: &Sought,
) -> Result<Vec<(String, Record)>, Failure> {
    let mut found = Vec::new();
    for process in processes {
        let path = instance.log(process);
        for path in [previous_log(&path), path] {
            let records = in_file(&path, &request.0);
            let records = records.map_err(|error| Failure::io(format_args!("reading {}", path.display()), &error))?;
            found.extend(records.into_iter().map(|record| (process.clone(), record)));
        }
    }
    // Stable: what one process has said at one time stays in its order.
    found.sort_by(|(_, one), (_, other)| one.timestamp.cmp(&other.timestamp));
    Ok(found)
}

fn in_file(path: &Path, request: &str) -> std::io::Result<Vec<Record>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        opened => opened?,
    };
    let mut found = Vec::new();
    for line in BufReader::new(file).split(b'\n') {
        let line = line?;
        // Few lines are worth being understood.
        let line = String::from_utf8_lossy(&line);
        if line.contains(request) {
            found.extend(Record::read(&line).filter(|record| record.is_of(request)));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(time: u32, request: &str, message: &str) -> String {
        format!(
            r#"{{"timestamp":"2024-01-02T03:04:{time:02}.000000Z","level":"INFO","fields":{{"message":"{message}"}},"spans":[{{"request":"{request}"}}]}}"#
        ) + "\n"
    }

    #[test]
    fn lines_of_a_request_are_found_in_order() {
        let directory = tempfile::tempdir().unwrap();
        let instance = Instance::new(directory.path(), directory.path());
        std::fs::create_dir(instance.log("a").parent().unwrap()).unwrap();
        let old = line(1, "00ab000000000001", "first") + &line(4, "00ac", "other");
        std::fs::write(previous_log(&instance.log("a")), old).unwrap();
        std::fs::write(instance.log("a"), "panicked at 00ab\n".to_owned() + &line(5, "00ab000000000003", "third"))
            .unwrap();
        std::fs::write(instance.log("b"), line(3, "00ab000000000002", "second")).unwrap();
        let processes = ["a", "b", "absent"].map(str::to_owned);
        let found = find(&instance, &processes, &sought("00AB").unwrap()).unwrap();
        let said: Vec<_> =
            found.iter().map(|(process, record)| (process.as_str(), record.fields["message"].as_str())).collect();
        assert_eq!(said, [("a", Some("first")), ("b", Some("second")), ("a", Some("third"))]);
    }

    #[test]
    fn a_number_has_enough_digits() {
        assert!(sought("12ab").is_ok() && sought("0123456789abcdef").is_ok());
        for wrong in ["", "123", "xyzw", "+123", "0123456789abcdef0"] {
            assert!(sought(wrong).is_err(), "{wrong}");
        }
    }
}
