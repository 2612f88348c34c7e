//! Netlink messages as bytes: a header, and attributes that may nest (netlink(7)).
//!
//! Reading is tolerant on purpose: an attribute that we do not ask for, of whatever shape a newer kernel gives
//! it, cannot make a message unreadable.

use std::borrow::Cow;

/// Marks an attribute whose value is a list of attributes.
const NESTED: u16 = 1 << 15;
/// The bits of an attribute's type that are not marks.
const TYPE_MASK: u16 = 0x3fff;
const HEADER: usize = 16;
const ALIGNMENT: usize = 4;

/// A request that is ready to be sent but for its sequence number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    /// Message type, with the subsystem in the upper byte for nfnetlink.
    pub(crate) kind: u16,
    /// `NLM_F_*`, without `NLM_F_REQUEST`.
    pub(crate) flags: u16,
    /// The family's own header and the attributes.
    pub(crate) body: Vec<u8>,
    /// What it does, for the error that says that it failed.
    pub(crate) doing: Cow<'static, str>,
}

impl Message {
    /// A request with a header of its family and attributes.
    pub(crate) fn new(kind: u16, flags: i32, header: &[u8], doing: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, flags: flags as u16, body: header.to_vec(), doing: doing.into() }
    }

    /// The same request with attributes.
    pub(crate) fn with(mut self, fill: impl FnOnce(&mut Attributes)) -> Self {
        let mut attributes = Attributes(std::mem::take(&mut self.body));
        fill(&mut attributes);
        self.body = attributes.0;
        self
    }

    /// Appends the message to a datagram.
    pub(crate) fn frame(&self, datagram: &mut Vec<u8>, flags: i32, sequence: u32) {
        let length = (HEADER + self.body.len()) as u32;
        datagram.extend_from_slice(&length.to_ne_bytes());
        datagram.extend_from_slice(&self.kind.to_ne_bytes());
        datagram.extend_from_slice(&(self.flags | (libc::NLM_F_REQUEST | flags) as u16).to_ne_bytes());
        datagram.extend_from_slice(&sequence.to_ne_bytes());
        datagram.extend_from_slice(&[0; 4]);
        datagram.extend_from_slice(&self.body);
        pad(datagram);
    }
}

/// A list of attributes that is being written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Attributes(Vec<u8>);

impl Attributes {
    /// An attribute with a value as it is.
    pub(crate) fn bytes(&mut self, kind: u16, value: &[u8]) {
        self.put(kind, |bytes| bytes.extend_from_slice(value));
    }

    /// A text, ended by a zero byte as the kernel wants it.
    pub(crate) fn text(&mut self, kind: u16, value: &str) {
        self.put(kind, |bytes| {
            bytes.extend_from_slice(value.as_bytes());
            bytes.push(0);
        });
    }

    /// A number in network byte order, as all of nftables has them.
    pub(crate) fn number(&mut self, kind: u16, value: u32) {
        self.bytes(kind, &value.to_be_bytes());
    }

    /// A list of attributes.
    pub(crate) fn nested(&mut self, kind: u16, fill: impl FnOnce(&mut Self)) {
        self.put(kind | NESTED, |bytes| {
            let mut inner = Self::default();
            fill(&mut inner);
            bytes.extend_from_slice(&inner.0);
        });
    }

    /// A list of attributes as it was read.
    pub(crate) fn nested_bytes(&mut self, kind: u16, list: &[u8]) {
        self.bytes(kind | NESTED, list);
    }

    /// Attributes that were written before.
    pub(crate) fn append(&mut self, other: &Self) {
        self.0.extend_from_slice(&other.0);
    }

    fn put(&mut self, kind: u16, fill: impl FnOnce(&mut Vec<u8>)) {
        let start = self.0.len();
        self.0.extend_from_slice(&[0; 4]);
        fill(&mut self.0);
        let length = (self.0.len() - start) as u16;
        self.0[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        self.0[start + 2..start + 4].copy_from_slice(&kind.to_ne_bytes());
        pad(&mut self.0);
    }
}

fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(ALIGNMENT), 0);
}

/// The attributes in a piece of a message. Ends at the first that is cut off.
pub(crate) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(bytes, 0)?);
        let kind = u16_at(bytes, 2)? & TYPE_MASK;
        let value = bytes.get(4..length)?;
        bytes = bytes.get(length.next_multiple_of(ALIGNMENT)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// The value of the first attribute of a type.
pub(crate) fn attribute(bytes: &[u8], wanted: u16) -> Option<&[u8]> {
    attributes(bytes).find(|(kind, _)| *kind == wanted).map(|(_, value)| value)
}

/// Two bytes in the byte order of the host.
pub(crate) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2)?.try_into().ok().map(u16::from_ne_bytes)
}

/// Four bytes in the byte order of the host.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_ne_bytes)
}

/// A text that may be ended by a zero byte.
pub(crate) fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn attributes_are_aligned_and_nest() {
        let message = Message::new(1, 0, &[9; 4], "a test").with(|list| {
            list.text(1, "abc");
            list.nested(2, |inner| inner.number(3, 0x0102_0304));
        });
        let read: Vec<_> = attributes(&message.body[4..]).collect();
        assert_eq!(read[0], (1, b"abc\0".as_slice()));
        assert_eq!(attribute(read[1].1, 3), Some([1, 2, 3, 4].as_slice()));
        let mut datagram = Vec::new();
        message.frame(&mut datagram, libc::NLM_F_ACK, 7);
        assert_eq!(u32_at(&datagram, 0), Some(datagram.len() as u32));
        assert_eq!(u16_at(&datagram, 6), Some(5));
        assert_eq!(u32_at(&datagram, 8), Some(7));
    }

    proptest! {
        #[test]
        fn no_bytes_can_upset_the_reader(bytes: Vec<u8>) {
            prop_assert!(attributes(&bytes).count() <= bytes.len() / 4 + 1);
        }

        #[test]
        fn what_is_written_is_read(values in prop::collection::vec((1_u16..0x3fff, prop::collection::vec(any::<u8>(), 0..40)), 0..20)) {
            let mut list = Attributes::default();
            for (kind, value) in &values {
                list.bytes(*kind, value);
            }
            let read: Vec<_> = attributes(&list.0).map(|(kind, value)| (kind, value.to_vec())).collect();
            prop_assert_eq!(read, values);
        }
    }
}
