//! `system top` on a real terminal.

use harness::{Instance, Terminal, eventually};
use rustix::process::{Pid, Signal, kill_process};

const TAKEN: &str = "\u{1b}[?1049h";
const GIVEN: &str = "\u{1b}[?1049l";

fn top(cctl: &Instance) -> Terminal {
    let terminal = cctl.terminal(&["system", "top"]);
    terminal.shows("log-collector");
    terminal
}

fn signal(terminal: &Terminal, signal: Signal) {
    kill_process(Pid::from_raw(i32::try_from(terminal.pid()).unwrap()).unwrap(), signal).unwrap();
}

/// The last picture that was drawn as a whole.
fn picture(terminal: &Terminal) -> String {
    let screen = terminal.screen();
    let end = screen.rfind("\u{1b}[?2026l").unwrap_or(0);
    let begin = screen[..end].rfind("\u{1b}[?2026h").unwrap_or(0);
    screen[begin..end].to_owned()
}

#[track_caller]
fn is_given_back(terminal: &mut Terminal, code: i32) {
    assert_eq!(terminal.wait(), code);
    assert!(terminal.is_cooked(), "the terminal is as it was");
    let screen = terminal.screen();
    assert!(screen.contains(GIVEN), "{screen:?}");
    assert!(screen.contains("\u{1b}[?25h"), "the cursor is back");
}

#[test]
fn it_is_live_takes_keys_and_gives_the_terminal_back() {
    let cctl = Instance::start();
    cctl.cctl(&["run", "-d", "--name", "busy", "base", "sh", "-c", "while :; do :; done"]).ok();
    cctl.cctl(&["run", "-d", "--name", "idle", "base", "sleep", "600"]).ok();
    let mut terminal = top(&cctl);
    assert!(!terminal.is_cooked());
    terminal.shows(TAKEN);
    terminal.shows("busy");
    eventually("the busy one comes first", || {
        let picture = picture(&terminal);
        let share =
            picture.lines().find(|line| line.starts_with("busy"))?.split_whitespace().nth(2)?.parse::<f64>().ok()?;
        (share > 1.0 && picture.find("busy")? < picture.find("idle")?).then_some(())
    });
    terminal.type_text("n");
    terminal.shows("by name");
    terminal.type_text("s");
    terminal.shows("by cpu");
    // A smaller window has shorter lines, and what matters stays.
    terminal.resize(12, 40);
    eventually("it fits", || {
        let picture = picture(&terminal);
        let lines: Vec<&str> = picture.split("\r\n").collect();
        (lines.len() <= 12 && !picture.contains("UPTIME") && picture.contains("executor")).then_some(())
    });
    // Nothing is wiped before it is drawn.
    assert!(!terminal.screen().contains("\u{1b}[2J"));
    terminal.type_text("q");
    is_given_back(&mut terminal, 0);
}

#[test]
fn a_signal_or_a_lost_line_leaves_the_terminal_as_it_was() {
    let cctl = Instance::start();
    for (sent, code) in [(Signal::TERM, 143), (Signal::INT, 130), (Signal::HUP, 129), (Signal::QUIT, 131)] {
        let mut terminal = top(&cctl);
        signal(&terminal, sent);
        is_given_back(&mut terminal, code);
    }
    let mut terminal = top(&cctl);
    terminal.type_text("\u{3}");
    is_given_back(&mut terminal, 130);
    // Suspended, the terminal is the shell's; then it is ours again.
    let mut terminal = top(&cctl);
    terminal.type_text("\u{1a}");
    eventually("it has stopped", || terminal.is_cooked().then_some(()));
    signal(&terminal, Signal::CONT);
    eventually("it goes on", || (!terminal.is_cooked()).then_some(()));
    terminal.type_text("q");
    is_given_back(&mut terminal, 0);
}

#[test]
fn it_survives_the_restart_of_every_service_and_shows_it() {
    let cctl = Instance::start();
    cctl.cctl(&["run", "-d", "--name", "box", "base", "sleep", "600"]).ok();
    let mut terminal = top(&cctl);
    terminal.resize(40, 120);
    terminal.shows("box");
    for service in ["executor", "containers", "log-collector", "supervisor"] {
        cctl.kill_service(service);
        eventually("its restart is shown", || {
            let picture = picture(&terminal);
            let line = picture.lines().find(|line| line.starts_with(service))?;
            (line.contains("restarted")
                || line.contains("starting")
                || line.contains("backoff")
                || service == "supervisor")
                .then_some(())
        });
    }
    eventually("all is shown to be well again", || {
        let picture = picture(&terminal);
        (picture.contains("services: 7 of 7 ready") && picture.contains("box") && !picture.contains("as it was"))
            .then_some(())
    });
    terminal.type_text("q");
    is_given_back(&mut terminal, 0);
}

#[test]
fn without_a_terminal_it_is_one_table() {
    let cctl = Instance::start();
    cctl.cctl(&["run", "-d", "--name", "box", "base", "sleep", "600"]).ok();
    let text = cctl.cctl(&["system", "top"]).ok();
    assert!(!text.contains('\u{1b}'), "{text}");
    for word in ["SERVICE", "executor", "CONTAINER", "box", "services: 7 of 7 ready"] {
        assert!(text.contains(word), "{word} is not in {text}");
    }
    let mut terminal = cctl.terminal(&["system", "top", "--no-stream"]);
    assert_eq!(terminal.wait(), 0);
    assert!(terminal.screen().contains("box") && !terminal.screen().contains(TAKEN));
    // Without an instance there is nothing to watch.
    cctl.cctl(&["rm", "-f", "box"]).ok();
    cctl.cctl(&["system", "stop"]).ok();
    cctl.cctl(&["system", "top"]).fails(1, &["not running"]);
    let mut terminal = cctl.terminal(&["system", "top"]);
    assert_eq!(terminal.wait(), 1);
    assert!(terminal.screen().contains("not running") && !terminal.screen().contains(TAKEN));
    cctl.cctl(&["system", "start"]).ok();
}
