//! One request to a collector, over HTTP/1.1 and a connection of its own.

use super::endpoint::Endpoint;
use schema::Failure;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a collector may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of an answer that are read: its first line is what matters.
const LONGEST: u64 = 4096;

/// Sends a body. Fails unless the collector says that it has taken it.
pub(super) async fn post(endpoint: &Endpoint, body: &str) -> Result<(), Failure> {
    let failed = |error: io::Error| {
        Failure::unavailable(format_args!("sending to {endpoint}: {error}")).hint("is the collector there?")
    };
    let answer = timeout(PATIENCE, exchange(endpoint, body)).await;
    let answer = answer.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())).map_err(failed)?;
    match status(&answer) {
        Some(200..300) => Ok(()),
        Some(status) => Err(Failure::unavailable(format_args!("{endpoint} answers with status {status}"))),
        None => Err(Failure::unavailable(format_args!("{endpoint} does not answer with HTTP"))),
    }
}

async fn exchange(endpoint: &Endpoint, body: &str) -> io::Result<Vec<u8>> {
    let Endpoint { authority, path } = endpoint;
    let mut stream = TcpStream::connect(authority).await?;
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {authority}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         User-Agent: cctl/{}\r\nConnection: close\r\n\r\n",
        body.len(),
        env!("CARGO_PKG_VERSION")
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    let mut answer = Vec::new();
    let mut limited = stream.take(LONGEST);
    // Its first line is enough: some collectors keep the connection, whatever we say.
    while !answer.contains(&b'\n') && limited.read_buf(&mut answer).await? > 0 {}
    Ok(answer)
}

/// The status in the first line of an answer.
fn status(answer: &[u8]) -> Option<u16> {
    let line = answer.split(|byte| *byte == b'\r').next()?;
    let rest = std::str::from_utf8(line).ok()?.strip_prefix("HTTP/1.")?;
    rest.get(2..5)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_first_line_tells() {
        assert_eq!(status(b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n"), Some(200));
        assert_eq!(status(b"HTTP/1.0 503\r\n"), Some(503));
        for other in [b"".as_slice(), b"SSH-2.0", b"HTTP/2 200\r\n", b"HTTP/1.1 OK\r\n", b"HTTP/1.1 2"] {
            assert_eq!(status(other), None);
        }
    }

    proptest! {
        #[test]
        fn any_answer_is_read(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            status(&bytes);
            status(&[b"HTTP/1.".as_slice(), &bytes].concat());
        }
    }
}
