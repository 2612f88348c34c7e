//! The executor and the manager of containers: what can be seen without a container. `cctl run` is the check of the rest.

use crate::Subject;
use crate::report::{Outcome, Report, call, expect, refused, words};
use schema::{Code, ContainerId, containers, executor};

pub(crate) async fn check_executor(subject: &Subject, report: &mut Report) {
    let client = executor::Client::new(&subject.instance);
    let id = ContainerId::from_bytes([0xc0; 32]);
    report.check("executor.list answers", async { client.list(&call()).await.map(drop).map_err(words) }).await;
    report.check("an unknown sandbox is notFound", unknown_sandbox(&client, &id)).await;
    report
        .check("executor.destroy of an unknown sandbox is done, and again", async {
            client.destroy(&call(), &id).await.map_err(words)?;
            client.destroy(&call(), &id).await.map_err(words)
        })
        .await;
    report.skip("executor: sandboxes", "the shim, cgroups, and the other services: `cctl run` with it shows them");
}

async fn unknown_sandbox(client: &executor::Client, id: &ContainerId) -> Outcome {
    let codes = &[Code::NotFound];
    refused(client.signal(&call(), id, 15).await, codes, "signal")?;
    refused(client.wait(&call(), id).await, codes, "wait")?;
    refused(client.stats(&call(), id).await, codes, "stats")?;
    refused(client.freeze(&call(), id, true).await, codes, "freeze")
}

pub(crate) async fn check_containers(subject: &Subject, report: &mut Report) {
    let client = containers::Client::new(&subject.instance);
    report
        .check("containers.list and info answer", async {
            client.list(&call()).await.map_err(words)?;
            client.info(&call()).await.map(drop).map_err(words)
        })
        .await;
    report.check("an unknown container is notFound", unknown_container(&client)).await;
    report.check("events: a long poll ends in time", events(&client)).await;
    report.skip("containers: their life", "the five other services: `cctl run` with it shows it");
}

async fn unknown_container(client: &containers::Client) -> Outcome {
    let codes = &[Code::NotFound];
    let name = "conformance-knows-no-such-container";
    refused(client.inspect(&call(), name).await, codes, "inspect")?;
    refused(client.start(&call(), name).await, codes, "start")?;
    refused(client.stop(&call(), name, 0).await, codes, "stop")?;
    refused(client.kill(&call(), name, 9).await, codes, "kill")?;
    refused(client.rename(&call(), name, "other").await, codes, "rename")
}

async fn events(client: &containers::Client) -> Outcome {
    let first = client.events(&call(), 0, 0, 0).await.map_err(words)?;
    let again = client.events(&call(), 0, 0, 0).await.map_err(words)?;
    expect(again.events.len() >= first.events.len(), "events that were told are gone")
}
