//! Where content comes from: a registry, and before it its mirrors.

use registry_client::{Configuration, Credentials, Document, Progress, Registry, Sink, Wanted};
use schema::{Code, Digest, Failure};

/// A registry and its mirrors.
#[derive(Debug)]
pub(super) struct Sources {
    /// Asked in this order. They do not hear any credentials.
    mirrors: Vec<Registry>,
    registry: Registry,
}

impl Sources {
    pub(super) fn new(
        configuration: &Configuration,
        registry: &str,
        credentials: Credentials,
    ) -> Result<Self, Failure> {
        let mirror = |name: &String| Registry::new(configuration, name, Credentials::Anonymous);
        Ok(Self {
            mirrors: configuration.of(registry).mirrors.iter().map(mirror).collect::<Result<_, _>>()?,
            registry: Registry::new(configuration, registry, credentials)?,
        })
    }

    pub(super) fn registry(&self) -> &Registry {
        &self.registry
    }

    pub(super) async fn manifest(&self, repository: &str, wanted: Wanted<'_>) -> Result<Document, Failure> {
        for mirror in &self.mirrors {
            match mirror.manifest(repository, wanted).await {
                Ok(document) => return Ok(document),
                Err(failure) => pass_over(mirror, &failure),
            }
        }
        self.registry.manifest(repository, wanted).await
    }

    pub(super) async fn small_blob(&self, repository: &str, digest: &Digest, size: u64) -> Result<Vec<u8>, Failure> {
        for mirror in &self.mirrors {
            match mirror.small_blob(repository, digest, size).await {
                Ok(content) => return Ok(content),
                Err(failure) => pass_over(mirror, &failure),
            }
        }
        self.registry.small_blob(repository, digest, size).await
    }

    pub(super) async fn blob(
        &self,
        repository: &str,
        digest: &Digest,
        size: u64,
        sink: &mut dyn Sink,
        progress: &dyn Progress,
    ) -> Result<(), Failure> {
        for mirror in &self.mirrors {
            match mirror.blob(repository, digest, size, sink, progress).await {
                Ok(()) => return Ok(()),
                // It is our disk that is full.
                Err(failure) if failure.code == Code::ResourceExhausted => return Err(failure),
                Err(failure) => pass_over(mirror, &failure),
            }
        }
        self.registry.blob(repository, digest, size, sink, progress).await
    }
}

fn pass_over(mirror: &Registry, failure: &Failure) {
    tracing::info!(mirror = mirror.name(), %failure, "a mirror is passed over");
}
