//! How a transfer goes on: bars on a terminal, a line for each part that is done elsewhere.

use crate::console;
use crate::error::Result;
use crate::render::size::stored;
use crate::render::text::{cut, one_line};
use crate::terminal;
use schema::image_store::{TransferItem, TransferStatus};
use schema::log_collector::Stream;
use std::collections::HashSet;

const BAR: usize = 20;
/// Columns and rows of a terminal that does not say.
const COLUMNS: usize = 80;
const ROWS: usize = 24;

/// What is being done, in the words of its lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    Pull,
    Push,
    Fetch,
}

/// Shows a transfer on a stream.
pub(crate) struct Progress {
    work: Work,
    output: Output,
    /// Lines that were drawn and may be drawn over.
    drawn: usize,
    /// Parts whose last line was printed.
    told: HashSet<String>,
}

enum Output {
    Quiet,
    Lines(Stream),
    Bars(Stream),
}

impl Progress {
    /// Shows it on a stream: with bars if that is a terminal, not at all if `quiet`.
    pub(crate) fn new(work: Work, stream: Stream, quiet: bool) -> Self {
        let output = match quiet {
            true => Output::Quiet,
            false if terminal::is_on(stream) => Output::Bars(stream),
            false => Output::Lines(stream),
        };
        Self { work, output, drawn: 0, told: HashSet::new() }
    }

    /// Prints a line above what is redrawn.
    pub(crate) fn line(&self, text: impl std::fmt::Display) -> Result {
        match self.output {
            Output::Quiet => Ok(()),
            Output::Lines(stream) | Output::Bars(stream) => console::write(stream, format!("{text}\n").as_bytes()),
        }
    }

    /// Shows how far each part is.
    pub(crate) fn show(&mut self, items: &[TransferItem]) -> Result {
        match self.output {
            Output::Quiet => Ok(()),
            Output::Lines(stream) => {
                let lines = self.finished(items);
                if lines.is_empty() { Ok(()) } else { console::write(stream, lines.as_bytes()) }
            }
            Output::Bars(stream) => {
                let size = terminal::size().unwrap_or_default();
                let or = |known: u16, usual: usize| if known == 0 { usual } else { known.into() };
                let lines = lines(self.work, items, or(size.columns, COLUMNS), or(size.rows, ROWS));
                let screen = redraw(self.drawn, &lines);
                self.drawn = lines.len();
                console::write(stream, screen.as_bytes())
            }
        }
    }

    /// A line for each part that is done and was not told yet, or that has to be tried again.
    fn finished(&mut self, items: &[TransferItem]) -> String {
        let mut lines = String::new();
        for item in items {
            let again = item.status == TransferStatus::Retrying && !item.note.is_empty();
            let key = if again { format!("{} {}", item.title, item.note) } else { item.title.clone() };
            if (again || is_done(item.status)) && self.told.insert(key) {
                lines.push_str(&format!("{}\n", one_line(&line(self.work, item, usize::MAX))));
            }
        }
        lines
    }
}

fn is_done(status: TransferStatus) -> bool {
    matches!(status, TransferStatus::Exists | TransferStatus::Mounted | TransferStatus::Done)
}

/// Docker's words for where a part is.
fn status(work: Work, status: TransferStatus) -> &'static str {
    match (work, status) {
        (_, TransferStatus::Waiting) => "Waiting",
        (Work::Push, TransferStatus::Transferring) => "Pushing",
        (_, TransferStatus::Transferring) => "Downloading",
        (_, TransferStatus::Verifying) => "Verifying Checksum",
        (_, TransferStatus::Retrying) => "Retrying",
        (Work::Push, TransferStatus::Exists) => "Layer already exists",
        (_, TransferStatus::Exists) => "Already exists",
        (_, TransferStatus::Mounted) => "Mounted from another repository",
        (Work::Push, TransferStatus::Done) => "Pushed",
        (Work::Fetch, TransferStatus::Done) => "Download complete",
        (_, TransferStatus::Done) => "Pull complete",
    }
}

/// A part in one line.
fn line(work: Work, item: &TransferItem, columns: usize) -> String {
    let TransferItem { title, status: at, current, total, note } = item;
    let words = format!("{title}: {}", status(work, *at));
    let line = match at {
        TransferStatus::Transferring if *total > 0 => {
            let done = (u128::from(*current.min(total)) * BAR as u128 / u128::from(*total)) as usize;
            let bar = format!("{}{}", "=".repeat(done), if done < BAR { ">" } else { "" });
            format!("{words} [{bar:BAR$}] {}/{}", stored(*current), stored(*total))
        }
        TransferStatus::Transferring => format!("{words} {}", stored(*current)),
        TransferStatus::Retrying if !note.is_empty() => format!("{words}: {note}"),
        _ => words,
    };
    if columns == usize::MAX { line } else { cut(&one_line(&line), columns) }
}

/// What is drawn on a terminal of this size: the parts that move come first where there is no room for all.
fn lines(work: Work, items: &[TransferItem], columns: usize, rows: usize) -> Vec<String> {
    let room = rows.saturating_sub(2).max(1);
    if items.len() <= room {
        return items.iter().map(|item| line(work, item, columns)).collect();
    }
    let done = items.iter().filter(|item| is_done(item.status)).count();
    let waiting = items.iter().filter(|item| item.status == TransferStatus::Waiting).count();
    let moving = items.iter().filter(|item| !is_done(item.status) && item.status != TransferStatus::Waiting);
    let mut lines: Vec<String> = moving.take(room.saturating_sub(1)).map(|item| line(work, item, columns)).collect();
    lines.push(cut(&format!("{done} of {} done, {waiting} waiting", items.len()), columns));
    lines
}

/// Moves to the first drawn line and writes each anew; what is left of a longer drawing is wiped.
fn redraw(drawn: usize, lines: &[String]) -> String {
    let mut screen = String::new();
    if drawn > 0 {
        screen.push_str(&format!("\x1b[{drawn}A"));
    }
    for line in lines {
        screen.push_str(&format!("\r\x1b[2K{line}\n"));
    }
    if drawn > lines.len() {
        screen.push_str("\x1b[J");
    }
    screen
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn item(title: &str, status: TransferStatus, current: u64, total: u64) -> TransferItem {
        TransferItem { title: title.into(), status, current, total, note: String::new() }
    }

    #[test]
    fn docker_s_words() {
        use TransferStatus::*;
        let shown = |work, at| line(work, &item("abc", at, 0, 0), usize::MAX);
        assert_eq!(shown(Work::Pull, Done), "abc: Pull complete");
        assert_eq!(shown(Work::Pull, Exists), "abc: Already exists");
        assert_eq!(shown(Work::Push, Done), "abc: Pushed");
        assert_eq!(shown(Work::Push, Exists), "abc: Layer already exists");
        assert_eq!(shown(Work::Push, Mounted), "abc: Mounted from another repository");
    }

    #[test]
    fn bars_show_shares() {
        let line = line(Work::Pull, &item("abc", TransferStatus::Transferring, 5_000_000, 10_000_000), 80);
        assert_eq!(line, "abc: Downloading [==========>         ] 5MB/10MB");
    }

    #[test]
    fn without_a_terminal_each_end_is_told_once() {
        let mut progress =
            Progress { work: Work::Pull, output: Output::Lines(Stream::Stdout), drawn: 0, told: HashSet::new() };
        let mut items = [item("a", TransferStatus::Exists, 0, 0), item("b", TransferStatus::Transferring, 1, 2)];
        assert_eq!(progress.finished(&items), "a: Already exists\n");
        assert_eq!(progress.finished(&items), "");
        items[1].status = TransferStatus::Retrying;
        items[1].note = "connection reset".into();
        assert_eq!(progress.finished(&items), "b: Retrying: connection reset\n");
        assert_eq!(progress.finished(&items), "");
        items[1].status = TransferStatus::Done;
        assert_eq!(progress.finished(&items), "b: Pull complete\n");
    }

    #[test]
    fn drawings_replace_each_other() {
        assert_eq!(redraw(0, &["a".into()]), "\r\x1b[2Ka\n");
        assert_eq!(redraw(2, &["a".into()]), "\x1b[2A\r\x1b[2Ka\n\x1b[J");
    }

    proptest! {
        #[test]
        fn a_drawing_fits_its_terminal(
            titles in proptest::collection::vec(("\\PC{0,30}", 0_usize..7, any::<u64>(), any::<u64>()), 0..60),
            columns in 1_usize..120, rows in 1_usize..60,
        ) {
            use TransferStatus::*;
            let all = [Waiting, Transferring, Verifying, Retrying, Exists, Mounted, Done];
            let items: Vec<_> = titles.iter().map(|(title, at, current, total)| item(title, all[*at], *current, *total)).collect();
            let lines = lines(Work::Push, &items, columns, rows);
            prop_assert!(lines.len() <= rows.saturating_sub(2).max(1));
            prop_assert!(lines.iter().all(|line| line.chars().count() <= columns && !line.contains('\n')));
        }
    }
}
