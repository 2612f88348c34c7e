use super::*;
use crate::audit::Audit;
use crate::plan::{Made, Plan};
use schema::common::CheckReport;
use std::fs;
use std::path::Path;

/// A store with the image `base`, imported.
fn stored() -> (tempfile::TempDir, Disk, Plan) {
    let state = tempfile::tempdir().unwrap();
    let disk = Disk::open(state.path()).unwrap();
    let (name, plan) = crate::disk::tests::planned(&disk, "one", b"1", 7);
    disk.commit(&name, &Made::Layer(Box::new(plan.clone())), 7).unwrap();
    (state, disk, plan)
}

fn record(state: &Path, kind: &str) -> std::path::PathBuf {
    fs::read_dir(state.join(kind)).unwrap().map(|entry| entry.unwrap().path()).find(|path| path.is_file()).unwrap()
}

/// Changes a letter of the first line, which the rest does not depend on.
fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    bytes[0] ^= 1;
    fs::write(path, bytes).unwrap();
}

fn checked(disk: &Disk, index: &Index) -> CheckReport {
    let mut audit = Audit::of_blobs(disk, false).unwrap();
    audit.add_records(disk, &index.records().cloned().collect::<Vec<_>>()).unwrap();
    audit.report(&index.needed())
}

#[test]
fn damaged_records_of_what_is_known_are_written_anew() {
    let (state, disk, plan) = stored();
    let mut index = disk.recover().unwrap().index;
    index.lease("holder".to_owned(), plan.image.id().clone());
    disk.put_lease("holder", plan.image.id()).unwrap();
    for kind in ["images", "tags", "leases", "imports"] {
        fs::write(record(state.path(), kind), "").unwrap();
    }
    assert_eq!(checked(&disk, &index).problems.len(), 4);
    let repaired = disk.mend(&index.known()).unwrap().tell(&mut index);
    assert_eq!(repaired.len(), 3, "{repaired:?}");
    let report = checked(&disk, &index);
    assert_eq!((report.problems, report.kept.len()), (vec![], 1));
    assert!(disk.mend(&index.known()).unwrap().repaired.is_empty());
    let again = disk.recover().unwrap().index;
    assert_eq!((again.tags(), again.leases()), (index.tags(), index.leases()));
}

#[test]
fn an_image_is_made_again_of_its_blobs_and_has_its_name() {
    for damage in [flip, |path| fs::write(path, "").unwrap()] as [fn(&Path); 2] {
        let (state, disk, plan) = stored();
        damage(&record(state.path(), "images"));
        let index = disk.recover().unwrap().index;
        assert_eq!(index.record(plan.image.id()), Some(&plan.image));
        assert_eq!(index.tagged("base:latest"), Some(plan.image.id()));
        let report = checked(&disk, &index);
        assert_eq!(report.problems, []);
        assert!(report.kept[0].hint.contains("rm "), "{report:?}");
        // What goes for good is not missed.
        disk.drop_tag("base:latest").unwrap();
        disk.drop_image(plan.image.id()).unwrap();
        let index = disk.recover().unwrap().index;
        let report = checked(&disk, &index);
        assert_eq!((report.problems.len(), report.kept.len()), (0, 0), "{report:?}");
    }
}

#[test]
fn a_name_is_believed_if_its_digest_agrees() {
    let (state, disk, plan) = stored();
    flip(&record(state.path(), "tags"));
    assert_eq!(disk.recover().unwrap().index.tagged("base:latest"), Some(plan.image.id()));
    let path = record(state.path(), "tags");
    let other = fs::read_to_string(&path).unwrap().replace("base:latest", "base:lates_");
    fs::write(&path, other).unwrap();
    let index = disk.recover().unwrap().index;
    assert_eq!(index.tags().len(), 0);
    let problems = checked(&disk, &index).problems;
    assert!(problems.len() == 1 && problems[0].hint.contains("cctl tag"), "{problems:?}");
}

#[test]
fn what_cannot_be_made_again_keeps_its_blobs_and_says_where_it_came_from() {
    let (state, disk, mut plan) = stored();
    plan.image.repository_digests = vec![format!("host:5/a@{}", plan.manifest.digest)];
    disk.put_image(&plan.image).unwrap();
    flip(&record(state.path(), "images"));
    disk.blobs.remove(&plan.config.digest).unwrap();
    let index = disk.recover().unwrap().index;
    assert!(index.list().is_empty());
    assert_eq!(disk.lost_images(|_| false).unwrap().len(), 1);
    let problems = checked(&disk, &index).problems;
    let lost = problems.iter().find(|problem| problem.object.starts_with("record image")).unwrap();
    assert_eq!(lost.sources, [format!("host:5/a@{}", plan.manifest.digest)]);
    // It has come again: so has its name.
    disk.blobs.put(&plan.config.digest, plan.config.text.as_bytes()).unwrap();
    let mut index = index;
    disk.mend(&index.known()).unwrap().tell(&mut index);
    assert_eq!(index.tagged("base:latest"), Some(plan.image.id()));
    assert_eq!(index.record(plan.image.id()).unwrap().repository_digests, plan.image.repository_digests);
}

#[test]
fn a_damaged_blob_is_moved_aside_and_the_image_says_what_it_lacks() {
    let (_state, disk, plan) = stored();
    let mut index = disk.recover().unwrap().index;
    let layer = &plan.image.layers[0].digest;
    flip(&disk.blobs.path(layer));
    assert_eq!(checked(&disk, &index).problems[0].object, format!("blob {layer}"));
    let audit = Audit::of_blobs(&disk, true).unwrap();
    let report = audit.report(&index.needed());
    assert_eq!((report.problems.len(), report.repaired.len()), (0, 1));
    let problems = checked(&disk, &index).problems;
    assert!(problems.len() == 1 && problems[0].sources.is_empty(), "{problems:?}");
    assert!(problems[0].hint.contains("import"), "{problems:?}");
    // Another image that has it knows where it is.
    let mut other = plan.image.clone();
    other.config.digest = digest(b"other");
    other.repository_digests = vec!["a@x".to_owned()];
    index.add_image(other);
    let problems = checked(&disk, &index).problems;
    let of_layer = problems.iter().find(|problem| problem.object.contains(plan.image.id().hex())).unwrap();
    assert_eq!(of_layer.sources, [format!("a@{}", plan.manifest.digest)]);
}
