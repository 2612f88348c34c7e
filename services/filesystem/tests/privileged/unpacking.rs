//! What layers mean.

use crate::archive::{Archive, digest, layer, unpack_as};
use flate2::write::GzEncoder;
use schema::Code;
use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use tar::EntryType;

fn xattr(path: &Path, name: &str) -> Option<Vec<u8>> {
    let mut value = Vec::with_capacity(1000);
    rustix::fs::lgetxattr(path, name, rustix::buffer::spare_capacity(&mut value)).ok().map(|_| value)
}

fn is_whiteout(path: &Path) -> bool {
    let metadata = fs::symlink_metadata(path).unwrap();
    metadata.file_type().is_char_device() && metadata.rdev() == 0
}

fn is_opaque(path: &Path) -> bool {
    xattr(path, "trusted.overlay.opaque").as_deref() == Some(b"y")
}

#[test]
fn owners_modes_and_times_are_kept_whatever_the_umask() {
    let unpacked = Archive::new()
        .add(EntryType::Directory, "d", b"", |header| {
            header.set_mode(0o1777);
            header.set_uid(1000);
        })
        .add(EntryType::Regular, "d/setuid", b"x", |header| {
            header.set_mode(0o6755);
            header.set_uid(100);
            header.set_gid(3_000_000_000);
        })
        .symlink("d/link", "nowhere")
        .directory("./")
        .unpack();
    unpacked.result.as_ref().unwrap();
    let directory = fs::metadata(unpacked.path("d")).unwrap();
    assert_eq!((directory.mode() & 0o7777, directory.uid(), directory.mtime()), (0o1777, 1000, 1_000_000_000));
    let file = fs::metadata(unpacked.path("d/setuid")).unwrap();
    assert_eq!((file.mode() & 0o7777, file.uid(), file.gid()), (0o6755, 100, 3_000_000_000));
    assert_eq!(file.mtime(), 1_000_000_000);
    assert_eq!(fs::symlink_metadata(unpacked.path("d/link")).unwrap().mtime(), 1_000_000_000);
    assert_eq!(fs::metadata(unpacked.path("")).unwrap().mtime(), 1_000_000_000);
}

#[test]
fn devices_and_fifos_are_made() {
    let device = |header: &mut tar::Header| {
        header.set_device_major(1).unwrap();
        header.set_device_minor(3).unwrap();
    };
    let unpacked = Archive::new()
        .add(EntryType::Char, "null", b"", device)
        .add(EntryType::Block, "disk", b"", device)
        .add(EntryType::Fifo, "fifo", b"", |_| ())
        .unpack();
    unpacked.result.as_ref().unwrap();
    let null = fs::metadata(unpacked.path("null")).unwrap();
    assert!(null.file_type().is_char_device() && null.rdev() == rustix::fs::makedev(1, 3));
    assert!(fs::metadata(unpacked.path("disk")).unwrap().file_type().is_block_device());
    assert!(fs::metadata(unpacked.path("fifo")).unwrap().file_type().is_fifo());
}

#[test]
fn extended_attributes_survive_with_any_value() {
    let capability = [1, 0, 0, 2, 0, 4, b'\n', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let unpacked = Archive::new()
        .pax(&[("SCHILY.xattr.security.capability", &capability), ("SCHILY.xattr.user.note", b"a\nb")])
        .file("ping", "x")
        .unpack();
    unpacked.result.as_ref().unwrap();
    assert_eq!(xattr(&unpacked.path("ping"), "security.capability").unwrap(), capability);
    assert_eq!(xattr(&unpacked.path("ping"), "user.note").unwrap(), b"a\nb");
}

#[test]
fn names_may_be_long_and_of_any_bytes() {
    let odd = b"caf\xe9\n\xff";
    let long = "d/".repeat(400) + "end";
    let unpacked = Archive::new()
        .pax(&[("path", odd)])
        .file("x", "odd")
        .pax(&[("path", long.as_bytes())])
        .file("x", "long")
        .unpack();
    unpacked.result.as_ref().unwrap();
    assert_eq!(fs::read(unpacked.path("").join(OsStr::from_bytes(odd))).unwrap(), b"odd");
    assert_eq!(unpacked.read(&long), "long");
}

#[test]
fn whiteouts_hide_lower_layers_only() {
    let unpacked = Archive::new()
        .file("a/.wh.gone", "")
        .file("here", "kept")
        .file(".wh.here", "")
        .directory("dir-first")
        .file("dir-first/x", "x")
        .file(".wh.dir-first", "")
        .file(".wh.white-first", "")
        .file("white-first/x", "x")
        .file("opaque/.wh..wh..opq", "")
        .file(".wh..wh.plnk", "")
        .unpack();
    unpacked.result.as_ref().unwrap();
    assert!(is_whiteout(&unpacked.path("a/gone")));
    assert_eq!(unpacked.read("here"), "kept");
    for opaque in ["dir-first", "white-first", "opaque"] {
        assert!(is_opaque(&unpacked.path(opaque)), "{opaque}");
    }
    assert_eq!(unpacked.read("white-first/x"), "x");
    assert!(!unpacked.path(".wh..wh.plnk").exists());
}

#[test]
fn the_last_of_one_name_counts() {
    let unpacked = Archive::new()
        .directory("d")
        .file("d/deep/x", "x")
        .file("d", "now a file")
        .file("f", "file")
        .directory("f")
        .file("f/x", "in")
        .file("same", "1")
        .hard_link("same", "same")
        .file("linked", "2")
        .hard_link("same", "linked")
        .unpack();
    unpacked.result.as_ref().unwrap();
    assert_eq!(unpacked.read("d"), "now a file");
    assert_eq!(unpacked.read("f/x"), "in");
    assert_eq!(unpacked.read("same"), "2");
}

#[test]
fn sparse_files_have_their_holes() {
    let data = "x".repeat(512) + &"y".repeat(512);
    let unpacked = Archive::new()
        .add(EntryType::GNUSparse, "sparse", data.as_bytes(), |header| {
            let octal = |value: u64| -> [u8; 12] { format!("{value:011o}\0").into_bytes().try_into().unwrap() };
            let gnu = header.as_gnu_mut().unwrap();
            gnu.realsize = octal(10_000_000);
            for (slot, offset) in [0, 5_000_000].into_iter().enumerate() {
                gnu.sparse[slot].offset = octal(offset);
                gnu.sparse[slot].numbytes = octal(512);
            }
        })
        .unpack();
    unpacked.result.as_ref().unwrap();
    let content = fs::read(unpacked.path("sparse")).unwrap();
    assert_eq!(content.len(), 10_000_000);
    assert!(content[..512].iter().all(|byte| *byte == b'x'));
    assert!(content[5_000_000..5_000_512].iter().all(|byte| *byte == b'y'));
    assert_eq!(content.iter().filter(|byte| **byte != 0).count(), 1024);
    assert!(fs::metadata(unpacked.path("sparse")).unwrap().blocks() < 1000);
}

#[test]
fn a_blob_that_is_not_what_was_promised_is_corrupt() {
    let good = Archive::new().file("a", "1").bytes();
    let other = Archive::new().file("a", "2").bytes();
    let failure = unpack_as(&layer(&good), &other).result.unwrap_err();
    assert_eq!(failure.code, Code::Corrupt, "{failure}");
    let failure = unpack_as(&layer(&good), &good[..700]).result.unwrap_err();
    assert_eq!(failure.code, Code::Corrupt, "{failure}");
}

#[test]
fn compressed_layers_are_checked_by_their_content() {
    let plain = Archive::new().file("a", "1").bytes();
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(&plain).unwrap();
    let packed = encoder.finish().unwrap();
    let mut compressed = layer(&packed);
    compressed.media_type.push_str("+gzip");
    assert_eq!(unpack_as(&compressed, &packed).result.unwrap_err().code, Code::Corrupt);
    compressed.diff_id = digest(&plain);
    unpack_as(&compressed, &packed).result.unwrap();
    compressed.media_type = "text/plain".to_owned();
    assert_eq!(unpack_as(&compressed, &packed).result.unwrap_err().code, Code::Unimplemented);
}
