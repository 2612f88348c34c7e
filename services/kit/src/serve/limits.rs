//! How much a peer may ask for at once.

use capnp::Error;
use capnp::private::capability::ParamsHook;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

/// Calls of one connection that may wait for their answers. Most wait for the end of a container: many more than
/// the containers of a host.
const CALLS: usize = 16_384;
/// Bytes of the parameters of these calls.
const BYTES: u64 = 64 << 20;
/// Connections of one process.
const OF_ONE: usize = 512;
/// Connections of all.
const OF_ALL: usize = 4096;
/// Of these, a user who is neither admin nor service has at most one in so many; all such users together, half.
const OF_USER: usize = 8;

/// What a connection asks for at this moment.
#[derive(Debug, Default)]
pub(super) struct Load {
    calls: Cell<usize>,
    bytes: Cell<u64>,
    greeted: Cell<bool>,
}

impl Load {
    /// Whether the peer has called anything yet.
    pub(super) fn has_greeted(&self) -> bool {
        self.greeted.get()
    }

    /// Counts a call until the answer is dropped. What is too much is `overloaded`: our clients try that again.
    pub(super) fn begin_call(self: &Rc<Self>, params: &dyn ParamsHook) -> capnp::Result<Pending> {
        let size = params.get()?.target_size()?.word_count * 8;
        self.begin(size).ok_or_else(|| Error::overloaded("too many calls at once over this connection".to_owned()))
    }

    /// None: it is one too many.
    fn begin(self: &Rc<Self>, bytes: u64) -> Option<Pending> {
        self.greeted.set(true);
        let (calls, all) = (self.calls.get() + 1, self.bytes.get().saturating_add(bytes));
        // One call alone is never too large: the limit of messages holds for it.
        if calls > CALLS || (all > BYTES && calls > 1) {
            return None;
        }
        self.calls.set(calls);
        self.bytes.set(all);
        Some(Pending { load: Rc::clone(self), bytes })
    }
}

/// A call that is counted.
pub(super) struct Pending {
    load: Rc<Load>,
    bytes: u64,
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.load.calls.set(self.load.calls.get() - 1);
        self.load.bytes.set(self.load.bytes.get() - self.bytes);
    }
}

/// The connections that there are.
#[derive(Debug)]
pub(super) struct Crowd {
    of_all: usize,
    present: Rc<RefCell<Present>>,
}

#[derive(Debug, Default)]
struct Present {
    by_process: HashMap<i32, usize>,
    /// Of those who are neither admins nor services.
    by_user: HashMap<u32, usize>,
}

thread_local! {
    static CONNECTIONS: Cell<u32> = const { Cell::new(0) };
}

/// Those of this thread.
pub(super) fn connections() -> u32 {
    CONNECTIONS.get()
}

/// One connection; dropped when it ends.
#[derive(Debug)]
pub(super) struct Admitted {
    process: i32,
    user: Option<u32>,
    present: Rc<RefCell<Present>>,
}

impl Crowd {
    /// A crowd that leaves half of the descriptors to other uses, of a process that may have this many.
    pub(super) fn new(descriptors: Option<u64>) -> Self {
        let half = descriptors.map_or(OF_ALL, |all| usize::try_from(all / 2).unwrap_or(OF_ALL));
        Self { of_all: half.clamp(1, OF_ALL), present: Rc::default() }
    }

    /// Admits a connection of a process, and of a user if that is one of those who have a part of the connections only;
    /// none: one too many.
    pub(super) fn admit(&self, process: i32, user: Option<u32>) -> Option<Admitted> {
        let mut present = self.present.borrow_mut();
        let Present { by_process, by_user } = &mut *present;
        if by_process.values().sum::<usize>() >= self.of_all {
            return None;
        }
        if let Some(user) = user {
            let (own, all) = (by_user.get(&user).copied().unwrap_or_default(), by_user.values().sum::<usize>());
            if own >= (self.of_all / OF_USER).max(1) || all >= (self.of_all / 2).max(1) {
                return None;
            }
        }
        let count = by_process.entry(process).or_default();
        if *count >= OF_ONE {
            return None;
        }
        *count += 1;
        if let Some(user) = user {
            *by_user.entry(user).or_default() += 1;
        }
        drop(present);
        CONNECTIONS.set(CONNECTIONS.get() + 1);
        Some(Admitted { process, user, present: Rc::clone(&self.present) })
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        CONNECTIONS.set(CONNECTIONS.get() - 1);
        let mut present = self.present.borrow_mut();
        leave(&mut present.by_process, &self.process);
        if let Some(user) = self.user {
            leave(&mut present.by_user, &user);
        }
    }
}

fn leave<K: Eq + std::hash::Hash>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_process_does_not_take_all_connections() {
        let crowd = Crowd::new(None);
        let first: Vec<_> = std::iter::from_fn(|| crowd.admit(1, None)).collect();
        assert_eq!(first.len(), OF_ONE);
        let others: Vec<_> = (2..100).map_while(|process| crowd.admit(process, None)).collect();
        assert_eq!((others.len(), connections()), (98, 98 + u32::try_from(OF_ONE).unwrap()));
        drop(first);
        assert_eq!(connections(), 98);
        assert!(crowd.admit(1, None).is_some());
        assert_eq!(crowd.present.borrow().by_process.len(), 98);
    }

    #[test]
    fn users_leave_room_for_admins() {
        let crowd = Crowd::new(None);
        let of_one: Vec<_> = (1..).map_while(|process| crowd.admit(process, Some(1000))).collect();
        assert_eq!(of_one.len(), OF_ALL / OF_USER);
        let of_many: Vec<_> = (10_000..).map_while(|number| crowd.admit(number, u32::try_from(number).ok())).collect();
        assert_eq!(of_one.len() + of_many.len(), OF_ALL / 2);
        assert!(crowd.admit(1, None).is_some());
        drop((of_one, of_many));
        assert!(crowd.present.borrow().by_user.is_empty());
    }

    #[test]
    fn half_of_the_descriptors_are_left() {
        let crowd = Crowd::new(Some(20));
        let all: Vec<_> = (0..100).map_while(|process| crowd.admit(process, None)).collect();
        assert_eq!(all.len(), 10);
    }

    #[test]
    fn calls_are_counted_until_their_answers_are_gone() {
        let load = Rc::new(Load::default());
        assert!(!load.has_greeted());
        let large = load.begin(2 * BYTES).unwrap();
        assert!(load.has_greeted() && load.begin(1).is_none());
        drop(large);
        let many: Vec<_> = std::iter::from_fn(|| load.begin(1)).collect();
        assert_eq!(many.len(), CALLS);
        drop(many);
        assert_eq!((load.calls.get(), load.bytes.get()), (0, 0));
    }
}
