//! The network service: bridge, addresses, NAT, published ports.

fn main() -> std::process::ExitCode {
    network::main()
}
