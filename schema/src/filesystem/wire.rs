//! Conversions of `filesystem.capnp`.

use super::model::{HostEntry, MountSpec, Names};
use crate::Failure;
use crate::bindings::filesystem_capnp::{host_entry, mount_spec, names};
use crate::wire::{Wire, length, list, set_list, text};

impl Wire for MountSpec {
    type Owned = mount_spec::Owned;

    fn read(reader: mount_spec::Reader<'_>) -> Result<Self, Failure> {
        let layers = list(reader.get_layers())?;
        if layers.is_empty() {
            return Err(Failure::invalid("a root filesystem needs at least one layer"));
        }
        Ok(Self { layers, volumes: list(reader.get_volumes())? })
    }

    fn write(&self, mut builder: mount_spec::Builder<'_>) {
        let Self { layers, volumes } = self;
        set_list(builder.reborrow().init_layers(length(layers)), layers);
        set_list(builder.init_volumes(length(volumes)), volumes);
    }
}

impl Wire for Names {
    type Owned = names::Owned;

    fn read(reader: names::Reader<'_>) -> Result<Self, Failure> {
        Ok(Self { hostname: text(reader.get_hostname())?, hosts: list(reader.get_hosts())? })
    }

    fn write(&self, mut builder: names::Builder<'_>) {
        let Self { hostname, hosts } = self;
        builder.set_hostname(hostname);
        set_list(builder.init_hosts(length(hosts)), hosts);
    }
}

impl Wire for HostEntry {
    type Owned = host_entry::Owned;

    fn read(reader: host_entry::Reader<'_>) -> Result<Self, Failure> {
        Ok(Self { address: text(reader.get_address())?, hostname: text(reader.get_hostname())? })
    }

    fn write(&self, mut builder: host_entry::Builder<'_>) {
        let Self { address, hostname } = self;
        builder.set_address(address);
        builder.set_hostname(hostname);
    }
}
