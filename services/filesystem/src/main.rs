//! The filesystem service: layers, root filesystems, volumes.

fn main() -> std::process::ExitCode {
    kit::boot::run(filesystem::IDENTITY, filesystem::start)
}
