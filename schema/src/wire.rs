//! Tools for conversions between wire and domain.
//!
//! Reading validates, because a peer may send anything; writing cannot fail. Writers destructure their
//! type exhaustively: a new field that nobody converts breaks the build.

use crate::bindings::common_capnp::outcome;
use crate::{ContainerId, Failure};
use capnp::traits::{Owned, OwnedStruct};
use std::borrow::Borrow;

/// A domain type that travels as a struct of the contract.
pub trait Wire: Sized {
    /// The generated type.
    type Owned: OwnedStruct;

    /// From the wire. Fails with `invalidArgument` for what is malformed.
    fn read(reader: <Self::Owned as OwnedStruct>::Reader<'_>) -> Result<Self, Failure>;

    /// To the wire.
    fn write(&self, builder: <Self::Owned as OwnedStruct>::Builder<'_>);
}

/// Reads a text field, which must be UTF-8.
pub fn text(reader: capnp::Result<capnp::text::Reader<'_>>) -> Result<String, Failure> {
    reader?.to_string().map_err(|_| Failure::invalid("a text in the message is not UTF-8"))
}

/// Reads a list of texts.
pub fn texts(reader: capnp::Result<capnp::text_list::Reader<'_>>) -> Result<Vec<String>, Failure> {
    reader?.iter().map(text).collect()
}

/// Writes a list of texts into a list builder of the right length.
pub fn set_texts<S: AsRef<str>>(mut builder: capnp::text_list::Builder<'_>, values: &[S]) {
    for (index, value) in (0..).zip(values) {
        builder.set(index, value.as_ref());
    }
}

/// Reads a name that may be absent: empty on the wire.
pub fn optional<T: std::str::FromStr<Err = Failure>>(text: &str) -> Result<Option<T>, Failure> {
    if text.is_empty() { Ok(None) } else { text.parse().map(Some) }
}

/// Reads a list of container ids.
pub fn ids(reader: capnp::Result<capnp::text_list::Reader<'_>>) -> Result<Vec<ContainerId>, Failure> {
    reader?.iter().map(|item| text(item)?.parse()).collect()
}

/// Writes a list of container ids into a list builder of the right length.
pub fn set_ids(mut builder: capnp::text_list::Builder<'_>, values: &[ContainerId]) {
    for (index, value) in (0..).zip(values) {
        builder.set(index, value.as_str());
    }
}

/// Elements of a list for which there is room before they are read: how many it has, its sender may say as he likes.
const EXPECTED: usize = 512;

/// Reads a list of structs.
pub fn list<T: Wire>(reader: capnp::Result<capnp::struct_list::Reader<'_, T::Owned>>) -> Result<Vec<T>, Failure> {
    list_of(reader, T::read)
}

/// The same with `read` for each.
pub fn list_of<'a, O: OwnedStruct, T>(
    reader: capnp::Result<capnp::struct_list::Reader<'a, O>>,
    read: impl Fn(O::Reader<'a>) -> Result<T, Failure>,
) -> Result<Vec<T>, Failure> {
    let reader = reader?;
    let mut values = Vec::with_capacity((reader.len() as usize).min(EXPECTED));
    for value in reader.iter() {
        values.push(read(value)?);
    }
    Ok(values)
}

/// Writes a list of structs into a list builder of the right length.
pub fn set_list<T: Wire>(builder: capnp::struct_list::Builder<'_, T::Owned>, values: &[T]) {
    set_list_of::<T>(builder, values);
}

/// The same of what holds its structs with others.
pub fn set_list_of<T: Wire>(mut builder: capnp::struct_list::Builder<'_, T::Owned>, values: &[impl Borrow<T>]) {
    for (index, value) in (0..).zip(values) {
        value.borrow().write(builder.reborrow().get(index));
    }
}

/// The length of a list of the wire. Its lists hold less than 2^29 elements; what is longer cannot be
/// sent and is cut, which no caller reaches: messages are limited to far less.
pub fn length<T>(values: &[T]) -> u32 {
    u32::try_from(values.len()).unwrap_or(u32::MAX)
}

/// Reads what a method answered: a value, converted by `read`, or a failure.
pub fn read_outcome<'a, O: Owned, V>(
    outcome: outcome::Reader<'a, O>,
    read: impl FnOnce(O::Reader<'a>) -> Result<V, Failure>,
) -> Result<V, Failure> {
    match outcome.which() {
        Ok(outcome::Ok(value)) => read(value?),
        Ok(outcome::Failure(failure)) => Err(Failure::read(failure?)?),
        Err(unknown) => Err(unknown.into()),
    }
}

/// Writes what a method answers: a value, converted by `write`, or a failure.
pub fn write_outcome<'a, O: Owned, V>(
    outcome: outcome::Builder<'a, O>,
    answer: Result<V, Failure>,
    write: impl FnOnce(V, O::Builder<'a>),
) {
    match answer {
        Ok(value) => write(value, outcome.init_ok()),
        Err(failure) => failure.write(outcome.init_failure()),
    }
}
