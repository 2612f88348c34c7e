//! The functions of templates: Go's own, and those that Docker adds.

use super::printf::printf;
use super::value::{equal, order, truth, type_name, words};
use serde_json::Value;
use std::cmp::Ordering;

/// Characters that a function may add to pad a text.
const WIDEST: usize = 1000;

const NAMES: [&str; 26] = [
    "and", "or", "not", "len", "index", "slice", "print", "printf", "println", "eq", "ne", "lt", "le", "gt", "ge",
    "json", "split", "join", "title", "lower", "upper", "pad", "truncate", "trim", "contains", "replace",
];

/// Whether there is a function of this name.
pub(super) fn is_known(name: &str) -> bool {
    NAMES.contains(&name)
}

/// What a function makes of its arguments. `and` and `or` are the evaluator's: they do not take all.
pub(super) fn call(name: &str, arguments: &[Value]) -> Result<Value, String> {
    let text = |index: usize| match arguments.get(index) {
        Some(Value::String(text)) => Ok(text.as_str()),
        Some(other) => Err(format!("wrong type for argument of {name}: expected string; got {}", type_name(other))),
        None => Err(format!("wrong number of args for {name}: got {}", arguments.len())),
    };
    let count = |least: usize, most: usize| {
        let fits = (least..=most).contains(&arguments.len());
        let wrong = || format!("wrong number of args for {name}: want {least} got {}", arguments.len());
        if fits { Ok(()) } else { Err(wrong()) }
    };
    match name {
        "not" => count(1, 1).map(|()| Value::Bool(!truth(&arguments[0]))),
        "len" => count(1, 1).and_then(|()| length(&arguments[0])),
        "index" => count(1, usize::MAX).and_then(|()| index(arguments)),
        "slice" => count(1, 3).and_then(|()| slice(arguments)),
        "print" => Ok(print(arguments).into()),
        "println" => Ok((spaced(arguments) + "\n").into()),
        "printf" => printf(text(0)?, &arguments[1..]).map(Value::String),
        "eq" => count(2, usize::MAX).and_then(|()| any_equal(arguments)),
        "ne" => count(2, 2).and_then(|()| Ok((!equal(&arguments[0], &arguments[1])?).into())),
        "lt" | "le" | "gt" | "ge" => count(2, 2).and_then(|()| {
            let order = order(&arguments[0], &arguments[1])?;
            Ok(matches!(
                (name, order),
                ("lt" | "le", Ordering::Less) | ("gt" | "ge", Ordering::Greater) | ("le" | "ge", Ordering::Equal)
            )
            .into())
        }),
        "json" => {
            count(1, 1).and_then(|()| Ok(serde_json::to_string(&arguments[0]).map_err(|e| e.to_string())?.into()))
        }
        "split" => count(2, 2).and_then(|()| Ok(text(0)?.split(text(1)?).map(Value::from).collect())),
        "join" => count(2, 2).and_then(|()| join(&arguments[0], text(1)?)),
        "title" => count(1, 1).and_then(|()| Ok(title(text(0)?).into())),
        "lower" => count(1, 1).and_then(|()| Ok(text(0)?.to_lowercase().into())),
        "upper" => count(1, 1).and_then(|()| Ok(text(0)?.to_uppercase().into())),
        "trim" => count(1, 1).and_then(|()| Ok(text(0)?.trim().into())),
        "contains" => count(2, 2).and_then(|()| Ok(text(0)?.contains(text(1)?).into())),
        "replace" => count(3, 3).and_then(|()| Ok(text(0)?.replace(text(1)?, text(2)?).into())),
        "truncate" => {
            count(2, 2).and_then(|()| Ok(text(0)?.chars().take(size(&arguments[1])?).collect::<String>().into()))
        }
        "pad" => count(3, 3).and_then(|()| pad(text(0)?, size(&arguments[1])?, size(&arguments[2])?)),
        _ => Err(format!("function {name:?} not defined")),
    }
}

fn size(value: &Value) -> Result<usize, String> {
    let number = value.as_u64().and_then(|number| usize::try_from(number).ok());
    number.ok_or_else(|| format!("expected a number of at least 0, got {}", words(value)))
}

fn length(value: &Value) -> Result<Value, String> {
    match value {
        Value::String(text) => Ok(text.len().into()),
        Value::Array(list) => Ok(list.len().into()),
        Value::Object(map) => Ok(map.len().into()),
        other => Err(format!("len of type {}", type_name(other))),
    }
}

fn index(arguments: &[Value]) -> Result<Value, String> {
    let mut value = &arguments[0];
    for key in &arguments[1..] {
        value = match (value, key) {
            (Value::Array(list), key) => {
                let found = key.as_u64().and_then(|place| list.get(usize::try_from(place).ok()?));
                found.ok_or_else(|| format!("index out of range: {}", words(key)))?
            }
            (Value::Object(map), Value::String(key)) => match map.get(key) {
                Some(value) => value,
                None if map.values().all(Value::is_string) => return Ok("".into()),
                None => return Ok(Value::Null),
            },
            (Value::Null, _) => return Err("index of nil".to_owned()),
            (value, key) => return Err(format!("cannot index {} with {}", type_name(value), type_name(key))),
        };
    }
    Ok(value.clone())
}

fn slice(arguments: &[Value]) -> Result<Value, String> {
    let length = match &arguments[0] {
        Value::String(text) => text.len(),
        Value::Array(list) => list.len(),
        other => return Err(format!("slice of type {}", type_name(other))),
    };
    let from = arguments.get(1).map_or(Ok(0), size)?;
    let to = arguments.get(2).map_or(Ok(length), size)?;
    let out = || format!("index out of range: {from}:{to} of {length}");
    match &arguments[0] {
        Value::String(text) => text.get(from..to).map(Value::from).ok_or_else(out),
        Value::Array(list) => list.get(from..to).map(|part| part.to_vec().into()).ok_or_else(out),
        _ => Err(out()),
    }
}

/// With spaces between those of which neither is a text, as Go has it.
fn print(arguments: &[Value]) -> String {
    let mut printed = String::new();
    for (place, value) in arguments.iter().enumerate() {
        if place > 0 && !value.is_string() && !arguments[place - 1].is_string() {
            printed.push(' ');
        }
        printed.push_str(&words(value));
    }
    printed
}

fn spaced(arguments: &[Value]) -> String {
    arguments.iter().map(words).collect::<Vec<_>>().join(" ")
}

/// Whether the first one equals any other.
fn any_equal(arguments: &[Value]) -> Result<Value, String> {
    for other in &arguments[1..] {
        if equal(&arguments[0], other)? {
            return Ok(true.into());
        }
    }
    Ok(false.into())
}

fn join(list: &Value, separator: &str) -> Result<Value, String> {
    match list {
        Value::Array(list) => Ok(list.iter().map(words).collect::<Vec<_>>().join(separator).into()),
        Value::Null => Ok("".into()),
        other => Err(format!("wrong type for argument of join: expected a list; got {}", type_name(other))),
    }
}

/// Each word with a capital.
fn title(text: &str) -> String {
    let mut inside = false;
    let mut titled = String::with_capacity(text.len());
    for character in text.chars() {
        if inside {
            titled.push(character)
        } else {
            titled.extend(character.to_uppercase())
        }
        inside = character.is_alphanumeric() || character == '_' || character == '\'';
    }
    titled
}

fn pad(text: &str, before: usize, after: usize) -> Result<Value, String> {
    if before.max(after) > WIDEST {
        return Err(format!("pad adds at most {WIDEST} spaces"));
    }
    if text.is_empty() {
        return Ok(text.into());
    }
    Ok(format!("{}{text}{}", " ".repeat(before), " ".repeat(after)).into())
}
