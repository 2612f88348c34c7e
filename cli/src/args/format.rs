//! `--format`: tables for people, JSON and templates for programs.

use crate::parse::Parsed;
use crate::template::Template;

/// How answers are printed.
#[derive(Clone, Debug, Default)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Table,
    /// An object a line.
    Json,
    /// A line each, as the template makes it.
    Template(Template),
    /// The same as a table: a tab begins a column.
    TableOf(Template),
}

/// `table`, `json`, `table TEMPLATE` or a template, of a list. As Docker has it, `\t` and `\n` in it are a tab and a
/// newline.
pub(crate) fn list_format(text: &str) -> Parsed<Format> {
    let unescaped = text.trim_matches(' ').replace(r"\t", "\t").replace(r"\n", "\n");
    match unescaped.strip_prefix("table") {
        Some("") => Ok(Format::Table),
        Some(rest) if rest.starts_with([' ', '\t']) => Template::parse(rest.trim_start()).map(Format::TableOf),
        _ => object_format(&unescaped),
    }
}

/// `json` or a template, of an object.
pub(crate) fn object_format(text: &str) -> Parsed<Format> {
    match text {
        "" => Ok(Format::Table),
        "json" => Ok(Format::Json),
        template => Template::parse(template).map(Format::Template),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_templates() {
        assert!(matches!(list_format("table"), Ok(Format::Table)));
        assert!(matches!(list_format("json"), Ok(Format::Json)));
        assert!(matches!(list_format("tables"), Ok(Format::Template(_))));
        assert!(
            matches!(list_format(r"table {{.ID}}\t{{.Names}}"), Ok(Format::TableOf(template)) if template.source() == "{{.ID}}\t{{.Names}}")
        );
        assert!(list_format("{{.ID").is_err_and(|error| error.contains("1:1")));
        assert!(matches!(object_format(r#"{{split .Path "\n"}}"#), Ok(Format::Template(_))));
    }
}
