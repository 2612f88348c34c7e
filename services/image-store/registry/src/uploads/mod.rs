//! Sending blobs.

mod body;

use crate::error::Asked;
use crate::http::{FLOOR, Request, Response, same_origin};
use crate::progress::Progress;
use crate::registry::{Registry, pause, pulling, pushing};
use crate::retry::Problem;
use body::FileBody;
use bytes::Bytes;
use reqwest::header::{CONTENT_RANGE, CONTENT_TYPE, LOCATION, RANGE};
use reqwest::{Method, StatusCode, Url};
use schema::{Digest, Failure};
use std::fs::File;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// How often progress is told.
const TICK: Duration = Duration::from_millis(100);
/// Idle timeouts that a registry may take to verify what it was sent.
const VERIFYING: u32 = 4;

/// What became of a blob that the registry should have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It had it.
    Existed,
    /// It had it in another repository.
    Mounted,
    /// It was sent.
    Uploaded,
}

/// A blob to send.
struct Parcel<'a> {
    repository: &'a str,
    digest: &'a Digest,
    size: u64,
    file: &'a Arc<File>,
    /// A repository of that registry that may have it.
    other: Option<&'a str>,
    asked: Asked,
    scope: String,
}

/// How an attempt begins.
enum Start {
    Done(Sent),
    /// Here, with so many bytes there already.
    Session(Url, u64),
}

impl Registry {
    /// Sees to it that a repository has a blob: asks whether it is there or in the repository `other` of the same
    /// registry, and sends the file if not. Goes on where a broken connection stopped, if the registry can.
    /// Fails: permissionDenied; unavailable; invalidArgument if the registry does not want it.
    pub async fn upload(
        &self,
        repository: &str,
        (digest, size): (&Digest, u64),
        file: &Arc<File>,
        other: Option<&str>,
        progress: &dyn Progress,
    ) -> Result<Sent, Failure> {
        let scope = match other {
            Some(other) => format!("{} {}", pushing(repository), pulling(other)),
            None => pushing(repository),
        };
        let asked = self.asked(format_args!("sending blob {digest} to {repository}"));
        let parcel = Parcel { repository, digest, size, file, other, asked, scope };
        let mut attempts = self.attempts();
        let (mut session, mut most) = (None, 0);
        loop {
            let start = match self.begin(&parcel, session.take()).await {
                Ok(Start::Done(sent)) => return Ok(sent),
                Ok(Start::Session(url, offset)) => Ok((url, offset)),
                Err(problem) => Err(problem),
            };
            let result = match start {
                Ok((url, offset)) => {
                    if offset > most + FLOOR as u64 {
                        (most, _) = (offset, attempts.progress());
                    }
                    session = Some(url.clone());
                    self.send(&parcel, url, offset, progress).await
                }
                Err(problem) => Err(problem),
            };
            match result {
                Ok(()) => return Ok(Sent::Uploaded),
                Err(problem) => pause(&mut attempts, problem, progress).await?,
            }
        }
    }

    /// Goes on with a session, or finds out whether one is needed.
    async fn begin(&self, parcel: &Parcel<'_>, session: Option<Url>) -> Result<Start, Problem> {
        let Parcel { repository, digest, asked, scope, .. } = parcel;
        if let Some(session) = session
            && let Some((url, offset)) = self.resumed(parcel, session).await?
        {
            return Ok(Start::Session(url, offset));
        }
        let url = self.url(&format!("{repository}/blobs/{digest}"), asked).await?;
        let there = self.ask(Request::new(Method::HEAD, url), None, scope, asked).await?;
        match there.status() {
            status if status.is_success() => return Ok(Start::Done(Sent::Existed)),
            StatusCode::NOT_FOUND => {}
            _ => return Err(asked.refused(there).await),
        }
        let mut url = self.url(&format!("{repository}/blobs/uploads/"), asked).await?;
        if let Some(other) = parcel.other {
            url.query_pairs_mut().append_pair("mount", digest.as_str()).append_pair("from", other);
        }
        let opened = self.ask(Request::new(Method::POST, url), Some(Bytes::new()), scope, asked).await?.ok().await?;
        if opened.status() == StatusCode::CREATED {
            return Ok(Start::Done(Sent::Mounted));
        }
        Ok(Start::Session(self.next_url(&opened, asked)?, 0))
    }

    /// How much of a session's upload the registry has; none: it does not know, and a new one is needed.
    async fn resumed(&self, parcel: &Parcel<'_>, session: Url) -> Result<Option<(Url, u64)>, Problem> {
        let Parcel { asked, scope, size, .. } = parcel;
        let response = self.ask(Request::get(session), None, scope, asked).await?;
        if response.status() != StatusCode::NO_CONTENT {
            return Ok(None);
        }
        // `0-0` may mean none or one.
        let offset = response.header(RANGE).and_then(last_byte).filter(|last| *last > 0).map(|last| last + 1);
        match offset {
            Some(offset) if offset <= *size => Ok(Some((self.next_url(&response, asked)?, offset))),
            _ => Ok(None),
        }
    }

    /// Sends the rest of the file, and says that this is all.
    async fn send(&self, parcel: &Parcel<'_>, url: Url, offset: u64, progress: &dyn Progress) -> Result<(), Problem> {
        let Parcel { digest, size, asked, scope, .. } = parcel;
        progress.at(offset);
        let sent = if offset < *size { self.patch(parcel, url, offset, progress).await? } else { url };
        let mut last = sent;
        last.query_pairs_mut().append_pair("digest", digest.as_str());
        let request = Request::new(Method::PUT, last).header(CONTENT_TYPE, "application/octet-stream");
        let mut patient = self.http.clone();
        patient.idle *= VERIFYING;
        let mut request = request;
        request.secret = self.secret(&request.url, scope, asked).await?;
        let response = patient.send_bytes(&request, Bytes::new(), asked).await?;
        if response.status() == StatusCode::UNAUTHORIZED {
            return Err(self.refused_for_now(response, &request, scope, asked).await);
        }
        response.ok().await.map(drop)
    }

    /// The body is streamed from the file, with its length. Gives where to go on.
    async fn patch(&self, parcel: &Parcel<'_>, url: Url, offset: u64, progress: &dyn Progress) -> Result<Url, Problem> {
        let Parcel { size, file, asked, scope, .. } = parcel;
        let mut request = Request::new(Method::PATCH, url).header(CONTENT_TYPE, "application/octet-stream");
        if offset > 0 {
            request = request.header(CONTENT_RANGE, &format!("{offset}-{}", size - 1));
        }
        request.secret = self.secret(&request.url, scope, asked).await?;
        let body = FileBody::new(Arc::clone(file), offset, *size);
        let count = body.counter();
        let sending = self.http.prepared(&request, &request.url).body(reqwest::Body::wrap(body)).send();
        tokio::pin!(sending);
        let (mut until, mut seen) = (Instant::now() + self.http.idle, 0);
        let response = loop {
            if let Ok(result) = timeout(TICK, &mut sending).await {
                break result.map_err(|error| asked.failed(&error))?;
            }
            let sent = count.get();
            progress.at(offset + sent);
            if sent >= seen + FLOOR as u64 || (sent > seen && offset + sent == *size) {
                let patience = if offset + sent == *size { VERIFYING } else { 1 };
                (seen, until) = (sent, Instant::now() + self.http.idle * patience);
            }
            if Instant::now() > until {
                return Err(asked.stalled(self.http.idle.as_secs()));
            }
        };
        let response = Response::new(response, self.http.idle, asked.clone());
        if response.status() == StatusCode::UNAUTHORIZED {
            return Err(self.refused_for_now(response, &request, scope, asked).await);
        }
        let response = response.ok().await?;
        progress.at(*size);
        self.next_url(&response, asked)
    }

    /// A token may run out while much is sent: then it is worth another attempt.
    async fn refused_for_now(&self, response: Response, request: &Request, scope: &str, asked: &Asked) -> Problem {
        let headers = response.headers().clone();
        let problem = asked.refused(response).await;
        if self.authority.challenged(&headers, scope, request.secret.as_ref()).await {
            Problem::passing(problem.failure)
        } else {
            problem
        }
    }

    /// Where the registry wants the next part. Behind a proxy that speaks TLS, some say http.
    fn next_url(&self, response: &Response, asked: &Asked) -> Result<Url, Problem> {
        let text = response.header(LOCATION).ok_or_else(|| asked.nonsense("it does not say where to send it"))?;
        let from = response.url();
        let mut url = from.join(text).map_err(|error| asked.nonsense(format_args!("Location {text:?}: {error}")))?;
        if !same_origin(from, &url) && from.scheme() == "https" && url.scheme() == "http" {
            let upgraded = url.host_str() == from.host_str()
                && url.set_scheme("https").is_ok()
                && url.set_port(from.port()).is_ok();
            if !upgraded {
                return Err(asked.nonsense(format_args!("Location {text:?} leaves TLS")));
            }
        }
        Ok(url)
    }
}

/// Of `0-9`, or of `bytes=0-9`, as some write.
fn last_byte(range: &str) -> Option<u64> {
    range.rsplit_once('-')?.1.trim().parse().ok()
}
