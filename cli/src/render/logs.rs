//! Output of containers, as `logs -t` shows it.

use super::time::rfc3339;
use schema::log_collector::Stream;

/// Begins each line with the time at which its first byte was captured. A line may span records.
#[derive(Debug, Default)]
pub(crate) struct Stamper {
    stdout_inside_line: bool,
    stderr_inside_line: bool,
}

impl Stamper {
    /// Bytes of a stream that were captured at `at` (nanoseconds since the Unix epoch), with that time before each line
    /// that begins in them.
    pub(crate) fn stamp(&mut self, at: i64, stream: Stream, data: &[u8]) -> Vec<u8> {
        let inside = match stream {
            Stream::Stdout => &mut self.stdout_inside_line,
            Stream::Stderr => &mut self.stderr_inside_line,
        };
        let time = rfc3339(at);
        let mut stamped = Vec::with_capacity(data.len() + time.len() + 1);
        for line in data.split_inclusive(|&byte| byte == b'\n') {
            if !*inside {
                stamped.extend_from_slice(time.as_bytes());
                stamped.push(b' ');
            }
            stamped.extend_from_slice(line);
            *inside = line.last() != Some(&b'\n');
        }
        stamped
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_line_has_one_time() {
        let mut stamper = Stamper::default();
        let mut text = Vec::new();
        for (second, stream, data) in
            [(1, Stream::Stdout, "one\ntw"), (2, Stream::Stderr, "error\n"), (3, Stream::Stdout, "o\n\nthree")]
        {
            text.extend(stamper.stamp(second * 1_000_000_000, stream, data.as_bytes()));
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
            let whole = Stamper::default().stamp(5, Stream::Stdout, &data);
            let mut stamper = Stamper::default();
            let mut parts = Vec::new();
            for part in [&data[..cut], &data[cut..]] {
                parts.extend(stamper.stamp(5, Stream::Stdout, part));
            }
            prop_assert_eq!(parts, whole);
        }
    }
}
