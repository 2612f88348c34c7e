//! What is known, at every instant, about the bytes that were sent to a container's stdin. Pure.
//!
//! Input goes through a staging pipe that outlives us: a piece is written into the empty pipe, and then spliced
//! from there into the container's. Writing and accounting are two steps, so a kill may fall between them; the
//! journal makes the outcome certain. It says *filling* before a piece is written, and while it does, nothing is
//! taken out of the staging pipe: so what is in there is what was written. It says so no more before the first
//! byte is taken out: from then on the whole piece is on its way, whoever moves it.

use serde::{Deserialize, Serialize};

/// Sessions that are remembered.
pub(crate) const SESSIONS: usize = 16;
/// Bytes of a session's name.
pub(crate) const LONGEST_NAME: usize = 64;

/// One client's input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Session {
    /// As chosen by the client.
    pub(crate) name: String,
    /// Bytes of it that were taken.
    pub(crate) accepted: u64,
    /// Its end is the end of stdin.
    pub(crate) once: bool,
}

/// The journal. Whoever changes it stores it before acting on the change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Journal {
    /// Least recently opened first.
    sessions: Vec<Session>,
    /// The session of which a piece is being written into the staging pipe.
    filling: Option<String>,
    /// Stdin is to end, or has ended.
    closed: bool,
}

/// Why something cannot be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The name is empty, too long, or not printable ASCII.
    BadName,
    /// As many sessions as are remembered are in use.
    TooMany,
    /// Stdin has ended.
    Closed,
    /// Bytes between what was taken and the offset are missing.
    Ahead {
        /// What was taken.
        accepted: u64,
    },
    /// There is no such session.
    Unknown,
}

/// What to do with bytes that a client sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// All of them were taken before: the session's total.
    Known(u64),
    /// Those from this index on are new.
    New(usize),
}

impl Journal {
    /// Whether stdin is to end.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Names of the sessions whose end is the end of stdin.
    pub(crate) fn once(&self) -> impl Iterator<Item = &str> {
        self.sessions.iter().filter(|session| session.once).map(|session| session.name.as_str())
    }

    /// Opens a session, or opens it again: answers the bytes that were taken of it. Forgets the least recently
    /// opened session that is not `held` if there are too many.
    pub(crate) fn open(&mut self, name: &str, once: bool, held: impl Fn(&str) -> bool) -> Result<u64, Refused> {
        if name.is_empty() || name.len() > LONGEST_NAME || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Refused::BadName);
        }
        let known = self.sessions.iter().position(|session| session.name == name);
        if known.is_none() && self.closed {
            return Err(Refused::Closed);
        }
        if known.is_none() && self.sessions.len() >= SESSIONS {
            let oldest = self.sessions.iter().position(|session| !held(&session.name)).ok_or(Refused::TooMany)?;
            self.sessions.remove(oldest);
        }
        let accepted = known.map_or(0, |place| self.sessions.remove(place).accepted);
        self.sessions.push(Session { name: name.to_owned(), accepted, once });
        Ok(accepted)
    }

    /// What to do with `length` bytes of a session from `offset` on.
    pub(crate) fn step(&self, name: &str, offset: u64, length: usize) -> Result<Step, Refused> {
        let accepted = self.find(name).ok_or(Refused::Unknown)?.accepted;
        let known = accepted.checked_sub(offset).ok_or(Refused::Ahead { accepted })?;
        match usize::try_from(known) {
            Ok(known) if known < length && self.closed => Err(Refused::Closed),
            Ok(known) if known < length => Ok(Step::New(known)),
            _ => Ok(Step::Known(accepted)),
        }
    }

    /// A piece of this session is about to be written into the staging pipe, which is empty.
    pub(crate) fn fill(&mut self, name: &str) {
        self.filling = Some(name.to_owned());
    }

    /// The piece is written: the staging pipe holds `bytes`. To be stored before they are taken out.
    pub(crate) fn filled(&mut self, bytes: u64) {
        let Some(name) = self.filling.take() else { return };
        if let Some(session) = self.sessions.iter_mut().find(|session| session.name == name) {
            session.accepted += bytes;
        }
    }

    /// Whether a piece is being written.
    pub(crate) fn is_filling(&self) -> bool {
        self.filling.is_some()
    }

    /// Stdin is to end when the staging pipe is empty.
    pub(crate) fn close(&mut self) {
        self.closed = true;
    }

    fn find(&self, name: &str) -> Option<&Session> {
        self.sessions.iter().find(|session| session.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The world that a kill does not touch: the stored journal, the staging pipe and the container's.
    #[derive(Default)]
    struct World {
        stored: Journal,
        staged: Vec<u8>,
        arrived: Vec<u8>,
    }

    /// A process that works through its steps until its `life` is over; false: it was killed.
    struct Process<'a> {
        world: &'a mut World,
        journal: Journal,
        life: usize,
    }

    impl Process<'_> {
        fn step(&mut self) -> Result<(), ()> {
            self.life = self.life.checked_sub(1).ok_or(())?;
            Ok(())
        }

        fn store(&mut self) -> Result<(), ()> {
            self.step()?;
            self.world.stored = self.journal.clone();
            Ok(())
        }

        fn drain(&mut self) -> Result<(), ()> {
            while !self.world.staged.is_empty() {
                self.step()?;
                let byte = self.world.staged.remove(0);
                self.world.arrived.push(byte);
            }
            Ok(())
        }

        fn live(&mut self, sent: &[u8], capacity: usize) -> Result<(), ()> {
            if self.journal.is_filling() {
                self.journal.filled(self.world.staged.len() as u64);
                self.store()?;
            }
            self.drain()?;
            let accepted = self.journal.open("s", false, |_| true).unwrap();
            self.store()?;
            let mut offset = usize::try_from(accepted).unwrap().saturating_sub(1);
            while offset < sent.len() {
                let chunk = &sent[offset..sent.len().min(offset + 7)];
                match self.journal.step("s", offset as u64, chunk.len()).unwrap() {
                    Step::Known(_) => offset += chunk.len(),
                    Step::New(from) => {
                        self.journal.fill("s");
                        self.store()?;
                        let piece = &chunk[from..chunk.len().min(from + capacity)];
                        for byte in piece {
                            self.step()?;
                            self.world.staged.push(*byte);
                        }
                        self.journal.filled(piece.len() as u64);
                        self.store()?;
                        self.drain()?;
                    }
                }
            }
            Ok(())
        }
    }

    proptest! {
        #[test]
        fn whenever_it_is_killed_each_byte_arrives_once(
            sent in proptest::collection::vec(any::<u8>(), 0..60),
            lives in proptest::collection::vec(0..60_usize, 0..12),
            capacity in 1..9_usize,
        ) {
            let mut world = World::default();
            for life in lives.into_iter().chain([usize::MAX]) {
                let journal = world.stored.clone();
                let _ = Process { world: &mut world, journal, life }.live(&sent, capacity);
                prop_assert!(sent.starts_with(&world.arrived));
            }
            prop_assert_eq!(world.arrived, sent);
        }
    }

    #[test]
    fn sessions_are_bounded_and_the_held_ones_stay() {
        let mut journal = Journal::default();
        for number in 0..SESSIONS {
            journal.open(&number.to_string(), false, |_| true).unwrap();
        }
        assert_eq!(journal.open("new", false, |_| true), Err(Refused::TooMany));
        assert_eq!(journal.open("new", false, |name| name != "3"), Ok(0));
        assert_eq!(journal.step("3", 0, 1), Err(Refused::Unknown));
        assert_eq!(journal.step("4", 0, 1), Ok(Step::New(0)));
        for bad in ["", " ", "a\n", &"x".repeat(65)] {
            assert_eq!(journal.open(bad, false, |_| false), Err(Refused::BadName));
        }
    }

    #[test]
    fn a_closed_stdin_takes_nothing_new() {
        let mut journal = Journal::default();
        journal.open("a", true, |_| true).unwrap();
        journal.fill("a");
        journal.filled(10);
        journal.close();
        assert_eq!(journal.step("a", 0, 10), Ok(Step::Known(10)));
        assert_eq!(journal.step("a", 5, 10), Err(Refused::Closed));
        assert_eq!(journal.step("a", 11, 1), Err(Refused::Ahead { accepted: 10 }));
        assert_eq!(journal.open("b", true, |_| true), Err(Refused::Closed));
        assert_eq!(journal.open("a", true, |_| true), Ok(10));
        assert_eq!(journal.once().collect::<Vec<_>>(), ["a"]);
    }
}
