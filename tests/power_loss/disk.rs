//! A disk in memory, and what was done to it.

use harness::Random;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// What a disk writes whole or not at all, as far as a power cut is concerned.
const BLOCK: usize = 4096;

/// The content of a disk. A copy of it shares all blocks that are not written to.
#[derive(Clone)]
pub(crate) struct Disk {
    blocks: Vec<Option<Arc<[u8; BLOCK]>>>,
}

impl Disk {
    /// What is in a file.
    pub(crate) fn read_from(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let length = usize::try_from(file.metadata()?.len()).expect("a small disk");
        let mut blocks = Vec::with_capacity(length / BLOCK);
        let mut block = [0; BLOCK];
        for _ in 0..length / BLOCK {
            file.read_exact(&mut block)?;
            blocks.push(block.iter().any(|byte| *byte != 0).then(|| Arc::new(block)));
        }
        Ok(Self { blocks })
    }

    /// Its size in bytes.
    pub(crate) fn length(&self) -> u64 {
        (self.blocks.len() * BLOCK) as u64
    }

    /// Reads a part; it ends where the disk does.
    pub(crate) fn read(&self, offset: u64, length: usize) -> Vec<u8> {
        let mut content = Vec::with_capacity(length);
        for (block, part) in parts(offset, length) {
            match self.blocks.get(block) {
                Some(Some(bytes)) => content.extend_from_slice(&bytes[part]),
                Some(None) => content.resize(content.len() + part.len(), 0),
                None => break,
            }
        }
        content
    }

    /// Writes to a part that is within the disk.
    pub(crate) fn write(&mut self, offset: u64, data: &[u8]) {
        let mut rest = data;
        for (block, part) in parts(offset, data.len()) {
            let (now, later) = rest.split_at(part.len());
            let bytes = self.blocks[block].get_or_insert_with(|| Arc::new([0; BLOCK]));
            Arc::make_mut(bytes)[part].copy_from_slice(now);
            rest = later;
        }
    }
}

/// The blocks that a part of a disk is in, and which part of each.
fn parts(offset: u64, length: usize) -> impl Iterator<Item = (usize, Range<usize>)> {
    let mut at = usize::try_from(offset).expect("within a small disk");
    let end = at + length;
    std::iter::from_fn(move || {
        (at < end).then(|| {
            let (block, from) = (at / BLOCK, at % BLOCK);
            let to = BLOCK.min(from + end - at);
            at += to - from;
            (block, from..to)
        })
    })
}

/// Something that happened to a disk.
#[derive(Clone)]
pub(crate) enum Event {
    /// The disk was told this, and has perhaps not written it.
    Write { offset: u64, data: Vec<u8> },
    /// The disk has written all that it was told.
    Flush,
    /// So many steps of the scenario were answered.
    Answered(usize),
}

/// All that happened to a disk.
pub(crate) struct Recording {
    pub(crate) start: Disk,
    pub(crate) events: Vec<Event>,
}

/// Which of the writes that were not flushed a power cut lets through.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Luck {
    /// None of them.
    None,
    /// All of them, in their order.
    All,
    /// Each block of each of them, or not, by this seed.
    Some(u64),
}

impl Recording {
    /// The disk as a power cut after the first `count` events leaves it.
    pub(crate) fn cut(&self, count: usize, luck: Luck) -> Disk {
        let events = &self.events[..count];
        let flushed = events.iter().rposition(|event| matches!(event, Event::Flush)).map_or(0, |last| last + 1);
        let mut disk = self.start.clone();
        for event in &events[..flushed] {
            if let Event::Write { offset, data } = event {
                disk.write(*offset, data);
            }
        }
        let mut random = match luck {
            Luck::None => return disk,
            Luck::All => None,
            Luck::Some(seed) => Some(Random::new(seed)),
        };
        for event in &events[flushed..] {
            let Event::Write { offset, data } = event else { continue };
            let mut at = *offset;
            for block in data.chunks(BLOCK) {
                if random.as_mut().is_none_or(|random| random.once_in(2)) {
                    disk.write(at, block);
                }
                at += block.len() as u64;
            }
        }
        disk
    }

    /// How many steps had been answered before the first `count` events had happened.
    pub(crate) fn answered(&self, count: usize) -> usize {
        let answered = |event: &Event| if let Event::Answered(steps) = event { Some(*steps) } else { None };
        self.events[..count].iter().rev().find_map(answered).unwrap_or(0)
    }

    /// After how many events the disk had flushed, each time that it did.
    pub(crate) fn flushes(&self) -> Vec<usize> {
        let flush = |(place, event): (usize, &Event)| matches!(event, Event::Flush).then_some(place + 1);
        self.events.iter().enumerate().filter_map(flush).collect()
    }
}
