//! Somebody who types commands and knows what each must answer.

use crate::ledger::{Ledger, Recorded, Wrong};
use harness::Random;
use harness::{Instance, Output};
use rustix::process::{Pid, Signal, kill_process};
use std::io::Write;
use std::process::Stdio;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

/// No command of ours takes so long, whatever is killed or hangs meanwhile.
const LIMIT: Duration = Duration::from_secs(60);

/// One of them.
pub(crate) struct User<'a> {
    pub(crate) cctl: &'a Instance,
    pub(crate) ledger: &'a Ledger,
    pub(crate) name: &'static str,
    pub(crate) random: Random,
}

impl User<'_> {
    /// Runs a command to its end, whatever that is.
    fn run(&self, arguments: &[&str], input: &[u8]) -> Result<Output, Recorded> {
        let begun = Instant::now();
        let mut command = self.cctl.command(arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        if !input.is_empty() {
            command.stdin(Stdio::piped());
        }
        let mut child = command.spawn().expect("cctl");
        let pid = Pid::from_child(&child);
        let (sender, receiver) = channel();
        let input = input.to_vec();
        thread::spawn(move || {
            if let Some(mut stdin) = child.stdin.take() {
                // A program that does not read all of its input is no error.
                drop(stdin.write_all(&input));
            }
            // Whoever has given up does not listen any more.
            drop(sender.send(child.wait_with_output()));
        });
        let said = receiver.recv_timeout(LIMIT);
        self.ledger.command();
        let line = arguments.join(" ");
        match said {
            Ok(output) => {
                let output = Output::from(output.expect("waiting for cctl"));
                self.ledger.note(format_args!(
                    "{}: cctl {line}: {} in {} ms",
                    self.name,
                    output.code,
                    begun.elapsed().as_millis()
                ));
                Ok(output)
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                let status = self.cctl.command(&["system", "status"]).output().expect("cctl");
                let status = Output::from(status);
                // It may have ended just now.
                let _ = kill_process(pid, Signal::KILL);
                let what =
                    format_args!("{}: `cctl {line}` has not ended in {LIMIT:?}; {status:?}", self.name).to_string();
                Err(self.ledger.wrong(Wrong::Command, 1, what))
            }
        }
    }

    /// Runs a command that must end with this code and print exactly this, and no word of an error.
    pub(crate) fn expect(&self, arguments: &[&str], code: i32, stdout: &str) -> Result<(), Recorded> {
        self.check(arguments, &[], code, stdout, "")
    }

    /// The same, with input.
    pub(crate) fn expect_with_input(
        &self,
        arguments: &[&str],
        input: &[u8],
        code: i32,
        stdout: &str,
    ) -> Result<(), Recorded> {
        self.check(arguments, input, code, stdout, "")
    }

    /// The same, with what it must write to standard error.
    pub(crate) fn expect_both(
        &self,
        arguments: &[&str],
        code: i32,
        stdout: &str,
        stderr: &str,
    ) -> Result<(), Recorded> {
        self.check(arguments, &[], code, stdout, stderr)
    }

    fn check(&self, arguments: &[&str], input: &[u8], code: i32, stdout: &str, stderr: &str) -> Result<(), Recorded> {
        let output = self.run(arguments, input)?;
        if output.code == code && output.stdout == stdout && output.stderr == stderr {
            return Ok(());
        }
        let (out, err) = (short(stdout), short(stderr));
        Err(self.complain(arguments, &output, format_args!("not {code}, {out:?}, {err:?}")))
    }

    /// Runs a command that must succeed without a word of an error; what it prints, without the last newline.
    pub(crate) fn ask(&self, arguments: &[&str]) -> Result<String, Recorded> {
        let output = self.run(arguments, &[])?;
        if output.code == 0 && output.stderr.is_empty() {
            return Ok(output.ok());
        }
        Err(self.complain(arguments, &output, "not success"))
    }

    /// Runs a command that must succeed; what it prints.
    pub(crate) fn output(&self, arguments: &[&str]) -> Result<Output, Recorded> {
        let output = self.run(arguments, &[])?;
        if output.code == 0 { Ok(output) } else { Err(self.complain(arguments, &output, "not success")) }
    }

    fn complain(&self, arguments: &[&str], output: &Output, wanted: impl std::fmt::Display) -> Recorded {
        let (stdout, stderr) = (short(&output.stdout), short(&output.stderr));
        let line = arguments.join(" ");
        self.ledger.wrong(
            Wrong::Command,
            1,
            format_args!("{}: `cctl {line}`: {wanted}, but {}, {stdout:?}, {stderr:?}", self.name, output.code),
        )
    }

    /// Thinks, up to so many milliseconds.
    pub(crate) fn think(&mut self, most: u64) {
        thread::sleep(Duration::from_millis(self.random.between(0, most)));
    }
}

/// The end of a text, which is enough to see what is wrong with it.
fn short(text: &str) -> &str {
    let start = text.len().saturating_sub(600);
    let start = (start..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    &text[start..]
}
