//! For which machines an image is, and which of several a machine should take. Pure.

use schema::Failure;
use std::fmt;
use std::str::FromStr;

/// Operating system and processor, as OCI names them (Go's names).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Platform {
    /// `linux`.
    pub os: String,
    /// `amd64`.
    pub architecture: String,
    /// Of the architecture: `v8`; empty: its usual one.
    pub variant: String,
}

impl Platform {
    /// This machine's.
    pub fn host() -> Self {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            "x86" => "386",
            "loongarch64" => "loong64",
            same => same,
        };
        Self { os: "linux".to_owned(), architecture: architecture.to_owned(), variant: String::new() }
    }

    /// The best of several offers: by index. None fits: none.
    pub fn choose<'a>(&self, offers: impl IntoIterator<Item = &'a Platform>) -> Option<usize> {
        let ranked = offers.into_iter().enumerate().filter_map(|(index, offer)| Some((self.rank(offer)?, index)));
        // Of equals the first: the index's author has ordered them.
        ranked.max_by_key(|(rank, index)| (*rank, std::cmp::Reverse(*index))).map(|(_, index)| index)
    }

    /// Whether this machine can run what was made for `offer`.
    pub fn runs(&self, offer: &Platform) -> bool {
        self.rank(offer).is_some()
    }

    /// How well an offer fits; none: not at all. A processor runs what was made for a lower version of it.
    fn rank(&self, offer: &Platform) -> Option<u32> {
        if self.os != offer.os || self.architecture != offer.architecture {
            return None;
        }
        let (mine, theirs) = (self.level(&self.variant), self.level(&offer.variant));
        match (mine, theirs) {
            (Some(mine), Some(theirs)) => (theirs <= mine).then_some(theirs),
            _ => (self.variant == offer.variant).then_some(0),
        }
    }

    /// The number of a variant: `v7` is 7. What images of the architecture mean if they say none.
    fn level(&self, variant: &str) -> Option<u32> {
        match (variant, self.architecture.as_str()) {
            ("", "arm") => Some(7),
            ("", "arm64") => Some(8),
            ("", _) => Some(1),
            (variant, _) => variant.strip_prefix('v').and_then(|number| number.parse().ok()),
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        if self.variant.is_empty() { Ok(()) } else { write!(f, "/{}", self.variant) }
    }
}

impl FromStr for Platform {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        let parts: Vec<&str> = text.split('/').collect();
        let is_word = |part: &&str| {
            !part.is_empty()
                && part.len() <= 32
                && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        };
        match parts[..] {
            [os, architecture, ..] if parts.len() <= 3 && parts.iter().all(is_word) => Ok(Self {
                os: os.to_owned(),
                architecture: architecture.to_owned(),
                variant: parts.get(2).copied().unwrap_or_default().to_owned(),
            }),
            _ => Err(Failure::invalid(format_args!("{text:?} is not a platform"))
                .hint("write it as os/architecture[/variant], such as linux/arm64")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn chosen(wanted: &str, offers: &[&str]) -> Option<usize> {
        let offers: Vec<Platform> = offers.iter().map(|text| text.parse().unwrap()).collect();
        wanted.parse::<Platform>().unwrap().choose(&offers)
    }

    #[test]
    fn the_best_that_runs_is_chosen() {
        for (wanted, offers, expected) in [
            ("linux/amd64", &["linux/arm64", "linux/amd64", "linux/amd64"][..], Some(1)),
            ("linux/amd64", &["windows/amd64", "linux/arm"], None),
            ("linux/amd64", &["unknown/unknown"], None),
            ("linux/amd64", &["linux/amd64/v2", "linux/amd64/v1"], Some(1)),
            ("linux/amd64/v3", &["linux/amd64", "linux/amd64/v2", "linux/amd64/v4"], Some(1)),
            ("linux/arm", &["linux/arm/v5", "linux/arm/v7", "linux/arm/v6", "linux/arm/v8"], Some(1)),
            ("linux/arm/v6", &["linux/arm/v7", "linux/arm/v5"], Some(1)),
            ("linux/arm64", &["linux/arm64/v8"], Some(0)),
            ("linux/arm64/v8", &["linux/arm64"], Some(0)),
            ("linux/mips/odd", &["linux/mips", "linux/mips/odd"], Some(1)),
        ] {
            assert_eq!(chosen(wanted, offers), expected, "{wanted} of {offers:?}");
        }
    }

    #[test]
    fn platforms_are_read_and_shown() {
        for text in ["linux/amd64", "linux/arm/v7", "windows/amd64"] {
            assert_eq!(text.parse::<Platform>().unwrap().to_string(), text);
        }
        for bad in ["", "linux", "linux/", "/amd64", "a/b/c/d", "linux/am d", "linux/amd64/"] {
            assert!(bad.parse::<Platform>().is_err(), "{bad:?}");
        }
        assert!(Platform::host().runs(&Platform::host()));
    }

    proptest! {
        #[test]
        fn what_is_chosen_runs(wanted in "(a|b)/(arm|arm64|amd64)(/v[1-8])?",
                               offers in proptest::collection::vec("(a|b)/(arm|arm64|amd64)(/v[1-8])?", 0..8)) {
            let wanted: Platform = wanted.parse().unwrap();
            let offers: Vec<Platform> = offers.iter().map(|text| text.parse().unwrap()).collect();
            match wanted.choose(&offers) {
                Some(index) => prop_assert!(wanted.runs(&offers[index])),
                None => prop_assert!(!offers.iter().any(|offer| wanted.runs(offer))),
            }
        }
    }
}
