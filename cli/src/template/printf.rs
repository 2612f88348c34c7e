//! `printf`, with Go's verbs.

use super::value::{type_name, words};
use serde_json::Value;

/// Characters that a width or precision may ask for.
const WIDEST: usize = 1000;

#[derive(Default)]
struct Directive {
    minus: bool,
    plus: bool,
    zero: bool,
    sharp: bool,
    width: usize,
    precision: Option<usize>,
}

/// The text that a format makes of arguments. What does not fit is shown in place, as Go has it: `%!d(string=x)`.
pub(super) fn printf(format: &str, arguments: &[Value]) -> Result<String, String> {
    let mut text = String::new();
    let mut arguments = arguments.iter();
    let mut rest = format;
    while let Some((before, after)) = rest.split_once('%') {
        text.push_str(before);
        let (directive, verb, length) = directive(after)?;
        rest = &after[length..];
        match verb {
            None => text.push_str("%!(NOVERB)"),
            Some('%') => text.push('%'),
            Some(verb) => match arguments.next() {
                Some(value) => text.push_str(&one(&directive, verb, value)),
                None => text.push_str(&format!("%!{verb}(MISSING)")),
            },
        }
    }
    text.push_str(rest);
    let extra: Vec<String> = arguments.map(|value| format!("{}={}", type_name(value), words(value))).collect();
    if !extra.is_empty() {
        text.push_str(&format!("%!(EXTRA {})", extra.join(", ")));
    }
    Ok(text)
}

/// What stands between `%` and the end of its verb, and how long that is.
fn directive(text: &str) -> Result<(Directive, Option<char>, usize), String> {
    let mut directive = Directive::default();
    let flags = text.find(|c| !"-+# 0".contains(c)).unwrap_or(text.len());
    for flag in text[..flags].chars() {
        match flag {
            '-' => directive.minus = true,
            '+' => directive.plus = true,
            '0' => directive.zero = true,
            '#' => directive.sharp = true,
            _ => {}
        }
    }
    let (width, mut at) = number(text, flags)?;
    directive.width = width.unwrap_or(0);
    if text[at..].starts_with('.') {
        let (precision, end) = number(text, at + 1)?;
        directive.precision = Some(precision.unwrap_or(0));
        at = end;
    }
    let verb = text[at..].chars().next();
    Ok((directive, verb, at + verb.map_or(0, char::len_utf8)))
}

fn number(text: &str, from: usize) -> Result<(Option<usize>, usize), String> {
    let digits = text[from..].find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len() - from);
    let end = from + digits;
    if digits == 0 {
        return Ok((None, end));
    }
    match text[from..end].parse() {
        Ok(number) if number <= WIDEST => Ok((Some(number), end)),
        _ => Err(format!("a width or precision is {WIDEST} at most")),
    }
}

fn one(directive: &Directive, verb: char, value: &Value) -> String {
    let bad = || format!("%!{verb}({}={})", type_name(value), words(value));
    let cut = |text: String| match directive.precision {
        Some(most) => text.chars().take(most).collect(),
        None => text,
    };
    let shown = match (verb, value) {
        ('v' | 'd', Value::Number(number)) if verb == 'v' || !number.is_f64() => signed(directive, words(value)),
        ('v', _) => words(value),
        ('s', Value::Number(_) | Value::Bool(_) | Value::Null) => return bad(),
        ('s', _) => cut(words(value)),
        ('q', Value::String(text)) => quoted(&cut(text.clone())),
        ('q', Value::Array(list)) => {
            format!("[{}]", list.iter().map(|item| quoted(&words(item))).collect::<Vec<_>>().join(" "))
        }
        ('t', Value::Bool(truth)) => truth.to_string(),
        ('x', Value::String(text)) => text.bytes().map(|byte| format!("{byte:02x}")).collect(),
        ('X', Value::String(text)) => text.bytes().map(|byte| format!("{byte:02X}")).collect(),
        ('x' | 'X' | 'o' | 'b' | 'c', Value::Number(number)) => match number.as_i64() {
            Some(number) => return pad(directive, whole(directive, verb, number), true),
            None => return bad(),
        },
        ('f' | 'F', Value::Number(number)) if number.is_f64() => {
            let precision = directive.precision.unwrap_or(6);
            signed(directive, format!("{:.precision$}", number.as_f64().unwrap_or(0.0)))
        }
        ('e' | 'g', Value::Number(number)) if number.is_f64() => signed(directive, words(value)),
        _ => return bad(),
    };
    pad(directive, shown, value.is_number())
}

fn signed(directive: &Directive, text: String) -> String {
    if directive.plus && !text.starts_with('-') { format!("+{text}") } else { text }
}

fn whole(directive: &Directive, verb: char, number: i64) -> String {
    let (sign, size) = (if number < 0 { "-" } else { "" }, number.unsigned_abs());
    let prefix = if directive.sharp { "0x" } else { "" };
    match verb {
        'x' => format!("{sign}{prefix}{size:x}"),
        'X' => format!("{sign}{}{size:X}", prefix.to_uppercase()),
        'o' => format!("{sign}{size:o}"),
        'b' => format!("{sign}{size:b}"),
        _ => u32::try_from(number).ok().and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER).to_string(),
    }
}

fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            _ if (character as u32) < 0x20 || character == '\u{7f}' => {
                quoted.push_str(&format!("\\x{:02x}", character as u32));
            }
            _ => quoted.push(character),
        }
    }
    quoted.push('"');
    quoted
}

fn pad(directive: &Directive, text: String, number: bool) -> String {
    let missing = directive.width.saturating_sub(text.chars().count());
    if directive.minus {
        text + &" ".repeat(missing)
    } else if directive.zero && number {
        let (sign, digits) = match text.strip_prefix(['-', '+']) {
            Some(digits) => text.split_at(text.len() - digits.len()),
            None => ("", text.as_str()),
        };
        format!("{sign}{}{digits}", "0".repeat(missing))
    } else {
        " ".repeat(missing) + &text
    }
}
