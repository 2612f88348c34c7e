//! The executor: sandboxes and their monitors.

fn main() -> std::process::ExitCode {
    executor::main()
}
