//! From a template's text to tokens.

use super::Error;
use serde_json::{Number, Value};

const OPEN: &str = "{{";
const CLOSE: &str = "}}";

/// A token and where it begins.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub(super) at: usize,
    /// Whether space comes before it: `(x).A` and `(x) .A` differ.
    pub(super) spaced: bool,
    pub(super) kind: Kind,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    /// Outside of actions.
    Text(String),
    Open,
    Close,
    Dot,
    /// `.A.B`
    Fields(Vec<String>),
    /// `$name`, without the dollar sign.
    Variable(String),
    Word(String),
    Literal(Value),
    Left,
    Right,
    Pipe,
    Declare,
    Assign,
    Comma,
}

/// The tokens of a template.
pub(super) fn tokens(source: &str) -> Result<Vec<Token>, Error> {
    let mut lexer = Lexer { source, at: 0, tokens: Vec::new() };
    let mut trim = false;
    while let Some(length) = lexer.rest().find(OPEN) {
        let start = lexer.at;
        let inside = start + length + OPEN.len();
        let trims = trim_marker_after(&source[inside..]);
        lexer.text(start, &source[start..start + length], trim, trims);
        lexer.at = inside + if trims { 1 } else { 0 };
        trim = lexer.action(start + length)?;
    }
    let (start, rest) = (lexer.at, lexer.rest());
    lexer.text(start, rest, trim, false);
    Ok(lexer.tokens)
}

/// Whether `- ` follows `{{`.
fn trim_marker_after(text: &str) -> bool {
    let mut characters = text.chars();
    characters.next() == Some('-') && characters.next().is_some_and(char::is_whitespace)
}

struct Lexer<'a> {
    source: &'a str,
    at: usize,
    tokens: Vec<Token>,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        &self.source[self.at..]
    }

    fn text(&mut self, at: usize, mut text: &str, trim_start: bool, trim_end: bool) {
        if trim_start {
            text = text.trim_start();
        }
        if trim_end {
            text = text.trim_end();
        }
        if !text.is_empty() {
            self.tokens.push(Token { at, spaced: false, kind: Kind::Text(text.to_owned()) });
        }
    }

    /// The tokens of an action that began at `start`; whether the text after it is trimmed.
    fn action(&mut self, start: usize) -> Result<bool, Error> {
        if let Some(trim) = self.comment(start)? {
            return Ok(trim);
        }
        self.tokens.push(Token { at: start, spaced: false, kind: Kind::Open });
        loop {
            let before = self.at;
            self.at += self.rest().len() - self.rest().trim_start().len();
            let spaced = self.at > before;
            let (at, rest) = (self.at, self.rest());
            let trims = spaced && rest.strip_prefix('-').is_some_and(|after| after.starts_with(CLOSE));
            if trims || rest.starts_with(CLOSE) {
                self.tokens.push(Token { at, spaced, kind: Kind::Close });
                self.at += CLOSE.len() + if trims { 1 } else { 0 };
                return Ok(trims);
            }
            if rest.is_empty() {
                return Err(Error::new(start, "unclosed action"));
            }
            let (kind, length) = token(rest).map_err(|message| Error::new(at, message))?;
            self.tokens.push(Token { at, spaced, kind });
            self.at += length;
        }
    }

    /// `/* … */`, which is a whole action.
    fn comment(&mut self, start: usize) -> Result<Option<bool>, Error> {
        let text = self.rest().trim_start();
        let Some(inside) = text.strip_prefix("/*") else { return Ok(None) };
        let end = inside.find("*/").ok_or_else(|| Error::new(start, "unclosed comment"))?;
        let after = &inside[end + 2..];
        let trimmed = after.trim_start();
        let trims = trimmed.len() < after.len() && trimmed.starts_with("-}}");
        let close = if trims { &trimmed[1..] } else { after };
        let Some(rest) = close.strip_prefix(CLOSE) else {
            return Err(Error::new(start, "a comment ends with `*/}}`"));
        };
        self.at = self.source.len() - rest.len();
        Ok(Some(trims))
    }
}

/// The token at the beginning of a text, and its length.
fn token(text: &str) -> Result<(Kind, usize), String> {
    let single = |kind| Ok((kind, 1));
    match text.as_bytes() {
        [b'(', ..] => single(Kind::Left),
        [b')', ..] => single(Kind::Right),
        [b'|', ..] => single(Kind::Pipe),
        [b',', ..] => single(Kind::Comma),
        [b':', b'=', ..] => Ok((Kind::Declare, 2)),
        [b'=', ..] => single(Kind::Assign),
        [b'"', ..] => quoted(text, '"').map(|(text, length)| (Kind::Literal(Value::String(text)), length)),
        [b'`', ..] => {
            let end = text[1..].find('`').ok_or("unterminated raw quoted string")?;
            Ok((Kind::Literal(text[1..=end].into()), end + 2))
        }
        [b'\'', ..] => {
            let (text, length) = quoted(text, '\'')?;
            let mut characters = text.chars();
            match (characters.next(), characters.next()) {
                (Some(one), None) => Ok((Kind::Literal(u32::from(one).into()), length)),
                _ => Err("a character constant has one character".to_owned()),
            }
        }
        [b'$', ..] => {
            let name = name(&text[1..]);
            Ok((Kind::Variable(name.to_owned()), 1 + name.len()))
        }
        [b'.', next, ..] if next.is_ascii_digit() => number(text),
        [b'.', ..] => Ok(fields(text)),
        [b'0'..=b'9' | b'+' | b'-', ..] => number(text),
        _ => word(text),
    }
}

/// `.` or `.A.B`.
fn fields(text: &str) -> (Kind, usize) {
    let mut names = Vec::new();
    let mut length = 0;
    while let Some(after) = text[length..].strip_prefix('.') {
        let name = name(after);
        if name.is_empty() {
            break;
        }
        names.push(name.to_owned());
        length += 1 + name.len();
    }
    if names.is_empty() { (Kind::Dot, 1) } else { (Kind::Fields(names), length) }
}

fn name(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    &text[..end]
}

fn word(text: &str) -> Result<(Kind, usize), String> {
    let word = name(text);
    let kind = match word {
        "" => {
            let odd = text.chars().next().unwrap_or_default();
            return Err(format!("unexpected character {odd:?}"));
        }
        "true" => Kind::Literal(true.into()),
        "false" => Kind::Literal(false.into()),
        "nil" => Kind::Literal(Value::Null),
        _ => Kind::Word(word.to_owned()),
    };
    Ok((kind, word.len()))
}

fn number(text: &str) -> Result<(Kind, usize), String> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let after = unsigned.find(|c: char| !(c.is_alphanumeric() || c == '.' || c == '_')).unwrap_or(unsigned.len());
    let end = text.len() - unsigned.len() + after;
    let word = &text[..end];
    let digits = word.trim_start_matches(['+', '-']).replace('_', "");
    let negative = word.starts_with('-');
    let bad = || format!("bad number syntax: {word:?}");
    let based = [("0x", 16), ("0X", 16), ("0b", 2), ("0B", 2), ("0o", 8), ("0O", 8)];
    let whole = match based.iter().find_map(|(prefix, base)| Some((digits.strip_prefix(prefix)?, *base))) {
        Some((digits, base)) => Some(i64::from_str_radix(digits, base).map_err(|_| bad())?),
        None if digits.bytes().all(|byte| byte.is_ascii_digit()) => Some(digits.parse().map_err(|_| bad())?),
        None => None,
    };
    let value = match whole {
        Some(whole) => Value::from(if negative { -whole } else { whole }),
        // Rust's own parser also takes words such as "inf", which begin with no digit.
        None if digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') => {
            let number: f64 = digits.parse().map_err(|_| bad())?;
            Number::from_f64(if negative { -number } else { number }).map(Value::Number).ok_or_else(bad)?
        }
        None => return Err(bad()),
    };
    Ok((Kind::Literal(value), end))
}

/// A quoted text with Go's escapes, and its length with the quotes.
fn quoted(text: &str, quote: char) -> Result<(String, usize), String> {
    let unterminated = "unterminated quoted string";
    let mut value = String::new();
    let mut characters = text.char_indices().skip(1);
    while let Some((at, character)) = characters.next() {
        match character {
            _ if character == quote => return Ok((value, at + 1)),
            '\n' => break,
            '\\' => {
                let (_, kind) = characters.next().ok_or(unterminated)?;
                let digits = match kind {
                    'x' => 2,
                    'u' => 4,
                    'U' => 8,
                    _ => 0,
                };
                if digits == 0 {
                    value.push(escaped(kind, quote)?);
                    continue;
                }
                let hex: String = characters.by_ref().take(digits).map(|(_, digit)| digit).collect();
                let code = u32::from_str_radix(&hex, 16).ok().filter(|_| hex.len() == digits && !hex.starts_with('+'));
                value.push(code.and_then(char::from_u32).ok_or_else(|| format!("bad escape \\{kind}{hex}"))?);
            }
            _ => value.push(character),
        }
    }
    Err(unterminated.to_owned())
}

fn escaped(kind: char, quote: char) -> Result<char, String> {
    Ok(match kind {
        'n' => '\n',
        't' => '\t',
        'r' => '\r',
        'a' => '\u{7}',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'v' => '\u{b}',
        '\\' => '\\',
        _ if kind == quote => quote,
        _ => return Err(format!("unknown escape \\{kind}")),
    })
}
