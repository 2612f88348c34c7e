use super::*;
use oci::digest;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

const ZEROS: usize = 60_000;

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        builder.append_data(&mut header, name, *content).unwrap();
    }
    builder.into_inner().unwrap()
}

fn opened<'a>(state: &Path, content: &[u8], limit: u64, cancelled: &'a AtomicBool) -> Result<Entries<'a>, Error> {
    let path = state.join("archive");
    fs::write(&path, content).unwrap();
    Entries::read(File::open(path).unwrap(), limit, &state.join("plain"), cancelled)
}

fn reason(error: Refusal) -> String {
    match error {
        Refusal::Archive(error) => error.to_string(),
        Refusal::Other(failure) => failure.message,
    }
}

#[test]
fn a_bomb_in_an_archive_is_cut_off() {
    let state = tempfile::tempdir().unwrap();
    let disk = Disk::open(state.path()).unwrap();
    let (one, two) = (gzip(&tar(&[("1", &[0; ZEROS])])), gzip(&tar(&[("2", &[0; ZEROS])])));
    let archive = tar(&[("one", &one), ("two", &two)]);
    let going_on = AtomicBool::new(false);
    let entries = opened(state.path(), &archive, u64::MAX, &going_on).unwrap();
    let known = HashMap::new();
    let refused = |upload: &str, budget: u64, layers: &[&str]| {
        let mut stage = Stage::open(&disk, &upload.parse().unwrap(), &known, budget).unwrap();
        let mut read = layers.iter().map(|name| stage.layer(&entries, name, None).map_err(reason));
        read.find_map(Result::err)
    };
    assert_eq!(refused("a", 200_000, &["one", "two", "one"]), None);
    // Each layer alone may be so large; all of them together may not.
    for (upload, budget, layers) in [("b", 50_000, &["one"][..]), ("c", 100_000, &["one", "two"])] {
        let reason = refused(upload, budget, layers).unwrap();
        assert!(reason.contains("expands to more than"), "{reason}");
    }
}

#[test]
fn an_archive_that_is_a_bomb_as_a_whole_is_cut_off() {
    let state = tempfile::tempdir().unwrap();
    let going_on = AtomicBool::new(false);
    let archive = gzip(&tar(&[("zeros", &[0; ZEROS])]));
    assert!(opened(state.path(), &archive, 100_000, &going_on).is_ok());
    let Err(Error::Invalid(reason)) = opened(state.path(), &archive, 50_000, &going_on) else { panic!() };
    assert!(reason.contains("expands to more than"), "{reason}");
}

#[test]
fn a_layer_that_is_here_already_is_not_packed_again() {
    let state = tempfile::tempdir().unwrap();
    let disk = Disk::open(state.path()).unwrap();
    let plain = tar(&[("f", b"x")]);
    let packed = gzip(&plain);
    let here = Layer {
        digest: digest(&packed),
        diff_id: digest(&plain),
        media_type: "application/vnd.oci.image.layer.v1.tar+gzip".to_owned(),
        size: packed.len() as u64,
    };
    disk.blobs.put(&here.digest, &packed).unwrap();
    let known = HashMap::from([(here.diff_id.clone(), here.clone())]);
    let going_on = AtomicBool::new(false);
    let entries = opened(state.path(), &tar(&[("layer.tar", &plain)]), u64::MAX, &going_on).unwrap();
    let mut stage = Stage::open(&disk, &"a".parse().unwrap(), &known, u64::MAX).unwrap();
    assert_eq!(stage.layer(&entries, "layer.tar", Some(&here.diff_id)).map_err(reason), Ok(here));
    assert_eq!(stage.finish().map_err(reason), Ok(vec![]));
}

#[test]
fn an_abandoned_archive_is_not_read_on() {
    let state = tempfile::tempdir().unwrap();
    let disk = Disk::open(state.path()).unwrap();
    let upload: UploadName = "up".parse().unwrap();
    disk.uploads.append(&upload, 0, &tar(&[("f", b"x")])).unwrap();
    let failure = plan(&disk, &upload, &HashMap::new(), &AtomicBool::new(true)).unwrap_err();
    assert_eq!(failure.code, schema::Code::Conflict);
}
