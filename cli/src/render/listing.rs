//! Lists in the form that the user asks for: a table, JSON, or what a template makes of each row.

use super::table::Table;
use crate::args::Format;
use crate::error::Result;
use crate::template::{Data, Template};
use schema::Failure;
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Fields that rows may have, with their headings.
pub(crate) type Headings = [(&'static str, &'static str)];

/// Rows that can be shown in every format.
pub(crate) struct Listing {
    headings: &'static Headings,
    /// Fields of the table.
    shown: Vec<&'static str>,
    rows: Vec<Data>,
}

impl Listing {
    /// A list without rows, whose table has the fields `shown`.
    pub(crate) fn new(headings: &'static Headings, shown: impl Into<Vec<&'static str>>) -> Self {
        Self { headings, shown: shown.into(), rows: Vec::new() }
    }

    /// Adds a row: an object.
    pub(crate) fn push(&mut self, row: &impl Serialize) -> Result {
        self.push_with_labels(row, &[])
    }

    /// Adds a row whose labels, `key=value`, templates can ask for by `.Label "key"`.
    pub(crate) fn push_with_labels(&mut self, row: &impl Serialize, labels: &[String]) -> Result {
        let pair = |label: &String| {
            let (key, value) = label.split_once('=').unwrap_or((label, ""));
            (key.to_owned(), value.to_owned())
        };
        let methods = BTreeMap::from([("Label", labels.iter().map(pair).collect())]);
        self.rows.push(Data { root: serde_json::to_value(row).map_err(Failure::internal)?, methods });
        Ok(())
    }

    /// All of it, each line with its newline.
    pub(crate) fn render(&self, format: &Format) -> Result<String> {
        match format {
            Format::Table => Ok(self.table()),
            Format::Json => Ok(self.rows.iter().map(|row| format!("{}\n", row.root)).collect()),
            Format::Template(template) => {
                self.rows.iter().map(|row| Ok(apply(template, row)? + "\n")).collect::<Result<String>>()
            }
            Format::TableOf(template) => self.table_of(template),
        }
    }

    fn table(&self) -> String {
        let mut table = Table::new(&self.shown.iter().map(|field| heading(self.headings, field)).collect::<Vec<_>>());
        for row in &self.rows {
            table.row(self.shown.iter().map(|field| word(&row.root[*field])));
        }
        table.render()
    }

    fn table_of(&self, template: &Template) -> Result<String> {
        let headings: Map<String, Value> =
            self.headings.iter().map(|(field, heading)| ((*field).to_owned(), (*heading).into())).collect();
        let methods = BTreeMap::from([("Label", BTreeMap::new())]);
        let first = apply(template, &Data { root: headings.into(), methods })?;
        let mut table = Table::new(&first.split('\t').collect::<Vec<_>>());
        for row in &self.rows {
            table.row(apply(template, row)?.split('\t').map(str::to_owned));
        }
        Ok(table.render())
    }
}

/// The heading of a field.
pub(crate) fn heading(headings: &Headings, field: &'static str) -> &'static str {
    headings.iter().find(|(known, _)| *known == field).map_or(field, |(_, heading)| *heading)
}

/// What a template makes of an object.
pub(crate) fn apply(template: &Template, data: &Data) -> Result<String> {
    Ok(template.render(data).map_err(Failure::invalid)?)
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
    use crate::args::list_format;
    use serde_json::json;

    fn listing() -> Listing {
        let mut listing =
            Listing::new(&[("ID", "CONTAINER ID"), ("Names", "NAMES"), ("State", "STATE")], ["ID", "Names"]);
        listing
            .push_with_labels(&json!({"ID": "ab", "Names": "web", "State": "running"}), &["tier=web".into()])
            .unwrap();
        listing.push(&json!({"ID": "cd", "Names": "a-database", "State": "exited"})).unwrap();
        listing
    }

    fn shown(format: &str) -> String {
        listing().render(&list_format(format).unwrap()).unwrap()
    }

    #[test]
    fn every_format() {
        assert_eq!(shown("table"), "CONTAINER ID   NAMES\nab             web\ncd             a-database\n");
        assert_eq!(
            shown(r"table {{.Names}}\t{{.State}}"),
            "NAMES        STATE\nweb          running\na-database   exited\n"
        );
        assert_eq!(shown("{{.ID}}"), "ab\ncd\n");
        assert_eq!(shown(r#"{{.Names}}={{.Label "tier"}}"#), "web=web\na-database=\n");
        assert_eq!(shown("json").lines().next(), Some(r#"{"ID":"ab","Names":"web","State":"running"}"#));
    }

    #[test]
    fn a_field_that_is_not_there_is_an_error_that_names_those_that_are() {
        let error = listing().render(&list_format("{{.Nmaes}}").unwrap()).unwrap_err();
        assert!(format!("{error:?}").contains("Names"), "{error:?}");
    }
}
