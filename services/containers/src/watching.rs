//! Who watches events.

use crate::journal::Journal;
use kit::actor::on_thread;
use schema::Failure;
use schema::containers::EventList;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// Gives events after number `after`, at `since` or later. If there are none yet, waits for some.
pub(crate) async fn events(
    journal: &Arc<Journal>,
    after: u64,
    since: i64,
    patience: Duration,
) -> Result<EventList, Failure> {
    let until = Instant::now() + patience;
    let mut after = after;
    loop {
        let journal = Arc::clone(journal);
        let list = {
            let journal = Arc::clone(&journal);
            on_thread(move || journal.events().read(after, since)).await?
        };
        if !list.events.is_empty() {
            return Ok(list);
        }
        after = list.next;
        if timeout_at(until, journal.events().later_than(after)).await.is_err() {
            return Ok(list);
        }
    }
}
