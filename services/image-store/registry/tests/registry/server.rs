//! An HTTP server of which a test writes every answer.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// What was asked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Request {
    /// `GET /v2/ HTTP/1.1`, without the version.
    pub(crate) line: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn header(&self, wanted: &str) -> Option<&str> {
        self.headers.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str())
    }

    /// Where a `Range` begins.
    pub(crate) fn from(&self) -> usize {
        let range = self.header("range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-'));
        range.map_or(0, |text| text.parse().unwrap())
    }
}

/// What is sent back, as pieces with pauses before them; then the connection ends.
pub(crate) struct Answer(Vec<(Duration, Vec<u8>)>);

impl Answer {
    pub(crate) fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self(vec![(Duration::ZERO, bytes.into())])
    }

    /// A status with headers (`Name: value` lines) and a whole body.
    pub(crate) fn new(status: &str, headers: &[&str], body: &[u8]) -> Self {
        Self::cut(status, headers, body, body.len())
    }

    /// The same; only so many bytes of the body come.
    pub(crate) fn cut(status: &str, headers: &[&str], body: &[u8], count: usize) -> Self {
        let lines: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
        let head = format!("HTTP/1.1 {status}\r\n{lines}Content-Length: {}\r\nConnection: close\r\n\r\n", body.len());
        Self::raw([head.as_bytes(), &body[..count]].concat())
    }

    pub(crate) fn ok(body: &[u8]) -> Self {
        Self::new("200 OK", &[], body)
    }

    pub(crate) fn status(status: &str) -> Self {
        Self::new(status, &[], b"")
    }

    pub(crate) fn then(mut self, pause: Duration, bytes: &[u8]) -> Self {
        self.0.push((pause, bytes.to_vec()));
        self
    }
}

type Handler = dyn Fn(&Request, usize) -> Answer + Send + Sync;

/// The server. It ends with the test's process.
pub(crate) struct Server {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// Answers by a function of the request, and of how many of the same line came before.
    pub(crate) fn start(handler: impl Fn(&Request, usize) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen: Arc<Mutex<Vec<Request>>> = Arc::default();
        let (handler, record): (Arc<Handler>, _) = (Arc::new(handler), Arc::clone(&seen));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (handler, record) = (Arc::clone(&handler), Arc::clone(&record));
                thread::spawn(move || serve(&stream.unwrap(), &*handler, &record));
            }
        });
        Self { address, seen }
    }

    /// A registry whose `/v2/` is fine.
    pub(crate) fn registry(handler: impl Fn(&Request, usize) -> Answer + Send + Sync + 'static) -> Self {
        Self::start(move |request, count| match request.line.as_str() {
            "GET /v2/" => Answer::ok(b"{}"),
            _ => handler(request, count),
        })
    }

    pub(crate) fn name(&self) -> String {
        self.address.to_string()
    }

    /// All that was asked, but `/v2/` itself.
    pub(crate) fn seen(&self) -> Vec<Request> {
        let seen = self.seen.lock().unwrap();
        seen.iter().filter(|request| request.line != "GET /v2/").cloned().collect()
    }
}

fn serve(stream: &TcpStream, handler: &Handler, record: &Mutex<Vec<Request>>) {
    let Some(request) = read(stream) else {
        // Whoever speaks TLS learns that this is HTTP.
        let mut stream = stream;
        let _gone = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        return;
    };
    let mut seen = record.lock().unwrap();
    let count = seen.iter().filter(|other| other.line == request.line).count();
    seen.push(request.clone());
    drop(seen);
    let mut stream = stream;
    for (pause, bytes) in handler(&request, count).0 {
        thread::sleep(pause);
        if stream.write_all(&bytes).is_err() {
            return;
        }
    }
    // What the client still sends is read: a reset could overtake the answer.
    let _closed = stream.shutdown(Shutdown::Write);
    let _rest = stream
        .set_read_timeout(Some(Duration::from_secs(5)))
        .and_then(|()| std::io::copy(&mut stream, &mut std::io::sink()));
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    if *reader.fill_buf().ok()?.first()? == 0x16 {
        return None;
    }
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut request = Request { line: line.rsplit_once(' ')?.0.to_owned(), ..Request::default() };
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        request.headers.push((name.to_ascii_lowercase(), value.to_owned()));
    }
    let length = request.header("content-length").map_or(0, |length| length.parse().unwrap());
    request.body = vec![0; length];
    reader.read_exact(&mut request.body).ok()?;
    Some(request)
}
