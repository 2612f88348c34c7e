//! What our processes have logged: lines of JSON, and whatever else they or a plugin have written.

mod record;
mod search;

pub(crate) use record::Record;
pub(crate) use search::{Sought, find, sought};
