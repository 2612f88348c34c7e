//! Content that running work needs although no image has it yet.

use schema::Digest;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What is held, and how often.
#[derive(Clone, Debug, Default)]
pub(crate) struct Holds {
    counts: Arc<Mutex<HashMap<Digest, usize>>>,
}

/// Keeps digests from being swept until it is dropped. Take it before you look whether a blob is there.
#[derive(Debug)]
pub(crate) struct Hold {
    holds: Holds,
    digests: Vec<Digest>,
}

impl Holds {
    /// Holds these digests, whether there are such blobs or not.
    pub(crate) fn hold(&self, digests: impl IntoIterator<Item = Digest>) -> Hold {
        let digests: Vec<Digest> = digests.into_iter().collect();
        let mut counts = self.lock();
        for digest in &digests {
            *counts.entry(digest.clone()).or_default() += 1;
        }
        drop(counts);
        Hold { holds: self.clone(), digests }
    }

    /// Runs `work` unless the digest is held; nobody can begin to hold it meanwhile. None: it is held.
    pub(crate) fn unless_held<T>(&self, digest: &Digest, work: impl FnOnce() -> T) -> Option<T> {
        let counts = self.lock();
        let free = !counts.contains_key(digest);
        free.then(work)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Digest, usize>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut counts = self.holds.lock();
        for digest in &self.digests {
            if let Some(count) = counts.get_mut(digest) {
                *count -= 1;
                if *count == 0 {
                    counts.remove(digest);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_twice_is_free_after_both_have_gone() {
        let holds = Holds::default();
        let digest = Digest::from_sha256(&[7; 32]);
        let one = holds.hold([digest.clone()]);
        let two = holds.hold([digest.clone(), digest.clone()]);
        drop(one);
        assert_eq!(holds.unless_held(&digest, || ()), None);
        drop(two);
        assert_eq!(holds.unless_held(&digest, || ()), Some(()));
    }
}
