//! Telling somebody how a transfer goes.

/// Whoever wants to know. Called often: it must not wait.
pub trait Progress: Send + Sync {
    /// So many bytes have arrived, or were sent.
    fn at(&self, bytes: u64);
    /// So many are expected; 0: unknown.
    fn expect(&self, bytes: u64) {
        let _ = bytes;
    }
    /// It was interrupted for this reason, and will be tried again.
    fn interrupted(&self, reason: &str) {
        let _ = reason;
    }
}

/// Nobody wants to know.
impl Progress for () {
    fn at(&self, _: u64) {}
}
