//! The image store, with an image of one file.

use crate::Subject;
use crate::report::{Outcome, Report, call, expect, refused, words};
use schema::Code;
use schema::call::RequestId;
use schema::image_store::{Client, Image, ImportRequest};
use std::io::Read;

pub(crate) async fn check(subject: &Subject, report: &mut Report) {
    let client = &Client::new(&subject.instance);
    // Names that nobody else has.
    let mark = RequestId::random().to_string();
    let reference = &format!("conformance/{mark}:one");
    report.check("an unknown image is notFound", unknown(client)).await;
    report.check("uploads: offsets, repetitions, gaps", uploads(client, &format!("a{mark}"))).await;
    report.check("an archive becomes an image, and again the same", imported(client, &mark, reference)).await;
    report.check("what is no archive is refused", no_archive(client, &format!("b{mark}"))).await;
    report.check("an image is found by tag, id and prefix", found(client, reference)).await;
    report.check("blobs are files as long as they exist", blobs(client, reference)).await;
    report.check("a further name", tagged(client, &mark, reference)).await;
    report.check("describe and history", described(client, reference)).await;
    report.check("save gives the same bytes by offset", saved(client, reference)).await;
    report.check("a lease keeps an image that is removed by name", leased(client, &mark, reference)).await;
    report.check("check finds all whole", whole(client)).await;
    report.skip("pull, push, fetch, login", "a registry");
}

fn tar() -> std::io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    let content = b"conformance\n";
    let mut header = tar::Header::new_ustar();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    archive.append_data(&mut header, "file", &content[..])?;
    archive.into_inner()
}

fn request(reference: &str) -> ImportRequest {
    ImportRequest {
        reference: reference.to_owned(),
        source: "conformance".to_owned(),
        message: String::new(),
        changes: Vec::new(),
        platform: String::new(),
    }
}

async fn resolve(client: &Client, reference: &str) -> Result<Image, String> {
    client.resolve(&call(), reference).await.map_err(words)
}

async fn unknown(client: &Client) -> Outcome {
    let name = "conformance/unknown:none";
    refused(client.resolve(&call(), name).await, &[Code::NotFound], "resolve")?;
    refused(client.history(&call(), name).await, &[Code::NotFound], "history")?;
    refused(client.remove(&call(), name, false).await, &[Code::NotFound], "remove")?;
    refused(client.tag(&call(), name, "conformance/other", false).await, &[Code::NotFound], "tag")?;
    refused(client.upload_file(&call(), "conformancehasnone").await, &[Code::NotFound], "uploadFile")?;
    client.abandon(&call(), "conformancehasnone").await.map_err(words)
}

async fn uploads(client: &Client, upload: &str) -> Outcome {
    let put = async |offset, data: &[u8]| client.upload(&call(), upload, offset, data).await;
    expect(put(0, b"hello ").await.map_err(words)? == 6, "6 bytes are 6 in all")?;
    expect(put(0, b"hello ").await.map_err(words)? == 6, "a repetition adds nothing")?;
    expect(put(3, b"lo world").await.map_err(words)? == 11, "what is there is skipped, what is not is added")?;
    refused(put(12, b"x").await, &[Code::Conflict], "an upload beyond its end")?;
    let file = client.upload_file(&call(), upload).await.map_err(words)?;
    let text = std::fs::read(&file.path).map_err(|error| format!("{}: {error}", file.path.display()))?;
    expect(text == b"hello world", format!("the file has {text:?}"))?;
    client.abandon(&call(), upload).await.map_err(words)?;
    client.abandon(&call(), upload).await.map_err(words)?;
    refused(client.upload_file(&call(), upload).await, &[Code::NotFound], "uploadFile of what was abandoned")
}

async fn imported(client: &Client, upload: &str, reference: &str) -> Outcome {
    let archive = tar().map_err(|error| error.to_string())?;
    client.upload(&call(), upload, 0, &archive).await.map_err(words)?;
    let image = client.import_upload(&call(), upload, &request(reference)).await.map_err(words)?;
    expect(image.references.iter().any(|name| name == reference), format!("{:?}", image.references))?;
    expect(image.layers.len() == 1, format!("{} layers", image.layers.len()))?;
    let again = client.import_upload(&call(), upload, &request(reference)).await.map_err(words)?;
    expect(again.id == image.id, "another image")
}

async fn no_archive(client: &Client, upload: &str) -> Outcome {
    client.upload(&call(), upload, 0, &[b'x'; 4096]).await.map_err(words)?;
    let answer = client.import_upload(&call(), upload, &request("")).await;
    refused(answer, &[Code::InvalidArgument], "an import of no archive")?;
    client.abandon(&call(), upload).await.map_err(words)
}

async fn found(client: &Client, reference: &str) -> Outcome {
    let image = resolve(client, reference).await?;
    let id = image.id.as_str();
    let digits = id.strip_prefix("sha256:").unwrap_or(id);
    for name in [id, digits, &digits[..32]] {
        expect(resolve(client, name).await?.id == image.id, format!("{name} is another image"))?;
    }
    let all = client.list(&call()).await.map_err(words)?;
    expect(all.iter().any(|one| one.id == image.id), "list does not have it")
}

async fn blobs(client: &Client, reference: &str) -> Outcome {
    for layer in resolve(client, reference).await?.layers {
        let blob = client.blob(&call(), &layer.digest).await.map_err(words)?;
        let mut file = std::fs::File::open(&blob.path).map_err(|error| format!("{}: {error}", blob.path.display()))?;
        let length = file.read_to_end(&mut Vec::new()).map_err(|error| error.to_string())?;
        expect(length as u64 == layer.size && blob.size == layer.size, format!("{length} bytes, not {}", layer.size))?;
    }
    Ok(())
}

async fn tagged(client: &Client, mark: &str, reference: &str) -> Outcome {
    let target = format!("conformance/{mark}:two");
    for _ in 0..2 {
        let image = client.tag(&call(), reference, &target, false).await.map_err(words)?;
        expect(image.references.len() == 2, format!("{:?}", image.references))?;
    }
    let removed = client.remove(&call(), &target, false).await.map_err(words)?;
    expect(removed.untagged.len() == 1 && removed.deleted.is_empty(), format!("{removed:?}"))
}

async fn described(client: &Client, reference: &str) -> Outcome {
    client.describe(&call(), reference).await.map_err(words)?;
    let steps = client.history(&call(), reference).await.map_err(words)?;
    expect(steps.len() == 1, format!("{} steps", steps.len()))
}

async fn saved(client: &Client, reference: &str) -> Outcome {
    let names = [reference.to_owned()];
    let part = async |offset| client.save(&call(), &names, offset, 1000).await.map_err(words);
    let (one, again, next) = (part(0).await?, part(0).await?, part(1000).await?);
    expect(one == again, "offset 0 has other bytes the second time")?;
    expect(one.data.len() == 1000 && next.total == one.total, format!("{} of {} bytes", one.data.len(), one.total))
}

async fn leased(client: &Client, mark: &str, reference: &str) -> Outcome {
    let holder = format!("{mark:0>64}");
    let image = client.lease(&call(), &holder, reference).await.map_err(words)?;
    client.lease(&call(), &holder, reference).await.map_err(words)?;
    refused(client.remove(&call(), reference, false).await, &[Code::Conflict], "removing what is leased")?;
    client.release(&call(), &holder).await.map_err(words)?;
    client.release(&call(), &holder).await.map_err(words)?;
    client.remove(&call(), reference, false).await.map_err(words)?;
    refused(client.resolve(&call(), image.id.as_str()).await, &[Code::NotFound], "resolving what was removed")
}

async fn whole(client: &Client) -> Outcome {
    let report = client.check(&call(), false).await.map_err(words)?;
    expect(report.problems.is_empty(), format!("{:?}", report.problems))
}
