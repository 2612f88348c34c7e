//! The container manager.

fn main() -> std::process::ExitCode {
    containers::main()
}
