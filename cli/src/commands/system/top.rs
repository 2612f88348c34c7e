//! `system top`.

use crate::commands::stats::samples;
use crate::console;
use crate::engine::{Engine, call};
use crate::error::{Error, Result, signalled};
use crate::render::time::now;
use crate::session::{Signals, read_stdin};
use crate::terminal::{self, Size, Whole};
use crate::watch::{Line, Look, Picture, Sort, screen};
use nix::sys::signal::{Signal, raise};
use schema::log_collector::Stream;
use schema::{Call, Failure};
use std::cell::RefCell;
use std::convert::Infallible;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, MissedTickBehavior, interval};

/// Between two looks, and between two pictures.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long an answer may take before what was known is called old.
const PATIENCE: Duration = Duration::from_secs(2);
/// What a terminal shows at once, if it knows how (synchronized output): otherwise it shows it as it comes.
const BEGIN: &str = "\x1b[?2026h\x1b[H";
const END: &str = "\x1b[J\x1b[?2026l";
const CTRL_C: u8 = 3;
const CTRL_Z: u8 = 26;
const ESCAPE: u8 = 27;

/// Shows what services and containers use: on a terminal, on and on until the user has seen enough.
pub(super) async fn run(engine: &Engine, no_stream: bool, sort: Sort) -> Result<u8> {
    let look = Look { sort, skipped: 0, unicode: unicode(|name| std::env::var(name).ok()), keys: true };
    if no_stream || !terminal::is_on(Stream::Stdout) || !terminal::on_stdin() {
        return once(engine, Look { keys: false, ..look }).await;
    }
    // Before anything is shown: whether there is an instance, and whether we may ask it.
    engine.supervisor.status(&call().limited(PATIENCE)).await?;
    let picture = RefCell::default();
    let mut signals = Signals::watch()?;
    tokio::select! {
        ended = show(&picture, look) => ended,
        number = signals.next() => Err(Error::Signalled(signalled(number))),
        never = watch_services(engine, &picture) => match never {},
        never = watch_containers(engine, &picture) => match never {},
    }
}

/// One picture, of a second.
async fn once(engine: &Engine, look: Look) -> Result<u8> {
    let mut picture = Picture::default();
    for part in 0..2 {
        if part > 0 {
            tokio::time::sleep(INTERVAL).await;
        }
        picture.see_services(now(), engine.supervisor.status(&call()).await?);
        let containers = engine.containers.list(&call()).await?;
        let stats = samples(engine, &containers, &call()).await?;
        picture.see_containers(containers, &stats);
    }
    for Line { text, .. } in screen(&picture, look, Size::default()).lines {
        console::print_line(text)?;
    }
    Ok(0)
}

/// Whether the language of the environment is written in Unicode (setlocale(3): the first of these that is set).
fn unicode(variable: impl Fn(&str) -> Option<String>) -> bool {
    let mut set = ["LC_ALL", "LC_CTYPE", "LANG"].iter().filter_map(|name| variable(name));
    let language = set.find(|value| !value.is_empty()).unwrap_or_default().to_ascii_lowercase();
    language.contains("utf-8") || language.contains("utf8")
}

/// A service may be restarted meanwhile: then its answer takes longer, and what was known stays.
async fn watch_services(engine: &Engine, picture: &RefCell<Picture>) -> Infallible {
    let mut ticks = ticks();
    let mut silent = Instant::now();
    loop {
        ticks.tick().await;
        let answer = engine.supervisor.status(&Call::within(PATIENCE)).await;
        let mut picture = picture.borrow_mut();
        match answer {
            Ok(statuses) => {
                silent = Instant::now();
                picture.see_services(now(), statuses);
            }
            Err(failure) => picture.services_trouble = Some(trouble(&failure, silent)),
        }
    }
}

async fn watch_containers(engine: &Engine, picture: &RefCell<Picture>) -> Infallible {
    let mut ticks = ticks();
    let mut silent = Instant::now();
    loop {
        ticks.tick().await;
        let call = Call::within(PATIENCE);
        let answer = async {
            let containers = engine.containers.list(&call).await?;
            let stats = samples(engine, &containers, &call).await?;
            Ok::<_, Failure>((containers, stats))
        };
        let answer = answer.await;
        let mut picture = picture.borrow_mut();
        match answer {
            Ok((containers, stats)) => {
                silent = Instant::now();
                picture.see_containers(containers, &stats);
            }
            Err(failure) => picture.containers_trouble = Some(trouble(&failure, silent)),
        }
    }
}

fn trouble(failure: &Failure, since: Instant) -> String {
    format!("as it was {} s ago: {failure}", since.elapsed().as_secs())
}

fn ticks() -> tokio::time::Interval {
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// Draws, and heeds keys, until the user has seen enough or the terminal is gone.
async fn show(picture: &RefCell<Picture>, mut look: Look) -> Result<u8> {
    let failed = |error| Failure::io("watching for signals", &error);
    let mut resized = signal(SignalKind::window_change()).map_err(failed)?;
    let mut continued = signal(SignalKind::from_raw(Signal::SIGCONT as i32)).map_err(failed)?;
    let mut typed = read_stdin();
    let mut ticks = ticks();
    // The first picture comes a moment after the first answers.
    ticks.reset_after(Duration::from_millis(50));
    let mut whole = Some(Whole::enter()?);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = resized.recv() => {}
            // Whoever had the terminal meanwhile has set it in another way.
            _ = continued.recv() => {
                drop(whole.take());
                whole = Some(Whole::enter()?);
            }
            keys = typed.recv() => match keys {
                None => return Err(Error::Closed),
                Some(keys) => match heed(&keys, &mut look) {
                    Wish::Go => {}
                    Wish::Quit => return Ok(0),
                    Wish::Interrupt => return Err(Error::Signalled(signalled(Signal::SIGINT as i32))),
                    Wish::Suspend => {
                        drop(whole.take());
                        // It comes back by SIGCONT.
                        raise(Signal::SIGTSTP).map_err(|errno| Failure::io("stopping this process", &errno.into()))?;
                        continue;
                    }
                },
            },
        }
        if whole.is_some() {
            let seen = screen(&picture.borrow(), look, terminal::size().unwrap_or_default());
            // How far the user has really scrolled.
            look.skipped = seen.skipped;
            draw(&seen.lines).await?;
        }
    }
}

/// What a key wants beside another look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    Go,
    Quit,
    Interrupt,
    Suspend,
}

fn heed(keys: &[u8], look: &mut Look) -> Wish {
    let mut rest = keys;
    while let [key, more @ ..] = rest {
        rest = more;
        match key {
            b'q' | b'Q' => return Wish::Quit,
            &CTRL_C => return Wish::Interrupt,
            &CTRL_Z => return Wish::Suspend,
            b's' => look.sort = look.sort.next(),
            b'c' => look.sort = Sort::Cpu,
            b'm' => look.sort = Sort::Memory,
            b'i' => look.sort = Sort::Io,
            b'r' => look.sort = Sort::Restarts,
            b'n' => look.sort = Sort::Name,
            b'j' => look.skipped += 1,
            b'k' => look.skipped = look.skipped.saturating_sub(1),
            // An arrow, or a key that means nothing here: not the letters in its sequence.
            &ESCAPE => {
                match rest {
                    [b'[' | b'O', b'B', ..] => look.skipped += 1,
                    [b'[' | b'O', b'A', ..] => look.skipped = look.skipped.saturating_sub(1),
                    _ => {}
                }
                let end = rest.iter().skip(1).position(|byte| byte.is_ascii_alphabetic() || *byte == b'~');
                rest = end.and_then(|end| rest.get(end + 2..)).unwrap_or_default();
            }
            _ => {}
        }
    }
    Wish::Go
}

/// Draws over what was there, line by line, in one piece. A terminal that takes nothing holds up this, and nothing else.
async fn draw(lines: &[Line]) -> Result {
    let text = painted(lines);
    let writing = tokio::task::spawn_blocking(move || console::write(Stream::Stdout, text.as_bytes()));
    writing.await.map_err(Failure::internal)?
}

fn painted(lines: &[Line]) -> String {
    let mut text = BEGIN.to_owned();
    for (index, Line { text: line, bold }) in lines.iter().enumerate() {
        if index > 0 {
            text.push_str("\r\n");
        }
        match bold {
            true => text.push_str(&format!("\x1b[1m{line}\x1b[0m\x1b[K")),
            false => text.push_str(&format!("{line}\x1b[K")),
        }
    }
    text.push_str(END);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look() -> Look {
        Look { sort: Sort::Cpu, skipped: 1, unicode: true, keys: true }
    }

    #[test]
    fn keys_do_what_they_say() {
        let after = |keys: &[u8]| {
            let mut look = look();
            let wish = heed(keys, &mut look);
            (wish, look.sort, look.skipped)
        };
        assert_eq!(after(b"m"), (Wish::Go, Sort::Memory, 1));
        assert_eq!(after(b"ss"), (Wish::Go, Sort::Io, 1));
        assert_eq!(after(b"jjk"), (Wish::Go, Sort::Cpu, 2));
        assert_eq!(after(b"\x1b[Bj"), (Wish::Go, Sort::Cpu, 3));
        assert_eq!(after(b"\x1b[A\x1bOA"), (Wish::Go, Sort::Cpu, 0));
        assert_eq!(after(b"\x1b[15~"), (Wish::Go, Sort::Cpu, 1));
        assert_eq!(after(b"\x1b"), (Wish::Go, Sort::Cpu, 1));
        assert_eq!(after(b"mq").0, Wish::Quit);
        assert_eq!(after(&[CTRL_C]).0, Wish::Interrupt);
        assert_eq!(after(&[CTRL_Z]).0, Wish::Suspend);
    }

    #[test]
    fn nothing_is_erased_before_it_is_drawn_over() {
        let lines = [Line { text: "a".into(), bold: true }, Line { text: "b".into(), bold: false }];
        assert_eq!(painted(&lines), "\x1b[?2026h\x1b[H\x1b[1ma\x1b[0m\x1b[K\r\nb\x1b[K\x1b[J\x1b[?2026l");
    }

    #[test]
    fn the_first_variable_that_is_set_tells_the_language() {
        let of = |set: &[(&str, &str)]| {
            unicode(|name| set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
        };
        assert!(of(&[("LANG", "de_DE.UTF-8")]) && of(&[("LC_ALL", ""), ("LC_CTYPE", "C.utf8")]));
        assert!(!of(&[("LC_ALL", "C"), ("LANG", "de_DE.UTF-8")]) && !of(&[]));
    }
}
