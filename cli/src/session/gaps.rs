//! Telling of output that is missing: where it is missing, and not more often than one can read.

use schema::log_collector::Stream;
use std::time::{Duration, Instant};

/// How often a gap that grows is told of.
const INTERVAL: Duration = Duration::from_secs(1);

/// Bytes that were dropped and not told of yet.
#[derive(Debug, Default)]
pub(super) struct Gaps {
    stdout: u64,
    stderr: u64,
    told: Option<Instant>,
}

impl Gaps {
    /// More bytes are missing.
    pub(super) fn add(&mut self, stream: Stream, bytes: u64) {
        match stream {
            Stream::Stdout => self.stdout += bytes,
            Stream::Stderr => self.stderr += bytes,
        }
    }

    /// What is to be said before output that follows, or at the end.
    pub(super) fn tell(&mut self) -> Option<String> {
        let streams = [("stdout", &mut self.stdout), ("stderr", &mut self.stderr)];
        let lines = streams.into_iter().filter(|(_, bytes)| **bytes > 0).map(|(name, bytes)| {
            let bytes = std::mem::take(bytes);
            format!("cctl: {bytes} bytes of {name} were dropped here: the log was slow or its disk full\n")
        });
        let lines: String = lines.collect();
        if lines.is_empty() {
            return None;
        }
        self.told = Some(Instant::now());
        Some(lines)
    }

    /// The same while a gap grows.
    pub(super) fn tell_now_and_then(&mut self) -> Option<String> {
        if self.told.is_some_and(|told| told.elapsed() < INTERVAL) { None } else { self.tell() }
    }
}

/// What is said of output that nobody has any more.
pub(super) fn rotated(bytes: u64) -> String {
    format!("cctl: warning: {bytes} bytes of output were rotated away before they could be read\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_that_grows_is_told_at_once_and_then_summed_up() {
        let mut gaps = Gaps::default();
        assert_eq!(gaps.tell_now_and_then(), None);
        gaps.add(Stream::Stderr, 7);
        assert!(gaps.tell_now_and_then().unwrap().contains("7 bytes of stderr"));
        gaps.add(Stream::Stderr, 5);
        assert_eq!(gaps.tell_now_and_then(), None);
        gaps.add(Stream::Stderr, 5);
        gaps.add(Stream::Stdout, 1);
        let said = gaps.tell().unwrap();
        assert!(said.contains("10 bytes of stderr") && said.contains("1 bytes of stdout"), "{said}");
        assert_eq!(gaps.tell(), None);
    }
}
