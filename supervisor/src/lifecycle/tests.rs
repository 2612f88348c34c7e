use super::*;
use crate::restart::Backoff;
use proptest::prelude::*;

const WATCHDOG: Duration = Duration::from_secs(2);
const START_TIMEOUT: Duration = Duration::from_secs(30);
const ASLEEP: Option<Look> =
    Some(Look { activity: Activity::Sleeping, usage: Usage { ran: Duration::ZERO, queued: Duration::ZERO } });

fn new() -> Lifecycle {
    Lifecycle::new(&Definition {
        name: "a".to_owned(),
        interface: "executor".to_owned(),
        executable: "a".to_owned(),
        needs: vec![],
        watchdog: WATCHDOG,
        start_timeout: START_TIMEOUT,
        limits: crate::limits::Limits::default(),
        shelf: false,
        drop_in: None,
        user: None,
        capabilities: crate::privileges::Capabilities::default(),
        network: crate::privileges::Network::default(),
        new_privileges: false,
        seccomp: crate::privileges::Calls::All,
        landlock: None,
        sees: vec![],
        shares: vec![],
        restart: Policy {
            intensity: 3,
            period: Duration::from_secs(60),
            backoff: Backoff { first: Duration::from_millis(50), longest: Duration::from_secs(1) },
        },
    })
}

fn started(now: Instant) -> Lifecycle {
    let mut life = new();
    assert_eq!(life.ended(String::new(), now), Some(Action::Start));
    life
}

#[test]
fn a_killed_service_is_started_again_at_once_and_then_with_pauses() {
    let now = Instant::now();
    let mut life = started(now);
    life.ready(now, Usage::default());
    assert_eq!(life.shown(), Shown::Ready);
    assert_eq!(life.ended("killed by SIGKILL".to_owned(), now), Some(Action::Start));
    assert_eq!((life.shown(), life.restarts(), life.last_error()), (Shown::Starting, 1, "killed by SIGKILL"));
    assert_eq!(life.ended("exited with status 1".to_owned(), now), None);
    assert_eq!(life.shown(), Shown::Backoff);
    let until = life.deadline().unwrap();
    assert_eq!(until - now, Duration::from_millis(50));
    assert_eq!(life.tick(until, None), Some(Action::Start));
}

#[test]
fn a_service_that_is_silent_is_killed_unless_we_were_late_ourselves() {
    let now = Instant::now();
    let mut life = started(now);
    life.ready(now, Usage::default());
    life.alive(now + WATCHDOG / 2, Usage::default());
    let deadline = now + WATCHDOG / 2 + WATCHDOG;
    assert_eq!(life.deadline(), Some(deadline));
    let mut late = life.clone();
    assert_eq!(life.tick(deadline, ASLEEP), Some(Action::Kill));
    assert!(life.last_error().contains("2s"), "{}", life.last_error());
    assert_eq!(life.ended("killed by SIGKILL".to_owned(), deadline), Some(Action::Start));
    assert!(life.last_error().contains("sign of life"));
    assert_eq!(late.tick(deadline + WATCHDOG, ASLEEP), None);
    assert_eq!(late.deadline(), Some(deadline + 2 * WATCHDOG));
}

#[test]
fn a_service_that_is_not_let_run_is_waited_for() {
    let now = Instant::now();
    let mut life = started(now);
    life.ready(now, Usage::default());
    let starved = |ran| Look { activity: Activity::Runnable, usage: Usage { ran, queued: Duration::ZERO } };
    let mut at = now;
    for _ in 0..10 {
        at = life.deadline().unwrap();
        assert_eq!(life.tick(at, Some(starved(Duration::from_millis(10)))), None);
    }
    assert!(at - now > 4 * WATCHDOG);
    // At last it runs, and still says nothing.
    at = life.deadline().unwrap();
    assert_eq!(life.tick(at, Some(starved(WATCHDOG))), Some(Action::Kill));
    assert!(life.last_error().contains("runs without end"), "{}", life.last_error());
}

#[test]
fn kills_for_silence_that_do_not_help_make_patient() {
    let mut now = Instant::now();
    let mut life = started(now);
    for patience in [1, 2, 4, 8, 16, 32, 32] {
        life.ready(now, Usage::default());
        let heard = now;
        while life.shown() == Shown::Ready {
            let next = life.deadline().unwrap();
            assert!(next - now <= WATCHDOG, "one that is stopped is seen as soon as ever");
            now = next;
            life.tick(now, ASLEEP);
        }
        assert_eq!(now - heard, patience * WATCHDOG);
        if life.ended("killed by SIGKILL".to_owned(), now).is_none() {
            now = life.deadline().unwrap();
            assert_eq!(life.tick(now, None), Some(Action::Start));
        }
        // One that is stopped does nothing, however slow the machine.
        let look = Some(Look { activity: Activity::Stopped, usage: Usage::default() });
        let mut stopped = life.clone();
        stopped.ready(now, Usage::default());
        assert_eq!(stopped.tick(now + WATCHDOG, look), Some(Action::Kill));
    }
}

#[test]
fn a_service_that_is_stopped_while_it_starts_is_not_waited_for() {
    let now = Instant::now();
    let mut life = started(now);
    let stopped = Some(Look { activity: Activity::Stopped, usage: Usage::default() });
    let mut at = life.deadline().unwrap();
    // One look may be a debugger's moment.
    assert_eq!(life.tick(at, stopped), None);
    at = life.deadline().unwrap();
    assert_eq!(life.tick(at, ASLEEP), None);
    for _ in 0..2 {
        at = life.deadline().unwrap();
        life.tick(at, stopped);
    }
    assert!(at - now <= 2 * WATCHDOG && life.shown() == Shown::Draining);
    assert!(life.last_error().contains("stopped"), "{}", life.last_error());
}

#[test]
fn too_many_failed_starts_are_given_up_until_a_restart_is_asked_for() {
    let mut now = Instant::now();
    let mut life = started(now);
    for _ in 0..3 {
        life.ended("exited with status 1".to_owned(), now);
        if let Some(deadline) = life.deadline().filter(|_| life.shown() == Shown::Backoff) {
            now = deadline;
            assert_eq!(life.tick(now, ASLEEP), Some(Action::Start));
        }
    }
    assert_eq!(life.ended("exited with status 1".to_owned(), now), None);
    assert_eq!((life.shown(), life.deadline()), (Shown::Failed, None));
    assert_eq!(life.restart("asked for", now), Some(Action::Start));
    life.ready(now, Usage::default());
    assert_eq!(life.shown(), Shown::Ready);
}

#[derive(Clone, Copy, Debug)]
enum Event {
    Ends,
    SaysReady,
    SaysAlive,
    Restart,
    Stop,
    Waits(u64),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => Just(Event::Ends),
        4 => Just(Event::SaysReady),
        4 => Just(Event::SaysAlive),
        2 => Just(Event::Restart),
        1 => Just(Event::Stop),
        6 => (0u64..40_000).prop_map(Event::Waits),
    ]
}

proptest! {
    /// Against a model of the world: a process is started only if there is none, killed only if there is one,
    /// nothing waits without a deadline except what is meant to, and after a stop nothing is started.
    #[test]
    fn the_world_stays_in_order(events in prop::collection::vec(event(), 1..200)) {
        let mut life = new();
        let mut now = Instant::now();
        let (mut running, mut killed, mut stopping) = (false, false, false);
        let mut pending = life.ended(String::new(), now);
        for event in events {
            loop {
                match pending.take() {
                    Some(Action::Start) => {
                        prop_assert!(!running && !stopping);
                        (running, killed) = (true, false);
                    }
                    Some(Action::Kill) => {
                        prop_assert!(running && !killed);
                        killed = true;
                    }
                    None => break,
                }
            }
            match event {
                Event::Ends if running => {
                    running = false;
                    pending = life.ended("ended".to_owned(), now);
                }
                Event::SaysReady if running => life.ready(now, Usage::default()),
                Event::SaysAlive if running => life.alive(now, Usage::default()),
                Event::Restart => pending = life.restart("asked for", now),
                Event::Stop => {
                    stopping = true;
                    pending = life.stop();
                }
                Event::Waits(ms) => {
                    now += Duration::from_millis(ms);
                    pending = life.tick(now, ASLEEP);
                }
                _ => {}
            }
            let starts = pending == Some(Action::Start);
            let waits = life.deadline().is_some();
            match life.shown() {
                Shown::Starting | Shown::Ready => prop_assert!(waits && (running || starts)),
                Shown::Backoff => prop_assert!(waits && !running),
                Shown::Failed => prop_assert!(!waits && !running),
                Shown::Draining => prop_assert!(!waits && (running || stopping)),
            }
            prop_assert_eq!(life.is_stopping(), stopping);
            prop_assert_eq!(life.is_stopped(), stopping && !running);
        }
    }
}
