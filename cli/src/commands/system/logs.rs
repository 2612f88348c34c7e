//! `system logs`.

use crate::console;
use crate::engine::{Engine, call};
use crate::error::Result;
use schema::log_collector::Stream;
use schema::{Code, Failure};
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::PathBuf;
use std::time::Duration;

const PIECE: usize = 64 << 10;
/// How long the supervisor is asked: what it says is needed most when it does not answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Prints what a service has logged.
pub(super) async fn run(engine: &Engine, service: &str) -> Result<u8> {
    let path = path(engine, service).await?;
    let failed = |error: std::io::Error| Failure::io(format_args!("reading {}", path.display()), &error);
    let mut file = match File::open(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(Failure::not_found(format_args!("{service} has no log: {} does not exist", path.display()))
                .hint("`cctl system status` lists the services")
                .into());
        }
        opened => opened.map_err(failed)?,
    };
    let mut buffer = vec![0; PIECE];
    loop {
        match file.read(&mut buffer).map_err(failed)? {
            0 => return Ok(0),
            length => console::write(Stream::Stdout, &buffer[..length])?,
        }
    }
}

/// Where the supervisor says that it is; where it is by rule, if the supervisor says nothing.
async fn path(engine: &Engine, service: &str) -> Result<PathBuf, Failure> {
    if service.is_empty() || service.contains('/') {
        return Err(Failure::invalid(format_args!("{service:?} is not the name of a service"))
            .hint("`cctl system status` lists them"));
    }
    match engine.supervisor.log_file(&call().limited(PATIENCE), service).await {
        Err(failure) if matches!(failure.code, Code::Unavailable | Code::DeadlineExceeded | Code::NotFound) => {
            Ok(engine.instance.log(service))
        }
        answer => answer,
    }
}
