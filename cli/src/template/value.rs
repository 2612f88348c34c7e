//! JSON values as Go sees them: truth, order, and words.

use serde_json::{Number, Value};
use std::cmp::Ordering;
use std::fmt::Write;

/// What stands for no value.
pub(super) const NO_VALUE: &str = "<no value>";

/// Whether `if` takes it: empty values are false.
pub(super) fn truth(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(truth) => *truth,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Object(map) => !map.is_empty(),
    }
}

/// The words for it, as Go's `%v` has them.
pub(super) fn words(value: &Value) -> String {
    let mut text = String::new();
    write_words(value, &mut text);
    text
}

fn write_words(value: &Value, text: &mut String) {
    match value {
        Value::Null => text.push_str("<nil>"),
        Value::Bool(truth) => text.push_str(if *truth { "true" } else { "false" }),
        Value::Number(number) => text.push_str(&number_words(number)),
        Value::String(string) => text.push_str(string),
        Value::Array(list) => {
            text.push('[');
            for (index, item) in list.iter().enumerate() {
                if index > 0 {
                    text.push(' ');
                }
                write_words(item, text);
            }
            text.push(']');
        }
        Value::Object(map) => {
            text.push_str("map[");
            for (index, (key, item)) in map.iter().enumerate() {
                // Writing to a string cannot fail.
                let _ = write!(text, "{}{key}:", if index > 0 { " " } else { "" });
                write_words(item, text);
            }
            text.push(']');
        }
    }
}

fn number_words(number: &Number) -> String {
    match number.as_f64() {
        Some(float) if number.is_f64() && float.abs() >= 1e21 => format!("{float:e}"),
        Some(float) if number.is_f64() => float.to_string(),
        _ => number.to_string(),
    }
}

/// What Go calls its type.
pub(super) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

/// Whether they are equal. Fails if they can never be.
pub(super) fn equal(left: &Value, right: &Value) -> Result<bool, String> {
    match (left, right) {
        (Value::Null, other) | (other, Value::Null) => Ok(other.is_null()),
        (Value::Number(one), Value::Number(two)) => Ok(one == two || one.as_f64() == two.as_f64()),
        (Value::String(one), Value::String(two)) => Ok(one == two),
        (Value::Bool(one), Value::Bool(two)) => Ok(one == two),
        (Value::Array(_) | Value::Object(_), _) | (_, Value::Array(_) | Value::Object(_)) => {
            Err(format!("non-comparable type {}", type_name(left)))
        }
        _ => Err(incompatible(left, right)),
    }
}

/// Which comes first. Fails for what has no order.
pub(super) fn order(left: &Value, right: &Value) -> Result<Ordering, String> {
    match (left, right) {
        (Value::Number(one), Value::Number(two)) => match (one.as_i64(), two.as_i64()) {
            (Some(one), Some(two)) => Ok(one.cmp(&two)),
            _ => one.as_f64().partial_cmp(&two.as_f64()).ok_or_else(|| incompatible(left, right)),
        },
        (Value::String(one), Value::String(two)) => Ok(one.cmp(two)),
        _ => Err(incompatible(left, right)),
    }
}

fn incompatible(left: &Value, right: &Value) -> String {
    format!("incompatible types for comparison: {} and {}", type_name(left), type_name(right))
}
