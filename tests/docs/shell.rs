//! A shell in which the commands of a page are typed, one after another.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

const MARK: &str = "--- that was all:";
/// Until a command prints something, or ends.
const PATIENCE: Duration = Duration::from_secs(120);

/// The shell. What its commands print on either stream comes in one.
pub(crate) struct Shell {
    child: Child,
    input: ChildStdin,
    lines: Receiver<Vec<u8>>,
}

impl Shell {
    /// A shell with the environment of `command`, which is not run.
    pub(crate) fn with_environment(command: &Command, more: &[(&str, String)]) -> Self {
        let mut shell = Command::new("bash");
        shell.args(["--noprofile", "--norc", "-s"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        for (name, value) in command.get_envs() {
            shell.env(name, value.unwrap_or_default());
        }
        for (name, value) in more {
            shell.env(name, value);
        }
        let mut child = shell.spawn().expect("bash");
        let mut input = child.stdin.take().expect("piped");
        input.write_all(b"exec 2>&1\n").expect("write");
        let mut output = BufReader::new(child.stdout.take().expect("piped"));
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            let mut line = Vec::new();
            while output.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
                if sender.send(std::mem::take(&mut line)).is_err() {
                    break;
                }
            }
        });
        Self { child, input, lines }
    }

    /// Types a command, and waits for its end: what it printed, and its exit code.
    pub(crate) fn run(&mut self, command: &str) -> (String, i32) {
        // Its standard input is not the shell's own: it would eat what is typed next.
        writeln!(self.input, "{{ {command}\n}} </dev/null; code=$?; echo; echo '{MARK}' $code")
            .expect("the shell has ended");
        let mut printed = Vec::new();
        loop {
            let line = self.lines.recv_timeout(PATIENCE).unwrap_or_else(|error| {
                panic!("{command:?} is not done: {error}; it printed {:?}", String::from_utf8_lossy(&printed))
            });
            if let Some(code) = line.strip_prefix(MARK.as_bytes()) {
                let code = String::from_utf8_lossy(code).trim().parse().expect("an exit code");
                return (String::from_utf8_lossy(&printed).into_owned(), code);
            }
            printed.extend(line);
        }
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
