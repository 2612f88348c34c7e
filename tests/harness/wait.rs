//! Waiting for what must become true.

use std::env;
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long the harness looks for something that must become true: far longer than it takes.
const LIMIT: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(10);

/// A time in which something must become true, on the machine that runs this: as long as said, or so many times that as
/// `CCTL_TEST_SLOWNESS` has, which the runner of emulated machines sets.
fn patience(limit: Duration) -> Duration {
    static SLOWNESS: OnceLock<u32> = OnceLock::new();
    limit
        * *SLOWNESS.get_or_init(|| {
            let set = env::var("CCTL_TEST_SLOWNESS").ok();
            set.map_or(1, |text| text.parse().expect("CCTL_TEST_SLOWNESS: a whole number"))
        })
}

/// Looks until `found` gives a value. Panics, naming `what`, when that takes too long.
pub fn eventually<T>(what: &str, found: impl FnMut() -> Option<T>) -> T {
    within(LIMIT, found).unwrap_or_else(|| panic!("{what}: not in {:?}", patience(LIMIT)))
}

/// Looks until `found` gives a value, for at most `limit`, or longer on a slow machine.
pub fn within<T>(limit: Duration, mut found: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + patience(limit);
    loop {
        if let Some(value) = found() {
            return Some(value);
        }
        if Instant::now() > end {
            return None;
        }
        sleep(PAUSE);
    }
}
