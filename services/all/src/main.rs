//! All services in one file, which has the name of each: as which it runs depends on how it was called.

use std::env;
use std::path::Path;
use std::process::ExitCode;

/// What a service does from its start to its end.
type Main = fn() -> ExitCode;

/// The names of services, and what they do.
const SERVICES: [(&str, Main); 6] = [
    (containers::IDENTITY.service, containers::main),
    (executor::IDENTITY.service, executor::main),
    (filesystem::IDENTITY.service, filesystem::main),
    (image_store::IDENTITY.service, image_store::main),
    (log_collector::IDENTITY.service, log_collector::main),
    (network::IDENTITY.service, network::main),
];

fn main() -> ExitCode {
    let called = env::args_os().next().unwrap_or_default();
    let name = Path::new(&called).file_name().unwrap_or_default().to_string_lossy();
    // A copy that replaces a service has more behind the name.
    match SERVICES.iter().find(|(service, _)| name.starts_with(service)) {
        Some((_, run)) => run(),
        None => {
            let names = SERVICES.map(|(service, _)| service).join(", ");
            eprintln!("{name}: this file is called by the name of a service: {names}");
            ExitCode::FAILURE
        }
    }
}
