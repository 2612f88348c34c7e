//! Where monitors are born: a thread of this program that is in the monitors' cgroups of v1, so that its children are
//! from the beginning. (Those of v2 are born into the cgroup that is named.)

use crate::cgroup::Cgroups;
use crate::sys::{self, Birth};
use schema::Failure;
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;

/// Begins what a process says on its descriptor 2 that could not execute its program.
const COMPLAINT: &CStr = c"executing the monitor's program";

/// A process that is to be started.
pub(crate) struct Order {
    pub(crate) program: CString,
    /// The first is how the program is called.
    pub(crate) arguments: Vec<CString>,
    /// Its descriptors 0, 1 and 2; it has no other.
    pub(crate) descriptors: [OwnedFd; 3],
    /// Limit of open descriptors: soft and hard.
    pub(crate) files: (u64, u64),
}

/// A process that has begun: its id, and a descriptor of it.
type Born = (i32, OwnedFd);

/// An order, and who waits for it.
type Asked = (Order, mpsc::SyncSender<Result<Born, Failure>>);

/// The thread; it is started when it is needed first.
#[derive(Default)]
pub(crate) struct Nursery(Mutex<Option<mpsc::Sender<Asked>>>);

impl Nursery {
    /// Starts a process. Blocks.
    pub(crate) fn spawn(&self, cgroups: &Cgroups, order: Order) -> Result<Born, Failure> {
        let (reply, answer) = mpsc::sync_channel(1);
        let gone = || Failure::internal("the thread that starts monitors is gone");
        self.thread(cgroups)?.send((order, reply)).map_err(|_| gone())?;
        answer.recv().map_err(|_| gone())?
    }

    fn thread(&self, cgroups: &Cgroups) -> Result<mpsc::Sender<Asked>, Failure> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = &*known {
            return Ok(thread.clone());
        }
        let (orders, asked) = mpsc::channel::<Asked>();
        let (ready, moved) = mpsc::sync_channel(1);
        let failed = |error: io::Error| Failure::io("starting the thread that starts monitors", &error);
        let cgroups = cgroups.clone();
        let work = move || {
            let adopted = cgroups.adopt_thread();
            let is_adopted = adopted.is_ok();
            // Whoever waits for this is there.
            let _ = ready.send(adopted);
            if is_adopted {
                serve(&cgroups, &asked);
            }
        };
        thread::Builder::new().name("nursery".to_owned()).spawn(work).map_err(failed)?;
        moved.recv().map_err(|error| failed(io::Error::other(error)))??;
        *known = Some(orders.clone());
        Ok(orders)
    }
}

fn serve(cgroups: &Cgroups, asked: &mpsc::Receiver<Asked>) {
    for (order, reply) in asked {
        let born = cgroups.monitors_unified().and_then(|cgroup| {
            let program = order.program.to_string_lossy();
            bear(&order, cgroup.as_ref().map(AsFd::as_fd))
                .map_err(|error| Failure::io(format_args!("starting {program}"), &error))
        });
        // Whoever has asked waits for it.
        let _ = reply.send(born);
    }
}

fn bear(order: &Order, cgroup: Option<std::os::fd::BorrowedFd<'_>>) -> io::Result<Born> {
    let Order { program, arguments, descriptors, files } = order;
    let arguments: Vec<&CStr> = arguments.iter().map(CString::as_c_str).collect();
    let descriptors = descriptors.each_ref().map(AsFd::as_fd);
    sys::spawn(&Birth { program, arguments: &arguments, descriptors, files: *files, cgroup, complaint: COMPLAINT })
}
