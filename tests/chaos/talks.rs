//! Connections that are never interrupted: to a published port, and of a keyboard to a container.

use crate::ledger::{Ledger, Recorded, Wrong};
use crate::lines::Lines;
use crate::user::User;
use harness::eventually;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Stdio};
use std::thread::{Scope, ScopedJoinHandle, sleep};
use std::time::{Duration, Instant};

/// An echo that has not come after this is no echo.
const LIMIT: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(40);

/// The published port of the container `echo` on loopback, when it answers.
pub(crate) fn port(user: &User) -> Result<SocketAddr, Recorded> {
    let shown = user.ask(&["port", "echo", "7"])?;
    let port: u16 = shown.lines().next().and_then(|line| line.rsplit(':').next()?.parse().ok()).expect("a port");
    let address = ([127, 0, 0, 1], port).into();
    eventually("the echo answers", || echo(&mut connect(address).ok()?, 0).ok());
    Ok(address)
}

fn connect(address: SocketAddr) -> io::Result<BufReader<TcpStream>> {
    let stream = TcpStream::connect_timeout(&address, LIMIT)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_nodelay(true)?;
    Ok(BufReader::new(stream))
}

fn echo(stream: &mut BufReader<TcpStream>, number: u64) -> io::Result<()> {
    let said = format!("{number}\n");
    stream.get_mut().write_all(said.as_bytes())?;
    let mut heard = String::new();
    stream.read_line(&mut heard)?;
    if heard == said { Ok(()) } else { Err(io::Error::other(format!("{said:?} came back as {heard:?}"))) }
}

/// What the talks came to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Talked {
    /// Echoes over one connection.
    pub(crate) echoes: u64,
    /// The longest that one took.
    pub(crate) longest: Duration,
}

/// Talks over one connection from the beginning to the end.
pub(crate) fn one_connection(address: SocketAddr, ledger: &Ledger) -> Talked {
    let mut talked = Talked::default();
    let mut talk = || -> io::Result<()> {
        let mut stream = connect(address)?;
        while !ledger.has_ended() {
            let begun = Instant::now();
            talked.echoes += 1;
            echo(&mut stream, talked.echoes)?;
            talked.longest = talked.longest.max(begun.elapsed());
            sleep(PAUSE);
        }
        Ok(())
    };
    report(talk(), "the connection to a published port", ledger);
    talked
}

/// Makes one connection after another; how many.
pub(crate) fn many_connections(address: SocketAddr, ledger: &Ledger) -> u64 {
    let mut count = 0;
    while !ledger.has_ended() {
        count += 1;
        report(connect(address).and_then(|mut stream| echo(&mut stream, count)), "a new connection", ledger);
        sleep(PAUSE);
    }
    count
}

fn report(talk: io::Result<()>, what: &str, ledger: &Ledger) {
    if let Err(error) = talk {
        ledger.wrong(Wrong::Connection, 1, format_args!("{what}: {error}"));
    }
}

/// Somebody who types into `cctl run -i` from the beginning to the end.
pub(crate) struct Typist<'scope> {
    client: Child,
    typed: ScopedJoinHandle<'scope, u64>,
    echoed: ScopedJoinHandle<'scope, Result<Lines, Recorded>>,
}

impl<'scope> Typist<'scope> {
    pub(crate) fn start(scope: &'scope Scope<'scope, '_>, user: &User<'scope>) -> Self {
        let mut command = user.cctl.command(&["run", "-i", "--rm", "--name", "typist", "base", "cat"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut client = command.spawn().expect("cctl");
        let mut stdin = client.stdin.take().expect("piped");
        let stdout = client.stdout.take().expect("piped");
        let ledger = user.ledger;
        let typed = scope.spawn(move || {
            let mut number = 0;
            while !ledger.has_ended() && writeln!(stdin, "{}", number + 1).is_ok() {
                number += 1;
                sleep(PAUSE);
            }
            number
        });
        let echoed =
            scope.spawn(move || crate::standing::read("`cctl run -i cat`", stdout, Lines::from_the_first(), ledger));
        Self { client, typed, echoed }
    }

    /// Waits until what was typed is finished, and compares.
    pub(crate) fn finish(self, ledger: &Ledger) -> Result<(), Recorded> {
        let typed = self.typed.join().expect("a typist");
        let output = harness::Output::from(self.client.wait_with_output().expect("waiting for cctl"));
        let echoed = self.echoed.join().expect("a reader")?.last();
        if output.code == 0 && output.stderr.is_empty() && typed == echoed {
            return Ok(());
        }
        let what = format!("`cctl run -i cat`: typed {typed} lines, got {echoed}; {output:?}");
        Err(ledger.wrong(Wrong::Lost, usize::try_from(typed.abs_diff(echoed)).unwrap_or(1).max(1), what))
    }
}
