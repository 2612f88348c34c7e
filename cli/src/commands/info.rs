//! `info`.

use crate::console;
use crate::engine::{Engine, call};
use crate::error::Result;
use schema::network::NetworkInfo;
use std::fmt::Write;

/// Prints counts, and what this instance uses on the host.
pub(crate) async fn run(engine: &Engine) -> Result<u8> {
    let call = call();
    let info = engine.containers.info(&call).await?;
    let images = engine.images.list(&call).await?.len();
    let NetworkInfo { bridge, subnet, gateway, table, attached, subnet6, gateway6 } = info.network;
    let kernel = rustix::system::uname();
    let mut text = String::new();
    let mut line = |name: &str, value: &dyn std::fmt::Display| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name}: {value}");
    };
    line("Containers", &info.containers);
    line("  Running", &info.running);
    line("  Not running", &info.containers.saturating_sub(info.running));
    line("Images", &images);
    line("Bridge", &bridge);
    line("  Subnet", &subnet);
    line("  Gateway", &gateway);
    if !subnet6.is_empty() {
        line("  IPv6 subnet", &subnet6);
        line("  IPv6 gateway", &gateway6);
    }
    line("  Attached", &attached);
    line("nftables table", &format_args!("inet {table}"));
    line("State", &engine.instance.root().display());
    line("Runtime", &engine.instance.run().display());
    line("Version", &env!("CARGO_PKG_VERSION"));
    line("Kernel", &kernel.release().to_string_lossy());
    line("Architecture", &kernel.machine().to_string_lossy());
    console::print(&text)?;
    Ok(0)
}
