//! A gateway: what services and containers are doing, as Prometheus reads it.
//!
//! It is a client like any other, and needs no privilege but to ask. [`exposition`] writes the format, [`families`] says what
//! is told, [`request`] reads what comes over HTTP: all pure. [`look`] asks the services, [`serve`] has the sockets.

mod exposition;
mod families;
mod listen;
mod look;
mod request;
mod serve;

pub(crate) use families::text;
pub(crate) use listen::{Listen, listen};
pub(crate) use look::look;
pub(crate) use serve::serve;
