//! Messages of a peer: whatever comes is read or refused, and what was read is the same when it was written and read again.
#![no_main]

use capnp::message::{Builder, Reader, SegmentArray};
use schema::link::reader_options;
use schema::wire::Wire;
use schema::{common, containers, executor, filesystem, image_store, log_collector, network};

/// Reads one of these types; the first byte says which.
macro_rules! types {
    ($data:ident, $($number:literal $type:ty,)*) => {
        match $data {
            $([$number, rest @ ..] => {
                // What is left is the message's one segment, in whole words, where a reader expects it.
                let words: Vec<[u8; 8]> = rest.as_chunks().0.to_vec();
                let segments = [words.as_flattened()];
                let message = Reader::new(SegmentArray::new(&segments), reader_options());
                let Ok(Ok(value)) = message.get_root().map(<$type>::read) else { return };
                let mut again = Builder::new_default();
                value.write(again.init_root());
                assert_eq!(<$type>::read(again.get_root_as_reader().unwrap()).as_ref(), Ok(&value));
            })*
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
