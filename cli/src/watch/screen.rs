//! The lines of a screen: a pure function of what is known, how it is looked at, and the size.

use super::layout::{Column, table};
use super::meter::Meter;
use super::picture::{Item, Picture, Service, Sort};
use crate::render::text::{cut, one_line};
use crate::render::{duration, size};
use crate::select::container::status;
use crate::terminal::Size;
use schema::executor::Stats;
use schema::supervisor::{ServiceStatus, State, Usage};
use std::collections::VecDeque;
use std::time::Duration;

/// Heights of a sparkline's points, with and without Unicode.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const MARKS: [char; 8] = ['_', '.', ':', '-', '=', '+', '*', '#'];
/// Points of a sparkline.
const POINTS: usize = 16;
/// A sparkline is drawn against the highest of its points, and at least so many hundredths of a CPU.
const LOWEST_TOP: f64 = 10.0;
/// Names are cut to this.
const NAME: usize = 32;
/// For so long a service is called restarted.
const YOUNG: Duration = Duration::from_secs(5);

/// How it is looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look {
    pub(crate) sort: Sort,
    /// Containers that are not shown, from the first.
    pub(crate) skipped: usize,
    /// Whether the terminal shows Unicode.
    pub(crate) unicode: bool,
    /// Whether keys do something.
    pub(crate) keys: bool,
}

/// A line, and whether it stands out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) text: String,
    pub(crate) bold: bool,
}

/// What is to be seen.
pub(crate) struct Screen {
    /// No more than there are rows, none longer than there are columns.
    pub(crate) lines: Vec<Line>,
    /// Containers that are really skipped: the last one stays at the end of the screen.
    pub(crate) skipped: usize,
}

/// All of it. A size of 0 is no bound.
pub(crate) fn screen(picture: &Picture, look: Look, size: Size) -> Screen {
    let bound = |number: u16| if number == 0 { usize::MAX } else { usize::from(number) };
    let (rows, width) = (bound(size.rows), bound(size.columns));
    let mut lines = vec![line(&summary(picture, look), width, true)];
    for trouble in [&picture.services_trouble, &picture.containers_trouble].into_iter().flatten() {
        lines.push(line(trouble, width, true));
    }
    lines.push(line("", width, false));
    lines.extend(headed(table(services(picture, look), width)));
    lines.push(line("", width, false));
    let items = picture.sorted(look.sort);
    let room = rows.saturating_sub(lines.len() + 1);
    // The last row says how many more there are.
    let count = if items.len() <= room { items.len() } else { room.saturating_sub(1).max(room.min(1)) };
    let skipped = look.skipped.min(items.len() - count);
    let shown = &items[skipped..skipped + count];
    lines.extend(headed(table(containers(shown, look), width)));
    if count < items.len() {
        let below = items.len() - skipped - count;
        lines.push(line(&format!("{skipped} above, {below} below"), width, false));
    }
    lines.truncate(rows);
    Screen { lines, skipped }
}

fn line(text: &str, width: usize, bold: bool) -> Line {
    Line { text: cut(&one_line(text), width), bold }
}

fn headed(rows: Vec<String>) -> impl Iterator<Item = Line> {
    rows.into_iter().enumerate().map(|(index, text)| Line { text, bold: index == 0 })
}

fn summary(picture: &Picture, look: Look) -> String {
    let ready = picture.services.iter().filter(|service| service.status.state == State::Ready).count();
    let (services, active, idle) = (picture.services.len(), picture.containers.len(), picture.idle);
    let mut text = format!("services: {ready} of {services} ready   containers: {active} active, {idle} not");
    if look.keys {
        text.push_str(&format!("   by {}   q: quit, s or c m i r n: sort, j k: scroll", look.sort.name()));
    }
    text
}

fn services(picture: &Picture, look: Look) -> Vec<Column> {
    let of = |cell: &dyn Fn(&Service) -> String| picture.services.iter().map(cell).collect::<Vec<_>>();
    let running = |cell: &dyn Fn(&ServiceStatus, &Meter) -> String| {
        of(&|service| if service.status.pid == 0 { "-".to_owned() } else { cell(&service.status, &service.meter) })
    };
    vec![
        Column::words("SERVICE", 0, of(&|service| cut(&service.status.service, NAME))),
        Column::words("STATE", 1, of(&|service| state(&service.status))),
        Column::numbers("CPU %", 1, running(&|_, meter| format!("{:.1}", meter.cpu))),
        Column::words("", 4, of(&|service| sparkline(&service.meter.history, look.unicode))),
        Column::numbers("MEMORY", 2, running(&|status, _| size::memory(status.memory))),
        Column::numbers("READ/S", 5, running(&|_, meter| rate(meter.rates[0]))),
        Column::numbers("WRITTEN/S", 5, running(&|_, meter| rate(meter.rates[1]))),
        Column::numbers(
            "FDS",
            6,
            running(&|ServiceStatus { usage: Usage { descriptors, .. }, .. }, _| descriptors.to_string()),
        ),
        Column::numbers(
            "THREADS",
            7,
            running(&|ServiceStatus { usage: Usage { threads, .. }, .. }, _| threads.to_string()),
        ),
        Column::numbers("RESTARTS", 3, of(&|service| service.status.restarts.to_string())),
        Column::words("UPTIME", 8, running(&|status, _| duration::words(Duration::from_millis(status.uptime_ms)))),
    ]
}

/// A restart takes less time than passes between two looks.
fn state(status: &ServiceStatus) -> String {
    let young = Duration::from_millis(status.uptime_ms) < YOUNG;
    if status.state == State::Ready && status.restarts > 0 && young {
        return "restarted".to_owned();
    }
    status.state.to_string()
}

fn containers(items: &[&Item], look: Look) -> Vec<Column> {
    let of = |cell: &dyn Fn(&Item) -> String| items.iter().map(|item| cell(item)).collect::<Vec<_>>();
    let running = |cell: &dyn Fn(&Stats, &Meter) -> String| {
        of(&|item| item.stats.as_ref().map_or_else(|| "-".to_owned(), |stats| cell(stats, &item.meter)))
    };
    vec![
        Column::words("CONTAINER", 0, of(&|item| cut(&item.container.name, NAME))),
        Column::words("STATE", 1, of(&|item| status(&item.container).to_owned())),
        Column::numbers("CPU %", 1, running(&|_, meter| format!("{:.1}", meter.cpu))),
        Column::words("", 4, of(&|item| sparkline(&item.meter.history, look.unicode))),
        Column::numbers("MEMORY", 2, running(&|stats, _| size::memory(stats.memory))),
        Column::numbers("LIMIT", 8, running(&|stats, _| size::memory(stats.memory_limit))),
        Column::numbers("READ/S", 5, running(&|_, meter| rate(meter.rates[0]))),
        Column::numbers("WRITTEN/S", 5, running(&|_, meter| rate(meter.rates[1]))),
        Column::numbers("RECEIVED/S", 6, running(&|_, meter| rate(meter.rates[2]))),
        Column::numbers("SENT/S", 6, running(&|_, meter| rate(meter.rates[3]))),
        Column::numbers("PIDS", 7, running(&|stats, _| stats.pids.to_string())),
        Column::numbers("RESTARTS", 3, of(&|item| item.container.restart_count.to_string())),
        Column::words("IMAGE", 9, of(&|item| cut(&item.container.image, NAME))),
    ]
}

fn rate(bytes: f64) -> String {
    // Never negative, and far below what an integer holds.
    size::stored(bytes as u64)
}

/// The newest points, to the right.
fn sparkline(history: &VecDeque<f64>, unicode: bool) -> String {
    let marks = if unicode { BARS } else { MARKS };
    let points = history.iter().skip(history.len().saturating_sub(POINTS));
    let top = points.clone().copied().fold(LOWEST_TOP, f64::max);
    let mut line = " ".repeat(POINTS - points.len());
    // A part of one, so an index of a mark.
    line.extend(points.map(|point| marks[((point / top * 8.0) as usize).min(7)]));
    line
}

#[cfg(test)]
mod tests {
    use super::super::picture::tests::picture;
    use super::*;
    use proptest::prelude::*;

    const LOOK: Look = Look { sort: Sort::Cpu, skipped: 0, unicode: true, keys: true };

    fn shown(picture: &Picture, look: Look, rows: u16, columns: u16) -> Vec<String> {
        screen(picture, look, Size { rows, columns }).lines.into_iter().map(|line| line.text).collect()
    }

    fn words(line: &str) -> String {
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_whole_screen() {
        let lines = shown(&picture(), LOOK, 24, 200);
        assert!(lines[0].starts_with("services: 1 of 2 ready   containers: 2 active, 1 not   by cpu"), "{lines:?}");
        assert_eq!(words(&lines[2]), "SERVICE STATE CPU % MEMORY READ/S WRITTEN/S FDS THREADS RESTARTS UPTIME");
        assert_eq!(words(&lines[3]), "executor ready 25.0 ▁█ 3MiB 0B 0B 12 4 2 About a minute");
        assert_eq!(words(&lines[4]), "network backoff - ▁▁ - - - - - 2 -");
        assert_eq!(
            words(&lines[6]),
            "CONTAINER STATE CPU % MEMORY LIMIT READ/S WRITTEN/S RECEIVED/S SENT/S PIDS RESTARTS IMAGE"
        );
        assert!(words(&lines[7]).starts_with("busy running 150.0 ▁█ 1MiB"), "{lines:?}");
        assert!(words(&lines[8]).contains("0B 0B 0B 1kB"), "{lines:?}");
        assert_eq!(lines.len(), 9);
        let plain = shown(&picture(), Look { unicode: false, keys: false, ..LOOK }, 0, 0);
        assert!(plain.iter().all(|line| line.is_ascii()) && !plain[0].contains("quit"), "{plain:?}");
    }

    #[test]
    fn trouble_is_told_and_what_was_known_stays() {
        let mut picture = picture();
        picture.services_trouble = Some("the supervisor does not answer".to_owned());
        let lines = shown(&picture, LOOK, 24, 100);
        assert_eq!(lines[1], "the supervisor does not answer");
        assert!(lines[4].starts_with("executor"));
    }

    #[test]
    fn a_service_that_was_just_restarted_shows_it() {
        let mut picture = picture();
        picture.services[0].status.uptime_ms = 4000;
        assert!(shown(&picture, LOOK, 24, 100)[3].contains("restarted"));
    }

    #[test]
    fn what_has_no_room_is_counted_and_can_be_scrolled_to() {
        let picture = picture();
        let lines = shown(&picture, LOOK, 8, 200);
        assert!(lines[7].starts_with("busy"), "{lines:?}");
        let far = Look { skipped: 7, ..LOOK };
        assert_eq!(screen(&picture, far, Size { rows: 8, columns: 200 }).skipped, 1);
        let lines = shown(&picture, far, 8, 200);
        assert!(lines[7].starts_with("large"), "{lines:?}");
    }

    proptest! {
        #[test]
        fn it_fits_every_screen(rows in 1_u16..40, columns in 1_u16..250, skipped in 0_usize..5) {
            let lines = shown(&picture(), Look { skipped, ..LOOK }, rows, columns);
            prop_assert!(lines.len() <= usize::from(rows));
            for line in lines {
                prop_assert!(line.chars().count() <= usize::from(columns), "{line:?}");
            }
        }
    }
}
