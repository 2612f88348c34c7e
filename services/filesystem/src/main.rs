//! The filesystem service: layers, root filesystems, volumes.

fn main() -> std::process::ExitCode {
    filesystem::main()
}
