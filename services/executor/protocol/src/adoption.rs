//! What a monitor is told that takes over a sandbox whose monitor was killed: one message on its status socket, and
//! descriptors with it: a pidfd of PID 1 and the terminal's master, as far as there are.

use crate::Malformed;
use crate::control::{Message, take_exit};
use crate::exit::Exit;
use crate::wire::{Field, Reader};

/// Version of this message.
const VERSION: u32 = 1;
/// Bytes of the message.
pub const SIZE: usize = 48;

/// The message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Adoption {
    /// PID 1: its id and when it was started; and how it ended, if it has.
    pub first: Exit,
    /// Whether it has ended.
    pub ended: bool,
    /// Whether a pidfd of PID 1 is the first descriptor.
    pub handle: bool,
    /// Whether the terminal's master is the next descriptor.
    pub master: bool,
    /// The terminal's size, if it is to be set: rows and columns.
    pub size: Option<(u16, u16)>,
}

impl Adoption {
    /// The message.
    pub fn encode(&self) -> [u8; SIZE] {
        let Self { first, ended, handle, master, size } = self;
        let (rows, columns) = size.unwrap_or_default();
        let mut message = Message::default();
        message.put(&VERSION);
        message.put_exit(first);
        [*ended, *handle, *master, size.is_some()].iter().for_each(|flag| message.put(flag));
        message.put(&rows);
        message.put(&columns);
        message.bytes
    }

    /// Reads the message.
    pub fn decode(message: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader(message);
        let reader = &mut reader;
        if message.len() != SIZE || u32::take(reader)? != VERSION {
            return Err(Malformed);
        }
        let first = take_exit(reader)?;
        let (ended, handle, master) = (bool::take(reader)?, bool::take(reader)?, bool::take(reader)?);
        let sized = bool::take(reader)?;
        let size = (u16::take(reader)?, u16::take(reader)?);
        Ok(Self { first, ended, handle, master, size: sized.then_some(size) })
    }
}
