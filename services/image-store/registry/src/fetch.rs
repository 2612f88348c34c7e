//! A file from a web server.

use crate::config::Configuration;
use crate::error::Asked;
use crate::http::{FLOOR, Http, Request, Response};
use crate::progress::Progress;
use crate::registry::pause;
use crate::retry::{Attempts, Problem};
use bytes::Bytes;
use reqwest::header::{ETAG, IF_RANGE, RANGE};
use reqwest::{StatusCode, Url};
use schema::Failure;

/// What has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// These bytes belong at `offset`.
    Data {
        /// Of the first of them.
        offset: u64,
        /// They.
        bytes: Bytes,
    },
    /// All that came before is void: the server has to start again.
    Restart,
}

/// A file on its way.
#[derive(Debug)]
pub struct Fetch {
    http: Http,
    url: Url,
    asked: Asked,
    attempts: Attempts,
    response: Option<Response>,
    /// What the file was when it began to come, if the server can tell.
    version: Option<String>,
    length: u64,
    /// The length at the beginning of this attempt.
    began: u64,
}

/// Begins to bring a file. `http://` is assumed if the URL has no scheme.
/// Fails: invalidArgument if it is not an http or https URL, or the configuration cannot be used.
pub fn fetch(configuration: &Configuration, url: &str) -> Result<Fetch, Failure> {
    let url = parse(url)?;
    let mut shown = url.clone();
    // The user and the password are not for error messages. These fail for no http URL.
    let (_, _) = (shown.set_username(""), shown.set_password(None));
    Ok(Fetch {
        http: Http::new(configuration, None)?,
        asked: Asked { server: shown.to_string(), what: String::new(), registry: None, known: false },
        url,
        attempts: Attempts::new(configuration.patience.attempts),
        response: None,
        version: None,
        length: 0,
        began: 0,
    })
}

fn parse(text: &str) -> Result<Url, Failure> {
    let whole = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let refuse = |why: &dyn std::fmt::Display| Failure::invalid(format_args!("{text:?} is not a URL: {why}"));
    let url: Url = whole.parse().map_err(|error| refuse(&error))?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        scheme => Err(refuse(&format_args!("{scheme} is neither http nor https"))),
    }
}

impl Fetch {
    /// The next bytes; none: that was all.
    /// Fails: notFound, permissionDenied, invalidArgument or unavailable by the server's status; unavailable if it
    /// cannot be reached or breaks off too often.
    pub async fn next(&mut self, progress: &dyn Progress) -> Result<Option<Piece>, Failure> {
        loop {
            match self.step(progress).await {
                Ok(piece) => return Ok(piece),
                Err(problem) => {
                    self.response = None;
                    if self.length >= self.began + FLOOR as u64 {
                        self.attempts.progress();
                    }
                    pause(&mut self.attempts, problem, progress).await?;
                }
            }
        }
    }

    async fn step(&mut self, progress: &dyn Progress) -> Result<Option<Piece>, Problem> {
        if self.response.is_none() {
            let void = self.connect(progress).await?;
            if void {
                return Ok(Some(Piece::Restart));
            }
        }
        let Some(response) = &mut self.response else { return Ok(None) };
        let Some(bytes) = response.chunk().await? else { return Ok(None) };
        let offset = self.length;
        self.length += bytes.len() as u64;
        progress.at(self.length);
        Ok(Some(Piece::Data { offset, bytes }))
    }

    /// Asks for what is missing. Whether what has come is void.
    async fn connect(&mut self, progress: &dyn Progress) -> Result<bool, Problem> {
        let mut request = Request::get(self.url.clone());
        if let (Some(version), 1..) = (&self.version, self.length) {
            request = request.header(RANGE, &format!("bytes={}-", self.length)).header(IF_RANGE, version);
        }
        let response = self.http.send(&request, &self.asked).await?.ok().await?;
        let goes_on = response.status() == StatusCode::PARTIAL_CONTENT;
        let void = self.length > 0 && !goes_on;
        if void {
            self.length = 0;
        }
        // A weak one does not promise the same bytes.
        self.version = response.header(ETAG).filter(|tag| tag.starts_with('"')).map(ToOwned::to_owned);
        self.began = self.length;
        progress.expect(response.length().map_or(0, |length| length + self.length));
        self.response = Some(response);
        Ok(void)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_is_assumed() {
        for (text, url) in [
            ("example.org/a.tar", "http://example.org/a.tar"),
            ("localhost:8000/a", "http://localhost:8000/a"),
            ("https://example.org", "https://example.org/"),
        ] {
            assert_eq!(parse(text).unwrap().as_str(), url);
        }
        for bad in ["", "ftp://a", "file:///etc/passwd", "http://", "a b://"] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }
}
