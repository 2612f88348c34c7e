//! Patterns of names.

/// Whether a pattern matches a whole text: `*` stands for any characters but `/`, `?` for one of them.
pub(super) fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    // The last `*`, and what it has taken so far.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some('?') if text[t] != '/' => (p, t) = (p + 1, t + 1),
            Some(&character) if character == text[t] => (p, t) = (p + 1, t + 1),
            _ => match star {
                Some((place, taken)) if text[taken] != '/' => {
                    star = Some((place, taken + 1));
                    (p, t) = (place + 1, taken + 1);
                }
                _ => return false,
            },
        }
    }
    pattern[p..].iter().all(|&character| character == '*')
}

/// Whether a text contains another; `^` and `$` hold it to the beginning and the end.
pub(super) fn contains(pattern: &str, text: &str) -> bool {
    let (start, pattern) = pattern.strip_prefix('^').map_or((false, pattern), |rest| (true, rest));
    let (end, pattern) = pattern.strip_suffix('$').map_or((false, pattern), |rest| (true, rest));
    // Docker's names begin with a slash.
    let pattern = if start { pattern.strip_prefix('/').unwrap_or(pattern) } else { pattern };
    match (start, end) {
        (true, true) => text == pattern,
        (true, false) => text.starts_with(pattern),
        (false, true) => text.ends_with(pattern),
        (false, false) => text.contains(pattern),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn stars_do_not_cross_slashes() {
        for (pattern, text, matches) in [
            ("base", "base", true),
            ("ba*", "base", true),
            ("*", "a/b", false),
            ("*/*", "a/b", true),
            ("b?se*", "base", true),
            ("*se", "base-case", true),
            ("*a*c*", "xaybcz", true),
            ("", "", true),
            ("?", "/", false),
        ] {
            assert_eq!(glob(pattern, text), matches, "{pattern} {text}");
        }
    }

    #[test]
    fn parts_of_names() {
        assert!(contains("eb", "web") && contains("^web$", "web") && contains("^/web$", "web"));
        assert!(!contains("^eb", "web") && !contains("we$", "web"));
    }

    proptest! {
        #[test]
        fn any_pattern_ends(pattern in "[ab*?/]{0,20}", text in "[ab/]{0,30}") {
            let _ = glob(&pattern, &text);
            prop_assert!(glob(&text, &text));
        }
    }
}
