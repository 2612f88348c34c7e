//! The text format of Prometheus, version 0.0.4.
//! <https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>

use std::fmt::Write;

/// What an HTTP response says of it.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
/// Bytes of a label's value: a name from outside must not fill the memory of whoever collects.
const LONGEST: usize = 256;

/// What a number means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Only grows, and begins anew with what it counts.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Buckets, a sum and a count.
    Histogram,
}

/// Metrics of one name.
pub(super) struct Family<'a> {
    text: &'a mut String,
    name: &'static str,
}

/// A label and its value.
pub(super) type Label<'a> = (&'static str, &'a str);

impl<'a> Family<'a> {
    /// Begins one.
    pub(super) fn new(text: &'a mut String, name: &'static str, kind: Kind, help: &str) -> Self {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        text.push_str(&format!(
            "# HELP {name} {}\n# TYPE {name} {kind}\n",
            help.replace('\\', r"\\").replace('\n', r"\n")
        ));
        Self { text, name }
    }

    /// Adds a number.
    pub(super) fn add(&mut self, labels: &[Label<'_>], value: impl Into<f64>) {
        self.sample("", labels, value.into());
    }

    /// Adds a whole number. Beyond 2^53, what a float drops is less than a scrape in a million would show.
    pub(super) fn count(&mut self, labels: &[Label<'_>], value: u64) {
        self.sample("", labels, value as f64);
    }

    /// Adds a histogram: upper bounds with the numbers of what lies below each and above the one before, then what lies
    /// above the last.
    pub(super) fn histogram(&mut self, labels: &[Label<'_>], bounds: &[f64], numbers: &[u64], sum: f64) {
        let mut below = 0;
        let bounds = bounds.iter().map(|bound| number(*bound)).chain(["+Inf".to_owned()]);
        for (bound, count) in bounds.zip(numbers) {
            below += count;
            self.sample("_bucket", &[labels, &[("le", &bound)]].concat(), below as f64);
        }
        self.sample("_sum", labels, sum);
        self.sample("_count", labels, below as f64);
    }

    fn sample(&mut self, suffix: &str, labels: &[Label<'_>], value: f64) {
        self.text.push_str(self.name);
        self.text.push_str(suffix);
        for (index, (name, value)) in labels.iter().enumerate() {
            self.text.push(if index == 0 { '{' } else { ',' });
            self.text.push_str(name);
            self.text.push_str("=\"");
            escape(value, self.text);
            self.text.push('"');
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        // Writing to a string does not fail.
        let _ = writeln!(self.text, " {}", number(value));
    }
}

fn number(value: f64) -> String {
    if value.is_infinite() { (if value > 0.0 { "+Inf" } else { "-Inf" }).to_owned() } else { format!("{value}") }
}

fn escape(value: &str, text: &mut String) {
    let short = value.char_indices().take_while(|(at, character)| at + character.len_utf8() <= LONGEST);
    for (_, character) in short {
        match character {
            '\\' => text.push_str(r"\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str(r"\n"),
            other => text.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_family_has_a_head_and_a_line_a_sample() {
        let mut text = String::new();
        let mut family = Family::new(&mut text, "a_total", Kind::Counter, "What \\ it\nis.");
        family.count(&[("name", "x\"y\\z\n")], 12_345_678_901);
        family.add(&[], 0.25);
        assert_eq!(
            text,
            "# HELP a_total What \\\\ it\\nis.\n# TYPE a_total counter\na_total{name=\"x\\\"y\\\\z\\n\"} 12345678901\na_total 0.25\n"
        );
    }

    #[test]
    fn buckets_hold_all_that_is_below_them() {
        let mut text = String::new();
        Family::new(&mut text, "d", Kind::Histogram, "D.").histogram(&[("m", "x")], &[0.001, 1.0], &[3, 0, 2], 7.5);
        let lines: Vec<&str> = text.lines().skip(2).collect();
        assert_eq!(
            lines,
            [
                r#"d_bucket{m="x",le="0.001"} 3"#,
                r#"d_bucket{m="x",le="1"} 3"#,
                r#"d_bucket{m="x",le="+Inf"} 5"#,
                r#"d_sum{m="x"} 7.5"#,
                r#"d_count{m="x"} 5"#
            ]
        );
    }

    proptest! {
        #[test]
        fn any_value_stays_in_its_line(value in ".{0,400}") {
            let mut text = String::new();
            Family::new(&mut text, "a", Kind::Gauge, "A.").count(&[("l", &value)], 1);
            prop_assert_eq!(text.matches('\n').count(), 3);
            let line = text.split('\n').nth(2).unwrap();
            prop_assert!(line.starts_with("a{l=\"") && line.ends_with("\"} 1"), "{:?}", line);
        }
    }
}
