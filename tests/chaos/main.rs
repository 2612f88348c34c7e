//! Users at work while processes of ours are killed, stopped and restarted at random, and a model of what must be
//! true all the same. A seed makes the plan of a run; the same seed makes the same plan.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod churn;
mod director;
mod evidence;
mod inject;
mod ledger;
mod lines;
mod memory;
mod plan;
mod probe;
mod report;
mod run;
mod standing;
mod talks;
mod user;
mod users;

use churn::Churn;
use ledger::Ledger;
use plan::{Mix, plan};
use run::Run;
use std::env;
use std::time::Duration;

/// How often what is done. `CCTL_CHAOS_MONITORS=0` spares monitors, as before Linux 6.15: there an exit code is unknown
/// when a process ends between two monitors, and unknown counts as wrong here.
fn mix() -> Mix {
    let shim = number("CCTL_CHAOS_MONITORS", 1);
    Mix { kill: 80, kill_two: 8, hang: 2, pause: 5, restart: 5, shim, trunk: 1, pace: Duration::from_millis(200) }
}

/// A number from the environment, which `make chaos` sets.
fn number(variable: &str, default: u64) -> u64 {
    env::var(variable)
        .map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{variable}={text:?} is no number")))
}

/// Nothing went wrong, or it is said what, and when.
fn assert_all_is_well(name: &str, ledger: &Ledger) {
    let complaints = ledger.complaints();
    let place = evidence::place(name);
    assert!(complaints.is_empty(), "{name}:\n{}\nits course is in {}", complaints.join("\n"), place.display());
}

#[test]
fn users_notice_nothing_while_processes_die() {
    let (seed, kills) = (number("CCTL_CHAOS_SEED", 1), number("CCTL_CHAOS_KILLS", 60));
    let run = Run::through(seed, &plan(seed, usize::try_from(kills).unwrap(), &mix()));
    println!("\n{}", run.report());
    assert_all_is_well(&run.name(), &run.ledger);
}

#[test]
fn containers_come_and_go_while_services_are_killed_at_a_steady_beat() {
    let (seed, containers) = (number("CCTL_CHAOS_SEED", 1), number("CCTL_CHAOS_CONTAINERS", 12));
    let churn = Churn::through(seed, usize::try_from(containers).unwrap());
    println!("\n{}", churn.report());
    assert_all_is_well(&churn.name(), &churn.ledger);
}

#[test]
fn a_seed_gives_the_same_numbers_again() {
    // The first numbers of the reference implementation for the seed 1234567.
    let mut random = harness::Random::new(1_234_567);
    assert_eq!([random.draw(), random.draw()], [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]);
    let mut parts = (0..100).map(|number| harness::Random::part(7, number).draw()).collect::<Vec<_>>();
    parts.sort_unstable();
    parts.dedup();
    assert_eq!(parts.len(), 100);
}

#[test]
fn choices_come_as_often_as_they_weigh() {
    let mut random = harness::Random::new(1);
    let choices = [(1, 'a'), (0, 'b'), (3, 'c')];
    let count =
        |wanted: char, random: &mut harness::Random| (0..4000).filter(|_| *random.weighted(&choices) == wanted).count();
    assert!((900..1100).contains(&count('a', &mut random)));
    assert_eq!(count('b', &mut random), 0);
    assert!((0..1000).all(|_| (5..=7).contains(&random.between(5, 7))));
}
