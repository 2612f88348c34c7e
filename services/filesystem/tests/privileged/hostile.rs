//! Archives that want out, or that want to cost more than they are.

use crate::archive::{Archive, Unpacked, unpack_bytes};
use schema::Code;
use std::fs;
use tar::EntryType;

fn assert_refused(unpacked: &Unpacked, reason: &str) {
    let failure = unpacked.result.as_ref().unwrap_err();
    assert_eq!(failure.code, Code::InvalidArgument, "{failure}");
    assert!(failure.message.contains(reason), "{failure} lacks {reason:?}");
    unpacked.assert_contained();
}

#[test]
fn names_with_dots_are_refused() {
    for name in ["../secret/file", "a/../../secret/file", "..", "/../secret/file"] {
        assert_refused(&Archive::new().file(name, "x").unpack(), "..");
    }
}

#[test]
fn absolute_names_are_beneath_the_layer() {
    let unpacked = Archive::new().file("/etc/passwd", "x").unpack();
    unpacked.result.as_ref().unwrap();
    assert_eq!(unpacked.read("etc/passwd"), "x");
}

#[test]
fn a_link_on_the_way_does_not_lead_out() {
    for target in ["../secret", "../../../../../../tmp", "/"] {
        let unpacked = Archive::new().directory("inside").symlink("out", target).file("out/file", "x").unpack();
        unpacked.assert_contained();
        if target == "/" {
            unpacked.result.as_ref().unwrap();
            assert_eq!(unpacked.read("file"), "x");
        }
    }
    let unpacked = Archive::new().symlink("out", "../secret").file("out/new", "x").unpack();
    unpacked.assert_contained();
    assert_eq!(fs::read_link(unpacked.path("out")).unwrap().to_str(), Some("../secret"));
}

#[test]
fn a_link_in_the_place_of_a_file_is_replaced_not_followed() {
    let unpacked = Archive::new().symlink("file", "../secret/file").file("file", "x").unpack();
    unpacked.result.as_ref().unwrap();
    assert_eq!(unpacked.read("file"), "x");
    unpacked.assert_contained();
}

#[test]
fn a_directory_in_the_place_of_a_link_leaves_its_target_alone() {
    let unpacked = Archive::new().symlink("d", "../secret").directory("d").file("d/x", "x").unpack();
    unpacked.result.as_ref().unwrap();
    assert!(fs::symlink_metadata(unpacked.path("d")).unwrap().is_dir());
    unpacked.assert_contained();
}

#[test]
fn hard_links_stay_inside() {
    assert_refused(&Archive::new().hard_link("h", "../secret/file").unpack(), "..");
    // An absolute target is beneath the layer, where there is none.
    assert_refused(&Archive::new().hard_link("h", "/etc/passwd").unpack(), "not there");
    let through = Archive::new().symlink("out", "../secret").hard_link("h", "out/file").unpack();
    assert_refused(&through, "not there");
    // The link itself may be linked: what it points to is not touched.
    let link = Archive::new().symlink("s", "../secret/file").hard_link("h", "s").unpack();
    link.result.as_ref().unwrap();
    assert!(fs::symlink_metadata(link.path("h")).unwrap().is_symlink());
    assert_refused(&Archive::new().directory("d").hard_link("h", "d").unpack(), "directory");
}

#[test]
fn whiteouts_cannot_name_parents() {
    for name in [".wh..", ".wh...", "a/.wh...", ".wh."] {
        assert_refused(&Archive::new().file(name, "").unpack(), "whiteout");
    }
    // One that goes through a link hides something in the layer, nothing outside.
    let unpacked = Archive::new().symlink("out", "../secret").file("out/.wh.file", "").unpack();
    unpacked.assert_contained();
}

#[test]
fn overlayfs_cannot_be_steered() {
    let redirect = Archive::new().pax(&[("SCHILY.xattr.trusted.overlay.redirect", b"/")]).directory("d").unpack();
    assert_refused(&redirect, "trusted.overlay.redirect");
}

#[test]
fn lies_about_sizes_cost_nothing() {
    let huge = |kind| Archive::new().add(kind, "big", b"", |header| header.set_size(1 << 62)).unpack();
    assert_refused(&huge(EntryType::Regular), "cut off");
    assert_refused(&huge(EntryType::GNULongName), "more than");
    assert_refused(&huge(EntryType::XHeader), "more than");
}

#[test]
fn cut_off_archives_are_refused() {
    let whole = Archive::new().file("a", &"x".repeat(2000)).bytes();
    for length in [100, 512, 600, 1024, 2000] {
        let unpacked = unpack_bytes(&whole[..length]);
        assert_eq!(unpacked.result.as_ref().unwrap_err().code, Code::InvalidArgument, "{length}");
        unpacked.assert_contained();
    }
}

#[test]
fn files_are_no_directories() {
    assert_refused(&Archive::new().file("f", "x").file("f/g", "x").unpack(), "directory is none");
    assert_refused(&Archive::new().symlink("a", "b").symlink("b", "a").file("a/x", "").unpack(), "too many links");
    assert_refused(&Archive::new().file("/", "x").unpack(), "");
    assert_refused(&Archive::new().add(EntryType::Regular, "./", b"", |_| ()).symlink("/", "x").unpack(), "directory");
}

#[test]
fn unknown_types_are_refused() {
    assert_refused(&Archive::new().add(EntryType::new(b'M'), "multi", b"", |_| ()).unpack(), "unknown type");
}
