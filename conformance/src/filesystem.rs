//! The filesystem service: what can be seen without an image.

use crate::Subject;
use crate::report::{Outcome, Report, call, expect, refused, words};
use schema::filesystem::Client;
use schema::{Code, ContainerId};

pub(crate) async fn check(subject: &Subject, report: &mut Report) {
    let client = Client::new(&subject.instance);
    let id = ContainerId::from_bytes([0xc0; 32]);
    report
        .check("filesystem.release of an unknown container is done, and again", async {
            client.release(&call(), &id).await.map_err(words)?;
            client.release(&call(), &id).await.map_err(words)
        })
        .await;
    report.check("filesystem.check reports", examined(&client)).await;
    report
        .check("usage of an unknown container is notFound, or nothing", async {
            match client.usage(&call(), &id).await {
                Ok(usage) => expect(usage.bytes == 0, format!("{usage:?}")),
                refusal => refused(refusal, &[Code::NotFound], "usage"),
            }
        })
        .await;
    if subject.disposable {
        report
            .check("reconcile with nobody is done, and again", async {
                client.reconcile(&call(), &[]).await.map_err(words)?;
                client.reconcile(&call(), &[]).await.map_err(words)
            })
            .await;
    } else {
        report.skip("reconcile with nobody is done, and again", "--disposable");
    }
    report.skip("filesystem: mounts", "an image store with an image, and a sandbox: `cctl run` with it shows them");
}

async fn examined(client: &Client) -> Outcome {
    let report = client.check(&call(), false, &[]).await.map_err(words)?;
    expect(report.problems.is_empty(), format!("{:?}", report.problems))
}
