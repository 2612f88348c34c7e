//! Manifests, by tag or digest.

use crate::http::{Request, Response};
use crate::registry::{Registry, pause, pulling, pushing};
use crate::retry::Problem;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Method, StatusCode};
use schema::{Digest, Failure};
use sha2::Digest as _;
use std::fmt;

/// Bytes that a manifest or an index may have.
pub const LONGEST_MANIFEST: u64 = 4 << 20;

const ACCEPTED: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, \
                        application/vnd.docker.distribution.manifest.v2+json, \
                        application/vnd.docker.distribution.manifest.list.v2+json";
/// Docker's media types of schema 1, without what follows.
const SCHEMA_1: &str = "application/vnd.docker.distribution.manifest.v1+";
const CONTENT_DIGEST: &str = "docker-content-digest";

/// Which manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted<'a> {
    /// What this tag names now.
    Tag(&'a str),
    /// Exactly this one.
    Digest(&'a Digest),
}

impl fmt::Display for Wanted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => f.write_str(tag),
            Self::Digest(digest) => write!(f, "{digest}"),
        }
    }
}

/// A manifest or an index, byte for byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// JSON, not parsed.
    pub content: Vec<u8>,
    /// Of `content`; verified.
    pub digest: Digest,
    /// What the registry calls it; may be empty.
    pub media_type: String,
}

impl Registry {
    /// Brings a manifest or an index: of OCI, or of Docker's schema 2.
    /// Fails: notFound; permissionDenied; unavailable; corrupt if it is not what it should be; invalidArgument if it is of schema 1.
    pub async fn manifest(&self, repository: &str, wanted: Wanted<'_>) -> Result<Document, Failure> {
        let mut attempts = self.attempts();
        loop {
            match self.manifest_once(repository, wanted).await {
                Ok(document) => return Ok(document),
                Err(problem) => pause(&mut attempts, problem, &()).await?,
            }
        }
    }

    async fn manifest_once(&self, repository: &str, wanted: Wanted<'_>) -> Result<Document, Problem> {
        let asked = self.asked(format_args!("manifest {wanted} of {repository}"));
        let url = self.url(&format!("{repository}/manifests/{wanted}"), &asked).await?;
        let request = Request::get(url).header(ACCEPT, ACCEPTED);
        let response = self.ask(request, None, &pulling(repository), &asked).await?.ok().await?;
        let media_type = media_type(&response);
        if media_type.starts_with(SCHEMA_1) {
            let failure = Failure::invalid(format_args!("{asked}: it is of schema 1, which Docker gave up in 2019"))
                .hint("have it pushed again by a newer engine");
            return Err(Problem::lasting(failure));
        }
        let announced = response.header(CONTENT_DIGEST).and_then(|text| text.parse::<Digest>().ok());
        let content = response.read(LONGEST_MANIFEST).await?;
        let digest = Digest::from_sha256(&sha2::Sha256::digest(&content).into());
        let expected = match wanted {
            Wanted::Digest(wanted) => Some(wanted.clone()),
            Wanted::Tag(_) => announced,
        };
        match expected {
            Some(expected) if expected != digest => {
                Err(asked.nonsense(format_args!("what came has the digest {digest}, not {expected}")))
            }
            _ => Ok(Document { content, digest, media_type }),
        }
    }

    /// The digest of what a tag names now; none: there is no such tag, or the registry does not say.
    pub async fn tagged(&self, repository: &str, tag: &str) -> Result<Option<Digest>, Failure> {
        let mut attempts = self.attempts();
        loop {
            match self.tagged_once(repository, tag).await {
                Ok(found) => return Ok(found),
                Err(problem) => pause(&mut attempts, problem, &()).await?,
            }
        }
    }

    async fn tagged_once(&self, repository: &str, tag: &str) -> Result<Option<Digest>, Problem> {
        let asked = self.asked(format_args!("tag {tag} of {repository}"));
        let url = self.url(&format!("{repository}/manifests/{tag}"), &asked).await?;
        let request = Request::new(Method::HEAD, url).header(ACCEPT, ACCEPTED);
        let response = self.ask(request, None, &pushing(repository), &asked).await?;
        if response.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let response = response.ok().await?;
        Ok(response.header(CONTENT_DIGEST).and_then(|text| text.parse().ok()))
    }

    /// Sends a manifest; everything that it names must be there. Done if it is there.
    /// Fails: permissionDenied; unavailable; invalidArgument if the registry does not want it.
    pub async fn put_manifest(&self, repository: &str, tag: &str, document: &Document) -> Result<(), Failure> {
        let mut attempts = self.attempts();
        loop {
            match self.put_manifest_once(repository, tag, document).await {
                Ok(()) => return Ok(()),
                Err(problem) => pause(&mut attempts, problem, &()).await?,
            }
        }
    }

    async fn put_manifest_once(&self, repository: &str, tag: &str, document: &Document) -> Result<(), Problem> {
        let asked = self.asked(format_args!("sending the manifest {tag} of {repository}"));
        let url = self.url(&format!("{repository}/manifests/{tag}"), &asked).await?;
        let request = Request::new(Method::PUT, url).header(CONTENT_TYPE, &document.media_type);
        let body = document.content.clone().into();
        let response = self.ask(request, Some(body), &pushing(repository), &asked).await?.ok().await?;
        match response.header(CONTENT_DIGEST).map(str::parse::<Digest>) {
            Some(Ok(stored)) if stored != document.digest => {
                Err(asked.nonsense(format_args!("it stored {stored}, not {}", document.digest)))
            }
            _ => Ok(()),
        }
    }
}

/// Without parameters.
fn media_type(response: &Response) -> String {
    let text = response.header(CONTENT_TYPE).unwrap_or_default();
    text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}
