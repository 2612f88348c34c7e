//! Labels: `--label`.

use super::Parsed;

/// `key=value`; a key alone has an empty value.
pub(crate) fn label(text: &str) -> Parsed<String> {
    match text.split_once('=') {
        Some(("", _)) => Err("expected KEY[=VALUE]".to_owned()),
        Some(_) => Ok(text.to_owned()),
        None if text.is_empty() => Err("expected KEY[=VALUE]".to_owned()),
        None => Ok(format!("{text}=")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_alone_have_no_value() {
        assert_eq!(label("a=b=c"), Ok("a=b=c".into()));
        assert_eq!(label("a"), Ok("a=".into()));
        assert!(label("").is_err() && label("=x").is_err());
    }
}
