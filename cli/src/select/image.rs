//! Images that `images` lists.

use super::pattern::glob;
use super::{known, labelled, passes};
use crate::parse::filter::Filter;
use crate::parse::reference::{parts, tagged};
use schema::Failure;
use schema::image_store::Image;

const KEYS: [&str; 5] = ["dangling", "label", "before", "since", "reference"];

/// Keeps those of all images that the filters let through; without `all`, none that only holds up another one.
/// Names that a `reference` does not match are taken away. Fails as that of containers.
pub(crate) fn select(images: Vec<Image>, filters: &[Filter], all: bool) -> Result<Vec<Image>, Failure> {
    known(filters, &KEYS)?;
    let mut limits = Vec::new();
    for Filter { key, value } in filters {
        match key.as_str() {
            "before" | "since" => limits.push((value.as_str(), find(&images, value)?)),
            "dangling" if truth(value).is_none() => {
                return Err(Failure::invalid(format_args!(
                    "invalid filter 'dangling={value}': expected true or false"
                )));
            }
            _ => {}
        }
    }
    let limit = |value: &str| limits.iter().find(|(name, _)| *name == value).map_or(0, |(_, at)| *at);
    let is_parent = |image: &Image| images.iter().any(|other| other.parent.as_ref() == Some(&image.id));
    let nameless = |image: &Image| image.references.is_empty() && image.repository_digests.is_empty();
    let kept = |image: &Image| {
        (all || !nameless(image) || !is_parent(image))
            && passes(filters, |key, value| match key {
                "before" => image.created_at < limit(value),
                "since" => image.created_at > limit(value),
                "dangling" => Some(image.references.is_empty() && !is_parent(image)) == truth(value),
                "label" => labelled(&image.config.labels, value),
                _ => image.references.iter().any(|reference| named(value, reference)),
            })
    };
    let mut kept: Vec<Image> = images.iter().filter(|image| kept(image)).cloned().collect();
    let patterns: Vec<&str> =
        filters.iter().filter(|filter| filter.key == "reference").map(|filter| filter.value.as_str()).collect();
    if !patterns.is_empty() {
        for image in &mut kept {
            image.references.retain(|reference| patterns.iter().any(|pattern| named(pattern, reference)));
        }
    }
    Ok(kept)
}

fn find(images: &[Image], name: &str) -> Result<i64, Failure> {
    let id = name.strip_prefix("sha256:").unwrap_or(name);
    let found = images.iter().find(|image| image.references.contains(&tagged(name)));
    let found = found.or_else(|| images.iter().find(|image| id.len() >= 4 && image.id.hex().starts_with(id)));
    found.map(|image| image.created_at).ok_or_else(|| Failure::not_found(format_args!("No such image: {name}")))
}

/// Whether a pattern of a repository, with or without a tag, matches a name.
fn named(pattern: &str, reference: &str) -> bool {
    let of_both = parts(pattern).tag.is_some();
    glob(pattern, if of_both { reference } else { parts(reference).repository })
}

fn truth(text: &str) -> Option<bool> {
    match text {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::image::tests::image;
    use crate::select::filters;
    use schema::Digest;

    /// Newest first: a child with two names, a nameless parent, a nameless orphan.
    fn images() -> Vec<Image> {
        let parent = Image { id: Digest::from_sha256(&[1; 32]), created_at: 10, ..image(&[]) };
        let mut child =
            Image { parent: Some(parent.id.clone()), created_at: 20, ..image(&["me/web:1", "base:latest"]) };
        child.config.labels = vec!["who=me".into()];
        let orphan = Image { id: Digest::from_sha256(&[2; 32]), created_at: 5, ..image(&[]) };
        vec![child, parent, orphan]
    }

    fn selected(texts: &[&str], all: bool) -> Vec<i64> {
        select(images(), &filters(texts), all).unwrap().iter().map(|image| image.created_at).collect()
    }

    #[test]
    fn only_heads_unless_all_are_asked_for() {
        assert_eq!(selected(&[], false), [20, 5]);
        assert_eq!(selected(&[], true), [20, 10, 5]);
    }

    #[test]
    fn each_key() {
        assert_eq!(selected(&["dangling=true"], false), [5]);
        assert_eq!(selected(&["dangling=false"], false), [20]);
        assert_eq!(selected(&["label=who=me"], false), [20]);
        assert_eq!(selected(&["before=base"], false), [5]);
        assert_eq!(selected(&["since=0202"], false), [20]);
        let kept = select(images(), &filters(&["reference=me/*"]), false).unwrap();
        assert_eq!(kept[0].references, ["me/web:1"]);
        assert!(selected(&["reference=*:2"], false).is_empty());
        for bad in ["dangling=x", "color=red", "before=nothing"] {
            assert!(select(images(), &filters(&[bad]), false).is_err(), "{bad}");
        }
    }
}
