//! The containers that stand through a whole run, and those who read from them.

use crate::ledger::{Ledger, Recorded, Wrong};
use crate::lines::Lines;
use crate::user::User;
use harness::within;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, ExitStatus, Stdio};
use std::thread::{Scope, ScopedJoinHandle};
use std::time::Duration;

/// How long the last words of a container may take to its readers.
const LIMIT: Duration = Duration::from_secs(60);

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) name: &'static str,
    pub(crate) id: String,
    /// Of PID 1, on the host.
    pub(crate) pid: i32,
    /// When PID 1 was started, in ticks since boot.
    started: String,
    /// How it ends when it is told to.
    code: i32,
    /// What the executor knows of its sandbox.
    record: PathBuf,
}

/// Options, name, what it does, and how it ends.
type Recipe = (&'static [&'static str], &'static str, &'static str, i32);

const RECIPES: [Recipe; 4] = [
    (&[], "plain", "while :; do echo $((i=i+1)); sleep 0.02; done", 41),
    (&[], "both", "while :; do echo $((i=i+1)); echo $i >&2; sleep 0.03; done", 42),
    (&["-t"], "terminal", "while :; do echo $((i=i+1)); sleep 0.04; done", 43),
    (&["-p", "7"], "echo", "nc -ll -p 7 -e cat & wait", 44),
];

/// Starts them.
pub(crate) fn start(user: &User) -> Result<Vec<Standing>, Recorded> {
    let start_one = |(options, name, script, code): &Recipe| {
        let script = format!("trap 'exit {code}' TERM; i=0; {script}");
        let words = ["run", "-d", "--name", name];
        let id = user.ask(&[&words, *options, &["base", "sh", "-c", &script]].concat())?;
        let pid = user.ask(&["inspect", "--format", "{{.State.Pid}}", name])?.parse().expect("a process id");
        let started = start_time(pid).expect("PID 1 of a container");
        let record = user.cctl.runtime().join("sandboxes").join(&id).join("sandbox.json");
        Ok(Standing { name, id, pid, started, code: *code, record })
    };
    RECIPES.iter().map(start_one).collect()
}

/// Field 22 of /proc/pid/stat, where the name may hold spaces; none: there is no such process, or it has ended.
fn start_time(pid: i32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    if ["Z", "X"].contains(&fields.next()?) {
        return None;
    }
    fields.nth(18).map(str::to_owned)
}

impl Standing {
    /// Whether PID 1 is the one of the beginning.
    pub(crate) fn is_undisturbed(&self) -> bool {
        start_time(self.pid).as_ref() == Some(&self.started)
    }

    /// The process id of its monitor, as the executor has written it down.
    pub(crate) fn shim(&self) -> Option<i32> {
        let record: serde_json::Value = serde_json::from_slice(&std::fs::read(&self.record).ok()?).ok()?;
        record["monitor"]["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok())
    }

    /// Ends it, and asks how it ended.
    fn stop(&self, user: &User) -> Result<(), Recorded> {
        let line = format!("{}\n", self.name);
        user.expect(&["stop", self.name], 0, &line)?;
        user.expect(&["wait", self.name], 0, &format!("{}\n", self.code))
    }
}

/// The numbers of the last lines of standard output and standard error; 0: there was none.
type Last = [u64; 2];

/// A `cctl` that reads the output of a container until that ends.
struct Reader<'scope> {
    what: String,
    client: Child,
    code: i32,
    streams: [ScopedJoinHandle<'scope, Result<Lines, Recorded>>; 2],
}

impl<'scope> Reader<'scope> {
    fn start(
        scope: &'scope Scope<'scope, '_>,
        user: &User<'scope>,
        container: &Standing,
        words: &[&str],
        code: i32,
        lines: Lines,
    ) -> Self {
        let mut command = user.cctl.command(&[words, &[container.name]].concat());
        let mut client = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("cctl");
        let what = format!("`cctl {} {}`", words.join(" "), container.name);
        let stdout = Box::new(client.stdout.take().expect("piped"));
        let stderr = Box::new(client.stderr.take().expect("piped"));
        let streams = [stdout as Box<dyn Read + Send>, stderr].map(|stream| {
            let (what, ledger) = (what.clone(), user.ledger);
            scope.spawn(move || read(&what, stream, lines, ledger))
        });
        Self { what, client, code, streams }
    }

    /// Waits for its end; what it has read. It is not waited for if its container could not be stopped.
    fn finish(mut self, ledger: &Ledger, ends: bool) -> Result<Last, Recorded> {
        let limit = if ends { LIMIT } else { Duration::ZERO };
        let status = within(limit, || self.client.try_wait().expect("waiting for cctl"));
        if status.is_none() {
            self.client.kill().expect("killing cctl");
            self.client.wait().expect("waiting for cctl");
        }
        let [stdout, stderr] = self.streams.map(|stream| stream.join().expect("a reader"));
        match status.as_ref().and_then(ExitStatus::code) {
            Some(code) if code == self.code => Ok([stdout?.last(), stderr?.last()]),
            _ if !ends => Err(Recorded),
            code => {
                let what = format!("{} ended with {code:?}, not with {}", self.what, self.code);
                Err(ledger.wrong(Wrong::Command, 1, what))
            }
        }
    }
}

/// Reads numbered lines to the end of a stream.
pub(crate) fn read(what: &str, stream: impl Read, mut lines: Lines, ledger: &Ledger) -> Result<Lines, Recorded> {
    let mut source = BufReader::new(stream).lines();
    while let Some(Ok(line)) = source.next() {
        if let Err(recorded) = lines.take(what, &line, ledger) {
            // The writer shall not wait for us.
            source.for_each(drop);
            return Err(recorded);
        }
    }
    Ok(lines)
}

/// All who read.
pub(crate) struct Readers<'scope>(Vec<[Reader<'scope>; 2]>);

impl<'scope> Readers<'scope> {
    /// Starts a follower of the log and an attached client for each container that writes.
    pub(crate) fn start(scope: &'scope Scope<'scope, '_>, user: &User<'scope>, standing: &[Standing]) -> Self {
        let both = |container: &Standing| {
            let follower = Reader::start(scope, user, container, &["logs", "-f"], 0, Lines::from_the_first());
            let attach = ["attach", "--no-stdin"];
            [follower, Reader::start(scope, user, container, &attach, container.code, Lines::from_any())]
        };
        Self(standing.iter().map(both).collect())
    }

    /// Ends the containers, and compares what their readers have got with the log.
    pub(crate) fn finish(self, user: &User, standing: &[Standing]) -> Result<(), Recorded> {
        let stopped = standing.iter().try_for_each(|container| container.stop(user));
        let ended: Vec<_> =
            self.0.into_iter().map(|both| both.map(|reader| reader.finish(user.ledger, stopped.is_ok()))).collect();
        stopped?;
        for (container, [follower, attached]) in standing.iter().zip(ended) {
            let (follower, attached, logged) = (follower?, attached?, logged(user, container)?);
            if follower != logged || attached != logged {
                let what = format!(
                    "{}: the log ends with {logged:?}, its follower read up to {follower:?}, its attached client {attached:?}",
                    container.name
                );
                return Err(user.ledger.wrong(Wrong::Lost, 1, what));
            }
        }
        Ok(())
    }
}

/// Reads the whole log.
fn logged(user: &User, container: &Standing) -> Result<Last, Recorded> {
    let output = user.output(&["logs", container.name])?;
    let what = format!("`cctl logs {}`", container.name);
    let last =
        |text: &str| read(&what, text.as_bytes(), Lines::from_the_first(), user.ledger).map(|lines| lines.last());
    Ok([last(&output.stdout)?, last(&output.stderr)?])
}
