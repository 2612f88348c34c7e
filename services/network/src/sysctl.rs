//! The few switches of the kernel that routing for containers needs.

use schema::Failure;
use std::fs;

/// Packets are passed on between interfaces.
pub(crate) const FORWARDING: &str = "net.ipv4.ip_forward";

/// The bridge takes and sends packets of 127.0.0.0/8: for ports published on the host's loopback.
pub(crate) fn route_localnet(bridge: &str) -> String {
    format!("net.ipv4.conf.{bridge}.route_localnet")
}

/// Sets a switch to 1, unless it is set.
pub(crate) fn enable(name: &str) -> Result<(), Failure> {
    let path = format!("/proc/sys/{}", name.replace('.', "/"));
    let failed = |doing: &str, error| {
        Failure::io(format_args!("{doing} {name}"), &error)
            .hint(format_args!("set it yourself: `sysctl -w {name}=1`, or let the network service write /proc/sys"))
    };
    let now = fs::read_to_string(&path).map_err(|error| failed("reading", error))?;
    if now.trim() == "1" {
        return Ok(());
    }
    fs::write(&path, "1").map_err(|error| failed("setting", error))?;
    tracing::info!(name, "set to 1");
    Ok(())
}
