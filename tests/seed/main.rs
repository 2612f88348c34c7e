//! What Docker 0.1.3 did, as its own documents and tests show it, where no other suite shows it already.
//! `docs/parity.md` has the whole list.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod commandline;
mod documents;
mod listing;
mod streams;
