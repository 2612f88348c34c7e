//! Words of a line: quotes, escapes, variables.

use super::Refusal;
use std::iter::Peekable;
use std::str::Chars;

/// Bytes that a line may have when its variables are replaced.
const LONGEST: usize = 1 << 20;

/// The words of a line.
pub(super) fn words(line: &str, environment: &[String]) -> Result<Vec<String>, Refusal> {
    let mut lexer = Lexer { rest: line.chars().peekable(), environment };
    let mut words = Vec::new();
    while let Some(word) = lexer.word()? {
        words.push(word);
    }
    if words.iter().map(String::len).sum::<usize>() > LONGEST {
        return Err("it is too long".into());
    }
    Ok(words)
}

/// `KEY=value` words; or, of old, one key and the rest of the line as its value.
pub(super) fn pairs(line: &str, environment: &[String]) -> Result<Vec<(String, String)>, Refusal> {
    let first = line.split(char::is_whitespace).next().unwrap_or_default();
    if !first.contains('=') {
        let Some((key, value)) = line.split_once(char::is_whitespace) else {
            return Err("write it as KEY=value".into());
        };
        let mut lexer = Lexer { rest: value.trim().chars().peekable(), environment };
        let value = lexer.line()?;
        return Ok(vec![(checked(key.to_owned())?, value)]);
    }
    let pair = |word: String| match word.split_once('=') {
        Some((key, value)) => Ok((checked(key.to_owned())?, value.to_owned())),
        None => Err(Refusal(format!("{word:?} is not KEY=value; put a value with blanks in quotes"))),
    };
    words(line, environment)?.into_iter().map(pair).collect()
}

fn checked(key: String) -> Result<String, Refusal> {
    if key.is_empty() { Err("a key is empty".into()) } else { Ok(key) }
}

struct Lexer<'a> {
    rest: Peekable<Chars<'a>>,
    environment: &'a [String],
}

impl Lexer<'_> {
    /// The next word; none at the end.
    fn word(&mut self) -> Result<Option<String>, Refusal> {
        while self.rest.next_if(|letter| letter.is_whitespace()).is_some() {}
        if self.rest.peek().is_none() {
            return Ok(None);
        }
        let mut word = String::new();
        while let Some(letter) = self.rest.next_if(|letter| !letter.is_whitespace()) {
            self.letter(letter, &mut word)?;
        }
        Ok(Some(word))
    }

    /// Everything, blanks included.
    fn line(&mut self) -> Result<String, Refusal> {
        let mut line = String::new();
        while let Some(letter) = self.rest.next() {
            self.letter(letter, &mut line)?;
        }
        Ok(line)
    }

    fn letter(&mut self, letter: char, into: &mut String) -> Result<(), Refusal> {
        match letter {
            '\'' => self.single(into),
            '"' => self.double(into),
            '\\' => {
                into.push(self.rest.next().ok_or("a backslash ends the line")?);
                Ok(())
            }
            '$' => self.variable(into),
            other => {
                into.push(other);
                Ok(())
            }
        }
    }

    fn single(&mut self, into: &mut String) -> Result<(), Refusal> {
        loop {
            match self.rest.next() {
                Some('\'') => return Ok(()),
                Some(letter) => into.push(letter),
                None => return Err("a quote is not closed".into()),
            }
        }
    }

    fn double(&mut self, into: &mut String) -> Result<(), Refusal> {
        loop {
            match self.rest.next() {
                Some('"') => return Ok(()),
                // Within double quotes a backslash is one, except before what it would otherwise change.
                Some('\\') => match self.rest.next_if(|next| matches!(next, '"' | '\\' | '$')) {
                    Some(escaped) => into.push(escaped),
                    None => into.push('\\'),
                },
                Some('$') => self.variable(into)?,
                Some(letter) => into.push(letter),
                None => return Err("a quote is not closed".into()),
            }
        }
    }

    /// `$NAME`, `${NAME}`, `${NAME:-otherwise}` or `${NAME:+instead}`.
    fn variable(&mut self, into: &mut String) -> Result<(), Refusal> {
        let braced = self.rest.next_if_eq(&'{').is_some();
        let mut name = String::new();
        while let Some(letter) = self.rest.next_if(|letter| letter.is_ascii_alphanumeric() || *letter == '_') {
            name.push(letter);
        }
        let is_it = |pair: &&String| pair.split_once('=').is_some_and(|(key, _)| key == name);
        let value = self.environment.iter().find(is_it).map_or("", |pair| &pair[name.len() + 1..]).to_owned();
        if !braced {
            into.push_str(if name.is_empty() { "$" } else { &value });
            return Ok(());
        }
        let (operator, other) = self.otherwise()?;
        if name.is_empty() {
            return Err("${} names no variable".into());
        }
        match operator {
            Some('-') if value.is_empty() => into.push_str(&other),
            Some('+') if value.is_empty() => {}
            Some('+') => into.push_str(&other),
            _ => into.push_str(&value),
        }
        Ok(())
    }

    /// What follows a name in braces, and the closing brace.
    fn otherwise(&mut self) -> Result<(Option<char>, String), Refusal> {
        let unclosed = || Refusal::from("${ is not closed by }");
        match self.rest.next().ok_or_else(unclosed)? {
            '}' => return Ok((None, String::new())),
            ':' => {}
            _ => return Err("${NAME}, ${NAME:-otherwise} and ${NAME:+instead} are known".into()),
        }
        let operator = self.rest.next().filter(|operator| matches!(operator, '-' | '+'));
        let operator = operator.ok_or("${NAME:-otherwise} and ${NAME:+instead} are known")?;
        let mut other = String::new();
        loop {
            match self.rest.next().ok_or_else(unclosed)? {
                '}' => return Ok((Some(operator), other)),
                letter => other.push(letter),
            }
        }
    }
}
