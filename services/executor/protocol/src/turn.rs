//! What is in the file `take.lock`: how collector and monitor take turns at the FIFOs. Four numbers, each written by
//! one of them alone.

/// Bytes of the file.
pub const SIZE: usize = 32;
/// Where the collector counts its turns: a count that stands still means that there is none, or that it is stuck.
pub const BEAT: u64 = 0;
/// Where the monitor counts its turns, before it moves anything: a new number means that something may be spilled.
pub const SPILLED: u64 = 8;
/// Where the collector says how many bytes may be spilled.
pub const LIMIT: u64 = 16;
/// Where the collector says what becomes of the rest: 0: it waits; 1: it is lost, and counted.
pub const POLICY: u64 = 24;

/// The numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Turns {
    /// See [`BEAT`].
    pub beat: u64,
    /// See [`SPILLED`].
    pub spilled: u64,
    /// See [`LIMIT`].
    pub limit: u64,
    /// See [`POLICY`].
    pub drops: bool,
}

impl Turns {
    /// From the bytes of the file; what is missing is 0.
    pub fn decode(bytes: &[u8]) -> Self {
        let number = |at: u64| {
            let mut word = [0; 8];
            let bytes = bytes.iter().skip(at as usize);
            word.iter_mut().zip(bytes).for_each(|(place, byte)| *place = *byte);
            u64::from_le_bytes(word)
        };
        Self { beat: number(BEAT), spilled: number(SPILLED), limit: number(LIMIT), drops: number(POLICY) == 1 }
    }
}
