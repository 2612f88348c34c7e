//! What went wrong, for people: which server, what was asked, what it answered, what to do.

use crate::http::Response;
use crate::retry::{Again, Problem, retry_after};
use reqwest::StatusCode;
use reqwest::header::RETRY_AFTER;
use schema::{Code, Failure};
use serde::Deserialize;
use std::error::Error;
use std::fmt;
use std::io;

/// Bytes of an error's document that are read.
const LONGEST_ERROR: u64 = 64 << 10;
/// Characters of a server's own words that are repeated.
const LONGEST_QUOTE: usize = 300;

/// Who is asked for what.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// `registry example.org`, or `http://example.org/file`.
    pub(crate) server: String,
    /// `manifest latest of team/app`; may be empty.
    pub(crate) what: String,
    /// For hints; none: it is no registry.
    pub(crate) registry: Option<String>,
    /// Whether we have said who we are.
    pub(crate) known: bool,
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.what.is_empty() { f.write_str(&self.server) } else { write!(f, "{}: {}", self.server, self.what) }
    }
}

impl Asked {
    /// The problem of an answer that is no success. Reads what the server says about it.
    pub(crate) async fn refused(&self, response: Response) -> Problem {
        let status = response.status();
        let after = response.header(RETRY_AFTER).and_then(retry_after);
        let said = match response.read(LONGEST_ERROR).await {
            Ok(body) => quoted(&body),
            Err(_) => String::new(),
        };
        let separator = if said.is_empty() { "" } else { ": " };
        let message = format!("{self}: {status}{separator}{said}");
        Problem { failure: Failure::new(code(status), message).hint(self.hint(status)), again: again(status, after) }
    }

    /// The problem of a conversation that did not take place.
    pub(crate) fn failed(&self, error: &reqwest::Error) -> Problem {
        let failure = Failure::unavailable(format_args!("{self}: {}", reason(error)));
        if tls_error(error).is_some_and(|error| matches!(error, rustls::Error::InvalidCertificate(_))) {
            let registry = self.registry.as_deref().unwrap_or("HOST");
            return Problem::lasting(failure.hint(format_args!(
                "if it has an authority of its own, write ca = \"/its/ca.pem\" below [registry.{registry:?}] in registries.toml"
            )));
        }
        Problem::passing(failure.hint("check the name, the network, and the proxy if there is one"))
    }

    /// The problem of a server that has stopped talking.
    pub(crate) fn stalled(&self, seconds: u64) -> Problem {
        Problem::passing(
            Failure::unavailable(format_args!("{self}: next to nothing came for {seconds} s"))
                .hint("try again; what has arrived is kept"),
        )
    }

    /// The problem of an answer that makes no sense.
    pub(crate) fn nonsense(&self, why: impl fmt::Display) -> Problem {
        Problem::lasting(Failure::corrupt(format_args!("{self}: {why}")))
    }

    fn hint(&self, status: StatusCode) -> String {
        let Some(registry) = &self.registry else { return String::new() };
        match status.as_u16() {
            401 if self.known => format!("it does not accept these credentials: `cctl login {registry}`"),
            401 => format!("it wants to know who you are: `cctl login {registry}`"),
            403 if self.known => "this account may not do that: ask the owner of the repository".to_owned(),
            403 => format!("not everybody may do that: `cctl login {registry}`"),
            404 => "check the name and the tag".to_owned(),
            429 => format!("it limits how often it may be asked: wait, or `cctl login {registry}`"),
            500.. => "it has a problem of its own: try again later".to_owned(),
            _ => String::new(),
        }
    }
}

fn code(status: StatusCode) -> Code {
    match status.as_u16() {
        401 | 403 => Code::PermissionDenied,
        404 => Code::NotFound,
        408 | 429 | 500.. => Code::Unavailable,
        _ => Code::InvalidArgument,
    }
}

fn again(status: StatusCode, after: Option<std::time::Duration>) -> Again {
    match status.as_u16() {
        501 | 505 => Again::Never,
        408 | 429 | 500.. => Again::Later(after),
        _ => Again::Never,
    }
}

#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    errors: Vec<Entry>,
    /// What token servers say.
    error_description: Option<String>,
    details: Option<String>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

/// What a registry says in its error document: OCI distribution specification, "Error Codes".
fn quoted(body: &[u8]) -> String {
    let Ok(document) = serde_json::from_slice::<Document>(body) else { return String::new() };
    let Document { errors, error_description, details } = document;
    let words = errors.into_iter().map(|entry| if entry.message.is_empty() { entry.code } else { entry.message });
    let text = words.chain(error_description).chain(details).collect::<Vec<_>>().join("; ");
    // A terminal must not obey it.
    text.chars().filter(|char| !char.is_control()).take(LONGEST_QUOTE).collect()
}

/// The innermost cause says most.
fn reason(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "it does not answer in time".to_owned();
    }
    let innermost = causes(error).last().map_or_else(|| error.to_string(), ToString::to_string);
    let prefix = if error.is_connect() { "cannot connect: " } else { "the connection broke: " };
    format!("{prefix}{innermost}")
}

/// What TLS says about it, if it was TLS.
pub(crate) fn tls_error(error: &reqwest::Error) -> Option<&rustls::Error> {
    causes(error).find_map(|cause| cause.downcast_ref())
}

/// All causes of an error, outermost first.
pub(crate) fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(error.source(), |cause| next_cause(*cause))
}

fn next_cause<'a>(cause: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match cause.downcast_ref::<io::Error>() {
        // An error of input and output that wraps another one does not give it as its source.
        Some(error) => error.get_ref().map(|inner| inner as &(dyn Error + 'static)),
        None => cause.source(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_servers_words_are_quoted_and_tamed() {
        let text = br#"{"errors":[{"code":"DENIED","message":"no\u001b[2J"},{"code":"X"}]}"#;
        assert_eq!(quoted(text), "no[2J; X");
        assert_eq!(quoted(br#"{"details":"incorrect username or password"}"#), "incorrect username or password");
        assert_eq!(quoted(b"<html>"), "");
        let long = format!(r#"{{"errors":[{{"message":"{}"}}]}}"#, "x".repeat(1000));
        assert_eq!(quoted(long.as_bytes()).len(), LONGEST_QUOTE);
    }

    #[test]
    fn refusals_are_final_and_overload_is_not() {
        let of = |number: u16| StatusCode::from_u16(number).unwrap();
        for status in [400, 401, 403, 404, 405, 413, 501] {
            assert_eq!(again(of(status), None), Again::Never, "{status}");
        }
        let wait = Some(Duration::from_secs(3));
        for status in [408, 429, 500, 502, 503, 504] {
            assert_eq!(again(of(status), wait), Again::Later(wait), "{status}");
        }
        assert_eq!(code(of(403)), Code::PermissionDenied);
        assert_eq!(code(of(404)), Code::NotFound);
        assert_eq!(code(of(503)), Code::Unavailable);
    }
}
