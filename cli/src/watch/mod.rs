//! What services and containers are doing: samples, what happened between them, and the lines of a screen.

mod layout;
mod meter;
mod picture;
mod screen;

pub(crate) use picture::{Picture, Sort};
pub(crate) use screen::{Line, Look, screen};
