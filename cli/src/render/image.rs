//! Images in a list.

use super::duration::ago;
use super::listing::{Headings, Listing};
use super::size;
use super::time::local;
use crate::error::Result;
use crate::parse::reference::{DEFAULT_TAG, parts};
use schema::image_store::Image;
use serde::Serialize;

const NONE: &str = "<none>";

const HEADINGS: &Headings = &[
    ("ID", "IMAGE ID"),
    ("Repository", "REPOSITORY"),
    ("Tag", "TAG"),
    ("Digest", "DIGEST"),
    ("CreatedSince", "CREATED"),
    ("CreatedAt", "CREATED AT"),
    ("Size", "SIZE"),
    ("Containers", "CONTAINERS"),
];

#[derive(Debug, Serialize, PartialEq, Eq)]
#[serde(rename_all = "PascalCase")]
struct Line {
    #[serde(rename = "ID")]
    id: String,
    repository: String,
    tag: String,
    digest: String,
    created_at: String,
    created_since: String,
    size: String,
    containers: String,
}

/// How much of each image is shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    /// Whole ids.
    pub(crate) whole: bool,
    /// Also digests.
    pub(crate) digests: bool,
    /// Only references of this repository, or this repository and tag.
    pub(crate) name: Option<&'a str>,
    /// What time it is, nanoseconds since the Unix epoch.
    pub(crate) now: i64,
}

impl View<'_> {
    /// The ids, a line each, each once.
    pub(crate) fn ids(self, images: &[Image]) -> String {
        let shown = images.iter().filter(|image| !self.references(image).is_empty());
        shown.map(|image| format!("{}\n", self.id(image))).collect()
    }

    /// The images in a list, with a row for each reference.
    pub(crate) fn listing(self, images: &[Image]) -> Result<Listing> {
        let mut shown = vec!["Repository", "Tag", "ID", "CreatedSince", "Size"];
        if self.digests {
            shown.insert(2, "Digest");
        }
        let mut listing = Listing::new(HEADINGS, shown);
        for image in images {
            for (repository, tag) in self.references(image) {
                let digest =
                    image.repository_digests.iter().find_map(|digest| digest.strip_prefix(&format!("{repository}@")));
                listing.push(&Line {
                    id: self.id(image),
                    digest: digest.unwrap_or(NONE).to_owned(),
                    repository,
                    tag,
                    created_at: local(image.created_at),
                    created_since: ago(image.created_at, self.now),
                    size: size::stored(image.size),
                    containers: image.holders.len().to_string(),
                })?;
            }
        }
        Ok(listing)
    }

    fn id(self, image: &Image) -> String {
        if self.whole { image.id.to_string() } else { image.id.short().to_owned() }
    }

    /// Repositories and tags that the name lets through. An image without a name has `<none>` for both, or the
    /// repositories under whose digests it was pulled.
    fn references(self, image: &Image) -> Vec<(String, String)> {
        let named = image.references.iter().map(|reference| split(reference));
        let pulled =
            || image.repository_digests.iter().map(|digest| (parts(digest).repository.to_owned(), NONE.to_owned()));
        let all: Vec<(String, String)> = if image.references.is_empty() { pulled().collect() } else { named.collect() };
        match self.name {
            None if all.is_empty() => vec![(NONE.to_owned(), NONE.to_owned())],
            None => all,
            Some(name) => {
                let wanted = |(repository, tag): &(String, String)| {
                    let parts = parts(name);
                    parts.repository == repository && parts.tag.is_none_or(|wanted| wanted == tag)
                };
                all.into_iter().filter(wanted).collect()
            }
        }
    }
}

/// `host:5000/name:tag` in two.
fn split(reference: &str) -> (String, String) {
    let parts = parts(reference);
    (parts.repository.to_owned(), parts.tag.unwrap_or(DEFAULT_TAG).to_owned())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use schema::Digest;
    use schema::image_store::ImageConfig;

    pub(crate) fn image(references: &[&str]) -> Image {
        Image {
            id: Digest::from_sha256(&[0xcd; 32]),
            references: references.iter().map(|&reference| reference.to_owned()).collect(),
            created_at: 0,
            size: 4_260_000,
            layers: Vec::new(),
            config: ImageConfig::default(),
            manifest: Digest::from_sha256(&[0xce; 32]),
            repository_digests: Vec::new(),
            parent: None,
            container: None,
            author: String::new(),
            holders: Vec::new(),
        }
    }

    fn view(name: Option<&str>) -> View<'_> {
        View { whole: false, digests: false, name, now: 120_000_000_000 }
    }

    fn table(view: View<'_>, images: &[Image]) -> String {
        view.listing(images).unwrap().render(&crate::args::Format::Table).unwrap()
    }

    #[test]
    fn a_row_for_each_reference() {
        let images = [image(&["base:latest", "host:5000/x:1"]), image(&[])];
        let table = table(view(None), &images);
        let rows: Vec<Vec<&str>> = table.lines().skip(1).map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(rows[0], ["base", "latest", "cdcdcdcdcdcd", "2", "minutes", "ago", "4.26MB"]);
        assert_eq!(rows[1][..2], ["host:5000/x", "1"]);
        assert_eq!(rows[2][..2], ["<none>", "<none>"]);
    }

    #[test]
    fn a_name_hides_the_rest() {
        let images = [image(&["base:1", "base:2", "other:1"]), image(&[])];
        assert_eq!(table(view(Some("base")), &images).lines().count(), 3);
        assert_eq!(table(view(Some("base:2")), &images).lines().count(), 2);
        assert_eq!(view(Some("nope")).ids(&images), "");
        assert_eq!(view(None).ids(&images).lines().count(), 2);
    }
}
