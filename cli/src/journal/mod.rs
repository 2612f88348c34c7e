//! What our processes have logged: lines of JSON, and whatever else they or a plugin have written.

mod follow;
mod record;
mod search;
mod span;

pub(crate) use follow::{Begin, Follower};
pub(crate) use record::Record;
pub(crate) use search::{Sought, find, sought};
pub(crate) use span::{COMMAND, Span, with_parents};
