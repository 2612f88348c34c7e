//! A corpus of hostile archives, each unpacked as a layer, put into a tree that exists, and imported. Each is
//! refused with the reason, or does no harm; nothing outside of the target is touched, nothing stays stored.
//!
//! What is decided here, as today's engines do: device nodes of a layer are made, and mean nothing, since all that
//! is mounted is mounted `nodev`; set-user-id is kept; names are of any bytes but zero and `/`.

use crate::archive::{Archive, layer, unpacker};
use crate::engine::{call, run};
use flate2::write::GzEncoder;
use rustix::fs::{CWD, Mode, OFlags, openat};
use schema::{Code, Failure};
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use tar::{EntryType, Header};

/// What is to happen.
#[derive(Clone, Copy, PartialEq)]
enum Then {
    /// It is refused, with this in the message.
    Refused(&'static str),
    /// It does what can be done beneath the target.
    Contained,
    /// It depends on the filesystem which of both.
    Either,
}
use Then::{Contained, Either, Refused};

struct Case {
    name: &'static str,
    /// Gets the absolute path of a file outside.
    archive: fn(&str) -> Vec<u8>,
    as_layer: Then,
    as_files: Then,
}

const fn both(name: &'static str, archive: fn(&str) -> Vec<u8>, then: Then) -> Case {
    Case { name, archive, as_layer: then, as_files: then }
}

const fn case(name: &'static str, archive: fn(&str) -> Vec<u8>, as_layer: Then, as_files: Then) -> Case {
    Case { name, archive, as_layer, as_files }
}

fn new() -> Archive {
    Archive::new()
}

fn sized(kind: EntryType, size: u64) -> Vec<u8> {
    new().add(kind, "big", b"", |header| header.set_size(size)).bytes()
}

fn field(change: fn(&mut Header)) -> Vec<u8> {
    new().add(EntryType::Regular, "f", b"data", change).bytes()
}

fn sparse(size: u64, pieces: &[(u64, u64)]) -> Vec<u8> {
    let octal = |value: u64| -> [u8; 12] {
        let text = if value < 1 << 33 { format!("{value:011o}\0").into_bytes() } else { binary(value) };
        text.try_into().unwrap()
    };
    let data = vec![b'x'; pieces.iter().map(|(_, length)| *length).sum::<u64>().min(4096) as usize];
    new()
        .add(EntryType::GNUSparse, "sparse", &data, |header| {
            let gnu = header.as_gnu_mut().unwrap();
            gnu.realsize = octal(size);
            for (slot, (offset, length)) in pieces.iter().enumerate() {
                gnu.sparse[slot].offset = octal(*offset);
                gnu.sparse[slot].numbytes = octal(*length);
            }
        })
        .bytes()
}

/// GNU's form of numbers that have too many octal digits.
fn binary(value: u64) -> Vec<u8> {
    let mut bytes = vec![0x80, 0, 0, 0];
    bytes.extend_from_slice(&value.to_be_bytes());
    bytes
}

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn attribute(name: &str, value: &[u8]) -> Vec<u8> {
    new().pax(&[(&format!("SCHILY.xattr.{name}"), value)]).file("f", "x").bytes()
}

fn damaged(at: usize, change: u8) -> Vec<u8> {
    let mut bytes = new().file("first", "x").file("second", "x").bytes();
    bytes[at] ^= change;
    bytes
}

fn cut(length: usize) -> Vec<u8> {
    new().file("first", &"x".repeat(2000)).bytes()[..length].to_vec()
}

#[rustfmt::skip] // a table
const CASES: [Case; 83] = [
    both("a name that leads above", |_| new().file("../secret/file", "x").bytes(), Refused("..")),
    both("a name that leads above later", |_| new().file("a/../../secret/file", "x").bytes(), Refused("..")),
    both("a name that is only dots", |_| new().directory("..").bytes(), Refused("..")),
    both("an absolute name with dots", |_| new().file("/../secret/file", "x").bytes(), Refused("..")),
    both("dots that lead back inside", |_| new().directory("a").file("a/../b", "x").bytes(), Refused("..")),
    both("an absolute name", |secret| new().pax(&[("path", secret.as_bytes())]).file("x", "x").bytes(), Contained),
    both("through a relative link", |_| new().symlink("out", "../secret").file("out/file", "x").bytes(), Contained),
    both("through a link far above", |_| new().symlink("out", "../../../../../..").file("out/etc/cctl-was-here", "x").bytes(), Contained),
    both("through an absolute link", |secret| new().symlink("out", parent(secret)).file("out/file", "x").bytes(), Contained),
    both("through a chain of links", |_| new().symlink("a", "b").symlink("b", "c/..").symlink("c", "../secret").file("a/file", "x").bytes(), Contained),
    both("through a link that leads nowhere yet", |_| new().symlink("new", "../secret/new").file("new/file", "x").bytes(), Contained),
    both("through a link into /proc", |_| new().symlink("p", "/proc/self/root").file("p/etc/cctl-was-here", "x").bytes(), Contained),
    both("through a link to a descriptor", |_| new().symlink("p", "/proc/self/fd/3").file("p/cctl-was-here", "x").bytes(), Contained),
    both("through links in a circle", |_| new().symlink("a", "b").symlink("b", "a").file("a/x", "x").bytes(), Refused("too many links")),
    both("onto a link to a file outside", |secret| new().symlink("f", secret).file("f", "x").bytes(), Contained),
    both("onto a dangling link", |_| new().symlink("f", "../secret/new").file("f", "x").bytes(), Contained),
    both("a device onto a link", |secret| new().symlink("f", secret).add(EntryType::Fifo, "f", b"", |_| ()).bytes(), Contained),
    case("a directory onto a link", |_| new().symlink("d", "../secret").directory("d").file("d/file", "x").bytes(), Contained, Refused("directory")),
    both("a hard link above", |_| new().hard_link("h", "../secret/file").bytes(), Refused("..")),
    both("a hard link to an absolute name", |secret| new().pax(&[("linkpath", secret.as_bytes())]).hard_link("h", "x").bytes(), Refused("not there")),
    both("a hard link through a link", |_| new().symlink("out", "../secret").hard_link("h", "out/file").bytes(), Refused("not there")),
    both("a hard link to a link, then written", |secret| new().symlink("s", secret).hard_link("h", "s").file("h", "x").bytes(), Contained),
    both("a hard link to a directory", |_| new().directory("d").hard_link("h", "d").bytes(), Refused("directory")),
    both("a hard link to nothing", |_| new().hard_link("h", "none").bytes(), Refused("not there")),
    both("a hard link to itself", |_| new().hard_link("h", "h").bytes(), Refused("not there")),
    both("a hard link to the root", |_| new().hard_link("h", "/").bytes(), Refused("")),
    both("a hard link without a target", |_| new().hard_link("h", "").bytes(), Refused("without a target")),
    both("a symbolic link without a target", |_| new().symlink("s", "").bytes(), Refused("without a target")),
    both("more hard links than there can be", |_| (0..66_000).fold(new().file("f", ""), |all, number| all.hard_link(&format!("{number}"), "f")).bytes(), Either),
    case("a whiteout of the directory above", |_| new().file(".wh...", "").bytes(), Refused("whiteout"), Contained),
    case("a whiteout of the directory itself", |_| new().file("a/.wh..", "").bytes(), Refused("whiteout"), Contained),
    case("a whiteout of nothing", |_| new().file(".wh.", "").bytes(), Refused("whiteout"), Contained),
    both("a whiteout through a link", |_| new().symlink("out", "../secret").file("out/.wh.file", "").bytes(), Contained),
    case("an opaque mark through a link", |_| new().symlink("out", "../secret").file("out/.wh..wh..opq", "").bytes(), Refused("directory is none"), Contained),
    both("an opaque mark at the root", |_| new().file(".wh..wh..opq", "").bytes(), Contained),
    both("an opaque mark that is a directory", |_| new().directory("d/.wh..wh..opq").file("d/.wh..wh..opq/x", "x").bytes(), Contained),
    case("an opaque mark in a file", |_| new().file("f", "x").file("f/.wh..wh..opq", "").bytes(), Refused("directory"), Refused("directory")),
    both("a whiteout as overlayfs has it", |_| device(EntryType::Char, 0, 0), Contained),
    both("the disk of the host", |_| device(EntryType::Block, 8, 0), Contained),
    both("the memory of the host", |_| device(EntryType::Char, 1, 1), Contained),
    both("a device without numbers", |_| new().add(EntryType::Char, "d", b"", |header| header.as_gnu_mut().unwrap().dev_major = *b"garbage!").bytes(), Refused("numbers")),
    both("a FIFO", |_| new().add(EntryType::Fifo, "f", b"", |_| ()).bytes(), Contained),
    both("an unknown type", |_| new().add(EntryType::new(b'M'), "f", b"", |_| ()).bytes(), Refused("unknown type")),
    both("a zero byte in a name", |_| new().pax(&[("path", b"a\0b")]).file("x", "x").bytes(), Refused("zero byte")),
    both("a newline and an escape in a name", |_| new().pax(&[("path", b"a\n\x1b[31m")]).file("x", "x").bytes(), Contained),
    both("a name that is not UTF-8", |_| new().pax(&[("path", b"\xff\xfe")]).file("x", "x").bytes(), Contained),
    both("a name of 256 bytes", |_| new().pax(&[("path", &[b'a'; 256])]).file("x", "x").bytes(), Refused("255")),
    both("a path of 10,000 directories", |_| new().pax(&[("path", &b"d/".repeat(10_000))]).directory("x").bytes(), Refused("4095")),
    both("10,000 directories by links", |_| deep(), Contained),
    both("the root as a file", |_| new().file("/", "x").bytes(), Refused("")),
    case("the root as a link", |_| new().symlink("/", "x").bytes(), Refused("directory"), Contained),
    both("a file in a file", |_| new().file("f", "x").file("f/g", "x").bytes(), Refused("directory is none")),
    case("a file onto a directory", |_| new().file("d/x", "x").file("d", "x").bytes(), Contained, Refused("directory")),
    case("a directory onto a file", |_| new().file("f", "x").directory("f").bytes(), Contained, Refused("directory")),
    both("the same file many times", |_| (0..500).fold(new(), |all, _| all.file("f", "x")).bytes(), Contained),
    both("an extended path above", |_| new().pax(&[("path", b"../secret/file")]).file("x", "x").bytes(), Refused("..")),
    both("an extended link above", |_| new().pax(&[("linkpath", b"../secret/file")]).hard_link("h", "x").bytes(), Refused("..")),
    both("an extended size that is too large", |_| new().pax(&[("size", b"4000000000")]).file("x", "x").bytes(), Refused("cut off")),
    both("an extended size that is too small", |_| new().pax(&[("size", b"1")]).file("x", &"x".repeat(1000)).bytes(), Refused("checksum")),
    both("an extended size that is no number", |_| new().pax(&[("size", b"-1")]).file("x", "x").bytes(), Refused("size=-1")),
    both("an extended size that overflows", |_| new().pax(&[("size", b"18446744073709551615")]).file("x", "x").bytes(), Refused("cut off")),
    both("an owner that is nobody", |_| new().pax(&[("uid", b"4294967295")]).file("x", "x").bytes(), Refused("not a user")),
    both("a time beyond all times", |_| new().pax(&[("mtime", b"9223372036854775807.999999999")]).file("x", "x").bytes(), Contained),
    both("a global header with a path", |_| new().add(EntryType::XGlobalHeader, "g", b"18 path=../secret\n", |_| ()).file("x", "x").bytes(), Contained),
    both("a damaged extended header", |_| new().add(EntryType::XHeader, "p", b"99 path=x\n", |_| ()).file("x", "x").bytes(), Refused("extended header")),
    both("an extended header of 2 MiB", |_| new().pax(&[("comment", &vec![b'x'; 2 << 20])]).file("x", "x").bytes(), Refused("more than")),
    both("an extended header without end", |_| sized(EntryType::XHeader, 1 << 60), Refused("more than")),
    both("a long name without end", |_| sized(EntryType::GNULongName, 1 << 60), Refused("more than")),
    both("a long name and nothing behind it", |_| new().add(EntryType::GNULongName, "././@LongLink", b"name\0", |_| ()).bytes(), Refused("cut off")),
    both("long names of long names", |_| (0..2000).fold(new(), |all, _| all.add(EntryType::GNULongName, "l", b"name\0", |_| ())).file("x", "x").bytes(), Contained),
    both("a size that overflows", |_| sized(EntryType::Regular, 1 << 62), Refused("cut off")),
    both("a negative size", |_| field(|header| header.as_gnu_mut().unwrap().size = [0xff; 12]), Refused("")),
    both("a size that is no number", |_| field(|header| header.as_gnu_mut().unwrap().size = *b"not a number"), Refused("damaged header")),
    both("a mode that is no number", |_| field(|header| header.as_gnu_mut().unwrap().mode = *b"rwxrwxrw"), Refused("damaged header")),
    both("a wrong checksum", |_| damaged(1024 + 20, 1), Refused("checksum")),
    both("a header that is cut off", |_| cut(700), Refused("cut off")),
    both("data that is cut off", |_| cut(1500), Refused("cut off")),
    both("sparse pieces on top of each other", |_| sparse(4096, &[(0, 1024), (512, 1024)]), Refused("sparse")),
    both("sparse pieces behind the end", |_| sparse(1024, &[(0, 512), (4096, 512)]), Refused("sparse")),
    both("sparse pieces that are not there", |_| sparse(1 << 40, &[(0, 1 << 40)]), Refused("map does not fit")),
    both("a sparse file larger than any disk", |_| sparse(1 << 62, &[(0, 512)]), Refused("cannot hold")),
    both("overlayfs's redirect", |_| attribute("trusted.overlay.redirect", b"/"), Refused("trusted.overlay")),
    both("overlayfs's opaque mark", |_| attribute("trusted.overlay.opaque", b"y"), Refused("trusted.overlay")),
];

#[rustfmt::skip] // a table
const MORE: [Case; 13] = [
    both("overlayfs's metacopy", |_| attribute("trusted.overlay.metacopy", b""), Refused("trusted.overlay")),
    both("overlayfs's user attributes, which we do not use", |_| attribute("user.overlay.opaque", b"y"), Contained),
    both("an attribute of no namespace", |_| attribute("overlay", b"y"), Contained),
    both("an attribute without a name", |_| attribute("", b"y"), Refused("not for archives")),
    both("an attribute of 300 bytes' name", |_| attribute(&format!("user.{}", "n".repeat(300)), b"y"), Refused("extended attributes")),
    both("an attribute of 70 KB", |_| attribute("user.big", &vec![b'x'; 70_000]), Refused("extended attributes")),
    both("50,000 attributes' comments", |_| new().pax(&vec![("comment", &b"x"[..]); 50_000]).file("x", "x").bytes(), Contained),
    both("nothing", |_| Vec::new(), Refused("")),
    both("an archive without a member", |_| vec![0; 1024], Contained),
    both("something that is no archive", |_| b"#!/bin/sh\necho hello\n".repeat(100), Refused("not a tar archive")),
    both("something behind the end", |_| [new().file("x", "x").bytes(), b"garbage".to_vec()].concat(), Refused("something follows")),
    both("an archive behind the end", |_| [new().file("x", "x").bytes(), new().file("../secret/file", "x").bytes()].concat(), Refused("something follows")),
    both("an entry that is far too large for its place in the header", |_| sized(EntryType::Symlink, 1 << 40), Refused("")),
];

fn parent(path: &str) -> &str {
    path.rsplit_once('/').unwrap().0
}

fn device(kind: EntryType, major: u32, minor: u32) -> Vec<u8> {
    let number = |header: &mut Header| {
        header.set_device_major(major).unwrap();
        header.set_device_minor(minor).unwrap();
    };
    new().add(kind, "device", b"", number).bytes()
}

/// Each link leads to the end of what is there, so no path is long.
fn deep() -> Vec<u8> {
    let part = "d/".repeat(1000);
    (0..10)
        .fold(new(), |all, number| {
            let (base, link) =
                (if number == 0 { String::new() } else { format!("l{number}/") }, format!("l{}", number + 1));
            let end = format!("{base}{part}");
            all.pax(&[("path", end.as_bytes())]).directory("x").pax(&[("linkpath", end.as_bytes())]).symlink(&link, "x")
        })
        .bytes()
}

/// A directory `target`, with a secret beside it.
struct Place(PathBuf);

impl Place {
    fn new() -> Self {
        let outer = tempfile::tempdir().unwrap().keep();
        fs::create_dir(outer.join("target")).unwrap();
        fs::create_dir(outer.join("secret")).unwrap();
        fs::write(outer.join("secret/file"), "secret").unwrap();
        Self(outer)
    }

    fn target(&self) -> PathBuf {
        self.0.join("target")
    }

    fn secret(&self) -> PathBuf {
        self.0.join("secret/file")
    }

    fn facts(&self) -> (Vec<String>, String, u32, u64, i64) {
        let list = |path: &Path| fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path().display().to_string());
        let mut names: Vec<String> = list(&self.0).chain(list(&self.0.join("secret"))).collect();
        names.sort();
        let found = fs::symlink_metadata(self.secret()).unwrap();
        (names, fs::read_to_string(self.secret()).unwrap(), found.mode(), found.nlink(), found.mtime())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // It may be deeper than the standard library removes.
        let status = std::process::Command::new("rm").arg("-rf").arg(&self.0).status().unwrap();
        assert!(status.success());
    }
}

fn judge(case: &Case, as_what: &str, then: Then, result: &Result<(), Failure>) {
    let name = case.name;
    match (then, result) {
        (Contained | Either, Ok(())) => {}
        (Refused(reason), Err(failure)) => {
            assert_eq!(failure.code, Code::InvalidArgument, "{name}, {as_what}: {failure}");
            assert!(failure.message.contains(reason), "{name}, {as_what}: {failure} lacks {reason:?}");
            assert!(!failure.message.chars().any(char::is_control), "{name}, {as_what}: {failure:?}");
        }
        (Either, Err(failure)) => assert_eq!(failure.code, Code::InvalidArgument, "{name}, {as_what}: {failure}"),
        (Refused(_), Ok(())) => unreachable!("{name}, {as_what}: it is accepted"),
        (Contained, Err(failure)) => unreachable!("{name}, {as_what}: {failure}"),
    }
}

fn cases() -> impl Iterator<Item = &'static Case> {
    CASES.iter().chain(&MORE)
}

#[test]
fn hostile_layers_are_refused_or_contained() {
    for case in cases() {
        let place = Place::new();
        let bytes = (case.archive)(place.secret().to_str().unwrap());
        let before = place.facts();
        let blob = tempfile::NamedTempFile::new().unwrap();
        fs::write(blob.path(), &bytes).unwrap();
        let result = unpacker().unpack(&layer(&bytes), blob.path(), &place.target());
        judge(case, "as a layer", case.as_layer, &result);
        assert_eq!(place.facts(), before, "{}", case.name);
        assert!(!Path::new("/etc/cctl-was-here").exists() && !Path::new("/cctl-was-here").exists(), "{}", case.name);
    }
}

/// The tree has links that lead out already, made by a container that wants out.
#[test]
fn hostile_archives_for_a_tree_are_refused_or_contained() {
    for case in cases() {
        let place = Place::new();
        let target = place.target();
        for name in ["existing", "existing/below"] {
            fs::create_dir(target.join(name)).unwrap();
        }
        symlink("../../../secret", target.join("existing/below/trap")).unwrap();
        symlink(parent(place.secret().to_str().unwrap()), target.join("existing/below/etc")).unwrap();
        let bytes = (case.archive)(place.secret().to_str().unwrap());
        let before = place.facts();
        let archive = tempfile::NamedTempFile::new().unwrap();
        fs::write(archive.path(), &bytes).unwrap();
        let root = openat(CWD, &target, OFlags::PATH | OFlags::DIRECTORY, Mode::empty()).unwrap();
        let result = unpacker().unpack_files(&root, "/existing/below", archive.path(), true, None);
        judge(case, "as files", case.as_files, &result);
        assert_eq!(place.facts(), before, "{}", case.name);
        assert!(!Path::new("/etc/cctl-was-here").exists() && !Path::new("/cctl-was-here").exists(), "{}", case.name);
    }
}

#[test]
fn a_hostile_archive_leaves_nothing_in_any_store() {
    run(async |engine| {
        let sandbox = crate::sandbox::Sandbox::new();
        let layers = [engine.layer(new().directory("existing/below")).await];
        engine.mount(1, &sandbox, &layers, &[]).await.unwrap();
        let kept = |directory: &str| fs::read_dir(engine.state(directory)).unwrap().count();
        let before = (kept("layers"), engine.images().await);
        for case in cases().filter(|case| matches!(case.as_layer, Refused(_))) {
            let bytes = (case.archive)("/etc/passwd");
            let upload = engine.upload(&bytes).await;
            // Some can be told only where they are unpacked.
            if let Ok(image) = engine.import(&upload).await {
                let other = crate::sandbox::Sandbox::new();
                let failure = engine.mount(2, &other, &image.layers, &[]).await.unwrap_err();
                assert_eq!(failure.code, Code::InvalidArgument, "{}: {failure}", case.name);
                assert!(!other.points().contains(&"/rootfs".to_owned()), "{}", case.name);
                engine.remove(&image).await;
                engine.filesystem.release(&call(), &crate::engine::id(2)).await.unwrap();
            }
            assert_eq!((kept("layers"), engine.images().await), before, "{}", case.name);
        }
        assert_eq!(kept("trash"), 0);
    });
}

#[test]
fn hostile_archives_do_not_get_out_of_a_container_that_runs() {
    run(async |engine| {
        let sandbox = crate::sandbox::Sandbox::new();
        let outside = tempfile::tempdir().unwrap();
        let secret = outside.path().join("file");
        fs::write(&secret, "secret").unwrap();
        let layers = vec![engine.layer(new().directory("existing")).await];
        engine.mount(1, &sandbox, &layers, &[]).await.unwrap();
        symlink(outside.path(), sandbox.path("existing/trap")).unwrap();
        let files = crate::copying::Files { engine, layers, sandbox: Some(sandbox) };
        for case in cases().filter(|case| case.name != "more hard links than there can be") {
            let bytes = (case.archive)(secret.to_str().unwrap());
            if bytes.is_empty() {
                continue;
            }
            let result = files.extract("/existing", &bytes, true).await;
            assert!(
                result.as_ref().is_ok() || result.as_ref().is_err_and(|failure| failure.code == Code::InvalidArgument),
                "{}: {result:?}",
                case.name
            );
            let names: Vec<_> = fs::read_dir(outside.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            assert_eq!(
                (names, fs::read_to_string(&secret).unwrap()),
                (vec!["file".into()], "secret".into()),
                "{}",
                case.name
            );
            assert_eq!(fs::metadata(&secret).unwrap().nlink(), 1, "{}", case.name);
        }
    });
}

#[test]
fn an_archive_is_not_what_its_label_says() {
    let plain = new().file("x", "x").bytes();
    for (label, bytes) in [("+gzip", plain.clone()), ("+zstd", gzip(&plain)), ("", gzip(&plain))] {
        let place = Place::new();
        let blob = tempfile::NamedTempFile::new().unwrap();
        fs::write(blob.path(), &bytes).unwrap();
        let mut layer = layer(&bytes);
        layer.media_type.push_str(label);
        let failure = unpacker().unpack(&layer, blob.path(), &place.target()).unwrap_err();
        assert_eq!(failure.code, Code::InvalidArgument, "{label}: {failure}");
    }
}

#[test]
fn an_archive_that_grows_without_end_is_refused() {
    // 2 GiB of zeros, in some 70 KB.
    let size = 2_u64 << 30;
    let mut header = sized(EntryType::Regular, size);
    header.truncate(512);
    let bomb = zstd::encode_all(header.as_slice().chain(std::io::repeat(0).take(size + 1024)), 1).unwrap();
    assert!(bomb.len() < 1 << 20);
    let place = Place::new();
    let archive = tempfile::NamedTempFile::new().unwrap();
    fs::write(archive.path(), &bomb).unwrap();
    let root = openat(CWD, place.target(), OFlags::PATH | OFlags::DIRECTORY, Mode::empty()).unwrap();
    let failure = unpacker().unpack_files(&root, "/", archive.path(), true, None).unwrap_err();
    assert_eq!(failure.code, Code::InvalidArgument);
    assert!(failure.message.contains("does not justify"), "{failure}");
    assert_eq!(fs::read_dir(place.target()).unwrap().count(), 0);
}
