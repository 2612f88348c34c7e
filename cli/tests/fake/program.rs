//! What made-up containers do.

use super::world::{Thing, World};
use schema::Failure;
use schema::containers::State;
use schema::log_collector::Stream;
use std::time::Duration;

/// Begins the program that the arguments name. One that goes on by itself is told the world.
pub fn start(world: &World, thing: &mut Thing) -> Result<(), Failure> {
    let arguments = thing.container.arguments.clone();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if matches!(words[..], ["missing"]) {
        return Err(Failure::command_not_found("missing: no such command").hint("is it in the image?"));
    }
    if matches!(words[..], ["noexec"]) {
        return Err(Failure::not_executable("noexec cannot be executed"));
    }
    thing.container.state = State::Running;
    thing.container.pid = 4711;
    thing.container.started_at = super::world::now();
    thing.container.run_position = thing.written();
    match words[..] {
        ["echo", ref words @ ..] => {
            thing.write(Stream::Stdout, format!("{}\n", words.join(" ")).as_bytes());
            thing.end(0);
        }
        ["both"] => {
            thing.write(Stream::Stdout, b"out\0\xff");
            thing.write(Stream::Stderr, b"err\n");
            thing.write(Stream::Stdout, b"put\n");
            thing.end(3);
        }
        ["gap"] => {
            thing.write(Stream::Stdout, b"before\n");
            thing.drop_output(Stream::Stdout, 40);
            thing.drop_output(Stream::Stderr, 7);
            thing.drop_output(Stream::Stdout, 2);
            thing.write(Stream::Stdout, b"after\n");
            thing.end(0);
        }
        ["exhausting"] => {
            thing.refusals = 3;
            thing.write(Stream::Stdout, b"here\n");
            thing.end(0);
        }
        ["exit", code] => thing.end(code.parse().unwrap()),
        ["count", last] => spawn_count(world, thing.container.id.as_str(), last.parse().unwrap()),
        ["flood"] => spawn_flood(world, thing.container.id.as_str()),
        // These go on until a signal, or the end of their input.
        ["cat" | "sleep" | "trap" | "deaf" | "slow"] => {}
        ref other => return Err(Failure::command_not_found(format_args!("{other:?}"))),
    }
    Ok(())
}

fn spawn_count(world: &World, id: &str, last: u32) {
    let (world, id) = (world.clone(), id.to_owned());
    tokio::task::spawn_local(async move {
        for number in 1..=last {
            tokio::time::sleep(Duration::from_millis(2)).await;
            let _ = world.with(&id, |thing| thing.write(Stream::Stdout, format!("{number}\n").as_bytes()));
        }
        let _ = world.with(&id, |thing| thing.end(0));
    });
}

fn spawn_flood(world: &World, id: &str) {
    let (world, id) = (world.clone(), id.to_owned());
    tokio::task::spawn_local(async move {
        while world.with(&id, |thing| {
            thing.write(Stream::Stdout, &b"y\n".repeat(1000));
            thing.runs()
        }) == Ok(true)
        {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
}

/// What a signal does: `trap` tells it and ends at the second one, all else dies of it.
pub fn signal(thing: &mut Thing, number: i32) {
    thing.signals += 1;
    let traps = thing.container.arguments == ["trap"] && number != 9;
    if traps {
        thing.write(Stream::Stdout, format!("signal {number}\n").as_bytes());
        if thing.signals > 1 {
            thing.end(5);
        }
    } else {
        thing.end(128 + number);
    }
}

/// What input does: `cat` says it again.
pub fn input(thing: &mut Thing, data: &[u8]) {
    if thing.container.arguments == ["cat"] {
        thing.write(Stream::Stdout, data);
    }
}

/// What the end of input does.
pub fn end_of_input(thing: &mut Thing) {
    if thing.runs() && thing.container.arguments == ["cat"] {
        thing.end(0);
    }
}
