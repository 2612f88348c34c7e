//! Bringing blobs: from where the last attempt stopped, and never more than was announced.

use crate::http::{FLOOR, Request, Response};
use crate::progress::Progress;
use crate::registry::{Registry, pause, pulling};
use crate::retry::Problem;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_RANGE, RANGE};
use schema::{Digest, Failure};
use sha2::Digest as _;

/// Where a blob's bytes go. It knows what has arrived in earlier attempts.
pub trait Sink: Send {
    /// Bytes that have arrived.
    fn length(&self) -> u64;
    /// More of them.
    fn append(&mut self, bytes: &[u8]) -> Result<(), Failure>;
    /// Forgets all: the sender cannot go on where it stopped.
    fn restart(&mut self) -> Result<(), Failure>;
}

impl Sink for Vec<u8> {
    fn length(&self) -> u64 {
        self.len() as u64
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.extend_from_slice(bytes);
        Ok(())
    }

    fn restart(&mut self) -> Result<(), Failure> {
        self.clear();
        Ok(())
    }
}

impl Registry {
    /// Brings what `sink` lacks of a blob of exactly `size` bytes. Its digest is for the caller to verify: the
    /// sink has seen all bytes.
    /// Fails: notFound; permissionDenied; unavailable; corrupt if it has another size, and what the sink says.
    pub async fn blob(
        &self,
        repository: &str,
        digest: &Digest,
        size: u64,
        sink: &mut dyn Sink,
        progress: &dyn Progress,
    ) -> Result<(), Failure> {
        let mut attempts = self.attempts();
        if sink.length() > size {
            sink.restart()?;
        }
        while sink.length() < size {
            let before = sink.length();
            progress.at(before);
            let result = self.blob_once(repository, digest, size, sink, progress).await;
            if sink.length() >= before + FLOOR as u64 {
                attempts.progress();
            }
            if let Err(problem) = result {
                pause(&mut attempts, problem, progress).await?;
            }
        }
        progress.at(size);
        Ok(())
    }

    /// Brings a blob that is small enough for memory, and verifies it.
    /// Fails: as [`Registry::blob`]; corrupt if its digest is wrong.
    pub async fn small_blob(&self, repository: &str, digest: &Digest, size: u64) -> Result<Vec<u8>, Failure> {
        let mut content = Vec::new();
        self.blob(repository, digest, size, &mut content, &()).await?;
        let found = Digest::from_sha256(&sha2::Sha256::digest(&content).into());
        if found == *digest {
            return Ok(content);
        }
        Err(Failure::corrupt(format_args!("registry {}: what came as {digest} has the digest {found}", self.name())))
    }

    async fn blob_once(
        &self,
        repository: &str,
        digest: &Digest,
        size: u64,
        sink: &mut dyn Sink,
        progress: &dyn Progress,
    ) -> Result<(), Problem> {
        let asked = self.asked(format_args!("blob {digest} of {repository}"));
        let url = self.url(&format!("{repository}/blobs/{digest}"), &asked).await?;
        let from = sink.length();
        let mut request = Request::get(url);
        if from > 0 {
            request = request.header(RANGE, &format!("bytes={from}-"));
        }
        let response = self.ask(request, None, &pulling(repository), &asked).await?;
        if response.status() == StatusCode::RANGE_NOT_SATISFIABLE {
            sink.restart().map_err(Problem::lasting)?;
            return Err(Problem::passing(Failure::unavailable(format_args!(
                "{asked}: it cannot go on at byte {from}"
            ))));
        }
        let mut response = response.ok().await?;
        if from > 0 && !goes_on(&response, from) {
            sink.restart().map_err(Problem::lasting)?;
        }
        let wanted = size - sink.length();
        if let Some(length) = response.length().filter(|length| *length != wanted) {
            return Err(asked.nonsense(format_args!("it announces {length} bytes where {wanted} are missing")));
        }
        while let Some(chunk) = response.chunk().await? {
            if sink.length() + chunk.len() as u64 > size {
                sink.restart().map_err(Problem::lasting)?;
                return Err(asked.nonsense(format_args!("it sends more than the {size} bytes that the manifest says")));
            }
            sink.append(&chunk).map_err(Problem::lasting)?;
            progress.at(sink.length());
        }
        if sink.length() < size {
            let length = sink.length();
            let failure = Failure::unavailable(format_args!("{asked}: it ended after {length} of {size} bytes"))
                .hint("try again; what has arrived is kept");
            return Err(Problem::passing(failure));
        }
        Ok(())
    }
}

/// Whether the answer begins at this byte; else it begins at the first.
fn goes_on(response: &Response, from: u64) -> bool {
    response.status() == StatusCode::PARTIAL_CONTENT
        && response.header(CONTENT_RANGE).and_then(first_byte) == Some(from)
}

/// Of `bytes 5-9/10`.
fn first_byte(range: &str) -> Option<u64> {
    range.trim().strip_prefix("bytes ")?.split('-').next()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read() {
        assert_eq!(first_byte("bytes 5-9/10"), Some(5));
        assert_eq!(first_byte("bytes */10"), None);
        assert_eq!(first_byte("lines 5-9/10"), None);
    }
}
