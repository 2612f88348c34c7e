//! Where spans go.

use crate::parse::Parsed;
use std::fmt;

/// The path of traces (OTLP specification, "OTLP/HTTP Request").
const TRACES: &str = "/v1/traces";
/// Where collectors listen (the same).
const PORT: u16 = 4318;

/// A collector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    /// A name or an address, in brackets if it is of IPv6, and a port.
    pub(super) authority: String,
    pub(super) path: String,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}", self.authority, self.path)
    }
}

/// Understands `--endpoint`: the base, to which the path of traces is added, as OTEL_EXPORTER_OTLP_ENDPOINT has it; or all of
/// it, if it has that path already.
pub(crate) fn endpoint(text: &str) -> Parsed<Endpoint> {
    let wrong = |why: &str| Err(format!("{text:?}: {why}; it looks like http://127.0.0.1:4318"));
    let Some(rest) = text.strip_prefix("http://") else {
        return wrong(if text.starts_with("https://") {
            "TLS is not spoken here: put a collector on this host before the one that wants it"
        } else {
            "it does not begin with http://"
        });
    };
    let (authority, base) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => match port.parse::<u16>() {
            Ok(port @ 1..) => (host, port),
            _ => return wrong("the port is no port"),
        },
        _ => (authority, PORT),
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_[]:%".contains(&byte);
    if host.is_empty() || !host.bytes().all(plain) {
        return wrong("there is no host");
    }
    if !base.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#".contains(&byte)) {
        return wrong("the path is no path");
    }
    let base = base.trim_end_matches('/');
    let path = if base.ends_with(TRACES) { base.to_owned() } else { format!("{base}{TRACES}") };
    Ok(Endpoint { authority: format!("{host}:{port}"), path })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_or_all_of_it() {
        for (text, shown) in [
            ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
            ("http://localhost/", "http://localhost:4318/v1/traces"),
            ("http://[::1]:80/otlp/", "http://[::1]:80/otlp/v1/traces"),
            ("http://[::1]", "http://[::1]:4318/v1/traces"),
            ("http://collector:1/v1/traces", "http://collector:1/v1/traces"),
        ] {
            assert_eq!(endpoint(text).unwrap().to_string(), shown);
        }
        for wrong in [
            "",
            "localhost:4318",
            "https://x",
            "http://",
            "http://a:0",
            "http://a:x",
            "http://a b",
            "http://a/ b",
            "http://a/?x",
        ] {
            assert!(endpoint(wrong).is_err(), "{wrong}");
        }
    }
}
