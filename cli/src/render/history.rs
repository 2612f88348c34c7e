//! How an image was made, step by step.

use super::duration::ago;
use super::listing::{Headings, Listing};
use super::size;
use super::text::cut;
use super::time::local;
use crate::error::Result;
use schema::image_store::HistoryStep;
use serde::Serialize;

const MISSING: &str = "<missing>";
const COMMAND_WIDTH: usize = 45;

const HEADINGS: &Headings = &[
    ("ID", "IMAGE"),
    ("CreatedSince", "CREATED"),
    ("CreatedAt", "CREATED AT"),
    ("CreatedBy", "CREATED BY"),
    ("Size", "SIZE"),
    ("Comment", "COMMENT"),
    ("Names", "NAMES"),
];

/// How much of each step is shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View {
    /// Whole ids and commands.
    pub(crate) whole: bool,
    /// Sizes and times in words.
    pub(crate) human: bool,
    /// What time it is, nanoseconds since the Unix epoch.
    pub(crate) now: i64,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Line {
    #[serde(rename = "ID")]
    id: String,
    created_since: String,
    created_at: String,
    created_by: String,
    size: String,
    comment: String,
    names: String,
}

impl View {
    /// The id of the image that the step made.
    pub(crate) fn id(self, step: &HistoryStep) -> String {
        let id = step.image.as_str();
        let hex = id.strip_prefix("sha256:").unwrap_or(id);
        match (id, self.whole) {
            ("", _) => MISSING.to_owned(),
            (_, true) => id.to_owned(),
            (_, false) => hex.chars().take(12).collect(),
        }
    }

    /// The steps in a list.
    pub(crate) fn listing(self, steps: &[HistoryStep]) -> Result<Listing> {
        let created = if self.human { "CreatedSince" } else { "CreatedAt" };
        let mut shown = vec!["ID", created, "CreatedBy", "Size", "Comment"];
        shown.extend(steps.iter().any(|step| !step.references.is_empty()).then_some("Names"));
        let mut listing = Listing::new(HEADINGS, shown);
        for step in steps {
            listing.push(&Line {
                id: self.id(step),
                created_since: if step.created_at == 0 { "N/A".to_owned() } else { ago(step.created_at, self.now) },
                created_at: local(step.created_at),
                created_by: if self.whole { step.created_by.clone() } else { cut(&step.created_by, COMMAND_WIDTH) },
                size: if self.human { size::stored(step.size) } else { step.size.to_string() },
                comment: step.comment.clone(),
                names: step.references.join(", "),
            })?;
        }
        Ok(listing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Format;

    #[test]
    fn newest_first_with_names() {
        let step = |image: &str, by: &str, references: &[&str]| HistoryStep {
            image: image.into(),
            created_at: 1,
            created_by: by.into(),
            size: 1_500_000,
            comment: "why".into(),
            references: references.iter().map(|name| (*name).to_owned()).collect(),
        };
        let id = format!("sha256:{}", "ab".repeat(32));
        let steps = [step(&id, &"x".repeat(60), &["me/web:1"]), step("", "import", &[])];
        let view = View { whole: false, human: true, now: 120_000_000_001 };
        let table = view.listing(&steps).unwrap().render(&Format::Table).unwrap();
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(
            lines[0].split_whitespace().collect::<Vec<_>>().join(" "),
            "IMAGE CREATED CREATED BY SIZE COMMENT NAMES"
        );
        assert!(
            lines[1].starts_with("abababababab   2 minutes ago   xxxx") && lines[1].contains("1.5MB     why"),
            "{table}"
        );
        assert!(lines[1].ends_with("me/web:1") && lines[1].contains(&format!("{}…", "x".repeat(44))), "{table}");
        assert!(lines[2].starts_with("<missing>"), "{table}");
        let plain = View { whole: true, human: false, now: 0 }.listing(&steps).unwrap();
        assert!(plain.render(&Format::Json).unwrap().contains(r#""Size":"1500000""#));
    }
}
