use super::*;
use crate::check::{Use, check};
use crate::import::Request;
use std::fs;
use std::sync::atomic::AtomicBool;

fn archive(content: &[u8]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    builder.append_data(&mut header, "hello", content).unwrap();
    builder.into_inner().unwrap()
}

/// An upload that was checked and planned, tagged `base`.
pub(crate) fn planned(disk: &Disk, upload: &str, content: &[u8], at: i64) -> (UploadName, Plan) {
    let name: UploadName = upload.parse().unwrap();
    disk.uploads.append(&name, 0, &archive(content)).unwrap();
    let request = crate::import::tests::request("base", "test");
    let checked = check(&disk.uploads, &name, Use::Import, &AtomicBool::new(false)).unwrap();
    (name, Request::parse(&request).unwrap().plan(checked, at).unwrap())
}

#[test]
fn an_import_survives_a_restart() {
    let state = tempfile::tempdir().unwrap();
    let disk = Disk::open(state.path()).unwrap();
    let (name, plan) = planned(&disk, "one", b"1", 7);
    disk.commit(&name, &Made::Layer(Box::new(plan.clone())), 7).unwrap();
    // As if the process had been killed before it removed the upload.
    disk.uploads.append(&name, 0, b"the archive").unwrap();
    let found = Disk::open(state.path()).unwrap().recover().unwrap();
    let image = found.index.resolve("base").unwrap();
    assert_eq!(&image.id, plan.image.id());
    assert_eq!(found.imported, [(name.clone(), vec![image.id.clone()], 7)]);
    assert_eq!(fs::read_dir(state.path().join("uploads")).unwrap().count(), 0);
    for layer in &image.layers {
        let blob = disk.blobs.find(&layer.digest, Some(layer.size)).unwrap();
        assert_eq!(digest(&fs::read(blob.path).unwrap()), layer.digest);
    }
    disk.forget(&name).unwrap();
    assert!(disk.recover().unwrap().imported.is_empty());
}

#[test]
fn a_planned_import_is_finished_by_the_next_process_wherever_the_first_was_killed() {
    let steps: [fn(&Disk, &UploadName, &Plan); 4] = [
        |_, _, _| (),
        |disk, name, plan| disk.blobs.adopt(&disk.uploads.path(name), &plan.image.layers[0].digest).unwrap(),
        |disk, _, plan| disk.blobs.put(&plan.config.digest, plan.config.text.as_bytes()).unwrap(),
        |disk, _, plan| disk.images.put(plan.image.id().hex(), &plan.image, Durability::Disk).unwrap(),
    ];
    for killed_after in 0..steps.len() {
        let state = tempfile::tempdir().unwrap();
        let disk = Disk::open(state.path()).unwrap();
        let (name, plan) = planned(&disk, "one", b"1", 7);
        disk.note(&name, 7, Progress::Planned(Box::new(plan.clone()))).unwrap();
        steps[..=killed_after].iter().for_each(|step| step(&disk, &name, &plan));
        let found = Disk::open(state.path()).unwrap().recover().unwrap();
        assert_eq!(&found.index.resolve("base").unwrap().id, plan.image.id());
        assert_eq!(found.imported.len(), 1);
        assert_eq!(fs::read_dir(state.path().join("uploads")).unwrap().count(), 0);
    }
}

#[test]
fn a_plan_whose_upload_is_lost_is_given_up() {
    let state = tempfile::tempdir().unwrap();
    let disk = Disk::open(state.path()).unwrap();
    let (name, plan) = planned(&disk, "one", b"1", 7);
    disk.note(&name, 7, Progress::Planned(Box::new(plan))).unwrap();
    disk.uploads.remove(&name).unwrap();
    let found = disk.recover().unwrap();
    assert!(found.imported.is_empty() && found.index.list().is_empty());
    assert!(disk.recover().unwrap().imported.is_empty());
}

#[test]
fn a_damaged_image_record_costs_that_image_alone() {
    let state = tempfile::tempdir().unwrap();
    let disk = Disk::open(state.path()).unwrap();
    let (good, good_plan) = planned(&disk, "good", b"1", 7);
    disk.commit(&good, &Made::Layer(Box::new(good_plan.clone())), 7).unwrap();
    let (bad, bad_plan) = planned(&disk, "bad", b"2", 8);
    disk.commit(&bad, &Made::Layer(Box::new(bad_plan.clone())), 8).unwrap();
    fs::write(state.path().join("images").join(format!("{}.json", bad_plan.image.id().hex())), "junk").unwrap();
    disk.blobs.remove(&bad_plan.manifest.digest).unwrap();
    let index = disk.recover().unwrap().index;
    assert_eq!(index.list().len(), 1);
    assert_eq!(index.resolve("base").unwrap_err().code, schema::Code::NotFound);
    assert_eq!(&index.resolve(good_plan.image.id().as_str()).unwrap().id, good_plan.image.id());
}

#[test]
fn a_blob_of_another_length_is_corrupt() {
    let state = tempfile::tempdir().unwrap();
    let disk = Disk::open(state.path()).unwrap();
    let (name, plan) = planned(&disk, "one", b"1", 7);
    disk.commit(&name, &Made::Layer(Box::new(plan.clone())), 7).unwrap();
    let layer = &plan.image.layers[0];
    let code = |result: Result<schema::image_store::Blob, Failure>| result.unwrap_err().code;
    assert_eq!(code(disk.blobs.find(&layer.digest, Some(layer.size + 1))), schema::Code::Corrupt);
    assert_eq!(code(disk.blobs.find(&digest(b"x"), None)), schema::Code::NotFound);
}

#[test]
fn a_name_that_was_recorded_in_a_longer_form_is_shortened_for_good() {
    let state = tempfile::tempdir().unwrap();
    let disk = Disk::open(state.path()).unwrap();
    let (name, plan) = planned(&disk, "one", b"1", 7);
    disk.commit(&name, &Made::Layer(Box::new(plan.clone())), 7).unwrap();
    disk.put_tag("docker.io/library/old:1", plan.image.id()).unwrap();
    let index = disk.recover().unwrap().index;
    assert_eq!(index.names(plan.image.id()), ["base:latest", "old:1"]);
    disk.drop_tag("old:1").unwrap();
    assert_eq!(disk.recover().unwrap().index.names(plan.image.id()), ["base:latest"]);
}
