//! `system logs`.

use crate::console;
use crate::engine::{Engine, call};
use crate::error::Result;
use crate::journal::{Record, Sought, find};
use crate::render::json_line;
use schema::log_collector::Stream;
use schema::{Code, Failure, supervisor};
use serde_json::json;
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind};
use std::path::PathBuf;
use std::time::Duration;

/// The process that outlives all others; its log has its name.
const KEEPER: &str = "keeper";
/// How long the supervisor is asked: what it says is needed most when it does not answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Prints what a service has logged; `json`: as it is stored.
pub(super) async fn run(engine: &Engine, service: &str, json: bool) -> Result<u8> {
    let path = path(engine, service).await?;
    let failed = |error: std::io::Error| Failure::io(format_args!("reading {}", path.display()), &error);
    let file = match File::open(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(Failure::not_found(format_args!("{service} has no log: {} does not exist", path.display()))
                .hint("`cctl system status` lists the services")
                .into());
        }
        opened => opened.map_err(failed)?,
    };
    let mut lines = BufReader::new(file);
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line).map_err(failed)? > 0 {
        // Some lines are not ours: of a plugin, or the last words of a process.
        let record = std::str::from_utf8(&line).ok().filter(|_| !json).and_then(Record::read);
        match record {
            Some(record) => console::print_line(record.line())?,
            None => console::write(Stream::Stdout, &line)?,
        }
        line.clear();
    }
    Ok(0)
}

/// Prints what all processes have logged for a request, in the order of time.
pub(super) async fn of_request(engine: &Engine, request: &Sought, only: Option<&str>, json: bool) -> Result<u8> {
    let processes = match only {
        Some(service) => {
            named(service)?;
            vec![service.to_owned()]
        }
        None => processes(engine).await,
    };
    let width = processes.iter().map(|process| process.chars().count()).max().unwrap_or(0);
    for (process, record) in find(&engine.instance, &processes, request)? {
        if json {
            let Record { timestamp, level, fields, target, spans } = record;
            let line = json!({"timestamp": timestamp, "level": level, "process": process, "fields": fields, "target": target, "spans": spans});
            console::print_line(json_line(&line)?)?;
        } else {
            console::print_line(format_args!("{process:width$} {}", record.line()))?;
        }
    }
    Ok(0)
}

/// All that log: those whom the supervisor names, and those who are known without it.
pub(super) async fn processes(engine: &Engine) -> Vec<String> {
    let told = engine.supervisor.status(&call().limited(PATIENCE)).await.unwrap_or_default();
    let mut names: Vec<String> =
        [KEEPER, supervisor::SERVICE].into_iter().chain(schema::SERVICES).map(str::to_owned).collect();
    for service in told {
        if !names.contains(&service.service) {
            names.push(service.service);
        }
    }
    names
}

/// A name may come from anywhere, and becomes part of a path.
fn named(service: &str) -> Result<(), Failure> {
    if service.is_empty() || service.contains('/') {
        return Err(Failure::invalid(format_args!("{service:?} is not the name of a service"))
            .hint("`cctl system status` lists them"));
    }
    Ok(())
}

/// Where the supervisor says that it is; where it is by rule, if the supervisor says nothing.
async fn path(engine: &Engine, service: &str) -> Result<PathBuf, Failure> {
    named(service)?;
    match engine.supervisor.log_file(&call().limited(PATIENCE), service).await {
        Err(failure) if matches!(failure.code, Code::Unavailable | Code::DeadlineExceeded | Code::NotFound) => {
            Ok(engine.instance.log(service))
        }
        answer => answer,
    }
}
