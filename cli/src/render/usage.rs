//! What is stored, and what could be had back.

use super::listing::{Headings, Listing};
use super::size::stored;
use crate::error::Result;
use serde_json::json;

const HEADINGS: &Headings = &[
    ("Type", "TYPE"),
    ("TotalCount", "TOTAL"),
    ("Active", "ACTIVE"),
    ("Size", "SIZE"),
    ("Reclaimable", "RECLAIMABLE"),
];

/// Objects of a kind.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) total: usize,
    /// Those that are in use.
    pub(crate) active: usize,
    /// Bytes.
    pub(crate) size: u64,
    /// Bytes of those that are not in use.
    pub(crate) reclaimable: u64,
}

/// The kinds in a list.
pub(crate) fn listing(kinds: &[Kind]) -> Result<Listing> {
    let mut listing = Listing::new(HEADINGS, ["Type", "TotalCount", "Active", "Size", "Reclaimable"]);
    for Kind { name, total, active, size, reclaimable } in kinds {
        let share = (u128::from(*reclaimable) * 100).checked_div((*size).into());
        let reclaimable = match share {
            Some(share) => format!("{} ({share}%)", stored(*reclaimable)),
            None => stored(*reclaimable),
        };
        listing.push(&json!({
            "Type": name,
            "TotalCount": total.to_string(),
            "Active": active.to_string(),
            "Size": stored(*size),
            "Reclaimable": reclaimable,
        }))?;
    }
    Ok(listing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Format;

    #[test]
    fn docker_s_columns() {
        let kinds = [
            Kind { name: "Images", total: 3, active: 1, size: 2000, reclaimable: 500 },
            Kind { name: "Containers", total: 0, active: 0, size: 0, reclaimable: 0 },
        ];
        let table = listing(&kinds).unwrap().render(&Format::Table).unwrap();
        let rows: Vec<String> =
            table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(rows, ["TYPE TOTAL ACTIVE SIZE RECLAIMABLE", "Images 3 1 2kB 500B (25%)", "Containers 0 0 0B 0B"]);
    }
}
