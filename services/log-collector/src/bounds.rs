//! How much of a log is kept. Pure.

use schema::Failure;
use schema::log_collector::LogSpec;

const DEFAULT_SIZE: u64 = 20 << 20;
const SMALLEST: u64 = 4 << 10;
const LARGEST: u64 = 1 << 40;
const DEFAULT_FILES: u32 = 5;
const MOST_FILES: u32 = 1000;

/// The bounds of one log. It never holds more than `size` × `files` bytes of output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// Bytes of output in a segment, both streams together. Its index is bounded by the same number.
    pub(crate) size: u64,
    /// Segments that are kept.
    pub(crate) files: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { size: DEFAULT_SIZE, files: DEFAULT_FILES as usize }
    }
}

impl Bounds {
    /// From what a caller asked for; 0 means the default.
    pub(crate) fn of(spec: &LogSpec) -> Result<Self, Failure> {
        let size = if spec.max_size == 0 { DEFAULT_SIZE } else { spec.max_size };
        let files = if spec.max_files == 0 { DEFAULT_FILES } else { spec.max_files };
        if !(SMALLEST..=LARGEST).contains(&size) {
            return Err(Failure::invalid(format_args!("max-size={size}: a log file holds {SMALLEST} bytes to 1 TiB"))
                .hint("give for example --log-opt max-size=10m"));
        }
        if files > MOST_FILES {
            return Err(Failure::invalid(format_args!("max-file={files}: at most {MOST_FILES} log files are kept"))
                .hint("give fewer, larger files: --log-opt max-size=100m --log-opt max-file=10"));
        }
        Ok(Self { size, files: files as usize })
    }

    /// Bytes that still fit into a segment that holds `stored` bytes and `index` bytes of index; 0: it is full,
    /// and what comes next belongs into the next segment.
    pub(crate) fn room(&self, stored: u64, index: u64) -> u64 {
        if index >= self.size { 0 } else { self.size.saturating_sub(stored) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use schema::log_collector::LogMode;

    fn spec(max_size: u64, max_files: u32) -> LogSpec {
        LogSpec {
            directory: "/x".into(),
            terminal: false,
            open_stdin: false,
            max_size,
            max_files,
            mode: LogMode::Block,
            labels: Vec::new(),
        }
    }

    #[test]
    fn zero_means_the_default() {
        assert_eq!(Bounds::of(&spec(0, 0)), Ok(Bounds::default()));
    }

    #[test]
    fn absurd_bounds_are_refused_and_named() {
        for (size, files) in [(1, 1), (4095, 1), (u64::MAX, 1), (4096, 1001)] {
            let failure = Bounds::of(&spec(size, files)).unwrap_err();
            assert_eq!(failure.code, schema::Code::InvalidArgument);
            assert!(failure.message.contains(&size.to_string()) || failure.message.contains(&files.to_string()));
        }
    }

    #[test]
    fn a_segment_is_full_by_data_or_by_index() {
        let bounds = Bounds { size: 4096, files: 2 };
        assert_eq!(bounds.room(0, 64), 4096);
        assert_eq!(bounds.room(4000, 64), 96);
        assert_eq!(bounds.room(4096, 64), 0);
        assert_eq!(bounds.room(1, 4096), 0);
    }
}
