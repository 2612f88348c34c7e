//! The filesystem service: layers, root filesystems, volumes.

fn main() -> std::process::ExitCode {
    if let Some(code) = filesystem::unpack::work() {
        return code;
    }
    let mut arguments = std::env::args_os().skip(1);
    if let (Some(first), Some(directory)) = (arguments.next(), arguments.next())
        && first == filesystem::probe::ARGUMENT
    {
        return filesystem::probe::run(directory.as_ref());
    }
    kit::boot::run(filesystem::IDENTITY, filesystem::start)
}
