//! The signals that would end this process.

use nix::sys::signal::Signal;
use schema::Failure;
use std::task::Poll;
use tokio::signal::unix::{Signal as Arrivals, SignalKind, signal};

const WATCHED: [Signal; 6] =
    [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM, Signal::SIGUSR1, Signal::SIGUSR2];

/// Signals that arrive here instead of ending this process.
pub(crate) struct Signals(Vec<(i32, Arrivals)>);

impl Signals {
    /// Watches them, but for those that our parent wants to be ignored, as `nohup` does.
    pub(crate) fn watch() -> Result<Self, Failure> {
        let ignored = std::fs::read_to_string("/proc/self/status").map_or(0, |status| ignored(&status));
        let watched = WATCHED.iter().map(|&signal| signal as i32).filter(|number| ignored & (1 << (number - 1)) == 0);
        let arrivals = watched.map(|number| Ok((number, signal(SignalKind::from_raw(number))?)));
        let arrivals: std::io::Result<Vec<_>> = arrivals.collect();
        Ok(Self(arrivals.map_err(|error| Failure::io("watching for signals", &error))?))
    }

    /// The number of the next one.
    pub(crate) async fn next(&mut self) -> i32 {
        std::future::poll_fn(|context| {
            for (number, arrivals) in &mut self.0 {
                if arrivals.poll_recv(context).is_ready() {
                    return Poll::Ready(*number);
                }
            }
            Poll::Pending
        })
        .await
    }
}

/// The mask of ignored signals in the text of `/proc/<pid>/status`.
fn ignored(status: &str) -> u64 {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_s_mask_is_understood() {
        assert_eq!(ignored("Name:\tx\nSigIgn:\t0000000000001001\nSigCgt:\t00\n"), 0x1001);
        assert_eq!(ignored(""), 0);
    }
}
