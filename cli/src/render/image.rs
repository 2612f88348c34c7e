//! Images in a list.

use super::duration::ago;
use super::table::Table;
use super::time::rfc3339;
use super::{json_line, size};
use crate::error::Result;
use schema::image_store::Image;
use serde::Serialize;

const NONE: &str = "<none>";
const DEFAULT_TAG: &str = "latest";

#[derive(Debug, Serialize, PartialEq, Eq)]
#[serde(rename_all = "PascalCase")]
struct Line {
    #[serde(rename = "ID")]
    id: String,
    repository: String,
    tag: String,
    created_at: String,
    created_since: String,
    size: String,
}

/// How much of each image is shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    /// Whole ids.
    pub(crate) whole: bool,
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

    /// A table with a row for each reference.
    pub(crate) fn table(self, images: &[Image]) -> String {
        let mut table = Table::new(&["REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE"]);
        for Line { id, repository, tag, created_at: _, created_since, size } in self.lines(images) {
            table.row([repository, tag, id, created_since, size]);
        }
        table.render()
    }

    /// An object a line.
    pub(crate) fn json(self, images: &[Image]) -> Result<String> {
        let lines: Result<Vec<String>> = self.lines(images).map(|line| json_line(&line)).collect();
        Ok(lines?.iter().map(|line| format!("{line}\n")).collect())
    }

    fn lines(self, images: &[Image]) -> impl Iterator<Item = Line> {
        images.iter().flat_map(move |image| {
            let line = move |(repository, tag): (String, String)| Line {
                id: self.id(image),
                repository,
                tag,
                created_at: rfc3339(image.created_at),
                created_since: ago(image.created_at, self.now),
                size: size::stored(image.size),
            };
            self.references(image).into_iter().map(line)
        })
    }

    fn id(self, image: &Image) -> String {
        if self.whole { image.id.to_string() } else { image.id.short().to_owned() }
    }

    /// Repositories and tags that the name lets through; an untagged image has one of each, `<none>`.
    fn references(self, image: &Image) -> Vec<(String, String)> {
        match self.name {
            None if image.references.is_empty() => vec![(NONE.to_owned(), NONE.to_owned())],
            None => image.references.iter().map(|reference| split(reference)).collect(),
            Some(name) => {
                let wanted = |reference: &&String| **reference == name || split(reference).0 == name;
                image.references.iter().filter(wanted).map(|reference| split(reference)).collect()
            }
        }
    }
}

/// `host:5000/name:tag` in two: a colon before a slash belongs to the host.
fn split(reference: &str) -> (String, String) {
    match reference.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository.to_owned(), tag.to_owned()),
        _ => (reference.to_owned(), DEFAULT_TAG.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use schema::Digest;
    use schema::image_store::ImageConfig;

    fn image(references: &[&str]) -> Image {
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
        View { whole: false, name, now: 120_000_000_000 }
    }

    #[test]
    fn a_row_for_each_reference() {
        let images = [image(&["base:latest", "host:5000/x:1"]), image(&[])];
        let table = view(None).table(&images);
        let rows: Vec<Vec<&str>> = table.lines().skip(1).map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(rows[0], ["base", "latest", "cdcdcdcdcdcd", "2", "minutes", "ago", "4.26MB"]);
        assert_eq!(rows[1][..2], ["host:5000/x", "1"]);
        assert_eq!(rows[2][..2], ["<none>", "<none>"]);
    }

    #[test]
    fn a_name_hides_the_rest() {
        let images = [image(&["base:1", "base:2", "other:1"]), image(&[])];
        assert_eq!(view(Some("base")).table(&images).lines().count(), 3);
        assert_eq!(view(Some("base:2")).table(&images).lines().count(), 2);
        assert_eq!(view(Some("nope")).ids(&images), "");
        assert_eq!(view(None).ids(&images).lines().count(), 2);
    }
}
