use super::*;
use flate2::write::GzEncoder;
use oci::digest;
use schema::Code;
use std::fs;

fn archive() -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(3000);
    header.set_mode(0o644);
    builder.append_data(&mut header, "hello", &[b'h'; 3000][..]).unwrap();
    builder.into_inner().unwrap()
}

fn compress(kind: Compression, data: &[u8]) -> Vec<u8> {
    match kind {
        Compression::None => data.to_vec(),
        Compression::Gzip => {
            let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(data).unwrap();
            encoder.finish().unwrap()
        }
        Compression::Bzip2 => {
            let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::default());
            encoder.write_all(data).unwrap();
            encoder.finish().unwrap()
        }
        Compression::Xz => {
            let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 6);
            encoder.write_all(data).unwrap();
            encoder.finish().unwrap()
        }
        Compression::Zstd => zstd::encode_all(data, 3).unwrap(),
    }
}

fn checked_upload(content: &[u8]) -> (tempfile::TempDir, Uploads, Result<Checked, Failure>) {
    let state = tempfile::tempdir().unwrap();
    let uploads = Uploads::open(state.path()).unwrap();
    let name: UploadName = "up".parse().unwrap();
    fs::write(uploads.path(&name), content).unwrap();
    let result = check(&uploads, &name, Use::Import, &AtomicBool::new(false));
    (state, uploads, result)
}

#[test]
fn compressions_that_oci_knows_are_kept_as_they_are() {
    for kind in [Compression::None, Compression::Gzip, Compression::Zstd] {
        let content = compress(kind, &archive());
        let Checked { layer, packed } = checked_upload(&content).2.unwrap();
        assert!(!packed);
        assert_eq!((layer.digest, layer.size), (digest(&content), content.len() as u64));
        assert_eq!(layer.diff_id, digest(&archive()));
        assert_eq!(Compression::of_media_type(&layer.media_type), Some(kind));
    }
}

#[test]
fn other_compressions_become_gzip() {
    for kind in [Compression::Bzip2, Compression::Xz] {
        let (_state, uploads, result) = checked_upload(&compress(kind, &archive()));
        let Checked { layer, packed } = result.unwrap();
        assert!(packed);
        let kept = fs::read(uploads.packed_path(&"up".parse().unwrap())).unwrap();
        assert_eq!((layer.digest, layer.size), (digest(&kept), kept.len() as u64));
        assert_eq!(layer.diff_id, digest(&archive()));
        assert_eq!(Compression::of_media_type(&layer.media_type), Some(Compression::Gzip));
        let mut expanded = Vec::new();
        decoder(Compression::Gzip, &kept[..]).unwrap().read_to_end(&mut expanded).unwrap();
        assert_eq!(expanded, archive());
    }
}

#[test]
fn what_is_no_archive_is_named() {
    let garbage = [archive(), b"garbage".to_vec()].concat();
    let zipped = compress(Compression::Gzip, &archive());
    for (content, reason) in [
        (Vec::new(), "empty"),
        (b"hello".to_vec(), "not a tar archive"),
        (compress(Compression::Gzip, b"hello"), "not a tar archive"),
        (archive()[..2000].to_vec(), "cut off"),
        (zipped[..zipped.len() - 9].to_vec(), "cut off"),
        (garbage.clone(), "follows the end"),
        (compress(Compression::Zstd, &garbage), "follows the end"),
        ([zipped, b"garbage, and more of it".to_vec()].concat(), "damaged, or something follows"),
    ] {
        let failure = checked_upload(&content).2.unwrap_err();
        assert_eq!(failure.code, Code::InvalidArgument);
        assert!(failure.message.contains(reason), "{failure} lacks {reason:?}");
    }
}

#[test]
fn a_bomb_is_cut_off() {
    let state = tempfile::tempdir().unwrap();
    let (path, packed) = (state.path().join("bomb"), state.path().join("packed"));
    for kind in [Compression::Zstd, Compression::Xz] {
        let bomb = compress(kind, &archive());
        fs::write(&path, &bomb).unwrap();
        let file = File::open(&path).unwrap();
        let error = read(file, Some(bomb.len() as u64), 1000, &packed, Use::Import).unwrap_err();
        assert!(matches!(&error, Error::Invalid(reason) if reason.contains("expands to more")), "{error}");
    }
}

#[test]
fn an_abandoned_upload_is_not_read_on() {
    let state = tempfile::tempdir().unwrap();
    let uploads = Uploads::open(state.path()).unwrap();
    let name: UploadName = "up".parse().unwrap();
    fs::write(uploads.path(&name), archive()).unwrap();
    assert_eq!(check(&uploads, &name, Use::Import, &AtomicBool::new(true)).unwrap_err().code, Code::Conflict);
}

#[test]
fn a_layer_that_was_made_here_is_compressed_and_may_be_empty() {
    let state = tempfile::tempdir().unwrap();
    let packed = state.path().join("packed");
    for content in [archive(), vec![0; 1024]] {
        let (Checked { layer, packed: was_packed }, expanded) =
            read(&content[..], Some(content.len() as u64), 1 << 20, &packed, Use::Layer).unwrap();
        assert!(was_packed);
        assert_eq!((layer.diff_id, expanded), (digest(&content), content.len() as u64));
        assert_eq!(layer.digest, digest(&fs::read(&packed).unwrap()));
        assert_eq!(Compression::of_media_type(&layer.media_type), Some(Compression::Gzip));
    }
    assert!(checked_upload(&[0; 1024]).2.unwrap_err().message.contains("empty"));
}
