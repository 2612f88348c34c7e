//! The index of a segment on disk: a header, then entries of fixed size. Pure.
//!
//! Both sizes divide a page, so no entry crosses a page boundary: the kernel copies each whole or not at all,
//! also when the writer is killed. A check in each tells an intact one from what a power cut left.

use schema::log_collector::Stream;

/// Bytes of the header.
pub(crate) const HEADER: u64 = 64;
/// Bytes of an entry.
pub(crate) const ENTRY: u64 = 32;

const MAGIC: [u8; 8] = *b"cctllog\x01";
/// What is added to the number of a stream for its gaps.
const GAP: u8 = 2;

/// How an index begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// Number of the segment.
    pub(crate) number: u64,
    /// Position of its first byte.
    pub(crate) start: u64,
    /// The run during which the segment was begun.
    pub(crate) run: u64,
    /// Lost bytes of that run, of either stream, which earlier segments account for.
    pub(crate) lost: [u64; 2],
}

/// What an entry stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Bytes in the file of a stream.
    Data(Stream),
    /// Bytes of a stream that could not be kept.
    Gap(Stream),
}

/// Bytes that were captured, or lost, at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// When: nanoseconds since the Unix epoch. Never less than in the entry before.
    pub(crate) at: i64,
    /// Position of the first byte.
    pub(crate) start: u64,
    /// Of the first byte in the stream's file; for a gap, lost bytes of this run and stream before it.
    pub(crate) offset: u64,
    /// Bytes.
    pub(crate) length: u32,
    /// What they are.
    pub(crate) kind: Kind,
}

impl Entry {
    /// The position after it.
    pub(crate) fn end(&self) -> u64 {
        self.start + u64::from(self.length)
    }

    /// As stored.
    pub(crate) fn encode(&self) -> [u8; ENTRY as usize] {
        let mut bytes = [0; ENTRY as usize];
        bytes[..8].copy_from_slice(&self.at.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.start.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.offset.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.length.to_le_bytes());
        bytes[28] = match self.kind {
            Kind::Data(stream) => number(stream) as u8,
            Kind::Gap(stream) => number(stream) as u8 + GAP,
        };
        let check = check(&bytes[..29]).to_le_bytes();
        bytes[29..].copy_from_slice(&check[..3]);
        bytes
    }

    /// From what is stored; none: it is damaged.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; ENTRY as usize] = bytes.try_into().ok()?;
        if check(&bytes[..29]).to_le_bytes()[..3] != bytes[29..] {
            return None;
        }
        let kind = match bytes[28] {
            0 => Kind::Data(Stream::Stdout),
            1 => Kind::Data(Stream::Stderr),
            GAP => Kind::Gap(Stream::Stdout),
            3 => Kind::Gap(Stream::Stderr),
            _ => return None,
        };
        let length = u32::from_le_bytes(bytes[24..28].try_into().ok()?);
        let entry = Self { at: word(bytes, 0)? as i64, start: word(bytes, 8)?, offset: word(bytes, 16)?, length, kind };
        entry.start.checked_add(length.into()).map(|_| entry)
    }
}

impl Header {
    /// As stored.
    pub(crate) fn encode(&self) -> [u8; HEADER as usize] {
        let mut bytes = [0; HEADER as usize];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..16].copy_from_slice(&self.number.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.start.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.run.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.lost[0].to_le_bytes());
        bytes[40..48].copy_from_slice(&self.lost[1].to_le_bytes());
        let check = check(&bytes[..60]);
        bytes[60..].copy_from_slice(&check.to_le_bytes());
        bytes
    }

    /// From what is stored; none: it is damaged.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; HEADER as usize] = bytes.try_into().ok()?;
        if bytes[..8] != MAGIC || check(&bytes[..60]).to_le_bytes() != bytes[60..] {
            return None;
        }
        let lost = [word(bytes, 32)?, word(bytes, 40)?];
        Some(Self { number: word(bytes, 8)?, start: word(bytes, 16)?, run: word(bytes, 24)?, lost })
    }
}

/// 0 for stdout, 1 for stderr.
pub(crate) fn number(stream: Stream) -> usize {
    match stream {
        Stream::Stdout => 0,
        Stream::Stderr => 1,
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

/// FNV-1a, folded so that its low three bytes depend on all of it. Not zero for zeros.
fn check(bytes: &[u8]) -> u32 {
    let hash = bytes.iter().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
    hash ^ (hash >> 24)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entries() -> impl Strategy<Value = Entry> {
        (any::<i64>(), any::<u32>(), any::<u64>(), any::<u32>(), 0..4_u8).prop_map(
            |(at, start, offset, length, kind)| {
                let kind = match kind {
                    0 => Kind::Data(Stream::Stdout),
                    1 => Kind::Data(Stream::Stderr),
                    2 => Kind::Gap(Stream::Stdout),
                    _ => Kind::Gap(Stream::Stderr),
                };
                Entry { at, start: start.into(), offset, length, kind }
            },
        )
    }

    proptest! {
        #[test]
        fn entries_come_back(entry in entries()) {
            prop_assert_eq!(Entry::decode(&entry.encode()), Some(entry));
        }

        #[test]
        fn a_changed_byte_is_noticed(entry in entries(), at in 0..ENTRY as usize, flip in 1..=u8::MAX) {
            let mut bytes = entry.encode();
            bytes[at] ^= flip;
            prop_assert_eq!(Entry::decode(&bytes), None);
        }

        #[test]
        fn headers_come_back(number in any::<u64>(), start in any::<u64>(), run in any::<u64>(), lost in any::<[u64; 2]>()) {
            let header = Header { number, start, run, lost };
            prop_assert_eq!(Header::decode(&header.encode()), Some(header));
            prop_assert_eq!(Header::decode(&header.encode()[1..]), None);
        }
    }

    #[test]
    fn zeros_are_damage() {
        assert_eq!(Entry::decode(&[0; ENTRY as usize]), None);
        assert_eq!(Header::decode(&[0; HEADER as usize]), None);
    }
}
