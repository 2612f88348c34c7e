//! The network service: bridge, addresses, NAT, published ports.

fn main() -> std::process::ExitCode {
    kit::boot::run(network::IDENTITY, network::start)
}
