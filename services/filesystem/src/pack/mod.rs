//! From files to tar archives.

mod archive;
mod cache;
mod cursor;
mod describe;
mod parts;

pub(crate) use archive::Archive;
pub(crate) use cache::Archives;
pub(crate) use describe::{Described, Describer};
pub(crate) use parts::Parts;
