//! The program `cctl-supervisor`: keeper and supervisor.

use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    match supervisor::run(std::env::args_os().skip(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Nobody may be left to read it; the log has it too.
            let _ = writeln!(std::io::stderr(), "cctl-supervisor: {}", supervisor::one_line(&failure));
            ExitCode::FAILURE
        }
    }
}
