//! The monitor of one sandbox (shim).
//!
//! It stays in the host's PID namespace and is the parent of the container's first process. It makes the
//! sandbox's namespaces, keeps both ends of the FIFOs that are the container's standard streams (so that no
//! restart of ours is ever seen by the container), copies between them and the terminal if there is one,
//! answers the executor on `control.sock`, and at the end writes how the process ended. It needs nobody: the
//! executor and everything else may be killed and come back.
//!
//! `shim_protocol::layout` tells how it is started and what the files of the sandbox's directory are.
//!
//! One thread, no allocator, no libc: all it ever waits for is one `ppoll`, and what it holds is a few pages.
#![no_std]
#![no_main]

mod adopt;
mod child;
mod connections;
mod finish;
mod monitor;
mod relay;
mod relief;
mod setup;
mod start;
mod streams;
mod sys;
mod terminal;
mod users;

use core::ffi::CStr;
use shim_protocol::layout;

/// Exit code when the sandbox could not be made.
const CANNOT_PREPARE: i32 = 1;

/// Runs with the arguments after the program's name: id, hostname, flags, the map of its ids.
fn run([_id, hostname, flags, ids]: [&'static CStr; 4]) -> ! {
    let status = sys::Fd::inherited(2);
    match setup::prepare(hostname, flags.to_bytes(), ids.to_bytes()) {
        Ok(mut monitor) => {
            let ready = sys::write(&status, layout::READY).and_then(|_| {
                if flags.to_bytes().contains(&layout::ADOPT) { adopt::adopt(&mut monitor, &status) } else { Ok(()) }
            });
            if ready.is_err() || monitor.occupy(status).is_err() {
                sys::exit(CANNOT_PREPARE);
            }
            monitor.run()
        }
        Err(failed) => {
            failed.tell(&status);
            sys::exit(CANNOT_PREPARE)
        }
    }
}
