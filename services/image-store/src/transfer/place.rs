//! What a reference means: the name of an image here, and where it is out there.

use oci::reference::{Repository, Target};
use registry_client::{Configuration, Location};
use schema::Failure;

/// A reference, understood.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) target: Target,
    pub(super) location: Location,
}

impl Place {
    /// Of `[registry/]repository[:tag][@digest]`.
    pub(super) fn parse(text: &str, configuration: &Configuration) -> Result<Self, Failure> {
        let target: Target = text.parse()?;
        let location = locate(text, &target.repository, configuration);
        Ok(Self { target, location })
    }

    /// The repository as it is called here.
    pub(super) fn repository(&self) -> &Repository {
        &self.target.repository
    }
}

/// A name that says Docker Hub means it, also where another registry is the default: here, both are called the same.
fn locate(text: &str, repository: &Repository, configuration: &Configuration) -> Location {
    let hub = ["docker.io/", "index.docker.io/"].iter().any(|hub| text.starts_with(hub));
    if hub {
        return Location::resolve(&format!("docker.io/{repository}"), &configuration.default);
    }
    Location::resolve(repository.as_str(), &configuration.default)
}

/// Where images of this name come from.
pub(super) fn location(repository: &str, configuration: &Configuration) -> Location {
    Location::resolve(repository, &configuration.default)
}
