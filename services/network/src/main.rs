//! The network service: bridge, addresses, NAT, published ports.

fn main() -> std::process::ExitCode {
    if std::env::args().nth(1).as_deref() == Some(network::probe::ARGUMENT) {
        return network::probe::run();
    }
    kit::boot::run(network::IDENTITY, network::start)
}
