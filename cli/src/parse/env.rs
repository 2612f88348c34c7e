//! Environment variables: `-e`.

use super::Parsed;

/// One `-e`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Variable {
    /// `KEY=value`, as the container gets it.
    Set(String),
    /// A key alone: the caller's own value, if there is one.
    Inherit(String),
}

/// `KEY=value`, or `KEY` for the value that the caller's environment has.
pub(crate) fn variable(text: &str) -> Parsed<Variable> {
    match text.split_once('=') {
        Some(("", _)) => Err("expected KEY=VALUE or KEY".to_owned()),
        Some(_) => Ok(Variable::Set(text.to_owned())),
        None if text.is_empty() => Err("expected KEY=VALUE or KEY".to_owned()),
        None => Ok(Variable::Inherit(text.to_owned())),
    }
}

impl Variable {
    /// `KEY=value`; none if the caller's environment, which `look_up` reads, lacks an inherited key.
    pub(crate) fn resolve(&self, look_up: impl Fn(&str) -> Option<String>) -> Option<String> {
        match self {
            Self::Set(pair) => Some(pair.clone()),
            Self::Inherit(key) => look_up(key).map(|value| format!("{key}={value}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_alone_are_inherited() {
        let home = |key: &str| (key == "HOME").then(|| "/root".to_owned());
        let resolve = |text: &str| variable(text).unwrap().resolve(home);
        assert_eq!(resolve("A=b=c"), Some("A=b=c".into()));
        assert_eq!(resolve("A="), Some("A=".into()));
        assert_eq!(resolve("HOME"), Some("HOME=/root".into()));
        assert_eq!(resolve("UNKNOWN"), None);
        assert!(variable("").is_err() && variable("=x").is_err());
    }
}
