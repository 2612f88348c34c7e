//! Conversions of `log-collector.capnp`.

use super::model::{Chunk, From, LogMode, LogSpec, Part, PartFile, PartList, Record, Stream, Total};
use crate::Failure;
use crate::bindings::log_collector_capnp::{self, chunk, from, log_spec, part, part_file, part_list, record, total};
use crate::wire::{Wire, length, list, set_list, set_texts, text, texts};

impl Wire for LogSpec {
    type Owned = log_spec::Owned;

    fn read(reader: log_spec::Reader<'_>) -> Result<Self, Failure> {
        Ok(Self {
            directory: text(reader.get_directory())?.into(),
            terminal: reader.get_terminal(),
            open_stdin: reader.get_open_stdin(),
            max_size: reader.get_max_size(),
            max_files: reader.get_max_files(),
            mode: reader.get_mode()?.into(),
            labels: texts(reader.get_labels())?,
        })
    }

    fn write(&self, mut builder: log_spec::Builder<'_>) {
        let Self { directory, terminal, open_stdin, max_size, max_files, mode, labels } = self;
        builder.set_directory(directory.to_string_lossy());
        builder.set_terminal(*terminal);
        builder.set_open_stdin(*open_stdin);
        builder.set_max_size(*max_size);
        builder.set_max_files(*max_files);
        builder.set_mode((*mode).into());
        set_texts(builder.init_labels(length(labels)), labels);
    }
}

impl Wire for From {
    type Owned = from::Owned;

    fn read(reader: from::Reader<'_>) -> Result<Self, Failure> {
        Ok(match reader.which()? {
            from::Start(()) => Self::Start,
            from::End(()) => Self::End,
            from::LastLines(lines) => Self::LastLines(lines),
            from::Since(time) => Self::Since(time),
        })
    }

    fn write(&self, mut builder: from::Builder<'_>) {
        match self {
            Self::Start => builder.set_start(()),
            Self::End => builder.set_end(()),
            Self::LastLines(lines) => builder.set_last_lines(*lines),
            Self::Since(time) => builder.set_since(*time),
        }
    }
}

impl Wire for Total {
    type Owned = total::Owned;

    fn read(reader: total::Reader<'_>) -> Result<Self, Failure> {
        Ok(Self {
            id: text(reader.get_id())?.parse()?,
            written: reader.get_written(),
            kept: reader.get_kept(),
            dropped: reader.get_dropped(),
        })
    }

    fn write(&self, mut builder: total::Builder<'_>) {
        let Self { id, written, kept, dropped } = self;
        builder.set_id(id.as_str());
        builder.set_written(*written);
        builder.set_kept(*kept);
        builder.set_dropped(*dropped);
    }
}

impl Wire for Chunk {
    type Owned = chunk::Owned;

    fn read(reader: chunk::Reader<'_>) -> Result<Self, Failure> {
        Ok(Self {
            records: list(reader.get_records())?,
            next: reader.get_next(),
            lost: reader.get_lost(),
            ended: reader.get_ended(),
        })
    }

    fn write(&self, mut builder: chunk::Builder<'_>) {
        let Self { records, next, lost, ended } = self;
        set_list(builder.reborrow().init_records(length(records)), records);
        builder.set_next(*next);
        builder.set_lost(*lost);
        builder.set_ended(*ended);
    }
}

impl Wire for Record {
    type Owned = record::Owned;

    fn read(reader: record::Reader<'_>) -> Result<Self, Failure> {
        Ok(Self {
            at: reader.get_at(),
            stream: reader.get_stream()?.into(),
            data: reader.get_data()?.to_vec(),
            dropped: reader.get_dropped(),
        })
    }

    fn write(&self, mut builder: record::Builder<'_>) {
        let Self { at, stream, data, dropped } = self;
        builder.set_at(*at);
        builder.set_stream((*stream).into());
        builder.set_data(data);
        builder.set_dropped(*dropped);
    }
}

impl Wire for PartList {
    type Owned = part_list::Owned;

    fn read(reader: part_list::Reader<'_>) -> Result<Self, Failure> {
        Ok(Self {
            files: list(reader.get_files())?,
            parts: list(reader.get_parts())?,
            next: reader.get_next(),
            lost: reader.get_lost(),
            ended: reader.get_ended(),
        })
    }

    fn write(&self, mut builder: part_list::Builder<'_>) {
        let Self { files, parts, next, lost, ended } = self;
        set_list(builder.reborrow().init_files(length(files)), files);
        set_list(builder.reborrow().init_parts(length(parts)), parts);
        builder.set_next(*next);
        builder.set_lost(*lost);
        builder.set_ended(*ended);
    }
}

impl Wire for PartFile {
    type Owned = part_file::Owned;

    fn read(reader: part_file::Reader<'_>) -> Result<Self, Failure> {
        Ok(Self {
            path: text(reader.get_path())?.into(),
            device: reader.get_device(),
            inode: reader.get_inode(),
            packed: reader.get_packed(),
        })
    }

    fn write(&self, mut builder: part_file::Builder<'_>) {
        let Self { path, device, inode, packed } = self;
        builder.set_path(path.to_string_lossy());
        builder.set_device(*device);
        builder.set_inode(*inode);
        builder.set_packed(*packed);
    }
}

impl Wire for Part {
    type Owned = part::Owned;

    fn read(reader: part::Reader<'_>) -> Result<Self, Failure> {
        Ok(Self {
            stream: reader.get_stream()?.into(),
            file: reader.get_file(),
            offset: reader.get_offset(),
            length: reader.get_length(),
            dropped: reader.get_dropped(),
        })
    }

    fn write(&self, mut builder: part::Builder<'_>) {
        let Self { stream, file, offset, length, dropped } = self;
        builder.set_stream((*stream).into());
        builder.set_file(*file);
        builder.set_offset(*offset);
        builder.set_length(*length);
        builder.set_dropped(*dropped);
    }
}

impl core::convert::From<log_collector_capnp::Stream> for Stream {
    fn from(value: log_collector_capnp::Stream) -> Self {
        match value {
            log_collector_capnp::Stream::Stdout => Self::Stdout,
            log_collector_capnp::Stream::Stderr => Self::Stderr,
        }
    }
}

impl core::convert::From<Stream> for log_collector_capnp::Stream {
    fn from(value: Stream) -> Self {
        match value {
            Stream::Stdout => Self::Stdout,
            Stream::Stderr => Self::Stderr,
        }
    }
}

impl core::convert::From<log_collector_capnp::LogMode> for LogMode {
    fn from(value: log_collector_capnp::LogMode) -> Self {
        match value {
            log_collector_capnp::LogMode::Block => Self::Block,
            log_collector_capnp::LogMode::Drop => Self::Drop,
        }
    }
}

impl core::convert::From<LogMode> for log_collector_capnp::LogMode {
    fn from(value: LogMode) -> Self {
        match value {
            LogMode::Block => Self::Block,
            LogMode::Drop => Self::Drop,
        }
    }
}
