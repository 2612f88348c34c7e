//! What a container costs at least: a process in namespaces, cgroups, mounts and a network as cctl makes them, by system
//! calls alone, from the first of them until nothing is left. No daemon, no record, no log, nobody who watches.
//!
//! usage: floor ROUNDS PARALLEL none|bridge CGROUP...
//!
//! Each CGROUP is a directory in which a cgroup is made for each container; into one of v2 it is born. Prints a line of JSON: the milliseconds of
//! each round, and of all together. Runs as root, in namespaces that may be changed: tests/apart.

mod container;
mod netlink;
mod sys;

use container::{Container, Ground};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;
use std::{env, io};

const USAGE: &str = "usage: floor ROUNDS PARALLEL none|bridge CGROUP...";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("floor: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> io::Result<()> {
    let [rounds, parallel, network, cgroups @ ..] = arguments else { return Err(io::Error::other(USAGE)) };
    let number = |text: &String| text.parse::<usize>().map_err(|_| io::Error::other(format!("{text:?}: {USAGE}")));
    let (rounds, parallel) = (number(rounds)?, number(parallel)?);
    let bridged = match network.as_str() {
        "bridge" => true,
        "none" => false,
        other => return Err(io::Error::other(format!("{other:?}: {USAGE}"))),
    };
    let ground = Ground::make(bridged, cgroups.iter().map(PathBuf::from).collect())?;
    let begun = Instant::now();
    let mut times = Vec::with_capacity(rounds);
    if parallel == 1 {
        for number in 0..rounds {
            let start = Instant::now();
            Container::start(&ground, number)?.end(&ground)?;
            times.push(start.elapsed());
        }
    } else {
        let mut running = std::collections::VecDeque::new();
        for number in 0..rounds {
            if running.len() == parallel {
                end_first(&mut running, &ground, &mut times)?;
            }
            running.push_back((Instant::now(), Container::start(&ground, number)?));
        }
        while !running.is_empty() {
            end_first(&mut running, &ground, &mut times)?;
        }
    }
    let all = begun.elapsed();
    drop(ground);
    let times: Vec<String> = times.iter().map(|time| format!("{:.3}", time.as_secs_f64() * 1e3)).collect();
    println!("{{\"all\": {:.3}, \"rounds\": [{}]}}", all.as_secs_f64() * 1e3, times.join(", "));
    Ok(())
}

type Running = std::collections::VecDeque<(Instant, Container)>;

fn end_first(running: &mut Running, ground: &Ground, times: &mut Vec<std::time::Duration>) -> io::Result<()> {
    let Some((start, container)) = running.pop_front() else { return Ok(()) };
    container.end(ground)?;
    times.push(start.elapsed());
    Ok(())
}
