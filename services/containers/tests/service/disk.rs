//! A disk that takes no more records.

use crate::support::executor::exit;
use crate::support::{Bench, call, id, spec};
use schema::Code;
use schema::containers::State;
use std::path::PathBuf;

/// Makes a directory of records unusable, until it is dropped.
struct Away {
    here: PathBuf,
    there: PathBuf,
}

impl Away {
    fn take(bench: &Bench, directory: &str) -> Self {
        let here = bench.instance.state("containers").join(directory);
        let there = here.with_extension("away");
        std::fs::rename(&here, &there).unwrap();
        Self { here, there }
    }
}

impl Drop for Away {
    fn drop(&mut self) {
        std::fs::rename(&self.there, &self.here).unwrap();
    }
}

#[actix::test]
async fn what_cannot_be_recorded_is_not_created() {
    let bench = Bench::new().await;
    assert_eq!(bench.client.list(&call()).await.unwrap(), []);
    let away = Away::take(&bench, "kept");
    let failed = bench.client.create(&call(), &id(), &spec("web")).await.unwrap_err();
    assert!(failed.message.starts_with("recording the container"), "{failed}");
    assert_eq!(bench.client.list(&call()).await.unwrap(), []);
    drop(away);
    bench.create(&spec("web")).await;
}

#[actix::test]
async fn what_cannot_be_recorded_is_not_started() {
    let bench = Bench::new().await;
    let id = bench.create(&spec("web")).await;
    let away = Away::take(&bench, &bench.boot_directory());
    bench.client.start(&call(), "web").await.unwrap_err();
    assert_eq!((bench.world.executions(&id), bench.inspect(&id).await.state), (0, State::Exited));
    assert_eq!(bench.world.has(&id)[..2], [false, false], "what was made meanwhile is gone");
    drop(away);
    bench.client.start(&call(), "web").await.unwrap();
}

#[actix::test]
async fn an_exit_code_is_held_until_it_is_recorded() {
    let mut bench = Bench::new().await;
    let id = bench.run(&spec("web")).await;
    let away = Away::take(&bench, "kept");
    bench.world.end(&id, exit(6, 0));
    let waited = bench.client.wait(&call(), "web").await.unwrap();
    assert_eq!((waited.exit.unwrap().code, bench.world.has(&id)[0]), (6, true));
    let refused = bench.client.start(&call(), "web").await.unwrap_err();
    assert_eq!(refused.code, Code::Internal);
    drop(away);
    bench.eventually("it is cleaned up", async || !bench.world.has(&id)[0]).await;
    bench.service.restart();
    assert_eq!(bench.inspect(&id).await.exit.unwrap().code, 6);
}

#[actix::test]
async fn a_full_disk_does_not_keep_containers_from_being_removed() {
    let bench = Bench::new().await;
    let id = bench.run(&spec("web")).await;
    // The records stay where they can be deleted, and no temporary file can be made beside them.
    let blocked = bench.instance.state("containers").join("kept").join(format!("{id}.json.tmp"));
    std::fs::create_dir(&blocked).unwrap();
    bench.client.remove(&call(), "web", true).await.unwrap();
    bench.eventually("it is erased", async || bench.world.has(&id) == [false; 4]).await;
    std::fs::remove_dir(&blocked).unwrap();
    bench.world.excuse("filesystem.release");
    bench.world.excuse("image-store.release");
    bench.world.excuse("executor.destroy");
    assert!(!bench.exists(&id).await);
}
