//! What comes over HTTP (RFC 9112), as little of it as a scraper needs: one request without a body, then the connection ends.

use std::net::IpAddr;

/// Bytes of a request.
pub(super) const LONGEST: usize = 8 << 10;
/// Its lines.
const LINES: usize = 64;

/// What is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) wanted: Wanted,
    /// Only the head of the answer.
    pub(super) head: bool,
}

/// A page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// `/metrics`
    Metrics,
    /// `/`: what else there is.
    Index,
}

/// Why there is no page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Not a request that we understand.
    Malformed,
    /// A host name that is not this host's, which a page in a browser may have brought here.
    Misdirected,
    NotFound,
    NotAllowed,
    TooLong,
}

impl Refusal {
    /// For the first line of the answer.
    pub(super) fn status(self) -> &'static str {
        match self {
            Self::Malformed => "400 Bad Request",
            Self::Misdirected => "421 Misdirected Request",
            Self::NotFound => "404 Not Found",
            Self::NotAllowed => "405 Method Not Allowed",
            Self::TooLong => "431 Request Header Fields Too Large",
        }
    }
}

/// Whether all of the head has come.
pub(super) fn is_whole(bytes: &[u8]) -> bool {
    bytes.windows(4).any(|end| end == b"\r\n\r\n")
}

/// Reads the head of a request. `any_host`: nobody but a user of this host can have sent it.
pub(super) fn read(bytes: &[u8], any_host: bool) -> Result<Request, Refusal> {
    let end = bytes.windows(4).position(|end| end == b"\r\n\r\n").ok_or(Refusal::Malformed)?;
    let text = std::str::from_utf8(&bytes[..end]).map_err(|_| Refusal::Malformed)?;
    let mut lines = text.split("\r\n");
    let (method, target, version) = first(lines.next().unwrap_or_default())?;
    let mut hosts = Vec::new();
    for (number, line) in lines.enumerate() {
        if number == LINES {
            return Err(Refusal::TooLong);
        }
        let (name, value) = field(line)?;
        match name.to_ascii_lowercase().as_str() {
            "host" => hosts.push(value),
            // There is no body that we would take.
            "content-length" if value != "0" => return Err(Refusal::Malformed),
            "transfer-encoding" => return Err(Refusal::Malformed),
            _ => {}
        }
    }
    match hosts[..] {
        [host] if any_host || is_ours(host) => {}
        [_] => return Err(Refusal::Misdirected),
        [] if version == "HTTP/1.0" => {}
        _ => return Err(Refusal::Malformed),
    }
    let head = match method {
        "GET" => false,
        "HEAD" => true,
        _ => return Err(Refusal::NotAllowed),
    };
    let path = target.split_once('?').map_or(target, |(path, _)| path);
    let wanted = match path {
        "/metrics" => Wanted::Metrics,
        "/" => Wanted::Index,
        _ => return Err(Refusal::NotFound),
    };
    Ok(Request { wanted, head })
}

/// Method, target and version.
fn first(line: &str) -> Result<(&str, &str, &str), Refusal> {
    let mut words = line.split(' ');
    match (words.next(), words.next(), words.next(), words.next()) {
        (Some(method), Some(target), Some(version @ ("HTTP/1.0" | "HTTP/1.1")), None)
            if is_token(method) && target.starts_with('/') && target.bytes().all(|byte| byte.is_ascii_graphic()) =>
        {
            Ok((method, target, version))
        }
        _ => Err(Refusal::Malformed),
    }
}

/// A name and its value.
fn field(line: &str) -> Result<(&str, &str), Refusal> {
    let (name, value) = line.split_once(':').ok_or(Refusal::Malformed)?;
    let clean = !value.chars().any(|character| character.is_control() && character != '\t');
    if is_token(name) && clean { Ok((name, value.trim_matches([' ', '\t']))) } else { Err(Refusal::Malformed) }
}

fn is_token(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(plain)
}

/// An address or `localhost`, perhaps with a port: a name could be anybody's, and lead here by its owner's choice.
fn is_ours(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let inner = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name);
    inner.eq_ignore_ascii_case("localhost") || inner.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn asked(text: &str) -> Result<Request, Refusal> {
        read(text.replace('\n', "\r\n").as_bytes(), false)
    }

    #[test]
    fn what_scrapers_say_is_understood() {
        let metrics = Request { wanted: Wanted::Metrics, head: false };
        let prometheus = "GET /metrics HTTP/1.1\nHost: 127.0.0.1:9323\nUser-Agent: Prometheus/3.0\nAccept: text/plain;version=0.0.4;q=0.5,*/*;q=0.1\n\n";
        assert_eq!(asked(prometheus), Ok(metrics));
        assert_eq!(asked("GET /metrics?name[]=a HTTP/1.1\nhost: LocalHost\nContent-Length: 0\n\n"), Ok(metrics));
        assert_eq!(asked("HEAD / HTTP/1.0\n\n"), Ok(Request { wanted: Wanted::Index, head: true }));
        assert_eq!(asked("GET /metrics HTTP/1.1\nHost: [::1]:9\n\n"), Ok(metrics));
    }

    #[test]
    fn everything_else_is_refused() {
        for (text, refusal) in [
            ("", Refusal::Malformed),
            ("GET /metrics HTTP/1.1\n\n", Refusal::Malformed),
            ("GET /metrics HTTP/1.1\nHost: localhost\nHost: localhost\n\n", Refusal::Malformed),
            ("GET /metrics HTTP/1.1\nHost: evil.example\n\n", Refusal::Misdirected),
            ("GET /metrics HTTP/1.1\nHost: 127.0.0.1.evil.example:80\n\n", Refusal::Misdirected),
            ("GET /metrics HTTP/2.0\nHost: localhost\n\n", Refusal::Malformed),
            ("GET  /metrics HTTP/1.1\nHost: localhost\n\n", Refusal::Malformed),
            ("GET http://localhost/metrics HTTP/1.1\nHost: localhost\n\n", Refusal::Malformed),
            ("GET /other HTTP/1.1\nHost: localhost\n\n", Refusal::NotFound),
            ("GET /metrics/../metrics HTTP/1.1\nHost: localhost\n\n", Refusal::NotFound),
            ("POST /metrics HTTP/1.1\nHost: localhost\n\n", Refusal::NotAllowed),
            ("GET /metrics HTTP/1.1\nHost: localhost\nContent-Length: 3\n\nabc", Refusal::Malformed),
            ("GET /metrics HTTP/1.1\nHost: localhost\nTransfer-Encoding: chunked\n\n", Refusal::Malformed),
            ("GET /metrics HTTP/1.1\nHost : localhost\n\n", Refusal::Malformed),
            ("GET /metrics HTTP/1.1\nHost: localhost\n folded\n\n", Refusal::Malformed),
            ("GET /metrics HTTP/1.1\nHost: localhost\nA: \u{0}\n\n", Refusal::Malformed),
        ] {
            assert_eq!(asked(text), Err(refusal), "{text:?}");
        }
        assert_eq!(read(b"GET /metrics HTTP/1.1\nHost: localhost\n\n", false), Err(Refusal::Malformed));
        let many = format!("GET / HTTP/1.1\nHost: localhost\n{}\n", "A: b\n".repeat(LINES));
        assert_eq!(asked(&many), Err(Refusal::TooLong));
        assert_eq!(read(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", true).map(|request| request.wanted), Ok(Wanted::Index));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = read(&bytes, false);
            let _ = read(&[b"GET /metrics HTTP/1.1\r\n".as_slice(), &bytes, b"\r\n\r\n"].concat(), true);
        }
    }
}
