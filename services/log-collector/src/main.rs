//! The log collector: captures, keeps and hands out the output of containers, and carries their input.

fn main() -> std::process::ExitCode {
    log_collector::main()
}
