//! What the owner of the machine says about containers: how many sandboxes stand ready, and which user ids of the host a
//! container has, which are a range that no other has, recorded with it, and free again when it is removed.

use schema::common::IdRange;
use schema::containers::UserMode;
use schema::{Failure, Instance};
use std::cell::Cell;
use std::collections::BTreeSet;
use std::fs::{self, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// What the owner of the machine says about containers.
const FILE: &str = "containers.toml";
/// Beyond what login.defs(5) has for users, and in what systemd leaves to containers (0x80000 to 0x6fffffff).
const FIRST: u32 = 0x2000_0000;
const END: u32 = 0x7000_0000;
/// A file that was changed less than so long before it was read may be changed again without a later time: clocks of
/// filesystems tick every few milliseconds.
const TICKS: Duration = Duration::from_millis(100);
/// Sandboxes that may stand ready at most: each is a process, a network namespace and an address.
const MOST_SPARES: usize = 64;
/// As many, unless the file says otherwise.
const SPARES: usize = 4;

/// Where ranges come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pool {
    /// What is meant by `default`.
    mode: UserMode,
    first: u32,
    /// How many ranges there are.
    count: u32,
    /// Which is looked at first.
    begin: u32,
}

/// All that the file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) pool: Pool,
    /// How many sandboxes may stand ready before anybody asks for one; 0: none.
    pub(crate) spares: usize,
}

/// Where it is said what the pool is.
#[derive(Debug)]
pub(crate) struct Source {
    file: PathBuf,
    number: u32,
    /// What was read last, and of which file.
    known: Cell<Option<(Stamp, Settings)>>,
}

/// What tells a file from what it was before: device, number, size and when it was changed; none if there is no file.
type Stamp = Option<(u64, u64, u64, i64, i64)>;

impl Source {
    /// Of an instance.
    pub(crate) fn new(instance: &Instance) -> Self {
        Self { file: instance.config().join(FILE), number: instance.number(), known: Cell::new(None) }
    }

    /// What it says; it need not exist. A change holds for the next container. Fails: invalidArgument, naming the file.
    pub(crate) fn read(&self) -> Result<Settings, Failure> {
        let metadata = fs::metadata(&self.file).ok();
        let stamp = metadata.as_ref().map(stamp);
        if let Some((known, settings)) = self.known.get()
            && known == stamp
        {
            return Ok(settings);
        }
        let settings = self.parse()?;
        let is_settled = metadata.is_none_or(|metadata| has_settled(&metadata));
        self.known.set(is_settled.then_some((stamp, settings)));
        Ok(settings)
    }

    fn parse(&self) -> Result<Settings, Failure> {
        let text = match fs::read_to_string(&self.file) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
            Err(error) => return Err(Failure::invalid(format_args!("{}: {error}", self.file.display()))),
        };
        Settings::parse(&text, self.number).map_err(|why| {
            Failure::invalid(format_args!("{}: {why}", self.file.display()))
                .hint("mend the file: nothing needs to be restarted")
        })
    }
}

fn stamp(metadata: &Metadata) -> (u64, u64, u64, i64, i64) {
    (metadata.dev(), metadata.ino(), metadata.len(), metadata.ctime(), metadata.ctime_nsec())
}

/// Whether a change from now on is seen by its time.
fn has_settled(metadata: &Metadata) -> bool {
    let seconds = u64::try_from(metadata.ctime()).unwrap_or_default();
    let changed = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    let nanoseconds = u64::try_from(metadata.ctime_nsec()).unwrap_or_default();
    let changed = changed + Duration::from_nanos(nanoseconds);
    changed.elapsed().is_ok_and(|elapsed| elapsed > TICKS)
}

impl Settings {
    fn parse(text: &str, number: u32) -> Result<Self, String> {
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| error.to_string())?;
        let mut settings = Self { pool: Pool::parse(&toml::Table::new(), number)?, spares: SPARES };
        for (key, value) in &table {
            match key.as_str() {
                "userns" => {
                    settings.pool = Pool::parse(value.as_table().ok_or("userns is no table: write [userns]")?, number)?;
                }
                "spares" => {
                    let number = value.as_integer().and_then(|number| usize::try_from(number).ok());
                    settings.spares = number
                        .filter(|number| *number <= MOST_SPARES)
                        .ok_or(format!("spares = {value}: expected a number from 0 to {MOST_SPARES}"))?;
                }
                _ => return Err(format!("unknown key {key:?}: expected spares or [userns]")),
            }
        }
        Ok(settings)
    }
}

impl Pool {
    /// `number` tells an instance from another that has the same pool: they begin at different places.
    fn parse(table: &toml::Table, number: u32) -> Result<Self, String> {
        let mut pool = Self { mode: UserMode::Private, first: FIRST, count: (END - FIRST) / IdRange::SIZE, begin: 0 };
        let mut is_told = false;
        for (key, value) in table {
            let number = || value.as_integer().and_then(|number| u32::try_from(number).ok());
            match key.as_str() {
                "default" => {
                    pool.mode = match value.as_str() {
                        Some("private") => UserMode::Private,
                        Some("host") => UserMode::Host,
                        _ => return Err(format!("default = {value}: expected \"private\" or \"host\"")),
                    }
                }
                "first" => (pool.first, is_told) = (number().ok_or(format!("first = {value}: expected an id"))?, true),
                "count" => pool.count = number().ok_or(format!("count = {value}: expected a number"))?,
                _ => return Err(format!("unknown key {key:?}: expected default, first or count")),
            }
        }
        let last = pool.count.checked_sub(1).and_then(|last| last.checked_mul(IdRange::SIZE)?.checked_add(pool.first));
        if pool.first == 0 || last.and_then(IdRange::new).is_none() {
            let (first, count) = (pool.first, pool.count);
            return Err(format!(
                "first = {first}, count = {count}: there are no {count} times 65536 ids from there on"
            ));
        }
        if !is_told {
            // Wherever it begins, another instance's is far away, most likely.
            pool.begin = number % pool.count;
        }
        Ok(pool)
    }

    /// What a user has asked for, if it is left to us. Who is privileged is root of the host.
    pub(crate) fn resolve(&self, asked: UserMode, privileged: bool) -> UserMode {
        match asked {
            UserMode::Default if privileged => UserMode::Host,
            UserMode::Default => self.mode,
            asked => asked,
        }
    }

    /// A range that nobody has, behind the one that was given last: one that was used is left alone for long, as there may
    /// be files of it in volumes. Fails with `resourceExhausted`.
    pub(crate) fn choose(&self, taken: &BTreeSet<IdRange>, last: Option<IdRange>) -> Result<IdRange, Failure> {
        let after = last.and_then(|last| last.base().checked_sub(self.first)).map(|offset| offset / IdRange::SIZE + 1);
        let begin = after.filter(|slot| *slot < self.count).unwrap_or(self.begin);
        let slots = (begin..self.count).chain(0..begin);
        let ranges = slots.filter_map(|slot| IdRange::new(self.first + slot * IdRange::SIZE));
        ranges.into_iter().find(|range| is_free(taken, *range)).ok_or_else(|| {
            Failure::new(
                schema::Code::ResourceExhausted,
                format_args!("all {} ranges of user ids from {} on belong to containers", self.count, self.first),
            )
            .hint(format_args!("remove containers, make more room in {FILE}, or use --userns host"))
        })
    }
}

/// Only the next ones on both sides can have an id of it.
fn is_free(taken: &BTreeSet<IdRange>, range: IdRange) -> bool {
    let (before, after) = (taken.range(..=range).next_back(), taken.range(range..).next());
    before.into_iter().chain(after).all(|other| !other.overlaps(range))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use schema::Code;

    fn pool(text: &str) -> Result<Pool, String> {
        Settings::parse(text, 7).map(|settings| settings.pool)
    }

    #[test]
    fn without_a_file_each_instance_begins_elsewhere() {
        let bases = [7, 8]
            .map(|number| Settings::parse("", number).unwrap().pool.choose(&BTreeSet::new(), None).unwrap().base());
        assert_eq!(bases, [0x2007_0000, 0x2008_0000]);
        assert_eq!(pool("").unwrap().resolve(UserMode::Default, false), UserMode::Private);
        assert_eq!(pool("").unwrap().resolve(UserMode::Default, true), UserMode::Host);
        let last = IdRange::new(END - IdRange::SIZE);
        assert_eq!(pool("").unwrap().choose(&BTreeSet::new(), last).unwrap().base(), 0x2007_0000);
    }

    #[test]
    fn everything_can_be_said() {
        let pool = pool("[userns]\nfirst = 100000\ncount = 2\ndefault = \"host\"\n").unwrap();
        assert_eq!(Settings::parse("spares = 3\n[userns]\ncount = 2", 7).unwrap().spares, 3);
        assert_eq!(pool.resolve(UserMode::Default, false), UserMode::Host);
        assert_eq!(pool.resolve(UserMode::Private, false), UserMode::Private);
        let mut taken = BTreeSet::new();
        for base in [100_000, 165_536] {
            let range = pool.choose(&taken, None).unwrap();
            assert_eq!(range.base(), base);
            taken.insert(range);
        }
        let failure = pool.choose(&taken, None).unwrap_err();
        assert_eq!(failure.code, Code::ResourceExhausted);
        assert!(failure.message.contains("100000"), "{failure}");
    }

    #[test]
    fn mistakes_are_named() {
        for (text, named) in [
            ("x = 1", "\"x\""),
            ("spares = -1", "spares = -1"),
            ("spares = 65", "0 to 64"),
            ("spares = \"many\"", "many"),
            ("userns = 1", "userns"),
            ("[userns]\nfirst = 0", "first = 0"),
            ("[userns]\nfirst = -1", "first = -1"),
            ("[userns]\nfirst = 4294900000", "4294900000"),
            ("[userns]\ncount = 0", "count = 0"),
            ("[userns]\ncount = 1000000", "1000000"),
            ("[userns]\ndefault = \"none\"", "none"),
            ("[userns]\nbase = 1", "\"base\""),
            ("[", "expected"),
        ] {
            let why = pool(text).unwrap_err();
            assert!(why.contains(named), "{text}: {why}");
        }
    }

    proptest! {
        #[test]
        fn no_two_ranges_have_an_id_in_common(
            others in prop::collection::vec(1u32..2_000_000, 0..20), first in 1u32..1_000_000, count in 1u32..20, last: u32
        ) {
            let taken: BTreeSet<_> = others.into_iter().filter_map(IdRange::new).collect();
            let pool = Pool { mode: UserMode::Private, first, count, begin: 0 };
            match pool.choose(&taken, IdRange::new(last)) {
                Ok(range) => prop_assert!(taken.iter().all(|other| !other.overlaps(range))),
                Err(_) => for slot in 0..count {
                    let range = IdRange::new(first + slot * IdRange::SIZE).unwrap();
                    prop_assert!(taken.iter().any(|other| other.overlaps(range)));
                },
            }
        }
    }
}
