//! Headers of members, as pax(1) describes them: ustar, and an extended header where ustar cannot say it.

use crate::source::BLOCK;
use crate::{Kind, Member};
use std::os::unix::ffi::OsStrExt;
use tar::{EntryType, Header};

/// The name of an extended header itself; nobody reads it.
const EXTENDED_NAME: &[u8] = b"PaxHeaders/0";
const SHORT_NAME: usize = 100;
/// What fits into the octal digits of a field: 7 for owners, 11 for sizes and times.
const LARGEST_OWNER: u32 = 0o7_777_777;
const LARGEST_NUMBER: u64 = 0o77_777_777_777;

/// The blocks that precede a member's data. Its data is `member.size` bytes for a [`Kind::File`], then
/// [`padding`], and nothing for any other kind; a sparse member is written as a plain file.
pub fn header(member: &Member) -> Vec<u8> {
    let mut records = Vec::new();
    let mut header = Header::new_ustar();
    let name = name_of(member);
    let (kind, link, device) = match &member.kind {
        Kind::File | Kind::Sparse(_) => (EntryType::Regular, &b""[..], None),
        Kind::Directory => (EntryType::Directory, &b""[..], None),
        Kind::Symlink(target) => (EntryType::Symlink, target.as_slice(), None),
        Kind::HardLink(target) => (EntryType::Link, target.as_os_str().as_bytes(), None),
        Kind::Character(major, minor) => (EntryType::Char, &b""[..], Some((*major, *minor))),
        Kind::Block(major, minor) => (EntryType::Block, &b""[..], Some((*major, *minor))),
        Kind::Fifo => (EntryType::Fifo, &b""[..], None),
    };
    header.set_entry_type(kind);
    header.set_mode(member.mode);
    if let Some(ustar) = header.as_ustar_mut() {
        text(&mut ustar.name, &name, b"path", &mut records);
        text(&mut ustar.linkname, link, b"linkpath", &mut records);
    }
    owner(member.uid, b"uid", &mut records, |uid| header.set_uid(uid));
    owner(member.gid, b"gid", &mut records, |gid| header.set_gid(gid));
    let size = if kind == EntryType::Regular { member.size } else { 0 };
    header.set_size(if size > LARGEST_NUMBER { 0 } else { size });
    if size > LARGEST_NUMBER {
        record(&mut records, b"size", size.to_string().as_bytes());
    }
    let (seconds, nanoseconds) = member.mtime;
    let whole = u64::try_from(seconds).ok().filter(|seconds| *seconds <= LARGEST_NUMBER);
    header.set_mtime(whole.unwrap_or(0));
    if whole.is_none() || nanoseconds > 0 {
        record(&mut records, b"mtime", decimal(seconds, nanoseconds).as_bytes());
    }
    if let Some((major, minor)) = device {
        // Linux has 12 and 20 bits for them: they fit.
        let _fits = header.set_device_major(major).and_then(|()| header.set_device_minor(minor));
    }
    for (name, value) in &member.xattrs {
        record(&mut records, &[b"SCHILY.xattr.", name.as_slice()].concat(), value);
    }
    header.set_cksum();
    let mut blocks = extended(&records, member);
    blocks.extend_from_slice(header.as_bytes());
    blocks
}

/// The zeros between `size` bytes of data and the next header.
pub fn padding(size: u64) -> &'static [u8] {
    const ZEROS: [u8; BLOCK] = [0; BLOCK];
    let over = (size % BLOCK as u64) as usize;
    if over == 0 { &[] } else { &ZEROS[over..] }
}

/// What ends an archive.
pub const END: [u8; 2 * BLOCK] = [0; 2 * BLOCK];

fn name_of(member: &Member) -> Vec<u8> {
    let mut name = member.path.as_os_str().as_bytes().to_vec();
    if member.path.is_root() {
        name.push(b'.');
    }
    if member.kind == Kind::Directory {
        name.push(b'/');
    }
    name
}

fn text(field: &mut [u8; SHORT_NAME], value: &[u8], key: &[u8], records: &mut Vec<u8>) {
    let fits = value.len().min(SHORT_NAME);
    field[..fits].copy_from_slice(&value[..fits]);
    if value.len() > SHORT_NAME || !value.is_ascii() {
        record(records, key, value);
    }
}

fn owner(id: u32, key: &[u8], records: &mut Vec<u8>, set: impl FnOnce(u64)) {
    let fits = id <= LARGEST_OWNER;
    set(if fits { id.into() } else { 0 });
    if !fits {
        record(records, key, id.to_string().as_bytes());
    }
}

/// Seconds rounded down and nanoseconds, as a decimal number.
fn decimal(seconds: i64, nanoseconds: u32) -> String {
    let total = i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds);
    let sign = if total < 0 { "-" } else { "" };
    let text = format!("{sign}{}.{:09}", total.unsigned_abs() / 1_000_000_000, total.unsigned_abs() % 1_000_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// `length key=value\n`, where the length counts itself.
fn record(records: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    records.extend_from_slice(format!("{length} ").as_bytes());
    records.extend_from_slice(key);
    records.push(b'=');
    records.extend_from_slice(value);
    records.push(b'\n');
}

fn extended(records: &[u8], member: &Member) -> Vec<u8> {
    if records.is_empty() {
        return Vec::new();
    }
    let mut header = Header::new_ustar();
    header.set_entry_type(EntryType::XHeader);
    if let Some(ustar) = header.as_ustar_mut() {
        ustar.name[..EXTENDED_NAME.len()].copy_from_slice(EXTENDED_NAME);
    }
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(u64::try_from(member.mtime.0).unwrap_or(0).min(LARGEST_NUMBER));
    header.set_size(records.len() as u64);
    header.set_cksum();
    let mut blocks = header.as_bytes().to_vec();
    blocks.extend_from_slice(records);
    blocks.extend_from_slice(padding(records.len() as u64));
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MemberPath, Members};
    use proptest::prelude::*;

    fn back(member: &Member) -> Member {
        let mut archive = header(member);
        assert_eq!(archive.len() % BLOCK, 0);
        // The data of a large file is not needed to read what its header says.
        archive.extend_from_slice(&END);
        Members::new(&archive[..]).next().unwrap().unwrap()
    }

    fn kinds() -> impl Strategy<Value = Kind> {
        let path = || proptest::collection::vec(prop_oneof![Just(b'/'), 1_u8..=255], 1..300);
        let no_dots = |path: Vec<u8>| MemberPath::parse(&path).ok().filter(|path| !path.is_root());
        prop_oneof![
            Just(Kind::File),
            Just(Kind::Directory),
            Just(Kind::Fifo),
            (0_u32..4096, 0_u32..(1 << 20)).prop_map(|(major, minor)| Kind::Character(major, minor)),
            (0_u32..4096, 0_u32..(1 << 20)).prop_map(|(major, minor)| Kind::Block(major, minor)),
            path().prop_map(Kind::Symlink),
            path().prop_filter_map("leaves the root", move |path| no_dots(path).map(Kind::HardLink)),
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            kind in kinds(),
            name in proptest::collection::vec(prop_oneof![Just(b'/'), Just(b'a'), 1_u8..=255], 0..400),
            size in prop_oneof![0_u64..5000, Just(LARGEST_NUMBER), Just(LARGEST_NUMBER + 1), 0_u64..(1 << 62)],
            mode in 0_u32..=0o7777,
            uid in prop_oneof![0_u32..1000, 0..u32::MAX],
            gid in prop_oneof![0_u32..1000, 0..u32::MAX],
            seconds in prop_oneof![-10_000_000_000_i64..10_000_000_000, Just(1 << 40)],
            nanoseconds in prop_oneof![Just(0_u32), 0..1_000_000_000_u32],
            xattrs in proptest::collection::vec(("user\\.[a-z]{1,99}", proptest::collection::vec(any::<u8>(), 0..300)), 0..3),
        ) {
            let Ok(path) = MemberPath::parse(&name) else { return Ok(()) };
            prop_assume!(path.whiteout().is_ok());
            prop_assume!(kind == Kind::Directory || !path.is_root());
            let size = if kind == Kind::File { size } else { 0 };
            let xattrs = xattrs.into_iter().map(|(name, value)| (name.into_bytes(), value)).collect();
            let member = Member { path, kind, size, mode, uid, gid, mtime: (seconds, nanoseconds), xattrs };
            prop_assert_eq!(back(&member), member);
        }
    }
}
