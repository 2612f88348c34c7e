//! Containers that `ps --filter` lets through.

use super::pattern::contains;
use super::{known, labelled, passes};
use crate::parse::filter::Filter;
use crate::parse::port::published;
use crate::parse::reference::tagged;
use crate::render::inspect::network;
use schema::Failure;
use schema::containers::{State, Summary};

const KEYS: [&str; 12] = [
    "id", "name", "label", "status", "exited", "ancestor", "before", "since", "publish", "expose", "network", "volume",
];
const STATES: [&str; 7] = ["created", "restarting", "running", "removing", "paused", "exited", "dead"];

/// Whether the filters ask for containers that do not run.
pub(crate) fn asks_for_stopped(filters: &[Filter]) -> bool {
    filters.iter().any(|filter| matches!(filter.key.as_str(), "status" | "exited"))
}

/// Keeps those of all containers, newest first, that the filters let through. Fails with `invalidArgument` for a
/// filter that makes no sense, with `notFound` for `before` or `since` one that does not exist.
pub(crate) fn select(mut containers: Vec<Summary>, filters: &[Filter]) -> Result<Vec<Summary>, Failure> {
    known(filters, &KEYS)?;
    let mut limits = Vec::new();
    for Filter { key, value } in filters {
        match key.as_str() {
            "before" | "since" => limits.push((value.as_str(), find(&containers, value)?)),
            "status" if !STATES.contains(&value.as_str()) => {
                return Err(Failure::invalid(format_args!("invalid filter 'status={value}'"))
                    .hint(format_args!("there are {}", STATES.join(", "))));
            }
            "exited" if value.parse::<i32>().is_err() => {
                return Err(Failure::invalid(format_args!("invalid filter 'exited={value}': expected an exit code")));
            }
            "publish" | "expose" => {
                published(value)
                    .map_err(|error| Failure::invalid(format_args!("invalid filter '{key}={value}': {error}")))?;
            }
            _ => {}
        }
    }
    let limit = |value: &str| limits.iter().find(|(name, _)| *name == value).map_or(0, |(_, at)| *at);
    let kept = |container: &Summary| {
        passes(filters, |key, value| match key {
            "before" => container.created_at < limit(value),
            "since" => container.created_at > limit(value),
            _ => matches(container, key, value),
        })
    };
    containers.retain(kept);
    Ok(containers)
}

/// When a container was created.
fn find(containers: &[Summary], name: &str) -> Result<i64, Failure> {
    let found = containers
        .iter()
        .find(|container| container.name == name)
        .or_else(|| containers.iter().find(|container| !name.is_empty() && container.id.as_str().starts_with(name)));
    found
        .map(|container| container.created_at)
        .ok_or_else(|| Failure::not_found(format_args!("No such container: {name}")))
}

fn matches(container: &Summary, key: &str, value: &str) -> bool {
    match key {
        "id" => container.id.as_str().starts_with(value),
        "name" => contains(value, &container.name),
        "label" => labelled(&container.labels, value),
        "status" => status(container) == value,
        "exited" => container.exit.as_ref().is_some_and(|exit| {
            matches!(container.state, State::Exited | State::Restarting) && value.parse() == Ok(exit.code)
        }),
        "ancestor" => {
            let id = value.strip_prefix("sha256:").unwrap_or(value);
            tagged(&container.image) == tagged(value) || (id.len() >= 4 && container.image_id.hex().starts_with(id))
        }
        "publish" | "expose" => {
            let bindings = container.published.as_ref().unwrap_or(&container.ports);
            published(value).is_ok_and(|wanted| {
                wanted.0.iter().any(|wanted| {
                    bindings.iter().any(|binding| {
                        let port = if key == "publish" { binding.host_port } else { binding.container_port };
                        binding.protocol == wanted.protocol && port == wanted.container_port
                    })
                })
            })
        }
        "network" => network(container.network) == value,
        "volume" => container.volumes.iter().any(|volume| volume.source == value || volume.target == value),
        _ => false,
    }
}

/// Docker's word for a state.
pub(crate) fn status(container: &Summary) -> &'static str {
    match container.state {
        State::Created => "created",
        State::Starting | State::Running | State::Stopping => "running",
        State::Paused => "paused",
        State::Restarting => "restarting",
        State::Removing => "removing",
        State::Exited => "exited",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::container::tests::{exited, summary};
    use crate::select::filters;
    use schema::ContainerId;

    /// Newest first: `web`, which runs, and `db`, which has ended with 7.
    fn all() -> Vec<Summary> {
        let mut web = summary();
        web.labels = vec!["tier=web".into(), "owner=me".into()];
        let mut db = Summary { id: ContainerId::from_bytes([0xcd; 32]), created_at: 5, ..exited(7) };
        db.name = "db".into();
        db.labels = vec!["tier=db".into()];
        vec![web, db]
    }

    fn names(texts: &[&str]) -> Vec<String> {
        select(all(), &filters(texts)).unwrap().into_iter().map(|container| container.name).collect()
    }

    #[test]
    fn each_key() {
        for (filter, expected) in [
            ("id=abab", "web"),
            ("name=d", "db"),
            ("name=^db$", "db"),
            ("label=tier=web", "web"),
            ("label=owner", "web"),
            ("status=exited", "db"),
            ("status=running", "web"),
            ("exited=7", "db"),
            ("before=web", "db"),
            ("since=db", "web"),
            ("publish=8080", "web"),
            ("expose=80/tcp", "web"),
        ] {
            assert_eq!(names(&[filter]), [expected], "{filter}");
        }
        assert_eq!(names(&["ancestor=base"]).len(), 2);
        assert_eq!(names(&["ancestor=base:latest"]).len(), 2);
        assert_eq!(names(&["network=bridge"]).len(), 2);
        assert!(names(&["publish=80"]).is_empty());
    }

    #[test]
    fn keys_are_joined_and_values_are_alternatives() {
        assert_eq!(names(&["name=web", "name=db"]).len(), 2);
        assert!(names(&["name=web", "status=exited"]).is_empty());
        assert!(names(&["label=tier=web", "label=tier=db"]).is_empty());
    }

    #[test]
    fn nonsense_is_refused() {
        for bad in ["color=red", "status=happy", "exited=x", "before=nobody", "publish=x"] {
            assert!(select(all(), &filters(&[bad])).is_err(), "{bad}");
        }
    }
}
