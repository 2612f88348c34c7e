//! Conversions of `network.capnp`.

use super::model::{AttachSpec, Attachment, Mode, NetworkInfo};
use crate::Failure;
use crate::bindings::network_capnp::{self, attach_spec, attachment, network_info};
use crate::wire::{Wire, length, list, set_list, text};

impl From<network_capnp::Mode> for Mode {
    fn from(mode: network_capnp::Mode) -> Self {
        match mode {
            network_capnp::Mode::Bridge => Self::Bridge,
            network_capnp::Mode::None => Self::None,
            network_capnp::Mode::Host => Self::Host,
        }
    }
}

impl From<Mode> for network_capnp::Mode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Bridge => Self::Bridge,
            Mode::None => Self::None,
            Mode::Host => Self::Host,
        }
    }
}

impl Wire for AttachSpec {
    type Owned = attach_spec::Owned;

    fn read(reader: attach_spec::Reader<'_>) -> Result<Self, Failure> {
        Ok(Self { mode: reader.get_mode()?.into(), ports: list(reader.get_ports())? })
    }

    fn write(&self, mut builder: attach_spec::Builder<'_>) {
        let Self { mode, ports } = self;
        builder.set_mode((*mode).into());
        set_list(builder.init_ports(length(ports)), ports);
    }
}

/// An address that may be absent, as text.
fn address<T: std::str::FromStr>(text: String) -> Result<Option<T>, Failure> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse()
        .map(Some)
        .map_err(|_| Failure::invalid(format_args!("{text:?} is not an IP address of the right family")))
}

fn shown<T: ToString>(address: Option<T>) -> String {
    address.map(|address| address.to_string()).unwrap_or_default()
}

impl Wire for Attachment {
    type Owned = attachment::Owned;

    fn read(reader: attachment::Reader<'_>) -> Result<Self, Failure> {
        Ok(Self {
            address: address(text(reader.get_address())?)?,
            prefix_length: reader.get_prefix_length(),
            gateway: address(text(reader.get_gateway())?)?,
            mac: text(reader.get_mac())?,
            ports: list(reader.get_ports())?,
            address6: address(text(reader.get_address6())?)?,
            prefix_length6: reader.get_prefix_length6(),
            gateway6: address(text(reader.get_gateway6())?)?,
        })
    }

    fn write(&self, mut builder: attachment::Builder<'_>) {
        let Self { address, prefix_length, gateway, mac, ports, address6, prefix_length6, gateway6 } = self;
        builder.set_address(shown(*address));
        builder.set_prefix_length(*prefix_length);
        builder.set_gateway(shown(*gateway));
        builder.set_mac(mac);
        set_list(builder.reborrow().init_ports(length(ports)), ports);
        builder.set_address6(shown(*address6));
        builder.set_prefix_length6(*prefix_length6);
        builder.set_gateway6(shown(*gateway6));
    }
}

impl Wire for NetworkInfo {
    type Owned = network_info::Owned;

    fn read(reader: network_info::Reader<'_>) -> Result<Self, Failure> {
        Ok(Self {
            bridge: text(reader.get_bridge())?,
            subnet: text(reader.get_subnet())?,
            gateway: text(reader.get_gateway())?,
            table: text(reader.get_table())?,
            attached: reader.get_attached(),
            subnet6: text(reader.get_subnet6())?,
            gateway6: text(reader.get_gateway6())?,
        })
    }

    fn write(&self, mut builder: network_info::Builder<'_>) {
        let Self { bridge, subnet, gateway, table, attached, subnet6, gateway6 } = self;
        builder.set_bridge(bridge);
        builder.set_subnet(subnet);
        builder.set_gateway(gateway);
        builder.set_table(table);
        builder.set_attached(*attached);
        builder.set_subnet6(subnet6);
        builder.set_gateway6(gateway6);
    }
}
