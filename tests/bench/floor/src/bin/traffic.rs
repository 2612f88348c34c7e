//! Both ends of what `make bench` sends through a container's network. In the image of every engine.
//!
//! usage: traffic serve PORT
//!        traffic send ADDRESS:PORT MILLISECONDS      prints megabytes a second that have arrived
//!        traffic connect ADDRESS:PORT COUNT          prints connections a second, one after another, each with an answer

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use std::{env, thread};

const USAGE: &str = "usage: traffic serve PORT | send ADDRESS:PORT MILLISECONDS | connect ADDRESS:PORT COUNT";
const CHUNK: usize = 128 << 10;
/// What the client says first: that it will send, or that it wants one byte.
const SEND: u8 = b's';
const ASK: u8 = b'a';

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["serve", port] => serve(port),
        ["send", to, milliseconds] => send(to, milliseconds),
        ["connect", to, count] => connect(to, count),
        _ => Err(io::Error::other(USAGE)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("traffic: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(port: &str) -> io::Result<()> {
    let listener = TcpListener::bind(format!("0.0.0.0:{port}"))?;
    for connection in listener.incoming() {
        let Ok(mut connection) = connection else { continue };
        let mut first = [0];
        match connection.read(&mut first) {
            Ok(1) if first[0] == ASK => drop(connection.write_all(&first)),
            Ok(1) => drop(thread::spawn(move || count(connection))),
            _ => {}
        }
    }
    Ok(())
}

/// Takes all that comes, and says how many bytes it was.
fn count(mut connection: TcpStream) {
    let mut buffer = vec![0; CHUNK];
    let mut all = 0_u64;
    while let Ok(count @ 1..) = connection.read(&mut buffer) {
        all += count as u64;
    }
    // Whoever has gone does not want to know.
    let _ = connection.write_all(&all.to_le_bytes());
}

fn number(text: &str) -> io::Result<u64> {
    text.parse().map_err(|_| io::Error::other(format!("{text:?}: {USAGE}")))
}

fn send(to: &str, milliseconds: &str) -> io::Result<()> {
    let limit = Duration::from_millis(number(milliseconds)?);
    let mut connection = TcpStream::connect(to)?;
    connection.write_all(&[SEND])?;
    let buffer = vec![0; CHUNK];
    let begun = Instant::now();
    while begun.elapsed() < limit {
        connection.write_all(&buffer)?;
    }
    connection.shutdown(std::net::Shutdown::Write)?;
    let mut all = [0; 8];
    connection.read_exact(&mut all)?;
    println!("{:.2}", u64::from_le_bytes(all) as f64 / 1e6 / begun.elapsed().as_secs_f64());
    Ok(())
}

fn connect(to: &str, count: &str) -> io::Result<()> {
    let count = number(count)?;
    let begun = Instant::now();
    for _ in 0..count {
        let mut connection = TcpStream::connect(to)?;
        // No port stays taken by what has ended: thousands follow.
        rustix::net::sockopt::set_socket_linger(&connection, Some(Duration::ZERO))?;
        connection.write_all(&[ASK])?;
        connection.read_exact(&mut [0])?;
    }
    println!("{:.2}", count as f64 / begun.elapsed().as_secs_f64());
    Ok(())
}
