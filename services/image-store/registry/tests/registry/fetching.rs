//! Files from web servers.

use crate::server::{Answer, Server};
use crate::{Notes, configuration, run};
use registry_client::{Piece, fetch};
use schema::{Code, Failure};
use std::time::Duration;

async fn fetched(server: &Server, notes: &Notes) -> Result<Vec<u8>, Failure> {
    let mut fetch = fetch(&configuration(""), &format!("{}/file", server.name())).unwrap();
    let mut content = Vec::new();
    while let Some(piece) = fetch.next(notes).await? {
        match piece {
            Piece::Data { offset, bytes } => {
                assert_eq!(offset, content.len() as u64);
                content.extend_from_slice(&bytes);
            }
            Piece::Restart => content.clear(),
        }
    }
    Ok(content)
}

#[test]
fn statuses_of_400_and_above_are_errors_that_name_them() {
    for (status, code) in [
        ("404 Not Found", Code::NotFound),
        ("410 Gone", Code::InvalidArgument),
        ("403 Forbidden", Code::PermissionDenied),
        ("500 Internal Server Error", Code::Unavailable),
    ] {
        let server = Server::start(move |_, _| Answer::status(status));
        let failure = run(fetched(&server, &Notes::default())).unwrap_err();
        assert_eq!(failure.code, code);
        assert!(failure.message.contains(status) && failure.message.contains("/file"), "{failure}");
    }
}

#[test]
fn a_file_that_stays_the_same_goes_on_where_it_was_cut() {
    let body = vec![7; 50_000];
    let server = Server::start(move |request, count| {
        assert!(count == 0 || request.header("if-range") == Some("\"v1\""));
        match request.from() {
            0 => Answer::cut("200 OK", &["ETag: \"v1\""], &body, 20_000),
            from => Answer::new("206 Partial Content", &["ETag: \"v1\""], &body[from..]),
        }
    });
    let notes = Notes::default();
    assert_eq!(run(fetched(&server, &notes)).unwrap(), vec![7; 50_000]);
    assert_eq!((server.seen()[1].from(), notes.interruptions().len()), (20_000, 1));
}

#[test]
fn a_file_that_has_changed_or_cannot_tell_begins_anew() {
    for tag in ["ETag: \"v1\"", "ETag: W/\"v1\"", "X: y"] {
        let server = Server::start(move |_, count| match count {
            0 => Answer::cut("200 OK", &[tag], &[1; 50_000], 20_000),
            _ => Answer::new("200 OK", &["ETag: \"v2\""], &[2; 40_000]),
        });
        assert_eq!(run(fetched(&server, &Notes::default())).unwrap(), vec![2; 40_000], "{tag}");
    }
}

#[test]
fn a_server_that_stalls_is_given_up() {
    let server = Server::start(|_, _| {
        Answer::raw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx").then(Duration::from_secs(20), b"")
    });
    let failure = run(fetched(&server, &Notes::default())).unwrap_err();
    assert!(failure.code == Code::Unavailable && failure.message.contains("next to nothing"), "{failure}");
    assert_eq!(server.seen().len(), 3);
}

#[test]
fn a_password_in_the_url_is_not_in_the_error() {
    let server = Server::start(|_, _| Answer::status("404 Not Found"));
    let url = format!("http://bob:hush@{}/file", server.name());
    let failure = run(fetch(&configuration(""), &url).unwrap().next(&Notes::default())).unwrap_err();
    assert!(!failure.message.contains("hush"), "{failure}");
    assert!(server.seen()[0].header("authorization").is_some());
}
