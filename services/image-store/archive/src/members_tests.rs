use super::*;
use proptest::prelude::*;
use std::os::unix::ffi::OsStrExt;
use tar::{Builder, GnuSparseHeader};

fn header(kind: EntryType, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(0o4755);
    header.set_uid(7);
    header.set_gid(8);
    header.set_mtime(9);
    header
}

fn archive(fill: impl FnOnce(&mut Builder<Vec<u8>>)) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    fill(&mut builder);
    builder.into_inner().unwrap()
}

fn file(builder: &mut Builder<Vec<u8>>, name: &str, data: &[u8]) {
    builder.append_data(&mut header(EntryType::Regular, data.len() as u64), name, data).unwrap();
}

/// A header as it stands, without the checks of the builder.
fn raw(name: &[u8], kind: u8, size: u64) -> Vec<u8> {
    let mut header = header(EntryType::new(kind), size);
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    header.set_cksum();
    header.as_bytes().to_vec()
}

fn read_all(data: &[u8]) -> Result<Vec<(Member, Vec<u8>)>, Error> {
    let mut members = Members::new(data);
    let mut all = Vec::new();
    while let Some(member) = members.next()? {
        let mut content = Vec::new();
        let mut buffer = [0; 100];
        loop {
            match members.read(&mut buffer)? {
                0 => break,
                count => content.extend_from_slice(&buffer[..count]),
            }
        }
        all.push((member, content));
    }
    Ok(all)
}

fn refused(data: &[u8]) -> String {
    read_all(data).unwrap_err().to_string()
}

#[test]
fn members_come_out_as_they_were_put_in() {
    let long = "d/".repeat(120) + "file";
    let data = archive(|builder| {
        builder.append_data(&mut header(EntryType::Directory, 0), "etc/", &b""[..]).unwrap();
        file(builder, "etc/hello", b"hello");
        file(builder, &long, &[7; 1000]);
        let mut link = header(EntryType::Symlink, 0);
        builder.append_link(&mut link, "link", "x/".repeat(80) + "../etc").unwrap();
        builder.append_link(&mut header(EntryType::Link, 0), "hard", "etc/hello").unwrap();
    });
    let all = read_all(&data).unwrap();
    assert_eq!(all.len(), 5);
    assert_eq!(all[0].0.kind, Kind::Directory);
    let hello = &all[1];
    assert_eq!((hello.0.mode, hello.0.uid, hello.0.gid, hello.0.mtime), (0o4755, 7, 8, (9, 0)));
    assert_eq!((hello.0.size, &hello.1[..]), (5, &b"hello"[..]));
    assert_eq!(all[2].0.path.as_os_str(), &long[..]);
    assert_eq!(all[2].1, [7; 1000]);
    assert!(matches!(&all[3].0.kind, Kind::Symlink(target) if target.ends_with(b"x/x/../etc")));
    assert_eq!(all[4].0.kind, Kind::HardLink(MemberPath::parse(b"etc/hello").unwrap()));
}

#[test]
fn extended_headers_win() {
    let data = archive(|builder| {
        builder
            .append_pax_extensions([
                ("path", &b"caf\xc3\xa9"[..]),
                ("uid", b"100000"),
                ("mtime", b"12.5"),
                ("SCHILY.xattr.user.x", b"a\n\0b"),
            ])
            .unwrap();
        file(builder, "short", b"x");
        file(builder, "next", b"y");
    });
    let all = read_all(&data).unwrap();
    assert_eq!(all[0].0.path.as_os_str().as_bytes(), b"caf\xc3\xa9");
    assert_eq!((all[0].0.uid, all[0].0.gid, all[0].0.mtime), (100_000, 8, (12, 500_000_000)));
    assert_eq!(all[0].0.xattrs, [(b"user.x".to_vec(), b"a\n\0b".to_vec())]);
    assert_eq!((all[1].0.path.as_os_str().as_bytes(), all[1].0.uid), (&b"next"[..], 7));
}

#[test]
fn an_archive_may_end_without_zeros_or_with_many() {
    let whole = archive(|builder| file(builder, "a", b"x"));
    for data in [whole[..1024].to_vec(), whole[..1536].to_vec(), [whole.clone(), vec![0; 8999]].concat()] {
        assert_eq!(read_all(&data).unwrap().len(), 1);
    }
}

#[test]
fn what_is_no_archive_is_refused_with_the_reason() {
    let whole = archive(|builder| file(builder, "a", &[1; 2000]));
    assert!(refused(b"").contains("empty"));
    assert!(read_all(&[0; 1024]).unwrap().is_empty());
    assert!(refused(b"#!/bin/sh\n").contains("not a tar"));
    assert!(refused(&[b'x'; 5000]).contains("not a tar"));
    for length in (1..whole.len() - 1024).filter(|length| *length > 512) {
        assert!(refused(&whole[..length]).contains("cut off at byte"), "{length}");
    }
    assert!(refused(&[&whole[..], b"more"].concat()).contains("follows the end"));
    assert!(refused(&[&whole[..512 * 5], &[1; 512][..]].concat()).contains("checksum"));
}

#[test]
fn headers_that_lie_cost_nothing() {
    assert!(refused(&raw(b"big", b'0', u64::MAX)).contains("cut off"));
    assert!(refused(&raw(b"big", b'0', 1 << 60)).contains("cut off"));
    for kind in [b'L', b'K', b'x', b'g'] {
        assert!(refused(&raw(b"name", kind, 1 << 40)).contains("more than"), "{kind}");
        assert!(refused(&raw(b"name", kind, 1 << 20)).contains("cut off"), "{kind}");
    }
    // A name that describes nothing.
    assert!(refused(&[raw(b"name", b'L', 3), b"abc".to_vec(), vec![0; 509 + 1024]].concat()).contains("cut off"));
}

#[test]
fn hostile_names_links_and_types_are_refused() {
    assert!(refused(&raw(b"../etc/passwd", b'0', 0)).contains(".."));
    let outside = archive(|builder| {
        builder.append_link(&mut header(EntryType::Link, 0), "hard", "../../etc/shadow").unwrap();
    });
    assert!(refused(&outside).contains(".."));
    for kind in *b"ZMVD9" {
        assert!(refused(&raw(b"odd", kind, 0)).contains("unknown type"), "{kind}");
    }
    assert!(refused(&raw(b"link", b'2', 0)).contains("without a target"));
    assert!(refused(&raw(b"dir/.wh...", b'0', 0)).contains("whiteout"));
    let steering = archive(|builder| {
        builder.append_pax_extensions([("SCHILY.xattr.trusted.overlay.redirect", &b"/"[..])]).unwrap();
        file(builder, "a", b"");
    });
    assert!(refused(&steering).contains("trusted.overlay"));
}

fn sparse_header(pieces: &[(u64, u64)], stored: u64, size: u64) -> Vec<u8> {
    let octal = |value: u64| {
        let mut field = [0; 12];
        field[..11].copy_from_slice(format!("{value:011o}").as_bytes());
        field
    };
    let mut header = header(EntryType::GNUSparse, stored);
    header.set_path("sparse").unwrap();
    let gnu = header.as_gnu_mut().unwrap();
    gnu.realsize = octal(size);
    for (slot, (offset, length)) in gnu.sparse.iter_mut().zip(pieces) {
        *slot = GnuSparseHeader { offset: octal(*offset), numbytes: octal(*length) };
    }
    header.set_cksum();
    [header.as_bytes().to_vec(), vec![b'x'; usize::try_from(stored).unwrap().next_multiple_of(512)]].concat()
}

#[test]
fn sparse_maps_are_read_and_checked() {
    let all = read_all(&sparse_header(&[(0, 512), (4096, 512), (10_000, 0)], 1024, 10_000)).unwrap();
    let pieces = vec![
        Piece { offset: 0, length: 512 },
        Piece { offset: 4096, length: 512 },
        Piece { offset: 10_000, length: 0 },
    ];
    assert_eq!((&all[0].0.kind, all[0].0.size, all[0].1.len()), (&Kind::Sparse(pieces), 10_000, 1024));
    assert!(read_all(&sparse_header(&[(0, 512), (100, 512)], 1024, 10_000)).is_err());
    assert!(read_all(&sparse_header(&[(0, 512)], 512, 100)).is_err());
    assert!(read_all(&sparse_header(&[(0, 512)], 1024, 1000)).is_err());
}

proptest! {
    #[test]
    fn damage_anywhere_never_panics(at in 0_usize..2048, bit in 0_u8..8, cut in 0_usize..4096) {
        let mut data = archive(|builder| {
            builder.append_pax_extensions([("uid", &b"5"[..])]).unwrap();
            file(builder, "a", b"content");
        });
        data[at] ^= 1 << bit;
        data.truncate(cut.max(1));
        let _ = read_all(&data);
    }

    #[test]
    fn files_round_trip(contents in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..1500), 1..5)) {
        let data = archive(|builder| {
            for (index, content) in contents.iter().enumerate() {
                file(builder, &format!("f{index}"), content);
            }
        });
        let read: Vec<Vec<u8>> = read_all(&data).unwrap().into_iter().map(|(_, content)| content).collect();
        prop_assert_eq!(read, contents);
    }
}
