//! Sending blobs to registries that break off.

use crate::server::{Answer, Server};
use crate::{Notes, anonymous, digest, run};
use registry_client::{Document, Registry, Sent};
use schema::{Code, Failure};
use std::fs::File;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

const LENGTH: usize = 200_000;

fn content() -> Vec<u8> {
    vec![5; LENGTH]
}

async fn upload(registry: &Registry, other: Option<&str>, notes: &Notes) -> Result<Sent, Failure> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&content()).unwrap();
    let file: Arc<File> = Arc::new(file);
    registry.upload("app", (&digest(&content()), LENGTH as u64), &file, other, notes).await
}

/// The answers of an upload that goes well, at `/up`.
fn well(line: &str) -> Answer {
    match line.split(' ').next().unwrap() {
        "HEAD" => Answer::raw("HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n"),
        "POST" => Answer::new("202 Accepted", &["Location: /up?state=1"], b""),
        "PATCH" => Answer::new("202 Accepted", &["Location: /up?state=2"], b""),
        "PUT" => Answer::status("201 Created"),
        _ => Answer::status("404 Not Found"),
    }
}

#[test]
fn a_blob_is_streamed_with_its_length_and_finished_with_its_digest() {
    let server = Server::registry(|request, _| well(&request.line));
    let notes = Notes::default();
    assert_eq!(run(upload(&anonymous(&server.name()), None, &notes)).unwrap(), Sent::Uploaded);
    let seen = server.seen();
    assert!(seen[2].line == "PATCH /up?state=1" && seen[2].body == content());
    assert!(seen[2].header("transfer-encoding").is_none());
    let escaped = digest(&content()).to_string().replace(':', "%3A");
    assert_eq!(seen[3].line, format!("PUT /up?state=2&digest={escaped}"));
    assert_eq!(*notes.most.lock().unwrap(), LENGTH as u64);
}

#[test]
fn a_broken_upload_goes_on_where_the_registry_says_it_stopped() {
    let server = Server::registry(|request, count| match request.line.as_str() {
        // It has taken half of it.
        "PATCH /up?state=1" if count == 0 => Answer::status("503 Service Unavailable"),
        "GET /up?state=1" => Answer::raw(
            "HTTP/1.1 204 No Content\r\nLocation: /up?state=half\r\nRange: 0-99999\r\nConnection: close\r\n\r\n",
        ),
        line => well(line),
    });
    let notes = Notes::default();
    run(upload(&anonymous(&server.name()), None, &notes)).unwrap();
    let rest = server.seen().into_iter().find(|request| request.line == "PATCH /up?state=half").unwrap();
    assert_eq!((rest.body.len(), rest.header("content-range")), (100_000, Some("100000-199999")));
    assert_eq!(notes.interruptions().len(), 1);
}

#[test]
fn an_upload_that_the_registry_has_forgotten_begins_anew() {
    let server = Server::registry(|request, count| match request.line.as_str() {
        "PATCH /up?state=1" if count == 0 => Answer::raw(""),
        line => well(line),
    });
    run(upload(&anonymous(&server.name()), None, &Notes::default())).unwrap();
    let posts = server.seen().into_iter().filter(|request| request.line.starts_with("POST")).count();
    assert_eq!(posts, 2);
}

#[test]
fn a_mount_that_is_refused_becomes_an_upload() {
    let server = Server::registry(|request, _| well(&request.line));
    assert_eq!(run(upload(&anonymous(&server.name()), Some("other"), &Notes::default())).unwrap(), Sent::Uploaded);
    assert!(server.seen()[1].line.ends_with("&from=other"));
    let server = Server::registry(|request, _| match request.line.starts_with("POST") {
        true => Answer::status("201 Created"),
        false => well(&request.line),
    });
    assert_eq!(run(upload(&anonymous(&server.name()), Some("other"), &Notes::default())).unwrap(), Sent::Mounted);
}

#[test]
fn what_the_registry_refuses_is_not_sent_again() {
    let server = Server::registry(|request, _| match request.line.starts_with("POST") {
        true => Answer::new("403 Forbidden", &[], br#"{"errors":[{"code":"DENIED","message":"read only"}]}"#),
        false => well(&request.line),
    });
    let failure = run(upload(&anonymous(&server.name()), None, &Notes::default())).unwrap_err();
    assert!(failure.code == Code::PermissionDenied && failure.message.contains("read only"), "{failure}");
    let stored = digest(b"other");
    let header = format!("Docker-Content-Digest: {stored}");
    let liar = Server::registry(move |_, _| Answer::new("201 Created", &[&header], b""));
    let document = Document { content: b"{}".to_vec(), digest: digest(b"{}"), media_type: "x/y".to_owned() };
    let failure = run(anonymous(&liar.name()).put_manifest("app", "latest", &document)).unwrap_err();
    assert!(failure.code == Code::Corrupt && failure.message.contains(stored.as_str()), "{failure}");
}

#[test]
fn a_registry_that_does_not_answer_an_upload_is_given_up() {
    let server = Server::registry(|request, _| match request.line.split(' ').next().unwrap() {
        "PATCH" => Answer::raw("").then(Duration::from_secs(30), b""),
        _ => well(&request.line),
    });
    let failure = run(upload(&anonymous(&server.name()), None, &Notes::default())).unwrap_err();
    assert!(failure.code == Code::Unavailable && failure.message.contains("next to nothing"), "{failure}");
}
