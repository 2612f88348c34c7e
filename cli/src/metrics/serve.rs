//! Serving scrapers: one request a connection, so many at a time, and none for long.

use super::exposition::CONTENT_TYPE;
use super::listen::{self, Listen, Listener};
use super::request::{self, LONGEST, Refusal, Request, Wanted};
use crate::console;
use crate::engine::Engine;
use crate::error::Result;
use schema::Failure;
use std::future::Future;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Mutex, Semaphore};
use tokio::time::{Instant, timeout};

/// Connections at a time. One that is too many is closed at once.
const CONNECTIONS: usize = 32;
/// How long a request may take to come.
const ASKING: Duration = Duration::from_secs(5);
/// How long an answer may take to be read.
const READING: Duration = Duration::from_secs(10);
/// How long is waited for the other side to close, so that it gets the answer before it hears of the end.
const LINGER: Duration = Duration::from_secs(1);
/// The same figures serve everybody who comes within this time: the services are not asked more often.
const FRESH: Duration = Duration::from_millis(500);
/// Before the next connection is accepted, if that failed.
const PAUSE: Duration = Duration::from_millis(100);

const INDEX: &str = "cctl: figures for Prometheus are at /metrics\n";

/// Serves until a signal ends this process.
pub(crate) async fn serve(engine: Engine, wanted: &Listen) -> Result<u8> {
    let (listener, place) = listen::open(wanted)?;
    let failed = |error| Failure::io("watching for signals", &error);
    let mut terminated = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupted = signal(SignalKind::interrupt()).map_err(failed)?;
    console::print_line(format_args!("listening on {place}"))?;
    let gateway = Rc::new(Gateway { engine, last: Mutex::new(None) });
    tokio::select! {
        () = accept(gateway, listener) => {}
        _ = terminated.recv() => {}
        _ = interrupted.recv() => {}
    }
    if let Listen::Unix(path) = wanted {
        // What is left is replaced by the next process.
        let _ = std::fs::remove_file(path);
    }
    Ok(0)
}

async fn accept(gateway: Rc<Gateway>, listener: Listener) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let accepted = match &listener {
            Listener::Tcp(listener) => listener.accept().await.map(|(stream, _)| Peer::Tcp(stream)),
            Listener::Unix(listener) => listener.accept().await.map(|(stream, _)| Peer::Unix(stream)),
        };
        match (accepted, Arc::clone(&room).try_acquire_owned()) {
            (Ok(peer), Ok(place)) => {
                let gateway = Rc::clone(&gateway);
                tokio::task::spawn_local(async move {
                    // A peer that goes away is its own concern.
                    let _ = match peer {
                        Peer::Tcp(stream) => gateway.converse(stream, false).await,
                        Peer::Unix(stream) => gateway.converse(stream, true).await,
                    };
                    drop(place);
                });
            }
            (Ok(_), Err(_)) => {}
            (Err(error), _) => {
                console::note(format_args!("cannot accept a connection: {error}"));
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

enum Peer {
    Tcp(tokio::net::TcpStream),
    Unix(tokio::net::UnixStream),
}

struct Gateway {
    engine: Engine,
    last: Mutex<Option<(Instant, Rc<str>)>>,
}

impl Gateway {
    /// One request, and its answer.
    async fn converse(&self, mut stream: impl AsyncRead + AsyncWrite + Unpin, any_host: bool) -> io::Result<()> {
        let request = match in_time(ASKING, receive(&mut stream)).await? {
            Some(head) if request::is_whole(&head) => request::read(&head, any_host),
            Some(_) => Err(Refusal::TooLong),
            // It has closed before it asked.
            None => return Ok(()),
        };
        let answer = match request {
            Ok(Request { wanted: Wanted::Metrics, head }) => {
                response("200 OK", CONTENT_TYPE, &self.figures().await, head)
            }
            Ok(Request { wanted: Wanted::Index, head }) => response("200 OK", "text/plain; charset=utf-8", INDEX, head),
            Err(refusal) => {
                let status = refusal.status();
                response(status, "text/plain; charset=utf-8", &format!("{status}\n"), false)
            }
        };
        in_time(READING, async {
            stream.write_all(answer.as_bytes()).await?;
            stream.shutdown().await
        })
        .await?;
        // Closed with something unread, a connection would be reset, and the answer lost.
        let _ = timeout(LINGER, tokio::io::copy(&mut stream.take(LONGEST as u64), &mut tokio::io::sink())).await;
        Ok(())
    }

    /// The figures of this moment. While they are asked for, everybody waits for the same.
    async fn figures(&self) -> Rc<str> {
        let mut last = self.last.lock().await;
        if let Some((at, text)) = &*last
            && at.elapsed() < FRESH
        {
            return Rc::clone(text);
        }
        let text: Rc<str> = super::text(&super::look(&self.engine).await).into();
        *last = Some((Instant::now(), Rc::clone(&text)));
        text
    }
}

async fn in_time<T>(limit: Duration, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(limit, work).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// The head of a request, or what is too long for one; none if nothing comes.
async fn receive(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Vec<u8>>> {
    let (mut bytes, mut length) = (vec![0; LONGEST], 0);
    while length < LONGEST {
        match stream.read(&mut bytes[length..]).await? {
            0 if length == 0 => return Ok(None),
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            more => length += more,
        }
        if request::is_whole(&bytes[..length]) {
            break;
        }
    }
    bytes.truncate(length);
    Ok(Some(bytes))
}

fn response(status: &str, kind: &str, body: &str, head: bool) -> String {
    let length = body.len();
    let allow = if status.starts_with("405") { "Allow: GET, HEAD\r\n" } else { "" };
    let body = if head { "" } else { body };
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n{allow}Cache-Control: no-store\r\n\
         X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n{body}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_request_ends_with_its_empty_line_or_is_too_long() {
        let head = b"GET / HTTP/1.1\r\n\r\nmore".as_slice();
        assert_eq!(receive(&mut &*head).await.unwrap().unwrap(), head);
        assert!(receive(&mut [].as_slice()).await.unwrap().is_none());
        assert!(receive(&mut b"GET".as_slice()).await.is_err());
        let long = vec![b'a'; 2 * LONGEST];
        assert_eq!(receive(&mut long.as_slice()).await.unwrap().unwrap().len(), LONGEST);
    }

    #[test]
    fn an_answer_to_head_tells_the_length_alone() {
        let answer = response("200 OK", "text/plain", "abc", true);
        assert!(answer.contains("Content-Length: 3\r\n") && answer.ends_with("\r\n\r\n"), "{answer}");
        assert!(response("405 Method Not Allowed", "text/plain", "x", false).contains("Allow: GET, HEAD\r\n"));
    }
}
