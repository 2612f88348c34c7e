use super::*;
use crate::import::Request;
use actix::Addr;
use kit::actor::ask;
use schema::Code;

fn archive(content: &[u8]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    builder.append_data(&mut header, "hello", content).unwrap();
    builder.into_inner().unwrap()
}

fn name(text: &str) -> UploadName {
    text.parse().unwrap()
}

fn call() -> schema::Call {
    schema::Call::within(std::time::Duration::from_secs(60))
}

async fn send(store: &Addr<Store>, upload: &str, data: Vec<u8>) -> Result<u64, Failure> {
    ask(store, Append { upload: name(upload), offset: 0, data }).await
}

async fn import(store: &Addr<Store>, upload: &str, reference: &str) -> Result<Image, Failure> {
    let request = crate::import::tests::request(reference, "-");
    let wanted = Wanted::Import(Box::new(Request::parse(&request).unwrap()));
    ask(store, Convert { call: call(), upload: name(upload), wanted }).await.map(|images| images[0].clone())
}

fn on_store(test: impl AsyncFnOnce(Addr<Store>, &Path)) {
    let state = tempfile::tempdir().unwrap();
    actix::System::new().block_on(async {
        test(Store::recover(state.path()).unwrap().start(), state.path()).await;
    });
}

#[test]
fn repetitions_of_an_import_give_the_same_image() {
    on_store(async |store, state| {
        send(&store, "a", archive(b"1")).await.unwrap();
        let (one, two) = tokio::join!(import(&store, "a", "base"), import(&store, "a", "base"));
        let image = one.unwrap();
        assert_eq!(two.unwrap(), image);
        assert_eq!(import(&store, "a", "base").await.unwrap(), image);
        assert_eq!(send(&store, "a", vec![1]).await.unwrap_err().code, Code::Conflict);
        assert_eq!(ask(&store, List).await.unwrap(), std::slice::from_ref(&image));
        let restarted = Store::recover(state).unwrap().start();
        assert_eq!(import(&restarted, "a", "base").await.unwrap(), image);
        assert_eq!(ask(&restarted, Resolve("base".to_owned())).await.unwrap(), image);
    });
}

#[test]
fn a_tag_moves_to_the_last_import() {
    on_store(async |store, state| {
        for upload in ["a", "b", "c"] {
            send(&store, upload, archive(upload.as_bytes())).await.unwrap();
        }
        let (one, two) = tokio::join!(import(&store, "a", "base"), import(&store, "b", "base"));
        assert_ne!(one.unwrap().id, two.unwrap().id);
        let now = ask(&store, Resolve("base".to_owned())).await.unwrap();
        let restarted = Store::recover(state).unwrap().start();
        assert_eq!(ask(&restarted, Resolve("base".to_owned())).await.unwrap(), now);
        let untagged = import(&store, "c", "").await.unwrap();
        assert!(untagged.references.is_empty());
        assert_eq!(ask(&store, List).await.unwrap().len(), 3);
    });
}

#[test]
fn a_refused_upload_stays_refused_until_it_is_abandoned() {
    on_store(async |store, state| {
        send(&store, "bad", b"no archive".to_vec()).await.unwrap();
        for _ in 0..2 {
            assert_eq!(import(&store, "bad", "base").await.unwrap_err().code, Code::InvalidArgument);
        }
        ask(&store, Abandon(name("bad"))).await.unwrap();
        ask(&store, Abandon(name("bad"))).await.unwrap();
        assert_eq!(import(&store, "bad", "base").await.unwrap_err().code, Code::NotFound);
        assert_eq!(std::fs::read_dir(state.join("uploads")).unwrap().count(), 0);
    });
}

#[test]
fn old_uploads_are_removed_at_the_start() {
    on_store(async |store, state| {
        send(&store, "old", vec![1]).await.unwrap();
        send(&store, "new", vec![1]).await.unwrap();
        let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(7200);
        std::fs::File::open(state.join("uploads/old")).unwrap().set_modified(long_ago).unwrap();
        let restarted = Store::recover(state).unwrap().start();
        assert_eq!(import(&restarted, "old", "").await.unwrap_err().code, Code::NotFound);
        assert_eq!(import(&restarted, "new", "").await.unwrap_err().code, Code::InvalidArgument);
    });
}
