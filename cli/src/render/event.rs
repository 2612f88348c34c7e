//! What happened to containers, an event a line.

use super::listing::apply;
use super::text::one_line;
use super::time::rfc3339;
use crate::args::Format;
use crate::error::Result;
use crate::select::event::attribute;
use crate::template::Data;
use schema::containers::Event;
use serde_json::{Map, Value, json};

/// An event with its newline.
pub(crate) fn line(event: &Event, format: &Format) -> Result<String> {
    let line = match format {
        Format::Table => plain(event),
        Format::Json => json(event).to_string(),
        Format::Template(template) | Format::TableOf(template) => apply(template, &Data::new(fields(event)))?,
    };
    Ok(line + "\n")
}

fn plain(event: &Event) -> String {
    let Event { at, action, container, attributes, .. } = event;
    let time = rfc3339(*at);
    one_line(&format!("{time} container {action} {container} ({})", attributes.join(", ")))
}

fn attributes(event: &Event) -> Map<String, Value> {
    let pair = |pair: &String| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (key.to_owned(), value.into())
    };
    event.attributes.iter().map(pair).collect()
}

fn json(event: &Event) -> Value {
    json!({
        "status": event.action,
        "id": event.container.as_str(),
        "from": attribute(event, "image").unwrap_or_default(),
        "Type": "container",
        "Action": event.action,
        "Actor": {"ID": event.container.as_str(), "Attributes": attributes(event)},
        "scope": "local",
        "time": event.at / 1_000_000_000,
        "timeNano": event.at,
    })
}

/// The names that templates have for the same.
fn fields(event: &Event) -> Value {
    let rename = |(key, value): (String, Value)| {
        let key = match key.as_str() {
            "id" => "ID".to_owned(),
            "timeNano" => "TimeNano".to_owned(),
            _ => key[..1].to_uppercase() + &key[1..],
        };
        (key, value)
    };
    match json(event) {
        Value::Object(map) => map.into_iter().map(rename).collect::<Map<_, _>>().into(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::list_format;
    use crate::select::event::tests::event;

    #[test]
    fn docker_s_lines() {
        let id = "ab".repeat(32);
        let shown = |format: &str| line(&event(), &list_format(format).unwrap()).unwrap();
        assert_eq!(
            line(&event(), &Format::Table).unwrap(),
            format!(
                "2024-01-02T15:04:05.000000001Z container die {id} (name=web, image=base:1, exitCode=3, tier=web)\n"
            )
        );
        let object: Value = serde_json::from_str(&shown("json")).unwrap();
        assert_eq!(object["Actor"]["Attributes"]["exitCode"], "3");
        assert_eq!((object["time"].as_i64(), object["from"].as_str()), (Some(1_704_207_845), Some("base:1")));
        assert_eq!(
            shown("{{.Action}} {{.ID}} {{.Actor.Attributes.name}} {{.Time}}"),
            format!("die {id} web 1704207845\n")
        );
    }
}
