//! One line of a log.

use crate::render::text::one_line;
use serde::Deserialize;
use serde_json::{Map, Value};

/// A line as `kit::log` writes it.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub(crate) struct Record {
    /// RFC 3339 in UTC, with six digits of a second: as texts they are in order.
    pub(crate) timestamp: String,
    pub(crate) level: String,
    /// What was said, as `message`, and values.
    pub(crate) fields: Map<String, Value>,
    /// The part of the program.
    #[serde(default)]
    pub(crate) target: String,
    /// What was going on, the outermost first.
    #[serde(default)]
    pub(crate) spans: Vec<Map<String, Value>>,
}

impl Record {
    /// Reads a line; none if it is something else.
    pub(crate) fn read(line: &str) -> Option<Self> {
        serde_json::from_str(line).ok()
    }

    /// Whether it belongs to a request whose number begins so.
    pub(crate) fn is_of(&self, request: &str) -> bool {
        let values = self.spans.iter().chain([&self.fields]).filter_map(|map| map.get("request"));
        values.filter_map(Value::as_str).any(|number| number.starts_with(request))
    }

    /// On one line, for people.
    pub(crate) fn line(&self) -> String {
        let Self { timestamp, level, fields, target, spans } = self;
        let mut line = format!("{timestamp} {level:>5} ");
        for span in spans {
            let name = span.get("name").map_or_else(String::new, word);
            line.push_str(&format!("{name}{{{}}}: ", values(span, "name")));
        }
        if spans.is_empty() {
            line.push_str(&format!("{target}: "));
        }
        line.push_str(&fields.get("message").map_or_else(String::new, word));
        let values = values(fields, "message");
        if !values.is_empty() {
            line.push_str(&format!(" {values}"));
        }
        one_line(&line)
    }
}

/// `a=1 b=two`, without one of them.
fn values(map: &Map<String, Value>, without: &str) -> String {
    let others = map.iter().filter(|(name, _)| *name != without);
    others.map(|(name, value)| format!("{name}={}", word(value))).collect::<Vec<_>>().join(" ")
}

fn word(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LINE: &str = r#"{"timestamp":"2024-01-02T03:04:05.678901Z","level":"INFO","fields":{"message":"done","us":12},"target":"schema::executor","spans":[{"method":"executor.start","request":"00000000abc00001","name":"call"}]}"#;

    #[test]
    fn a_line_is_read_and_shown() {
        let record = Record::read(LINE).unwrap();
        assert_eq!(
            record.line(),
            "2024-01-02T03:04:05.678901Z  INFO call{method=executor.start request=00000000abc00001}: done us=12"
        );
        assert!(record.is_of("00000000abc") && record.is_of("00000000abc00001") && !record.is_of("abc"));
        let bare = Record::read(
            r#"{"timestamp":"t","level":"WARN","fields":{"message":"a\u001b[1m\nb","request":"ff"},"target":"x"}"#,
        );
        assert_eq!(bare.clone().unwrap().line(), "t  WARN x: a\\u{1b}[1m\\nb request=ff");
        assert!(bare.unwrap().is_of("f"));
    }

    proptest! {
        #[test]
        fn any_line_is_read(line in ".*") {
            Record::read(&line);
        }
    }
}
