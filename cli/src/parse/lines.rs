//! Files with a value a line: `--env-file`, `--label-file`.

use super::Parsed;

/// The lines of a file that say something: not those that are empty or begin with `#`. Spaces before a line do not
/// count.
fn lines(text: &[u8]) -> Parsed<Vec<&str>> {
    let text = std::str::from_utf8(text).map_err(|_| "it is not UTF-8".to_owned())?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines = text.lines().map(str::trim_start);
    Ok(lines.filter(|line| !line.is_empty() && !line.starts_with('#')).collect())
}

/// What each line means to a parser. The error names the line.
pub(crate) fn parsed<T>(text: &[u8], parse: impl Fn(&str) -> Parsed<T>) -> Parsed<Vec<T>> {
    let value = |line: &str| match line.split('=').next() {
        Some(key) if key.contains(char::is_whitespace) => Err(format!("{line:?}: the key {key:?} contains whitespace")),
        _ => parse(line).map_err(|error| format!("{line:?}: {error}")),
    };
    lines(text)?.into_iter().map(value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::env::{Variable, variable};
    use crate::parse::label::label;

    #[test]
    fn variables_a_line() {
        let text = b"\xef\xbb\xbf# a comment\nA=1 = 2\n\n  B= x \nHOME\r\n";
        let set = |text: &str| Variable::Set(text.to_owned());
        assert_eq!(parsed(text, variable), Ok(vec![set("A=1 = 2"), set("B= x "), Variable::Inherit("HOME".into())]));
        assert_eq!(parsed(b"a=b\nc", label), Ok(vec!["a=b".to_owned(), "c=".to_owned()]));
    }

    #[test]
    fn bad_lines_are_named() {
        assert!(parsed(b"A=1\n=x", variable).unwrap_err().contains("\"=x\""));
        assert!(parsed(b"a b=1", variable).unwrap_err().contains("whitespace"));
        assert!(parsed(b"\xff", variable).is_err());
    }
}
