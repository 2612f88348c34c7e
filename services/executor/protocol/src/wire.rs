//! Little-endian numbers and length-prefixed texts, read without copying.

use core::ffi::CStr;
use core::fmt;

/// The bytes are not what the format says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("malformed data")
    }
}

impl core::error::Error for Malformed {}

/// Takes values from the front of some bytes.
#[derive(Clone, Debug)]
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        self.take(N)?.try_into().map_err(|_| Malformed)
    }
}

/// Where encoded bytes go.
pub(crate) type Put<'p> = &'p mut dyn FnMut(&[u8]);

/// A value that can be a part of a message.
pub(crate) trait Field<'a>: Sized {
    fn put(&self, put: Put<'_>);
    fn take(reader: &mut Reader<'a>) -> Result<Self, Malformed>;
}

macro_rules! number {
    ($($type:ty),*) => {$(
        impl Field<'_> for $type {
            fn put(&self, put: Put<'_>) {
                put(&self.to_le_bytes());
            }

            fn take(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
                Ok(Self::from_le_bytes(reader.array()?))
            }
        }
    )*};
}

number!(u8, u16, u32, u64, i32, i64);

impl Field<'_> for bool {
    fn put(&self, put: Put<'_>) {
        u8::from(*self).put(put);
    }

    fn take(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        match u8::take(reader)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed),
        }
    }
}

impl<'a> Field<'a> for &'a [u8] {
    fn put(&self, put: Put<'_>) {
        // Longer than 4 GiB is cut off here and refused by the reader.
        u32::try_from(self.len()).unwrap_or(u32::MAX).put(put);
        put(self);
    }

    fn take(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let length = u32::take(reader)?;
        reader.take(length as usize)
    }
}

impl<'a> Field<'a> for &'a CStr {
    fn put(&self, put: Put<'_>) {
        self.to_bytes_with_nul().put(put);
    }

    fn take(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        CStr::from_bytes_with_nul(Field::take(reader)?).map_err(|_| Malformed)
    }
}

/// Texts one behind the other, each ended by a NUL byte: the form in which `execve` wants them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strings<'a>(&'a [u8]);

impl<'a> Strings<'a> {
    /// None at all.
    pub const EMPTY: Self = Self(&[]);

    /// From their bytes. Fails if the last one is not ended.
    pub fn new(bytes: &'a [u8]) -> Result<Self, Malformed> {
        match bytes.last() {
            None | Some(0) => Ok(Self(bytes)),
            Some(_) => Err(Malformed),
        }
    }

    /// One by one.
    pub fn iter(&self) -> impl Iterator<Item = &'a CStr> + use<'a> {
        let mut rest = self.0;
        core::iter::from_fn(move || {
            let text = CStr::from_bytes_until_nul(rest).ok()?;
            rest = rest.get(text.count_bytes() + 1..)?;
            Some(text)
        })
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.iter().filter(|byte| **byte == 0).count()
    }
}

impl<'a> Field<'a> for Strings<'a> {
    fn put(&self, put: Put<'_>) {
        self.0.put(put);
    }

    fn take(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        Self::new(Field::take(reader)?)
    }
}

/// Numbers, stored one behind the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbers<'a>(&'a [u8]);

impl<'a> Numbers<'a> {
    const SIZE: usize = size_of::<u32>();

    /// From their little-endian bytes. Fails if they are not whole.
    pub fn new(bytes: &'a [u8]) -> Result<Self, Malformed> {
        if bytes.len().is_multiple_of(Self::SIZE) { Ok(Self(bytes)) } else { Err(Malformed) }
    }

    /// Their little-endian bytes: also the form in which the kernel of every supported machine wants them.
    pub fn bytes(&self) -> &'a [u8] {
        self.0
    }
}

impl<'a> Field<'a> for Numbers<'a> {
    fn put(&self, put: Put<'_>) {
        self.0.put(put);
    }

    fn take(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        Self::new(Field::take(reader)?)
    }
}
