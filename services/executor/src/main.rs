//! The executor: sandboxes and their monitors.

fn main() -> std::process::ExitCode {
    kit::boot::run(executor::IDENTITY, executor::start)
}
