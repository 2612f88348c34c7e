//! The filesystem service: layers, root filesystems, volumes.

fn main() -> std::process::ExitCode {
    filesystem::unpack::work().unwrap_or_else(|| kit::boot::run(filesystem::IDENTITY, filesystem::start))
}
