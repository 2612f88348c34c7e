//! The few switches of the kernel that routing for containers needs.

use schema::Failure;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Packets of IPv4 are passed on between interfaces.
pub(crate) const FORWARDING: &str = "net/ipv4/ip_forward";
/// The same for IPv6.
const FORWARDING6: &str = "net/ipv6/conf/all/forwarding";
/// The switches that each interface has for IPv6.
const INTERFACES6: &str = "/proc/sys/net/ipv6/conf";

/// The bridge takes and sends packets of 127.0.0.0/8: for ports published on the host's loopback.
pub(crate) fn route_localnet(bridge: &str) -> String {
    format!("net/ipv4/conf/{bridge}/route_localnet")
}

/// Whether this network namespace has IPv6: the kernel knows it, and it is not switched off for new interfaces.
pub(crate) fn has_ipv6() -> Result<bool, Failure> {
    for which in ["all", "default"] {
        let name = disable_ipv6(which);
        match value(&name) {
            Ok(value) if value == "0" => {}
            Ok(_) => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(Failure::io(format_args!("reading {name}"), &error)),
        }
    }
    Ok(true)
}

/// Sets a switch to 1, unless it is set.
pub(crate) fn enable(name: &str) -> Result<(), Failure> {
    set(name, "1")
}

/// Passes packets of IPv6 on between interfaces. A host that does so is a router, and a router takes no address
/// and no route from another one: unless it is told to (accept_ra = 2), it would lose its own way to the world. So
/// those interfaces that listen to routers are told to go on, before anything changes.
pub(crate) fn enable_forwarding6() -> Result<(), Failure> {
    let is_on = |name: &str| value(name).is_ok_and(|value| value == "1");
    if is_on(FORWARDING6) {
        return Ok(());
    }
    let entries =
        fs::read_dir(INTERFACES6).map_err(|error| Failure::io(format_args!("reading {INTERFACES6}"), &error))?;
    for interface in entries.flatten().map(|entry| entry.file_name()) {
        // An interface may vanish meanwhile.
        let name = format!("net/ipv6/conf/{}/accept_ra", interface.to_string_lossy());
        if interface != "all" && is_on(&name) {
            set(&name, "2")?;
        }
    }
    enable(FORWARDING6)
}

/// The bridge is no place to learn routes and addresses from: only containers are there. Its own address is
/// known to be nobody else's.
pub(crate) fn trust_nobody(bridge: &str) -> Result<(), Failure> {
    for switch in ["accept_ra", "autoconf", "accept_dad"] {
        set(&format!("net/ipv6/conf/{bridge}/{switch}"), "0")?;
    }
    Ok(())
}

/// The host's end of a pair is no interface of the host for IPv6: not as a port of the bridge, where that is, and
/// not when it is taken off and still has a container at its other end.
pub(crate) fn silence(interface: &str) -> Result<(), Failure> {
    let name = disable_ipv6(interface);
    if path(&name).exists() { set(&name, "1") } else { Ok(()) }
}

/// In the network namespace of a container, before it has an interface: those that will be there have IPv6, and
/// believe no other container that says to be a router.
pub(crate) fn prepare_container() -> Result<(), Failure> {
    if !Path::new(INTERFACES6).exists() {
        return Ok(());
    }
    for switch in ["disable_ipv6", "accept_ra", "autoconf", "accept_dad"] {
        set(&format!("net/ipv6/conf/default/{switch}"), "0")?;
    }
    Ok(())
}

fn disable_ipv6(interface: &str) -> String {
    format!("net/ipv6/conf/{interface}/disable_ipv6")
}

fn path(name: &str) -> PathBuf {
    Path::new("/proc/sys").join(name)
}

fn value(name: &str) -> io::Result<String> {
    fs::read_to_string(path(name)).map(|value| value.trim().to_owned())
}

fn set(name: &str, wanted: &str) -> Result<(), Failure> {
    let failed = |doing: &str, error| {
        Failure::io(format_args!("{doing} {name}"), &error).hint(format_args!(
            "set it yourself: `sysctl -w {name}={wanted}`, or let the network service write /proc/sys"
        ))
    };
    if value(name).map_err(|error| failed("reading", error))? == wanted {
        return Ok(());
    }
    fs::write(path(name), wanted).map_err(|error| failed("setting", error))?;
    tracing::debug!(name, wanted, "set a switch of the kernel");
    Ok(())
}
