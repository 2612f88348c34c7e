//! The container manager.

fn main() -> std::process::ExitCode {
    kit::boot::run(containers::IDENTITY, containers::start)
}
