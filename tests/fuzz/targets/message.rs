//! Messages of a peer: whatever comes is read or refused, and what was read is the same when it was written and read again.
#![no_main]

use capnp::message::Builder;
use capnp::serialize::read_message_from_flat_slice;
use schema::link::reader_options;
use schema::wire::Wire;
use schema::{common, containers, executor, filesystem, image_store, log_collector, network};

fn bears<T: Wire + PartialEq + std::fmt::Debug>(mut data: &[u8]) {
    let Ok(message) = read_message_from_flat_slice(&mut data, reader_options()) else { return };
    let Ok(root) = message.get_root() else { return };
    let Ok(value) = T::read(root) else { return };
    let mut again = Builder::new_default();
    value.write(again.init_root());
    assert_eq!(T::read(again.get_root_as_reader().unwrap()).as_ref(), Ok(&value));
}

/// The first byte says which type it is.
macro_rules! types {
    ($data:ident, $($number:literal $type:ty,)*) => {
        match $data {
            $([$number, rest @ ..] => bears::<$type>(rest),)*
            _ => {}
        }
    };
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    types! {
        data,
        0 containers::ContainerSpec,
        1 containers::ExecSpec,
        2 containers::CommitSpec,
        3 containers::RestartPolicy,
        4 executor::SandboxSpec,
        5 executor::ProcessSpec,
        6 executor::ExecSpec,
        7 filesystem::MountSpec,
        8 filesystem::Names,
        9 filesystem::Place,
        10 filesystem::ArchiveRequest,
        11 filesystem::ExtractRequest,
        12 image_store::ImportRequest,
        13 image_store::Credentials,
        14 image_store::PullRequest,
        15 image_store::PushRequest,
        16 image_store::FetchRequest,
        17 image_store::CommitRequest,
        18 image_store::Lease,
        19 log_collector::LogSpec,
        20 log_collector::From,
        21 network::AttachSpec,
        22 common::SandboxRef,
        23 common::Layer,
        24 common::Volume,
        25 common::PortBinding,
        26 common::Limits,
        27 containers::Container,
        28 executor::Stats,
        29 filesystem::ChangeList,
        30 image_store::Image,
        31 image_store::Transfer,
        32 log_collector::Chunk,
        33 containers::EventList,
    }
});
