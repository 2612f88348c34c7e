//! Conversions of `filesystem.capnp`.

use super::model::{
    ArchiveChunk, ArchiveRequest, Change, ChangeKind, ChangeList, ExtractRequest, FileKind, HostEntry, MountSpec,
    Names, PathStat, Place, Tmpfs, Usage,
};
use crate::Failure;
use crate::bindings::filesystem_capnp::{self, host_entry, mount_spec, names, tmpfs};
use crate::common::{IdRange, SandboxRef, base};
use crate::wire::{Wire, length, list, set_list, set_texts, text, texts};

impl Wire for MountSpec {
    type Owned = mount_spec::Owned;

    fn read(reader: mount_spec::Reader<'_>) -> Result<Self, Failure> {
        let layers = list(reader.get_layers())?;
        if layers.is_empty() {
            return Err(Failure::invalid("a root filesystem needs at least one layer"));
        }
        Ok(Self {
            layers,
            volumes: list(reader.get_volumes())?,
            read_only: reader.get_read_only(),
            tmpfs: list(reader.get_tmpfs())?,
            ids: IdRange::read(reader.get_id_base())?,
        })
    }

    fn write(&self, mut builder: mount_spec::Builder<'_>) {
        let Self { layers, volumes, read_only, tmpfs, ids } = self;
        builder.set_id_base(base(*ids));
        set_list(builder.reborrow().init_layers(length(layers)), layers);
        set_list(builder.reborrow().init_volumes(length(volumes)), volumes);
        builder.set_read_only(*read_only);
        set_list(builder.init_tmpfs(length(tmpfs)), tmpfs);
    }
}

impl Wire for Tmpfs {
    type Owned = tmpfs::Owned;

    fn read(reader: tmpfs::Reader<'_>) -> Result<Self, Failure> {
        let target = text(reader.get_target())?;
        if !target.starts_with('/') || target.contains('\0') {
            return Err(Failure::invalid(format_args!("the path of a tmpfs {target:?} is not absolute"))
                .hint("write --tmpfs /CONTAINER[:OPTIONS]"));
        }
        Ok(Self {
            target,
            size: reader.get_size(),
            mode: reader.get_mode(),
            uid: reader.get_uid(),
            gid: reader.get_gid(),
            read_only: reader.get_read_only(),
            exec: reader.get_exec(),
            suid: reader.get_suid(),
            dev: reader.get_dev(),
        })
    }

    fn write(&self, mut builder: tmpfs::Builder<'_>) {
        let Self { target, size, mode, uid, gid, read_only, exec, suid, dev } = self;
        builder.set_target(target);
        builder.set_size(*size);
        builder.set_mode(*mode);
        builder.set_uid(*uid);
        builder.set_gid(*gid);
        builder.set_read_only(*read_only);
        builder.set_exec(*exec);
        builder.set_suid(*suid);
        builder.set_dev(*dev);
    }
}

impl Wire for Names {
    type Owned = names::Owned;

    fn read(reader: names::Reader<'_>) -> Result<Self, Failure> {
        Ok(Self {
            hostname: text(reader.get_hostname())?,
            hosts: list(reader.get_hosts())?,
            nameservers: texts(reader.get_nameservers())?,
            search: texts(reader.get_search())?,
        })
    }

    fn write(&self, mut builder: names::Builder<'_>) {
        let Self { hostname, hosts, nameservers, search } = self;
        builder.set_hostname(hostname);
        set_list(builder.reborrow().init_hosts(length(hosts)), hosts);
        set_texts(builder.reborrow().init_nameservers(length(nameservers)), nameservers);
        set_texts(builder.init_search(length(search)), search);
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

impl From<filesystem_capnp::ChangeKind> for ChangeKind {
    fn from(value: filesystem_capnp::ChangeKind) -> Self {
        match value {
            filesystem_capnp::ChangeKind::Added => Self::Added,
            filesystem_capnp::ChangeKind::Modified => Self::Modified,
            filesystem_capnp::ChangeKind::Deleted => Self::Deleted,
        }
    }
}

impl From<ChangeKind> for filesystem_capnp::ChangeKind {
    fn from(value: ChangeKind) -> Self {
        match value {
            ChangeKind::Added => Self::Added,
            ChangeKind::Modified => Self::Modified,
            ChangeKind::Deleted => Self::Deleted,
        }
    }
}

impl From<filesystem_capnp::FileKind> for FileKind {
    fn from(value: filesystem_capnp::FileKind) -> Self {
        match value {
            filesystem_capnp::FileKind::File => Self::File,
            filesystem_capnp::FileKind::Directory => Self::Directory,
            filesystem_capnp::FileKind::Symlink => Self::Symlink,
            filesystem_capnp::FileKind::Other => Self::Other,
        }
    }
}

impl From<FileKind> for filesystem_capnp::FileKind {
    fn from(value: FileKind) -> Self {
        match value {
            FileKind::File => Self::File,
            FileKind::Directory => Self::Directory,
            FileKind::Symlink => Self::Symlink,
            FileKind::Other => Self::Other,
        }
    }
}

impl Wire for Change {
    type Owned = filesystem_capnp::change::Owned;

    fn read(reader: filesystem_capnp::change::Reader<'_>) -> Result<Self, Failure> {
        Ok(Self { path: reader.get_path()?.to_vec(), kind: reader.get_kind()?.into() })
    }

    fn write(&self, mut builder: filesystem_capnp::change::Builder<'_>) {
        let Self { path, kind } = self;
        builder.set_path(path);
        builder.set_kind((*kind).into());
    }
}

impl Wire for ChangeList {
    type Owned = filesystem_capnp::change_list::Owned;

    fn read(reader: filesystem_capnp::change_list::Reader<'_>) -> Result<Self, Failure> {
        Ok(Self { changes: list(reader.get_changes())?, more: reader.get_more() })
    }

    fn write(&self, mut builder: filesystem_capnp::change_list::Builder<'_>) {
        let Self { changes, more } = self;
        set_list(builder.reborrow().init_changes(length(changes)), changes);
        builder.set_more(*more);
    }
}

impl Wire for ArchiveRequest {
    type Owned = filesystem_capnp::archive_request::Owned;

    fn read(reader: filesystem_capnp::archive_request::Reader<'_>) -> Result<Self, Failure> {
        Ok(Self { path: text(reader.get_path())?, export: reader.get_export(), by_path: reader.get_by_path() })
    }

    fn write(&self, mut builder: filesystem_capnp::archive_request::Builder<'_>) {
        let Self { path, export, by_path } = self;
        builder.set_path(path);
        builder.set_export(*export);
        builder.set_by_path(*by_path);
    }
}

impl Wire for ArchiveChunk {
    type Owned = filesystem_capnp::archive_chunk::Owned;

    fn read(reader: filesystem_capnp::archive_chunk::Reader<'_>) -> Result<Self, Failure> {
        Ok(Self {
            data: reader.get_data()?.to_vec(),
            next: reader.get_next()?.to_vec(),
            ended: reader.get_ended(),
            path: text(reader.get_path())?,
            length: reader.get_length(),
        })
    }

    fn write(&self, mut builder: filesystem_capnp::archive_chunk::Builder<'_>) {
        let Self { data, next, ended, path, length } = self;
        builder.set_data(data);
        builder.set_next(next);
        builder.set_ended(*ended);
        builder.set_path(path);
        builder.set_length(*length);
    }
}

impl Wire for ExtractRequest {
    type Owned = filesystem_capnp::extract_request::Owned;

    fn read(reader: filesystem_capnp::extract_request::Reader<'_>) -> Result<Self, Failure> {
        Ok(Self {
            path: text(reader.get_path())?,
            upload: text(reader.get_upload())?,
            keep_owner: reader.get_keep_owner(),
        })
    }

    fn write(&self, mut builder: filesystem_capnp::extract_request::Builder<'_>) {
        let Self { path, upload, keep_owner } = self;
        builder.set_path(path);
        builder.set_upload(upload);
        builder.set_keep_owner(*keep_owner);
    }
}

impl Wire for Usage {
    type Owned = filesystem_capnp::usage::Owned;

    fn read(reader: filesystem_capnp::usage::Reader<'_>) -> Result<Self, Failure> {
        Ok(Self { bytes: reader.get_bytes(), inodes: reader.get_inodes() })
    }

    fn write(&self, mut builder: filesystem_capnp::usage::Builder<'_>) {
        let Self { bytes, inodes } = self;
        builder.set_bytes(*bytes);
        builder.set_inodes(*inodes);
    }
}

impl Wire for PathStat {
    type Owned = filesystem_capnp::path_stat::Owned;

    fn read(reader: filesystem_capnp::path_stat::Reader<'_>) -> Result<Self, Failure> {
        Ok(Self {
            kind: reader.get_kind()?.into(),
            mode: reader.get_mode(),
            size: reader.get_size(),
            modified_at: reader.get_modified_at(),
            link_target: reader.get_link_target()?.to_vec(),
        })
    }

    fn write(&self, mut builder: filesystem_capnp::path_stat::Builder<'_>) {
        let Self { kind, mode, size, modified_at, link_target } = self;
        builder.set_kind((*kind).into());
        builder.set_mode(*mode);
        builder.set_size(*size);
        builder.set_modified_at(*modified_at);
        builder.set_link_target(link_target);
    }
}

impl Wire for Place {
    type Owned = filesystem_capnp::place::Owned;

    fn read(reader: filesystem_capnp::place::Reader<'_>) -> Result<Self, Failure> {
        Ok(Self {
            id: text(reader.get_id())?.parse()?,
            layers: list(reader.get_layers())?,
            sandbox: if reader.get_running() { Some(SandboxRef::read(reader.get_sandbox()?)?) } else { None },
            ids: IdRange::read(reader.get_id_base())?,
        })
    }

    fn write(&self, mut builder: filesystem_capnp::place::Builder<'_>) {
        let Self { id, layers, sandbox, ids } = self;
        builder.set_id(id.as_str());
        builder.set_id_base(base(*ids));
        set_list(builder.reborrow().init_layers(length(layers)), layers);
        builder.set_running(sandbox.is_some());
        if let Some(sandbox) = sandbox {
            sandbox.write(builder.init_sandbox());
        }
    }
}
