//! A line a phase of the client and a line a call, in the order of their beginnings.

use super::{Phase, Time};
use crate::journal::Span;
use crate::render::text::one_line;
use std::cmp::Reverse;
use std::collections::HashMap;

/// Cells from the beginning of the command to the end of the last call.
const WIDTH: i128 = 48;
/// A call of a call of a call: whoever logs more deeply is not believed.
const DEEPEST: usize = 8;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bar {
    name: String,
    depth: usize,
    /// Since the beginning of the command.
    start: Time,
    end: Time,
    failure: Option<String>,
}

impl Phase {
    fn name(self) -> &'static str {
        match self {
            Self::Begun => "cctl: begin",
            Self::Read => "cctl: read the command line",
            Self::Created => "cctl: create",
            Self::Started => "cctl: start",
            Self::Exited => "cctl: until it has ended",
            Self::Removed => "cctl: remove",
        }
    }
}

/// A phase lasts from the mark before its own. Without a mark there is no time that the command began at, and nothing.
pub(super) fn bars(marks: &[(Phase, Time)], spans: &[Span]) -> Vec<Bar> {
    let Some((_, zero)) = marks.first() else { return Vec::new() };
    let phases = marks.windows(2).filter_map(|pair| match pair {
        [(_, start), (phase, end)] => {
            Some(Bar { name: phase.name().to_owned(), depth: 0, start: start - zero, end: end - zero, failure: None })
        }
        _ => None,
    });
    let parents: HashMap<u64, Option<u64>> = spans.iter().map(|span| (span.id, span.parent)).collect();
    let depth = |span: &Span| {
        let mut next = span.parent;
        let above = std::iter::from_fn(|| {
            let this = next?;
            next = parents.get(&this).copied().flatten();
            Some(this)
        });
        1 + above.take(DEEPEST).count()
    };
    let calls = spans.iter().map(|span| Bar {
        name: span.method.clone(),
        depth: depth(span),
        start: span.start - zero,
        end: span.end - zero,
        failure: span.failure.clone(),
    });
    let mut bars: Vec<Bar> = phases.chain(calls).collect();
    bars.sort_by_key(|bar| (bar.start, bar.depth, Reverse(bar.end)));
    bars
}

/// The lines, below a heading that names the command's requests.
pub(super) fn picture(command: &str, bars: &[Bar]) -> String {
    let label = |bar: &Bar| format!("{:indent$}{}", "", one_line(&bar.name), indent = 2 * bar.depth);
    let width = bars.iter().map(|bar| label(bar).chars().count()).max().unwrap_or(0);
    // Two clocks that were set between are no reason to divide by zero.
    let whole = bars.iter().map(|bar| bar.end).max().unwrap_or(0).max(1);
    let cell = |time: Time| usize::try_from((time.clamp(0, whole) * WIDTH) / whole).unwrap_or(0);
    let mut text = format!("cctl: profile of request {command}, in ms since it began\n");
    for bar in bars {
        let from = cell(bar.start).min(cell(whole - 1));
        let cells = (cell(bar.end).saturating_sub(from)).max(1);
        text.push_str(&format!(
            "{:width$} {:>9} {:>9}  {:from$}{}",
            label(bar),
            milliseconds(bar.start),
            format!("+{}", milliseconds(bar.end - bar.start)),
            "",
            "█".repeat(cells),
        ));
        if let Some(failure) = &bar.failure {
            text.push_str(&format!("  failed: {}", one_line(failure)));
        }
        text.push('\n');
    }
    text
}

fn milliseconds(time: Time) -> String {
    format!("{:.2}", time as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{Record, with_parents};
    use proptest::prelude::*;

    /// 2024-01-02T03:04:05Z
    const BEGUN: Time = 1_704_164_645_000_000_000;
    const MS: Time = 1_000_000;

    fn span(process: &str, method: &str, end_ms: u32, us: u64, failure: &str) -> Span {
        let failed = if failure.is_empty() { String::new() } else { format!(r#","failure":"{failure}""#) };
        let line = format!(
            r#"{{"timestamp":"2024-01-02T03:04:05.{end_ms:03}000Z","level":"INFO","fields":{{"us":{us}{failed}}},"spans":[{{"method":"{method}","request":"5eed000001000000"}}]}}"#
        );
        Span::of(process, &Record::read(&line).unwrap()).unwrap()
    }

    fn marks() -> Vec<(Phase, Time)> {
        let phases =
            [(Phase::Begun, 0), (Phase::Created, 4), (Phase::Started, 20), (Phase::Exited, 28), (Phase::Removed, 32)];
        phases.map(|(phase, ms)| (phase, BEGUN + ms * MS)).into()
    }

    #[test]
    fn phases_and_calls_are_drawn_in_order() {
        let mut spans = [
            span("network", "network.attach", 16, 4000, ""),
            span("executor", "executor.start", 18, 2000, "no such file"),
            span("containers", "containers.start", 19, 12000, ""),
        ];
        with_parents(&mut spans);
        let picture = picture("5eed000001", &bars(&marks(), &spans));
        let lines: Vec<&str> = picture.lines().collect();
        assert_eq!(
            lines,
            [
                "cctl: profile of request 5eed000001, in ms since it began",
                "cctl: create                  0.00     +4.00  ██████",
                "cctl: start                   4.00    +16.00        ████████████████████████",
                "  containers.start            7.00    +12.00            ██████████████████",
                "    network.attach           12.00     +4.00                    ██████",
                "    executor.start           16.00     +2.00                          ███  failed: no such file",
                "cctl: until it has ended     20.00     +8.00                                ████████████",
                "cctl: remove                 28.00     +4.00                                            ██████",
            ]
        );
    }

    #[test]
    fn there_may_be_nothing_to_draw() {
        assert!(bars(&[], &[span("a", "a.b", 1, 1, "")]).is_empty());
        assert_eq!(picture("ab", &[]).lines().count(), 1);
        assert_eq!(bars(&marks()[..1], &[]), []);
    }

    proptest! {
        #[test]
        fn any_times_are_drawn(times in proptest::collection::vec((any::<i64>(), any::<i64>()), 1..9)) {
            let bars: Vec<Bar> = times
                .into_iter()
                .map(|(start, end)| Bar { name: "x".into(), depth: 1, start: start.into(), end: end.into(), failure: None })
                .collect();
            let picture = picture("ab", &bars);
            prop_assert_eq!(picture.lines().count(), bars.len() + 1);
            prop_assert!(picture.lines().skip(1).all(|line| (1..=48).contains(&line.matches('█').count())));
        }
    }
}
