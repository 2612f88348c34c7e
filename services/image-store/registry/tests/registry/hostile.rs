//! Registries that fail, lie, stall and flood.

use crate::server::{Answer, Server};
use crate::{Notes, anonymous, blob, digest, run};
use registry_client::{LONGEST_MANIFEST, Wanted};
use schema::{Code, Failure};
use std::time::{Duration, Instant};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

fn content(length: usize) -> Vec<u8> {
    (0..length).map(|index| u8::try_from(index * 31 % 251).unwrap()).collect()
}

fn manifest_of(server: &Server) -> Result<Vec<u8>, Failure> {
    run(anonymous(&server.name()).manifest("app", Wanted::Tag("latest"))).map(|document| document.content)
}

#[test]
fn refusals_are_told_with_the_servers_words_and_not_repeated() {
    for (status, code, hint) in [
        ("401 Unauthorized", Code::PermissionDenied, "cctl login 127.0.0.1"),
        ("403 Forbidden", Code::PermissionDenied, "cctl login 127.0.0.1"),
        ("404 Not Found", Code::NotFound, "the name and the tag"),
    ] {
        let body = br#"{"errors":[{"code":"X","message":"the server says no"}]}"#;
        let server = Server::registry(move |_, _| Answer::new(status, &[], body));
        let failure = manifest_of(&server).unwrap_err();
        assert_eq!(failure.code, code, "{failure}");
        for part in [&server.name(), "app", "latest", status, "the server says no"] {
            assert!(failure.message.contains(part), "{failure} lacks {part}");
        }
        assert!(failure.hint.contains(hint), "{failure:?}");
        assert_eq!(server.seen().len(), 1);
    }
}

#[test]
fn overload_and_errors_of_the_server_are_waited_out() {
    for status in ["429 Too Many Requests", "500 Internal Server Error", "503 Service Unavailable"] {
        let server = Server::registry(move |_, count| match count {
            0 => Answer::new(status, &["Retry-After: 1"], b""),
            _ => Answer::new("200 OK", &[&format!("Content-Type: {MANIFEST}")], b"{}"),
        });
        let started = Instant::now();
        assert_eq!(manifest_of(&server).unwrap(), b"{}");
        assert!(started.elapsed() >= Duration::from_secs(1));
    }
    let server = Server::registry(|_, _| Answer::status("500 Internal Server Error"));
    let failure = manifest_of(&server).unwrap_err();
    assert_eq!((failure.code, server.seen().len()), (Code::Unavailable, 3));
    let patient = Server::registry(|_, _| Answer::new("429 Too Many Requests", &["Retry-After: 86400"], b""));
    assert_eq!(manifest_of(&patient).unwrap_err().code, Code::Unavailable);
    assert_eq!(patient.seen().len(), 1);
}

#[test]
fn a_broken_connection_is_resumed_where_it_stopped() {
    let whole = content(100_000);
    let sent = whole.clone();
    let server = Server::registry(move |request, count| {
        let from = request.from();
        let (rest, range) = (&sent[from..], format!("Content-Range: bytes {from}-99999/100000"));
        match count {
            0 => Answer::cut("200 OK", &[], rest, 30_000),
            1 => Answer::cut("206 Partial Content", &[&range], rest, 40_000),
            _ => Answer::new("206 Partial Content", &[&range], rest),
        }
    });
    let notes = Notes::default();
    let (arrived, result) = run(blob(&anonymous(&server.name()), &whole, &notes));
    result.unwrap();
    assert!(arrived == whole);
    assert_eq!(server.seen().iter().map(super::server::Request::from).collect::<Vec<_>>(), [0, 30_000, 70_000]);
    assert_eq!((notes.interruptions().len(), *notes.most.lock().unwrap()), (2, 100_000));
}

#[test]
fn a_server_that_cannot_go_on_starts_again() {
    let whole = content(50_000);
    for status in ["200 OK", "416 Range Not Satisfiable", "206 Partial Content"] {
        let sent = whole.clone();
        let server = Server::registry(move |request, count| match count {
            0 => Answer::cut("200 OK", &[], &sent, 20_000),
            // It does not say which part this is, so it is taken for the whole.
            _ if request.from() > 0 && status != "200 OK" => {
                Answer::new(status, &[], if status.starts_with("206") { &sent } else { b"" })
            }
            _ => Answer::ok(&sent),
        });
        let (arrived, result) = run(blob(&anonymous(&server.name()), &whole, &Notes::default()));
        result.unwrap();
        assert!(arrived == whole, "{status}");
    }
}

#[test]
fn never_more_arrives_than_was_announced() {
    let whole = content(10_000);
    let announced = Server::registry(|_, _| Answer::ok(&content(10_001)));
    let (arrived, result) = run(blob(&anonymous(&announced.name()), &whole, &Notes::default()));
    assert_eq!((arrived.len(), result.unwrap_err().code), (0, Code::Corrupt));
    let short = Server::registry(|_, _| Answer::ok(&content(9_999)));
    assert_eq!(run(blob(&anonymous(&short.name()), &whole, &Notes::default())).1.unwrap_err().code, Code::Corrupt);
    // Without a length, as a flood that does not end.
    let flood = Server::registry(|_, _| {
        Answer::raw("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n").then(Duration::ZERO, &content(8 << 20))
    });
    let (arrived, result) = run(blob(&anonymous(&flood.name()), &whole, &Notes::default()));
    let failure = result.unwrap_err();
    assert_eq!((arrived.len(), failure.code), (0, Code::Corrupt));
    assert!(failure.message.contains("more than the 10000 bytes"), "{failure}");
    assert_eq!(flood.seen().len(), 1);
}

#[test]
fn a_body_without_a_length_that_ends_early_is_resumed_and_given_up_in_the_end() {
    let whole = content(10_000);
    let server = Server::registry(|_, _| {
        Answer::raw("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n").then(Duration::ZERO, &content(100))
    });
    let (arrived, result) = run(blob(&anonymous(&server.name()), &whole, &Notes::default()));
    let failure = result.unwrap_err();
    assert_eq!((failure.code, server.seen().len()), (Code::Unavailable, 3));
    assert!(arrived.len() == 100 && failure.message.contains("100 of 10000"), "{failure}");
}

#[test]
fn silence_and_trickles_are_cut() {
    let silent = Server::registry(|_, _| Answer::raw("").then(Duration::from_secs(20), b""));
    let started = Instant::now();
    let failure = manifest_of(&silent).unwrap_err();
    assert_eq!(failure.code, Code::Unavailable);
    assert!(failure.message.contains("next to nothing came"), "{failure}");
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
    // A byte now and then, for ever.
    let trickle = Server::registry(|_, _| {
        let head = Answer::raw("HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n");
        (0..100).fold(head, |answer, _| answer.then(Duration::from_millis(200), b"x"))
    });
    let started = Instant::now();
    let (arrived, result) = run(blob(&anonymous(&trickle.name()), &content(10_000), &Notes::default()));
    assert_eq!(result.unwrap_err().code, Code::Unavailable);
    assert!(arrived.len() < 100 && started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
}

#[test]
fn a_wrong_digest_is_refused() {
    let other = digest(b"other");
    let server = Server::registry(|_, _| Answer::ok(b"{}"));
    let registry = anonymous(&server.name());
    let failure = run(registry.manifest("app", Wanted::Digest(&other))).unwrap_err();
    assert!(failure.code == Code::Corrupt && failure.message.contains(other.as_str()), "{failure}");
    let failure = run(registry.small_blob("app", &other, 2)).unwrap_err();
    assert!(failure.code == Code::Corrupt && failure.message.contains(other.as_str()), "{failure}");
    let header = format!("Docker-Content-Digest: {other}");
    let lying = Server::registry(move |_, _| Answer::new("200 OK", &[&header], b"{}"));
    assert_eq!(manifest_of(&lying).unwrap_err().code, Code::Corrupt);
}

#[test]
fn vast_documents_are_refused_before_they_fill_the_memory() {
    let most = usize::try_from(LONGEST_MANIFEST).unwrap();
    let announced = Server::registry(|_, _| Answer::raw("HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n"));
    let endless = Server::registry(move |_, _| {
        Answer::raw("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n").then(Duration::ZERO, &vec![b' '; 100 << 20])
    });
    for server in [announced, endless] {
        let failure = manifest_of(&server).unwrap_err();
        assert!(failure.code == Code::Corrupt && failure.message.contains(&most.to_string()), "{failure}");
        assert_eq!(server.seen().len(), 1);
    }
    // Errors may be vast too.
    let server = Server::registry(|_, _| Answer::new("404 Not Found", &[], &vec![b'x'; 1 << 20]));
    assert_eq!(manifest_of(&server).unwrap_err().code, Code::NotFound);
}

#[test]
fn redirects_are_followed_five_times_and_not_for_ever() {
    let server =
        Server::registry(|_, _| Answer::new("307 Temporary Redirect", &["Location: /v2/app/manifests/latest"], b""));
    let failure = manifest_of(&server).unwrap_err();
    assert!(failure.message.contains("more than 5 redirects"), "{failure}");
    assert_eq!(server.seen().len(), 6);
    let server = Server::registry(|request, _| match request.line.rsplit_once('/').unwrap().1 {
        "latest" => Answer::new("307 Temporary Redirect", &["Location: /elsewhere/4"], b""),
        "0" => Answer::ok(b"{}"),
        number => {
            let next = number.parse::<u32>().unwrap() - 1;
            Answer::new("302 Found", &[&format!("Location: /elsewhere/{next}")], b"")
        }
    });
    assert_eq!(manifest_of(&server).unwrap(), b"{}");
    let odd = Server::registry(|_, _| Answer::new("302 Found", &["Location: file:///etc/passwd"], b""));
    assert_eq!(manifest_of(&odd).unwrap_err().code, Code::Corrupt);
}

#[test]
fn schema_1_is_refused_with_a_word_of_advice() {
    let server = Server::registry(|_, _| {
        let header = "Content-Type: application/vnd.docker.distribution.manifest.v1+prettyjws";
        Answer::new("200 OK", &[header], br#"{"schemaVersion":1}"#)
    });
    let failure = manifest_of(&server).unwrap_err();
    assert!(failure.code == Code::InvalidArgument && failure.message.contains("schema 1"), "{failure}");
    assert!(failure.hint.contains("pushed again"), "{failure:?}");
}

#[test]
fn lists_of_tags_end() {
    // Each page leads to itself.
    let server = Server::registry(|_, _| {
        Answer::new(
            "200 OK",
            &["Link: </v2/app/tags/list?again>; rel=\"next\""],
            &[br#"{"tags":["#, vec![r#""tag""#; 100].join(",").as_bytes(), b"]}"].concat(),
        )
    });
    let failure = run(anonymous(&server.name()).tags("app")).unwrap_err();
    assert!(failure.message.contains("more than 10000"), "{failure}");
    // Another host's page is not asked for.
    let server = Server::registry(|_, _| {
        Answer::new("200 OK", &["Link: <http://192.0.2.1/v2/app/tags/list>; rel=\"next\""], br#"{"tags":["a"]}"#)
    });
    assert_eq!(run(anonymous(&server.name()).tags("app")).unwrap(), ["a"]);
    let server = Server::registry(|_, _| Answer::ok(br#"{"tags":null}"#));
    assert_eq!(run(anonymous(&server.name()).tags("app")).unwrap(), [""; 0]);
}

#[test]
fn a_host_that_is_not_a_registry_is_told_so() {
    let server = Server::start(|_, _| Answer::new("200 OK", &["Content-Type: text/html"], b"<html>hello</html>"));
    let failure = run(anonymous(&server.name()).tags("app")).unwrap_err();
    assert!(failure.code == Code::Corrupt && failure.message.contains(&server.name()), "{failure}");
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let started = Instant::now();
    let failure = run(anonymous(&nobody).tags("app")).unwrap_err();
    assert!(failure.message.contains("refused") && started.elapsed() < Duration::from_secs(2), "{failure}");
}
