//! Filters of lists: `--filter`.

use super::Parsed;

/// One `--filter`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Filter {
    /// What is compared, in lower case.
    pub(crate) key: String,
    /// What it must be.
    pub(crate) value: String,
}

/// `key=value`; spaces around both do not count.
pub(crate) fn filter(text: &str) -> Parsed<Filter> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => {
            Ok(Filter { key: key.trim().to_lowercase(), value: value.trim().to_owned() })
        }
        _ => Err("expected KEY=VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_values() {
        assert_eq!(filter(" Name = web "), Ok(Filter { key: "name".into(), value: "web".into() }));
        assert_eq!(filter("label=a=b").map(|filter| filter.value), Ok("a=b".into()));
        assert!(filter("name").is_err() && filter("=x").is_err() && filter("").is_err());
    }
}
