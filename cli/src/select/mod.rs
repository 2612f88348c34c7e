//! What `--filter` lets through: pure functions.
//!
//! As with Docker, filters of different keys must all match; of one key, any may, but all of `label`.

pub(crate) mod container;
pub(crate) mod event;
pub(crate) mod image;
mod pattern;

use crate::parse::filter::Filter;
use schema::Failure;

/// Refuses a key that a verb does not know.
fn known(filters: &[Filter], keys: &[&str]) -> Result<(), Failure> {
    match filters.iter().find(|filter| !keys.contains(&filter.key.as_str())) {
        Some(Filter { key, .. }) => Err(Failure::invalid(format_args!("invalid filter '{key}'"))
            .hint(format_args!("there are {}", keys.join(", ")))),
        None => Ok(()),
    }
}

/// Whether the filters of each key let something through: all of `label`, any of another key.
fn passes(filters: &[Filter], matches: impl Fn(&str, &str) -> bool) -> bool {
    let one = |filter: &Filter| matches(&filter.key, &filter.value);
    filters.iter().all(|filter| match filter.key.as_str() {
        "label" => one(filter),
        key => filters.iter().filter(|other| other.key == key).any(one),
    })
}

/// Whether labels, `key=value`, have what `label=key[=value]` asks for.
fn labelled(labels: &[String], wanted: &str) -> bool {
    labels.iter().any(|label| label == wanted || (!wanted.contains('=') && label.split('=').next() == Some(wanted)))
}

#[cfg(test)]
pub(crate) fn filters(texts: &[&str]) -> Vec<Filter> {
    texts.iter().map(|text| crate::parse::filter::filter(text).unwrap()).collect()
}
