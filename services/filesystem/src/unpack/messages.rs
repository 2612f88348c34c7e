//! What the service and a process that unpacks for it say to each other, by a socket that keeps messages apart.

use schema::common::{IdRange, Layer};
use schema::failure::CodeNumber;
use schema::{Digest, Failure};
use serde::{Deserialize, Serialize};

/// The longest message: an attribute's value has at most 64 KiB, its name 255 bytes.
pub(super) const LONGEST: usize = 68 << 10;
/// Bytes of a warning or of a failure's text: what an archive is named in it is its author's.
const LONGEST_TEXT: usize = 8 << 10;

/// What is to be done. With it come the archive, and the root that it is unpacked beneath.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Request {
    /// Who asks: without that process, there is nobody to unpack for.
    pub(super) parent: i32,
    /// The archive's path, for people.
    pub(super) archive: String,
    pub(super) task: Task,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Task {
    /// Fill the root, which is empty.
    Layer {
        /// How the archive is compressed.
        media_type: String,
    },
    /// Add files to the tree.
    Files {
        /// Where in the tree.
        directory: String,
        /// Whether files belong to whom the archive says, or to root.
        keep_owner: bool,
        /// What the tree shows for the ids of the archive, if other ones.
        ids: Option<IdRange>,
    },
}

impl Task {
    pub(super) fn layer(layer: &Layer) -> Self {
        Self::Layer { media_type: layer.media_type.clone() }
    }
}

/// What the process that unpacks says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Message {
    /// Set this attribute of what comes with it: for some, no capability is enough that it has. It waits for the answer.
    Attribute { name: Vec<u8>, value: Vec<u8> },
    /// To be logged.
    Warning(String),
    /// It is done.
    Done(Outcome),
}

/// What became of it: the digest of what was unpacked, for a layer.
pub(super) type Outcome = Result<Option<Digest>, Failure>;

/// An outcome as it is sent.
#[derive(Serialize, Deserialize)]
enum Sent {
    Unpacked(Option<Digest>),
    Failed { code: CodeNumber, message: String, hint: String },
}

const ATTRIBUTE: u8 = b'a';
const WARNING: u8 = b'w';
const DONE: u8 = b'd';

impl Message {
    pub(super) fn encode(&self) -> Vec<u8> {
        match self {
            Self::Attribute { name, value } => {
                let length = u16::try_from(name.len()).unwrap_or(u16::MAX).to_le_bytes();
                [&[ATTRIBUTE][..], &length, name, value].concat()
            }
            Self::Warning(text) => [&[WARNING], shortened(text).as_bytes()].concat(),
            Self::Done(outcome) => {
                let sent = match outcome {
                    Ok(digest) => Sent::Unpacked(digest.clone()),
                    Err(Failure { code, message, hint }) => Sent::Failed {
                        code: (*code).into(),
                        message: shortened(message).to_owned(),
                        hint: hint.clone(),
                    },
                };
                [vec![DONE], serde_json::to_vec(&sent).unwrap_or_default()].concat()
            }
        }
    }

    /// None: it makes no sense.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (kind, rest) = bytes.split_first()?;
        match *kind {
            ATTRIBUTE => {
                let (length, rest) = rest.split_first_chunk()?;
                let (name, value) = rest.split_at_checked(u16::from_le_bytes(*length).into())?;
                Some(Self::Attribute { name: name.to_vec(), value: value.to_vec() })
            }
            WARNING => Some(Self::Warning(String::from_utf8_lossy(rest).into_owned())),
            DONE => Some(Self::Done(match serde_json::from_slice(rest).ok()? {
                Sent::Unpacked(digest) => Ok(digest),
                Sent::Failed { code, message, hint } => Err(Failure { code: code.into(), message, hint }),
            })),
            _ => None,
        }
    }
}

fn shortened(text: &str) -> &str {
    // A character has at most four bytes.
    let ends = (LONGEST_TEXT - 3..=LONGEST_TEXT).rev();
    ends.into_iter().find_map(|end| text.get(..end)).unwrap_or(text)
}

/// Whether an attribute is one for which somebody mightier is to be asked, and may be: what steers overlayfs is not,
/// but for hiding what lower layers have.
pub(super) fn may_be_asked_for(name: &[u8], value: &[u8]) -> bool {
    if name.starts_with(b"trusted.overlay.") {
        return name == super::attributes::OPAQUE.as_bytes() && value == b"y";
    }
    name.starts_with(b"trusted.") || name.starts_with(b"security.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_arrive_as_they_were_sent() {
        let digest = Digest::from_sha256(&[7; 32]);
        for message in [
            Message::Attribute { name: b"trusted.x".to_vec(), value: vec![0, 255] },
            Message::Attribute { name: Vec::new(), value: Vec::new() },
            Message::Warning("a".to_owned()),
            Message::Done(Ok(Some(digest))),
            Message::Done(Ok(None)),
            Message::Done(Err(Failure::invalid("b").hint("c"))),
        ] {
            assert_eq!(Message::decode(&message.encode()), Some(message));
        }
        for nonsense in [&b""[..], b"x", b"a", b"a\xff\xffshort", b"d{}"] {
            assert_eq!(Message::decode(nonsense), None);
        }
    }

    #[test]
    fn messages_are_bounded() {
        let long = "ä".repeat(LONGEST);
        for message in [Message::Warning(long.clone()), Message::Done(Err(Failure::internal(&long)))] {
            assert!(message.encode().len() < LONGEST);
        }
        let most = Message::Attribute { name: vec![b'n'; 255], value: vec![0; 64 << 10] };
        assert!(most.encode().len() <= LONGEST);
    }

    #[test]
    fn what_steers_overlayfs_is_not_asked_for() {
        assert!(may_be_asked_for(b"trusted.overlay.opaque", b"y"));
        assert!(may_be_asked_for(b"trusted.note", b"") && may_be_asked_for(b"security.selinux", b""));
        for (name, value) in [
            (&b"trusted.overlay.opaque"[..], &b"x"[..]),
            (b"trusted.overlay.redirect", b"/"),
            (b"user.note", b""),
            (b"system.posix_acl_access", b""),
        ] {
            assert!(!may_be_asked_for(name, value));
        }
    }
}
