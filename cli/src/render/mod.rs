//! Values in words: pure functions, but for the time of day which they are given.

pub(crate) mod audit;
pub(crate) mod audit_log;
pub(crate) mod container;
pub(crate) mod duration;
pub(crate) mod event;
pub(crate) mod history;
pub(crate) mod image;
pub(crate) mod inspect;
pub(crate) mod listing;
pub(crate) mod logs;
pub(crate) mod port;
pub(crate) mod size;
pub(crate) mod stats;
pub(crate) mod system;
pub(crate) mod table;
pub(crate) mod text;
pub(crate) mod time;
pub(crate) mod top;
pub(crate) mod usage;

use crate::error::Result;
use schema::Failure;
use serde::Serialize;

/// One object or list on one line.
pub(crate) fn json_line(value: &impl Serialize) -> Result<String> {
    Ok(serde_json::to_string(value).map_err(Failure::internal)?)
}

/// A value over many lines, for people.
pub(crate) fn json_pretty(value: &impl Serialize) -> Result<String> {
    let mut text = Vec::new();
    let indent = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    let mut serializer = serde_json::Serializer::with_formatter(&mut text, indent);
    value.serialize(&mut serializer).map_err(Failure::internal)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}
