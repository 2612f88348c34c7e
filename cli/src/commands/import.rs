//! `import`.

use crate::args::Import;
use crate::console;
use crate::engine::{Engine, call, new_token, patient_call};
use crate::error::{Error, Result};
use crate::parse::reference::joined;
use crate::transfer::{Progress, Source, WAIT_MS, Work, follow, unless_interrupted, upload};
use schema::image_store::{FetchRequest, ImportRequest};
use schema::log_collector::Stream;
use schema::{Call, Failure};
use std::path::Path;
use std::time::Duration;

/// How long the archive may be read and checked.
const PATIENCE: Duration = Duration::from_secs(3600);
/// How long it may take to forget an upload.
const CLEAN_UP: Duration = Duration::from_secs(5);
const PIPE: &str = "pack a directory with `tar -C DIRECTORY -c . | cctl import - NAME`";

/// Uploads an archive, makes an image of it, and prints the image's id.
pub(crate) async fn run(engine: &Engine, arguments: &Import) -> Result<u8> {
    let reference = joined(&arguments.repository, arguments.tag.as_deref())?;
    let upload = new_token()?;
    let done = unless_interrupted(async {
        bring(engine, &upload, &arguments.source).await?;
        let request = ImportRequest {
            reference,
            source: arguments.source.clone(),
            message: arguments.message.clone(),
            changes: arguments.change.clone(),
            platform: arguments.platform.clone(),
        };
        Ok(engine.images.import_upload(&Call::within(PATIENCE), &upload, &request).await?)
    });
    let image = abandoned_on_failure(engine, &upload, done.await).await?;
    console::print_line(&image.id)?;
    Ok(0)
}

/// Forgets an upload of which nothing came.
pub(super) async fn abandoned_on_failure<T>(engine: &Engine, upload: &str, done: Result<T>) -> Result<T> {
    if done.is_err() {
        // What is not removed now is removed in an hour.
        let _ = engine.images.abandon(&call().limited(CLEAN_UP), upload).await;
    }
    done
}

/// Brings the source into an upload: a file, stdin, or what a URL stands for.
async fn bring(engine: &Engine, token: &str, source: &str) -> Result {
    if !is_url(source) {
        upload(engine, token, Source::open(source, PIPE)?).await?;
        return Ok(());
    }
    let request = FetchRequest { transfer: new_token()?, url: source.to_owned(), upload: token.to_owned() };
    // The id is all that belongs on stdout.
    let mut progress = Progress::new(Work::Fetch, Stream::Stderr, !crate::terminal::is_on(Stream::Stderr));
    progress.line(format_args!("Downloading from {source}"))?;
    let fetched = follow(&mut progress, |seen| {
        let request = &request;
        async move { engine.images.fetch(&patient_call(), request, seen, WAIT_MS).await }
    });
    fetched.await.map(drop).map_err(|error| match error {
        Error::Failure(failure) if !failure.message.contains(source) => failure.context(source).into(),
        other => other,
    })
}

/// Whether it has a scheme, or begins like a host and is no file.
fn is_url(source: &str) -> bool {
    if source.starts_with("http://") || source.starts_with("https://") {
        return true;
    }
    let host = source.split_once('/').map_or("", |(host, _)| host);
    let like_host = host.contains(['.', ':']) && !host.starts_with('.') || host == "localhost";
    like_host && !Path::new(source).exists()
}

/// Refuses to write an archive on a terminal.
pub(super) fn refuse_terminal() -> Result<(), Failure> {
    if crate::terminal::is_on(Stream::Stdout) {
        return Err(Failure::invalid("cowardly refusing to save to a terminal").hint("use -o FILE, or redirect stdout"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_told_from_files() {
        for url in ["http://x/y", "https://x", "example.org/x.tar", "127.0.0.1:80/x.tar", "localhost/x.tar"] {
            assert!(is_url(url), "{url}");
        }
        for file in ["-", "x.tar", "./x.tar", "../x.y/z", "/x.y/z", "dir/x.tar", ".hidden/x"] {
            assert!(!is_url(file), "{file}");
        }
    }
}
