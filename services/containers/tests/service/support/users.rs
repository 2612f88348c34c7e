//! What users do.

use super::{Bench, call, id};
use schema::containers::{CommitSpec, Event, Exec, ExecSpec};
use schema::{ContainerId, Failure};

pub(crate) fn exec_spec(words: &[&str]) -> ExecSpec {
    ExecSpec { arguments: words.iter().map(|word| (*word).to_owned()).collect(), ..ExecSpec::default() }
}

pub(crate) fn commit_spec(reference: &str, pause: bool) -> CommitSpec {
    CommitSpec {
        reference: reference.to_owned(),
        message: "a message".to_owned(),
        author: "me".to_owned(),
        changes: vec!["CMD top".to_owned()],
        pause,
    }
}

impl Bench {
    pub(crate) async fn exec(&self, container: &str) -> Result<Exec, Failure> {
        self.client.exec(&call(), container, &id(), &exec_spec(&["id"])).await
    }

    /// All events of a container.
    pub(crate) async fn events(&self, id: &ContainerId) -> Vec<Event> {
        let all = self.client.events(&call(), 0, 0, 0).await.unwrap().events;
        all.into_iter().filter(|event| event.container == *id).collect()
    }

    /// What happened to a container.
    pub(crate) async fn actions(&self, id: &ContainerId) -> Vec<String> {
        self.events(id).await.into_iter().map(|event| event.action).collect()
    }
}
