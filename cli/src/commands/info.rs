//! `info`.

use crate::args::{Format, Summary};
use crate::console;
use crate::engine::{Engine, call};
use crate::error::Result;
use crate::render::listing::apply;
use crate::template::Data;
use schema::Failure;
use schema::containers::Info;
use serde::Serialize;
use std::fmt::Write;

/// Counts, and what this instance uses on the host; Docker's names where Docker has them.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Summed {
    containers: u32,
    containers_running: u32,
    containers_stopped: u32,
    images: usize,
    bridge: Bridge,
    nftables_table: String,
    #[serde(rename = "CctlRootDir")]
    root: String,
    #[serde(rename = "CctlRunDir")]
    run: String,
    server_version: &'static str,
    kernel_version: String,
    architecture: String,
    #[serde(rename = "NCPU")]
    cpus: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Bridge {
    name: String,
    subnet: String,
    gateway: String,
    subnet6: String,
    gateway6: String,
    attached: u32,
}

/// Prints counts, and what this instance uses on the host.
pub(crate) async fn run(engine: &Engine, arguments: &Summary) -> Result<u8> {
    let call = call();
    let info = engine.containers.info(&call).await?;
    let images = engine.images.list(&call).await?.len();
    let summed = summed(engine, info, images);
    match &arguments.format {
        None | Some(Format::Table) => console::print(&plain(&summed))?,
        Some(Format::Json) => console::print_line(crate::render::json_line(&summed)?)?,
        Some(Format::Template(template) | Format::TableOf(template)) => {
            let data = Data::new(serde_json::to_value(&summed).map_err(Failure::internal)?);
            console::print_line(apply(template, &data)?)?;
        }
    }
    Ok(0)
}

fn summed(engine: &Engine, info: Info, images: usize) -> Summed {
    let kernel = rustix::system::uname();
    let network = info.network;
    Summed {
        containers: info.containers,
        containers_running: info.running,
        containers_stopped: info.containers.saturating_sub(info.running),
        images,
        bridge: Bridge {
            name: network.bridge,
            subnet: network.subnet,
            gateway: network.gateway,
            subnet6: network.subnet6,
            gateway6: network.gateway6,
            attached: network.attached,
        },
        nftables_table: format!("inet {}", network.table),
        root: engine.instance.root().display().to_string(),
        run: engine.instance.run().display().to_string(),
        server_version: env!("CARGO_PKG_VERSION"),
        kernel_version: kernel.release().to_string_lossy().into_owned(),
        architecture: kernel.machine().to_string_lossy().into_owned(),
        cpus: std::thread::available_parallelism().map_or(1, usize::from),
    }
}

fn plain(summed: &Summed) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &dyn std::fmt::Display| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name}: {value}");
    };
    line("Containers", &summed.containers);
    line("  Running", &summed.containers_running);
    line("  Not running", &summed.containers_stopped);
    line("Images", &summed.images);
    line("Bridge", &summed.bridge.name);
    line("  Subnet", &summed.bridge.subnet);
    line("  Gateway", &summed.bridge.gateway);
    if !summed.bridge.subnet6.is_empty() {
        line("  IPv6 subnet", &summed.bridge.subnet6);
        line("  IPv6 gateway", &summed.bridge.gateway6);
    }
    line("  Attached", &summed.bridge.attached);
    line("nftables table", &summed.nftables_table);
    line("State", &summed.root);
    line("Runtime", &summed.run);
    line("Version", &summed.server_version);
    line("Kernel", &summed.kernel_version);
    line("Architecture", &summed.architecture);
    line("CPUs", &summed.cpus);
    text
}
