use super::*;
use crate::restart::Backoff;
use proptest::prelude::*;

const WATCHDOG: Duration = Duration::from_secs(2);
const START_TIMEOUT: Duration = Duration::from_secs(30);

fn new() -> Lifecycle {
    Lifecycle::new(&Definition {
        name: "a".to_owned(),
        interface: "executor".to_owned(),
        executable: "a".to_owned(),
        needs: vec![],
        watchdog: WATCHDOG,
        start_timeout: START_TIMEOUT,
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
    life.ready(now);
    assert_eq!(life.shown(), Shown::Ready);
    assert_eq!(life.ended("killed by SIGKILL".to_owned(), now), Some(Action::Start));
    assert_eq!((life.shown(), life.restarts(), life.last_error()), (Shown::Starting, 1, "killed by SIGKILL"));
    assert_eq!(life.ended("exited with status 1".to_owned(), now), None);
    assert_eq!(life.shown(), Shown::Backoff);
    let until = life.deadline().unwrap();
    assert_eq!(until - now, Duration::from_millis(50));
    assert_eq!(life.tick(until), Some(Action::Start));
}

#[test]
fn a_service_that_is_silent_is_killed_unless_we_were_late_ourselves() {
    let now = Instant::now();
    let mut life = started(now);
    life.ready(now);
    life.alive(now + WATCHDOG / 2);
    let deadline = now + WATCHDOG / 2 + WATCHDOG;
    assert_eq!(life.deadline(), Some(deadline));
    let mut late = life.clone();
    assert_eq!(life.tick(deadline), Some(Action::Kill));
    assert!(life.last_error().contains("2s"), "{}", life.last_error());
    assert_eq!(life.ended("killed by SIGKILL".to_owned(), deadline), Some(Action::Start));
    assert!(life.last_error().contains("sign of life"));
    assert_eq!(late.tick(deadline + WATCHDOG), None);
    assert_eq!(late.deadline(), Some(deadline + 2 * WATCHDOG));
}

#[test]
fn too_many_failed_starts_are_given_up_until_a_restart_is_asked_for() {
    let mut now = Instant::now();
    let mut life = started(now);
    for _ in 0..3 {
        life.ended("exited with status 1".to_owned(), now);
        if let Some(deadline) = life.deadline().filter(|_| life.shown() == Shown::Backoff) {
            now = deadline;
            assert_eq!(life.tick(now), Some(Action::Start));
        }
    }
    assert_eq!(life.ended("exited with status 1".to_owned(), now), None);
    assert_eq!((life.shown(), life.deadline()), (Shown::Failed, None));
    assert_eq!(life.restart(now), Some(Action::Start));
    life.ready(now);
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
                Event::SaysReady if running => life.ready(now),
                Event::SaysAlive if running => life.alive(now),
                Event::Restart => pending = life.restart(now),
                Event::Stop => {
                    stopping = true;
                    pending = life.stop();
                }
                Event::Waits(ms) => {
                    now += Duration::from_millis(ms);
                    pending = life.tick(now);
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
