//! Events that `events --filter` lets through.

use super::{known, labelled, passes};
use crate::parse::filter::Filter;
use schema::Failure;
use schema::containers::Event;

const KEYS: [&str; 5] = ["container", "event", "image", "label", "type"];

/// Refuses filters that no event could have.
pub(crate) fn check(filters: &[Filter]) -> Result<(), Failure> {
    known(filters, &KEYS)
}

/// Whether the filters let an event through.
pub(crate) fn matches(event: &Event, filters: &[Filter]) -> bool {
    passes(filters, |key, value| match key {
        "container" => event.container.as_str().starts_with(value) || attribute(event, "name") == Some(value),
        "event" => event.action == value,
        "image" => attribute(event, "image")
            .is_some_and(|image| image == value || crate::parse::reference::parts(image).repository == value),
        "label" => labelled(&event.attributes, value),
        "type" => value == "container",
        _ => false,
    })
}

/// An attribute of an event.
pub(crate) fn attribute<'a>(event: &'a Event, key: &str) -> Option<&'a str> {
    event.attributes.iter().find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::select::filters;
    use schema::ContainerId;

    pub(crate) fn event() -> Event {
        Event {
            sequence: 1,
            at: 1_704_207_845_000_000_001,
            action: "die".into(),
            container: ContainerId::from_bytes([0xab; 32]),
            attributes: vec!["name=web".into(), "image=base:1".into(), "exitCode=3".into(), "tier=web".into()],
        }
    }

    #[test]
    fn each_key() {
        for yes in [
            "container=web",
            "container=abab",
            "event=die",
            "image=base",
            "image=base:1",
            "label=tier=web",
            "type=container",
        ] {
            assert!(matches(&event(), &filters(&[yes])), "{yes}");
        }
        for no in ["container=db", "event=start", "image=other", "label=tier=db", "type=image"] {
            assert!(!matches(&event(), &filters(&[no])), "{no}");
        }
        assert!(check(&filters(&["color=red"])).is_err());
    }
}
