//! What a layer's archive is.
//!
//! The image store refuses an archive with the same code with which the filesystem service reads it: what
//! was imported can be unpacked. This crate only reads from a [`std::io::Read`]; it opens nothing and
//! allocates by what it has read, never by what a header promises. What it says of the members of an archive
//! in the making ([`header`]) it reads itself.

mod compression;
mod error;
mod hashed;
mod limits;
mod members;
mod path;
mod pax;
mod source;
mod sparse;
mod write;

pub use compression::{Compression, decoder};
pub use error::Error;
pub use hashed::Hashed;
pub use limits::{Bounded, LONGEST_METADATA, MOST_MEMBERS, MOST_PIECES, expanded_limit};
pub use members::{Kind, Member, Members};
pub use path::{MemberPath, Whiteout};
pub use sparse::Piece;
pub use write::{END, header, padding};
