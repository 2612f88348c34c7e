//! Conversions of `image-store.capnp`.

use super::model::{Blob, Image, ImageConfig, ImportRequest};
use crate::Failure;
use crate::bindings::image_store_capnp::{blob, image, image_config, import_request};
use crate::wire::{Wire, length, list, set_list, set_texts, text, texts};

impl Wire for Image {
    type Owned = image::Owned;

    fn read(reader: image::Reader<'_>) -> Result<Self, Failure> {
        Ok(Self {
            id: text(reader.get_id())?.parse()?,
            references: texts(reader.get_references())?,
            created_at: reader.get_created_at(),
            size: reader.get_size(),
            layers: list(reader.get_layers())?,
            config: ImageConfig::read(reader.get_config()?)?,
        })
    }

    fn write(&self, mut builder: image::Builder<'_>) {
        let Self { id, references, created_at, size, layers, config } = self;
        builder.set_id(id.as_str());
        set_texts(builder.reborrow().init_references(length(references)), references);
        builder.set_created_at(*created_at);
        builder.set_size(*size);
        set_list(builder.reborrow().init_layers(length(layers)), layers);
        config.write(builder.init_config());
    }
}

impl Wire for ImageConfig {
    type Owned = image_config::Owned;

    fn read(reader: image_config::Reader<'_>) -> Result<Self, Failure> {
        Ok(Self {
            environment: texts(reader.get_environment())?,
            entrypoint: texts(reader.get_entrypoint())?,
            command: texts(reader.get_command())?,
            working_directory: text(reader.get_working_directory())?,
            user: text(reader.get_user())?,
            stop_signal: text(reader.get_stop_signal())?,
            architecture: text(reader.get_architecture())?,
            os: text(reader.get_os())?,
            comment: text(reader.get_comment())?,
        })
    }

    fn write(&self, mut builder: image_config::Builder<'_>) {
        let Self { environment, entrypoint, command, working_directory, user, stop_signal, architecture, os, comment } =
            self;
        set_texts(builder.reborrow().init_environment(length(environment)), environment);
        set_texts(builder.reborrow().init_entrypoint(length(entrypoint)), entrypoint);
        set_texts(builder.reborrow().init_command(length(command)), command);
        builder.set_working_directory(working_directory);
        builder.set_user(user);
        builder.set_stop_signal(stop_signal);
        builder.set_architecture(architecture);
        builder.set_os(os);
        builder.set_comment(comment);
    }
}

impl Wire for ImportRequest {
    type Owned = import_request::Owned;

    fn read(reader: import_request::Reader<'_>) -> Result<Self, Failure> {
        Ok(Self { reference: text(reader.get_reference())?, source: text(reader.get_source())? })
    }

    fn write(&self, mut builder: import_request::Builder<'_>) {
        let Self { reference, source } = self;
        builder.set_reference(reference);
        builder.set_source(source);
    }
}

impl Wire for Blob {
    type Owned = blob::Owned;

    fn read(reader: blob::Reader<'_>) -> Result<Self, Failure> {
        Ok(Self { path: text(reader.get_path())?.into(), size: reader.get_size() })
    }

    fn write(&self, mut builder: blob::Builder<'_>) {
        let Self { path, size } = self;
        builder.set_path(path.to_string_lossy());
        builder.set_size(*size);
    }
}
