//! Containers and images in full, with Docker's names for what Docker has.

mod container;
mod image;
mod security;

pub(crate) use container::InspectedContainer;
pub(crate) use image::InspectedImage;

use schema::network::Mode;

/// The name of a network.
pub(crate) fn network(mode: Mode) -> &'static str {
    match mode {
        Mode::Bridge => "bridge",
        Mode::None => "none",
        Mode::Host => "host",
    }
}
