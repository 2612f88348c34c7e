//! Texts that come from elsewhere, made fit for a terminal.

/// One line without control characters: a name or message must not move the reader's cursor.
pub(crate) fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() { line.extend(character.escape_default()) } else { line.push(character) }
    }
    line
}

/// At most so many characters; the last one is an ellipsis where something was cut.
pub(crate) fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(most.saturating_sub(1)).collect();
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn escape_sequences_do_not_reach_the_terminal() {
        assert_eq!(one_line("a\u{1b}[2J\nb"), "a\\u{1b}[2J\\nb");
        assert_eq!(one_line("größe"), "größe");
    }

    proptest! {
        #[test]
        fn cut_texts_are_short(text in "\\PC{0,40}", most in 1_usize..30) {
            prop_assert!(cut(&text, most).chars().count() <= most);
        }
    }
}
