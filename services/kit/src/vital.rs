//! The parts of a service that must answer for the service to be alive, beside its main loop.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::Future;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Between two questions to a part.
const PAUSE: Duration = Duration::from_secs(1);

/// The vital parts of a service. The main loop is always one; an actor with a thread of its own is another, since
/// the main loop goes on turning when that thread hangs.
#[derive(Clone, Default)]
pub struct Vital(Rc<RefCell<Vec<Part>>>);

struct Part {
    name: &'static str,
    limit: Duration,
    answered: Rc<Cell<Instant>>,
}

impl fmt::Debug for Vital {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.borrow().iter().map(|part| part.name)).finish()
    }
}

impl Vital {
    /// Adds a part: `ask` gets an answer from it, whatever the answer is. If none has come for `limit`, the service
    /// is not alive any more. To be called on the main loop.
    pub fn add<Fut>(&self, name: &'static str, limit: Duration, ask: impl Fn() -> Fut + 'static)
    where
        Fut: Future<Output = ()> + 'static,
    {
        let answered = Rc::new(Cell::new(Instant::now()));
        self.0.borrow_mut().push(Part { name, limit, answered: Rc::clone(&answered) });
        tokio::task::spawn_local(async move {
            loop {
                ask().await;
                answered.set(Instant::now());
                tokio::time::sleep(PAUSE).await;
            }
        });
    }

    /// A part that has not answered for too long.
    pub(crate) fn silent(&self) -> Option<&'static str> {
        let parts = self.0.borrow();
        parts.iter().find(|part| part.answered.get().elapsed() > part.limit).map(|part| part.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "local")]
    async fn a_part_that_does_not_answer_is_named() {
        let vital = Vital::default();
        vital.add("quick", Duration::from_secs(60), || async {});
        assert_eq!(vital.silent(), None);
        vital.add("stuck", Duration::ZERO, std::future::pending);
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!(vital.silent(), Some("stuck"));
        assert_eq!(format!("{vital:?}"), r#"["quick", "stuck"]"#);
    }
}
