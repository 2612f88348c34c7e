//! Where an archive goes on. A cursor has all that is needed to continue in another process. Pure.

use schema::Failure;

const VERSION: u8 = 1;
const NUMBERS: usize = 4;

/// A place in an archive, at the end of a part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Cursor {
    /// Names the archive among those that are in memory.
    pub(super) archive: u64,
    /// The last member that was begun, from the top of what is archived; none: nothing was.
    pub(super) path: Option<Vec<u8>>,
    /// Where in that file, if it was not finished.
    pub(super) within: Option<Within>,
}

/// A place in the data of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Within {
    /// Bytes that were read.
    pub(super) offset: u64,
    /// Bytes that its header promised.
    pub(super) size: u64,
    /// Its inode: another file of that name is not its continuation.
    pub(super) inode: u64,
}

impl Cursor {
    pub(super) fn encode(&self) -> Vec<u8> {
        let Within { offset, size, inode } = self.within.unwrap_or_default();
        let mut bytes = vec![VERSION, u8::from(self.within.is_some()) | u8::from(self.path.is_some()) << 1];
        for number in [self.archive, offset, size, inode] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(self.path.as_deref().unwrap_or_default());
        bytes
    }

    /// Fails with `invalidArgument` for what is no cursor.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Failure> {
        Self::parse(bytes).ok_or_else(|| Failure::invalid("this is no cursor of an archive"))
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let (&[version, flags], rest) = bytes.split_first_chunk()?;
        let (numbers, path) = rest.split_at_checked(NUMBERS * size_of::<u64>())?;
        let number = |at: usize| numbers.get(at * 8..at * 8 + 8)?.try_into().ok().map(u64::from_le_bytes);
        let within = Within { offset: number(1)?, size: number(2)?, inode: number(3)? };
        let is_sound = version == VERSION && flags < 4 && flags != 1 && within.offset <= within.size;
        is_sound.then_some(Self {
            archive: number(0)?,
            path: (flags & 2 != 0).then(|| path.to_vec()),
            within: (flags & 1 != 0).then_some(within),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn cursors_survive(archive: u64, path: Option<Vec<u8>>, offset: u32, size: u32, inode: u64, is_within: bool) {
            let within = Within { offset: offset.min(size).into(), size: size.into(), inode };
            let within = (is_within && path.is_some()).then_some(within);
            let cursor = Cursor { archive, path, within };
            prop_assert_eq!(Cursor::decode(&cursor.encode()).unwrap(), cursor);
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>) {
            let _ = Cursor::decode(&bytes);
        }
    }
}
