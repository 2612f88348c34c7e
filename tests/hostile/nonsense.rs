//! Parameters that fit the contract's types and mean nothing: numbers at their limits, names that are none, texts that
//! are no UTF-8, lists without end, unknown variants.

use crate::contract::{Contract, Field, Kind, Type};
use harness::Random;

/// How deep structs in structs go before they are left out.
const DEPTH: usize = 6;
/// Texts, besides those that are made up.
const TEXTS: [&str; 18] = [
    "",
    "/",
    ".",
    "..",
    "../../../../etc/shadow",
    "/proc/self/fd/0",
    "base",
    "base:latest",
    "127.0.0.1:1/none:none",
    "@sha256:",
    "sha256:0000000000000000000000000000000000000000000000000000000000000000",
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210",
    "KEY=value",
    "=",
    "\u{1}\u{7f}\n\t",
    "a:b:c:d",
    "\u{202e}\u{1f980}\u{0}",
];

/// A message of one segment, in words: a struct of the contract.
pub(crate) struct Nonsense<'a> {
    contract: &'a Contract,
    random: &'a mut Random,
    words: Vec<u64>,
}

impl<'a> Nonsense<'a> {
    /// Fills a struct of the contract.
    pub(crate) fn of(contract: &'a Contract, random: &'a mut Random, id: u64) -> Vec<u64> {
        let mut message = Self { contract, random, words: vec![0] };
        message.put_struct(0, id, 0);
        message.words
    }

    /// Room for so many words, at the end.
    fn grow(&mut self, words: usize) -> usize {
        let start = self.words.len();
        self.words.resize(start + words, 0);
        start
    }

    /// A pointer to what begins at `start`: the low bits of it, and the high half.
    fn point(&mut self, at: usize, start: usize, kind: u64, high: u64) {
        let offset = (start - at - 1) as u64;
        self.words[at] = (offset << 2) & 0xffff_ffff | kind | high << 32;
    }

    fn put_struct(&mut self, at: usize, id: u64, depth: usize) {
        let shape = &self.contract.structs[&id];
        let start = self.grow(shape.words + shape.pointers);
        self.point(at, start, 0, shape.words as u64 | (shape.pointers as u64) << 16);
        self.fill(start, shape.words, id, depth);
    }

    /// Fills the fields of a struct or of a group in it, whose data begins at `start` and has so many words.
    fn fill(&mut self, start: usize, words: usize, id: u64, depth: usize) {
        let shape = &self.contract.structs[&id];
        let variant = shape.union.map(|(offset, variants)| {
            let known = self.random.below(u64::from(variants));
            let tag = if self.random.once_in(20) { self.random.draw() & 0xffff } else { known };
            self.put_bytes(start, offset * 2, 2, tag);
            tag
        });
        for Field { name, variant: of, kind } in &shape.fields {
            if of.is_some_and(|of| variant != Some(u64::from(of))) {
                continue;
            }
            match kind {
                Kind::Group(group) => self.fill(start, words, *group, depth),
                // Nobody waits for long.
                Kind::Slot(offset, Type::Number(size)) if name == "deadlineMs" || name == "waitMs" => {
                    let wait = self.random.below(50);
                    self.put_bytes(start, offset * size, *size, wait);
                }
                Kind::Slot(offset, kind) => self.put(start, words, *offset, kind, depth),
            }
        }
    }

    fn put(&mut self, start: usize, words: usize, offset: usize, kind: &Type, depth: usize) {
        match kind {
            Type::Void => {}
            Type::Bool => self.words[start + offset / 64] ^= (self.random.draw() & 1) << (offset % 64),
            Type::Enum => {
                let value = if self.random.once_in(10) { self.random.draw() } else { self.random.below(6) };
                self.put_bytes(start, offset * 2, 2, value);
            }
            Type::Number(size) => {
                let value = self.number();
                self.put_bytes(start, offset * size, *size, value);
            }
            _ => self.put_pointer(start + words + offset, kind, depth),
        }
    }

    fn put_pointer(&mut self, at: usize, kind: &Type, depth: usize) {
        if depth > DEPTH || self.random.once_in(12) {
            return;
        }
        match kind {
            Type::Text => {
                let mut bytes = self.text();
                bytes.push(0);
                self.put_list_of_bytes(at, &bytes);
            }
            Type::Data => {
                let bytes = self.text();
                self.put_list_of_bytes(at, &bytes);
            }
            Type::Struct(id) => self.put_struct(at, *id, depth + 1),
            Type::List(element) => self.put_list(at, element, depth),
            _ => self.words[at] = self.random.draw() & 0xffff_ffff_0000_0003,
        }
    }

    fn put_list(&mut self, at: usize, element: &Type, depth: usize) {
        let length = if self.random.once_in(40) { self.random.below(600) } else { self.random.below(4) };
        let count = usize::try_from(length).unwrap();
        match element {
            // So many structs of no size: they cost their sender nothing.
            Type::Struct(_) if self.random.once_in(30) => {
                let tag = self.grow(1);
                self.point(at, tag, 1, 7);
                self.words[tag] = self.random.below(1 << 20) << 2;
            }
            Type::Struct(id) => {
                let shape = &self.contract.structs[id];
                let size = shape.words + shape.pointers;
                let tag = self.grow(1 + count * size);
                self.point(at, tag, 1, 7 | ((count * size) as u64) << 3);
                self.words[tag] = length << 2 | (shape.words as u64) << 32 | (shape.pointers as u64) << 48;
                for place in 0..count {
                    self.fill(tag + 1 + place * size, shape.words, *id, depth + 1);
                }
            }
            Type::Text | Type::Data | Type::List(_) => {
                let start = self.grow(count);
                self.point(at, start, 1, 6 | length << 3);
                for place in 0..count {
                    self.put_pointer(start + place, element, depth + 1);
                }
            }
            _ => {
                let bytes = self.text();
                self.put_list_of_bytes(at, &bytes);
            }
        }
    }

    fn put_list_of_bytes(&mut self, at: usize, bytes: &[u8]) {
        let start = self.grow(bytes.len().div_ceil(8));
        self.point(at, start, 1, 2 | (bytes.len() as u64) << 3);
        for (word, chunk) in self.words[start..].iter_mut().zip(bytes.chunks(8)) {
            let mut whole = [0; 8];
            whole[..chunk.len()].copy_from_slice(chunk);
            *word = u64::from_le_bytes(whole);
        }
    }

    /// A number into so many bytes of a struct's data.
    fn put_bytes(&mut self, start: usize, byte: usize, size: usize, value: u64) {
        let mask = if size == 8 { u64::MAX } else { (1 << (size * 8)) - 1 };
        let shift = byte % 8 * 8;
        let word = &mut self.words[start + byte / 8];
        *word = *word & !(mask << shift) | (value & mask) << shift;
    }

    fn number(&mut self) -> u64 {
        match self.random.below(6) {
            0 => 0,
            1 => u64::MAX >> self.random.below(64),
            2 => 1 << self.random.below(64),
            3 => self.random.below(100),
            4 => self.random.below(100_000),
            _ => self.random.draw(),
        }
    }

    fn text(&mut self) -> Vec<u8> {
        match self.random.below(16) {
            0 => vec![b'a'; self.random.index(100_000)],
            1 => (0..self.random.index(40)).map(|_| self.random.draw().to_le_bytes()[0]).collect(),
            2 => self.random.draw().to_string().into_bytes(),
            3 => {
                let mut text = self.random.choice(&TEXTS).as_bytes().to_vec();
                let place = self.random.index(text.len());
                if let Some(byte) = text.get_mut(place) {
                    *byte ^= 1 << self.random.below(8);
                }
                text
            }
            _ => self.random.choice(&TEXTS).as_bytes().to_vec(),
        }
    }
}
