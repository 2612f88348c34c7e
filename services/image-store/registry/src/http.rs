//! One request and its answer: timeouts, redirects, and who gets to see credentials.

use crate::config::Configuration;
use crate::error::Asked;
use crate::retry::Problem;
use crate::tls;
use bytes::Bytes;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, LOCATION};
use reqwest::{Client, Method, StatusCode, Url};
use schema::Failure;
use std::path::Path;
use std::time::Duration;
use tokio::time::{Instant, timeout, timeout_at};

/// Bytes that a connection has to bring within the idle timeout.
pub(crate) const FLOOR: usize = 4096;
const MOST_REDIRECTS: usize = 5;
const USER_AGENT: &str = concat!("cctl/", env!("CARGO_PKG_VERSION"));

/// Speaks HTTP with the servers that trust in these certificate authorities leads to.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    client: Client,
    pub(crate) idle: Duration,
}

/// What is asked.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    /// Who we are: only for the host of `url`.
    pub(crate) secret: Option<HeaderValue>,
}

impl Request {
    pub(crate) fn new(method: Method, url: Url) -> Self {
        Self { method, url, headers: HeaderMap::new(), secret: None }
    }

    pub(crate) fn get(url: Url) -> Self {
        Self::new(Method::GET, url)
    }

    /// Adds a header whose value is known to be one.
    pub(crate) fn header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }
}

impl Http {
    /// Fails: invalidArgument, if the configuration cannot be used.
    pub(crate) fn new(configuration: &Configuration, ca: Option<&Path>) -> Result<Self, Failure> {
        let mut builder = Client::builder()
            .tls_backend_preconfigured(tls::configuration(ca)?)
            .user_agent(USER_AGENT)
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .connect_timeout(configuration.patience.connect)
            .no_proxy();
        for proxy in configuration.proxies().build()? {
            builder = builder.proxy(proxy);
        }
        let client = builder.build().map_err(|error| Failure::internal(format_args!("preparing HTTP: {error}")))?;
        Ok(Self { client, idle: configuration.patience.idle })
    }

    /// Asks, and follows redirects: at most five, not from https to http, and without credentials on any other
    /// host. Any status is an answer.
    pub(crate) async fn send(&self, request: &Request, asked: &Asked) -> Result<Response, Problem> {
        let mut url = request.url.clone();
        for _ in 0..=MOST_REDIRECTS {
            let mut sent = self.prepared(request, &url);
            if request.method == Method::POST || request.method == Method::PUT {
                sent = sent.body(Bytes::new());
            }
            let response = self.answer(sent, asked).await?;
            match redirected(&response, &request.method) {
                None => return Ok(response),
                Some(next) => url = follow(&url, next).map_err(|why| asked.nonsense(why))?,
            }
        }
        Err(asked.nonsense(format_args!("more than {MOST_REDIRECTS} redirects, the last one to {url}")))
    }

    /// Sends a small body. Redirects are not followed: they would have to carry it on.
    pub(crate) async fn send_bytes(&self, request: &Request, body: Bytes, asked: &Asked) -> Result<Response, Problem> {
        self.answer(self.prepared(request, &request.url).body(body), asked).await
    }

    /// A request that has no body yet.
    pub(crate) fn prepared(&self, request: &Request, url: &Url) -> reqwest::RequestBuilder {
        let mut builder = self.client.request(request.method.clone(), url.clone()).headers(request.headers.clone());
        if let Some(secret) = &request.secret
            && same_origin(url, &request.url)
        {
            builder = builder.header(AUTHORIZATION, secret.clone());
        }
        builder
    }

    async fn answer(&self, request: reqwest::RequestBuilder, asked: &Asked) -> Result<Response, Problem> {
        match timeout(self.idle, request.send()).await {
            Ok(Ok(response)) => Ok(Response::new(response, self.idle, asked.clone())),
            Ok(Err(error)) => Err(asked.failed(&error)),
            Err(_) => Err(asked.stalled(self.idle.as_secs())),
        }
    }

    /// Only connects and asks: for finding out what a server speaks.
    pub(crate) async fn try_get(&self, url: Url) -> Result<reqwest::Response, reqwest::Error> {
        self.client.get(url).timeout(self.idle).send().await
    }
}

/// An answer, whose body is yet to come.
#[derive(Debug)]
pub(crate) struct Response {
    inner: reqwest::Response,
    idle: Duration,
    asked: Asked,
    /// Until when the next [`FLOOR`] bytes must be there.
    until: Instant,
    /// How many of them are.
    count: usize,
}

impl Response {
    pub(crate) fn new(inner: reqwest::Response, idle: Duration, asked: Asked) -> Self {
        Self { inner, idle, asked, until: Instant::now() + idle, count: 0 }
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.inner.status()
    }

    /// Where it came from, after all redirects.
    pub(crate) fn url(&self) -> &Url {
        self.inner.url()
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        self.inner.headers()
    }

    /// A header that is text.
    pub(crate) fn header(&self, name: impl reqwest::header::AsHeaderName) -> Option<&str> {
        self.inner.headers().get(name).and_then(|value| value.to_str().ok())
    }

    /// Bytes that the body will have, if the server says so.
    pub(crate) fn length(&self) -> Option<u64> {
        self.inner.content_length()
    }

    /// The same, if it is a success.
    pub(crate) async fn ok(self) -> Result<Self, Problem> {
        if self.status().is_success() {
            return Ok(self);
        }
        let asked = self.asked.clone();
        Err(asked.refused(self).await)
    }

    /// More of the body; none: that was all. Fails if too little comes.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, Problem> {
        let chunk = match timeout_at(self.until, self.inner.chunk()).await {
            Ok(Ok(chunk)) => chunk,
            Ok(Err(error)) => return Err(self.asked.failed(&error)),
            Err(_) => return Err(self.asked.stalled(self.idle.as_secs())),
        };
        self.count += chunk.as_ref().map_or(0, Bytes::len);
        if self.count >= FLOOR {
            (self.count, self.until) = (0, Instant::now() + self.idle);
        }
        Ok(chunk)
    }

    /// The whole body, if it has no more than `most` bytes.
    pub(crate) async fn read(mut self, most: u64) -> Result<Vec<u8>, Problem> {
        let too_long = |asked: &Asked| asked.nonsense(format_args!("its answer is longer than {most} bytes"));
        if self.length().is_some_and(|length| length > most) {
            return Err(too_long(&self.asked));
        }
        let mut body = Vec::new();
        while let Some(chunk) = self.chunk().await? {
            if (body.len() + chunk.len()) as u64 > most {
                return Err(too_long(&self.asked));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

/// Scheme, host and port.
pub(crate) fn same_origin(one: &Url, other: &Url) -> bool {
    one.scheme() == other.scheme()
        && one.host_str() == other.host_str()
        && one.port_or_known_default() == other.port_or_known_default()
}

fn redirected<'a>(response: &'a Response, method: &Method) -> Option<&'a str> {
    let followed = [Method::GET, Method::HEAD].contains(method);
    let is_redirect = matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
    if followed && is_redirect { response.header(LOCATION) } else { None }
}

fn follow(from: &Url, to: &str) -> Result<Url, String> {
    let next = from.join(to).map_err(|error| format!("a redirect to {to:?}: {error}"))?;
    match (from.scheme(), next.scheme()) {
        ("https", "https") | ("http", "http" | "https") => Ok(next),
        _ => Err(format!("a redirect from {} to {} is not followed", from.scheme(), next.scheme())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_scheme_host_and_port() {
        let url = |text: &str| text.parse::<Url>().unwrap();
        assert!(same_origin(&url("https://a/x"), &url("https://a:443/y")));
        for other in ["http://a", "https://b", "https://a:444", "https://a.b"] {
            assert!(!same_origin(&url("https://a"), &url(other)), "{other}");
        }
    }

    #[test]
    fn redirects_do_not_leave_tls() {
        let from: Url = "https://a/b/c".parse().unwrap();
        assert_eq!(follow(&from, "../d").unwrap().as_str(), "https://a/d");
        assert!(follow(&from, "http://a/").is_err());
        assert!(follow(&from, "file:///etc/passwd").is_err());
        assert!(follow(&"http://a".parse().unwrap(), "https://b/").is_ok());
    }
}
