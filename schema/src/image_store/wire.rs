//! Conversions of `image-store.capnp`.

use super::model::{
    Blob, CommitRequest, Credentials, Description, FetchRequest, HistoryStep, Image, ImageConfig, ImportRequest, Lease,
    PullRequest, PushRequest, Removed, SavedPart, Transfer, TransferItem, TransferProgress, TransferResult,
    TransferStatus,
};
use crate::Failure;
use crate::bindings::image_store_capnp::{self, blob, image, image_config, import_request, transfer};
use crate::wire::{Wire, length, list, optional, set_list, set_texts, text, texts};

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
            manifest: text(reader.get_manifest())?.parse()?,
            repository_digests: texts(reader.get_repository_digests())?,
            parent: optional(&text(reader.get_parent())?)?,
            container: optional(&text(reader.get_container())?)?,
            author: text(reader.get_author())?,
            holders: texts(reader.get_holders())?,
        })
    }

    fn write(&self, mut builder: image::Builder<'_>) {
        let Self {
            id,
            references,
            created_at,
            size,
            layers,
            config,
            manifest,
            repository_digests,
            parent,
            container,
            author,
            holders,
        } = self;
        builder.set_id(id.as_str());
        set_texts(builder.reborrow().init_references(length(references)), references);
        builder.set_created_at(*created_at);
        builder.set_size(*size);
        set_list(builder.reborrow().init_layers(length(layers)), layers);
        config.write(builder.reborrow().init_config());
        builder.set_manifest(manifest.as_str());
        set_texts(builder.reborrow().init_repository_digests(length(repository_digests)), repository_digests);
        if let Some(parent) = parent {
            builder.set_parent(parent.as_str());
        }
        if let Some(container) = container {
            builder.set_container(container.as_str());
        }
        builder.set_author(author);
        set_texts(builder.init_holders(length(holders)), holders);
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
            labels: texts(reader.get_labels())?,
            exposed_ports: texts(reader.get_exposed_ports())?,
            volumes: texts(reader.get_volumes())?,
            variant: text(reader.get_variant())?,
        })
    }

    fn write(&self, mut builder: image_config::Builder<'_>) {
        let Self {
            environment,
            entrypoint,
            command,
            working_directory,
            user,
            stop_signal,
            architecture,
            os,
            comment,
            labels,
            exposed_ports,
            volumes,
            variant,
        } = self;
        set_texts(builder.reborrow().init_environment(length(environment)), environment);
        set_texts(builder.reborrow().init_entrypoint(length(entrypoint)), entrypoint);
        set_texts(builder.reborrow().init_command(length(command)), command);
        builder.set_working_directory(working_directory);
        builder.set_user(user);
        builder.set_stop_signal(stop_signal);
        builder.set_architecture(architecture);
        builder.set_os(os);
        builder.set_comment(comment);
        set_texts(builder.reborrow().init_labels(length(labels)), labels);
        set_texts(builder.reborrow().init_exposed_ports(length(exposed_ports)), exposed_ports);
        set_texts(builder.reborrow().init_volumes(length(volumes)), volumes);
        builder.set_variant(variant);
    }
}

impl Wire for ImportRequest {
    type Owned = import_request::Owned;

    fn read(reader: import_request::Reader<'_>) -> Result<Self, Failure> {
        Ok(Self {
            reference: text(reader.get_reference())?,
            source: text(reader.get_source())?,
            message: text(reader.get_message())?,
            changes: texts(reader.get_changes())?,
            platform: text(reader.get_platform())?,
        })
    }

    fn write(&self, mut builder: import_request::Builder<'_>) {
        let Self { reference, source, message, changes, platform } = self;
        builder.set_reference(reference);
        builder.set_source(source);
        builder.set_message(message);
        set_texts(builder.reborrow().init_changes(length(changes)), changes);
        builder.set_platform(platform);
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

impl From<image_store_capnp::TransferStatus> for TransferStatus {
    fn from(value: image_store_capnp::TransferStatus) -> Self {
        match value {
            image_store_capnp::TransferStatus::Waiting => Self::Waiting,
            image_store_capnp::TransferStatus::Transferring => Self::Transferring,
            image_store_capnp::TransferStatus::Verifying => Self::Verifying,
            image_store_capnp::TransferStatus::Retrying => Self::Retrying,
            image_store_capnp::TransferStatus::Exists => Self::Exists,
            image_store_capnp::TransferStatus::Mounted => Self::Mounted,
            image_store_capnp::TransferStatus::Done => Self::Done,
        }
    }
}

impl From<TransferStatus> for image_store_capnp::TransferStatus {
    fn from(value: TransferStatus) -> Self {
        match value {
            TransferStatus::Waiting => Self::Waiting,
            TransferStatus::Transferring => Self::Transferring,
            TransferStatus::Verifying => Self::Verifying,
            TransferStatus::Retrying => Self::Retrying,
            TransferStatus::Exists => Self::Exists,
            TransferStatus::Mounted => Self::Mounted,
            TransferStatus::Done => Self::Done,
        }
    }
}

impl Wire for Credentials {
    type Owned = image_store_capnp::credentials::Owned;

    fn read(reader: image_store_capnp::credentials::Reader<'_>) -> Result<Self, Failure> {
        Ok(Self {
            user: text(reader.get_user())?,
            password: text(reader.get_password())?,
            identity_token: text(reader.get_identity_token())?,
        })
    }

    fn write(&self, mut builder: image_store_capnp::credentials::Builder<'_>) {
        let Self { user, password, identity_token } = self;
        builder.set_user(user);
        builder.set_password(password);
        builder.set_identity_token(identity_token);
    }
}

impl Wire for PullRequest {
    type Owned = image_store_capnp::pull_request::Owned;

    fn read(reader: image_store_capnp::pull_request::Reader<'_>) -> Result<Self, Failure> {
        Ok(Self {
            transfer: text(reader.get_transfer())?,
            reference: text(reader.get_reference())?,
            platform: text(reader.get_platform())?,
            all_tags: reader.get_all_tags(),
            credentials: Credentials::read(reader.get_credentials()?)?,
        })
    }

    fn write(&self, mut builder: image_store_capnp::pull_request::Builder<'_>) {
        let Self { transfer, reference, platform, all_tags, credentials } = self;
        builder.set_transfer(transfer);
        builder.set_reference(reference);
        builder.set_platform(platform);
        builder.set_all_tags(*all_tags);
        credentials.write(builder.reborrow().init_credentials());
    }
}

impl Wire for PushRequest {
    type Owned = image_store_capnp::push_request::Owned;

    fn read(reader: image_store_capnp::push_request::Reader<'_>) -> Result<Self, Failure> {
        Ok(Self {
            transfer: text(reader.get_transfer())?,
            reference: text(reader.get_reference())?,
            all_tags: reader.get_all_tags(),
            credentials: Credentials::read(reader.get_credentials()?)?,
        })
    }

    fn write(&self, mut builder: image_store_capnp::push_request::Builder<'_>) {
        let Self { transfer, reference, all_tags, credentials } = self;
        builder.set_transfer(transfer);
        builder.set_reference(reference);
        builder.set_all_tags(*all_tags);
        credentials.write(builder.reborrow().init_credentials());
    }
}

impl Wire for FetchRequest {
    type Owned = image_store_capnp::fetch_request::Owned;

    fn read(reader: image_store_capnp::fetch_request::Reader<'_>) -> Result<Self, Failure> {
        Ok(Self {
            transfer: text(reader.get_transfer())?,
            url: text(reader.get_url())?,
            upload: text(reader.get_upload())?,
        })
    }

    fn write(&self, mut builder: image_store_capnp::fetch_request::Builder<'_>) {
        let Self { transfer, url, upload } = self;
        builder.set_transfer(transfer);
        builder.set_url(url);
        builder.set_upload(upload);
    }
}

impl Wire for TransferItem {
    type Owned = image_store_capnp::transfer_item::Owned;

    fn read(reader: image_store_capnp::transfer_item::Reader<'_>) -> Result<Self, Failure> {
        Ok(Self {
            title: text(reader.get_title())?,
            status: reader.get_status()?.into(),
            current: reader.get_current(),
            total: reader.get_total(),
            note: text(reader.get_note())?,
        })
    }

    fn write(&self, mut builder: image_store_capnp::transfer_item::Builder<'_>) {
        let Self { title, status, current, total, note } = self;
        builder.set_title(title);
        builder.set_status((*status).into());
        builder.set_current(*current);
        builder.set_total(*total);
        builder.set_note(note);
    }
}

impl Wire for TransferResult {
    type Owned = image_store_capnp::transfer_result::Owned;

    fn read(reader: image_store_capnp::transfer_result::Reader<'_>) -> Result<Self, Failure> {
        Ok(Self {
            images: list(reader.get_images())?,
            digest: text(reader.get_digest())?,
            size: reader.get_size(),
            up_to_date: reader.get_up_to_date(),
            pushed: texts(reader.get_pushed())?,
            skipped: texts(reader.get_skipped())?,
        })
    }

    fn write(&self, mut builder: image_store_capnp::transfer_result::Builder<'_>) {
        let Self { images, digest, size, up_to_date, pushed, skipped } = self;
        set_list(builder.reborrow().init_images(length(images)), images);
        builder.set_digest(digest);
        builder.set_size(*size);
        builder.set_up_to_date(*up_to_date);
        set_texts(builder.reborrow().init_pushed(length(pushed)), pushed);
        set_texts(builder.reborrow().init_skipped(length(skipped)), skipped);
    }
}

impl Wire for Removed {
    type Owned = image_store_capnp::removed::Owned;

    fn read(reader: image_store_capnp::removed::Reader<'_>) -> Result<Self, Failure> {
        Ok(Self {
            untagged: texts(reader.get_untagged())?,
            deleted: texts(reader.get_deleted())?,
            freed: reader.get_freed(),
        })
    }

    fn write(&self, mut builder: image_store_capnp::removed::Builder<'_>) {
        let Self { untagged, deleted, freed } = self;
        set_texts(builder.reborrow().init_untagged(length(untagged)), untagged);
        set_texts(builder.reborrow().init_deleted(length(deleted)), deleted);
        builder.set_freed(*freed);
    }
}

impl Wire for HistoryStep {
    type Owned = image_store_capnp::history_step::Owned;

    fn read(reader: image_store_capnp::history_step::Reader<'_>) -> Result<Self, Failure> {
        Ok(Self {
            image: text(reader.get_image())?,
            created_at: reader.get_created_at(),
            created_by: text(reader.get_created_by())?,
            size: reader.get_size(),
            comment: text(reader.get_comment())?,
            references: texts(reader.get_references())?,
        })
    }

    fn write(&self, mut builder: image_store_capnp::history_step::Builder<'_>) {
        let Self { image, created_at, created_by, size, comment, references } = self;
        builder.set_image(image);
        builder.set_created_at(*created_at);
        builder.set_created_by(created_by);
        builder.set_size(*size);
        builder.set_comment(comment);
        set_texts(builder.reborrow().init_references(length(references)), references);
    }
}

impl Wire for Description {
    type Owned = image_store_capnp::description::Owned;

    fn read(reader: image_store_capnp::description::Reader<'_>) -> Result<Self, Failure> {
        Ok(Self {
            configuration: reader.get_configuration()?.to_vec(),
            manifest: reader.get_manifest()?.to_vec(),
            media_type: text(reader.get_media_type())?,
        })
    }

    fn write(&self, mut builder: image_store_capnp::description::Builder<'_>) {
        let Self { configuration, manifest, media_type } = self;
        builder.set_configuration(configuration);
        builder.set_manifest(manifest);
        builder.set_media_type(media_type);
    }
}

impl Wire for CommitRequest {
    type Owned = image_store_capnp::commit_request::Owned;

    fn read(reader: image_store_capnp::commit_request::Reader<'_>) -> Result<Self, Failure> {
        Ok(Self {
            base: text(reader.get_base())?.parse()?,
            reference: text(reader.get_reference())?,
            message: text(reader.get_message())?,
            author: text(reader.get_author())?,
            container: text(reader.get_container())?.parse()?,
            command: texts(reader.get_command())?,
            config: ImageConfig::read(reader.get_config()?)?,
            changes: texts(reader.get_changes())?,
        })
    }

    fn write(&self, mut builder: image_store_capnp::commit_request::Builder<'_>) {
        let Self { base, reference, message, author, container, command, config, changes } = self;
        builder.set_base(base.as_str());
        builder.set_reference(reference);
        builder.set_message(message);
        builder.set_author(author);
        builder.set_container(container.as_str());
        set_texts(builder.reborrow().init_command(length(command)), command);
        config.write(builder.reborrow().init_config());
        set_texts(builder.reborrow().init_changes(length(changes)), changes);
    }
}

impl Wire for SavedPart {
    type Owned = image_store_capnp::saved_part::Owned;

    fn read(reader: image_store_capnp::saved_part::Reader<'_>) -> Result<Self, Failure> {
        Ok(Self { data: reader.get_data()?.to_vec(), total: reader.get_total() })
    }

    fn write(&self, mut builder: image_store_capnp::saved_part::Builder<'_>) {
        let Self { data, total } = self;
        builder.set_data(data);
        builder.set_total(*total);
    }
}

impl Wire for Lease {
    type Owned = image_store_capnp::lease::Owned;

    fn read(reader: image_store_capnp::lease::Reader<'_>) -> Result<Self, Failure> {
        Ok(Self { holder: text(reader.get_holder())?, image: text(reader.get_image())?.parse()? })
    }

    fn write(&self, mut builder: image_store_capnp::lease::Builder<'_>) {
        let Self { holder, image } = self;
        builder.set_holder(holder);
        builder.set_image(image.as_str());
    }
}

impl Wire for Transfer {
    type Owned = transfer::Owned;

    fn read(reader: transfer::Reader<'_>) -> Result<Self, Failure> {
        Ok(Self {
            version: reader.get_version(),
            items: list(reader.get_items())?,
            progress: match reader.which()? {
                transfer::Running(()) => TransferProgress::Running,
                transfer::Done(result) => TransferProgress::Done(Box::new(TransferResult::read(result?)?)),
                transfer::Failed(failure) => TransferProgress::Failed(Failure::read(failure?)?),
            },
        })
    }

    fn write(&self, mut builder: transfer::Builder<'_>) {
        let Self { version, items, progress } = self;
        builder.set_version(*version);
        set_list(builder.reborrow().init_items(length(items)), items);
        match progress {
            TransferProgress::Running => builder.set_running(()),
            TransferProgress::Done(result) => result.write(builder.init_done()),
            TransferProgress::Failed(failure) => failure.write(builder.init_failed()),
        }
    }
}
