//! Output of containers, as `logs -t` shows it.

use super::time::rfc3339;
use schema::log_collector::{Record, Stream};

/// Begins each line with the time at which its first byte was captured. A line may span records.
#[derive(Debug, Default)]
pub(crate) struct Stamper {
    stdout_inside_line: bool,
    stderr_inside_line: bool,
}

impl Stamper {
    /// The record's bytes, with a time before each line that begins in it.
    pub(crate) fn stamp(&mut self, record: Record) -> (Stream, Vec<u8>) {
        let inside = match record.stream {
            Stream::Stdout => &mut self.stdout_inside_line,
            Stream::Stderr => &mut self.stderr_inside_line,
        };
        let time = rfc3339(record.at);
        let mut stamped = Vec::with_capacity(record.data.len() + time.len() + 1);
        for line in record.data.split_inclusive(|&byte| byte == b'\n') {
            if !*inside {
                stamped.extend_from_slice(time.as_bytes());
                stamped.push(b' ');
            }
            stamped.extend_from_slice(line);
            *inside = line.last() != Some(&b'\n');
        }
        (record.stream, stamped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record(at: i64, stream: Stream, data: &str) -> Record {
        Record { at: at * 1_000_000_000, stream, data: data.as_bytes().to_vec(), dropped: 0 }
    }

    #[test]
    fn each_line_has_one_time() {
        let mut stamper = Stamper::default();
        let mut text = Vec::new();
        for record in [
            record(1, Stream::Stdout, "one\ntw"),
            record(2, Stream::Stderr, "error\n"),
            record(3, Stream::Stdout, "o\n\nthree"),
        ] {
            text.extend(stamper.stamp(record).1);
        }
        assert_eq!(
            String::from_utf8(text).unwrap(),
            "1970-01-01T00:00:01.000000000Z one\n1970-01-01T00:00:01.000000000Z tw\
             1970-01-01T00:00:02.000000000Z error\n\
             o\n1970-01-01T00:00:03.000000000Z \n1970-01-01T00:00:03.000000000Z three"
        );
    }

    proptest! {
        #[test]
        fn cutting_into_records_changes_nothing(data in proptest::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 0..60), cut in 0_usize..60) {
            let cut = cut.min(data.len());
            let whole = Stamper::default().stamp(Record { at: 5, stream: Stream::Stdout, data: data.clone(), dropped: 0 }).1;
            let mut stamper = Stamper::default();
            let mut parts = Vec::new();
            for part in [&data[..cut], &data[cut..]] {
                parts.extend(stamper.stamp(Record { at: 5, stream: Stream::Stdout, data: part.to_vec(), dropped: 0 }).1);
            }
            prop_assert_eq!(parts, whole);
        }
    }
}
