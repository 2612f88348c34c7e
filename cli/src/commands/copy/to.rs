//! From the host to a container.

use super::from::{resolve, say};
use super::pack::{Pack, pack};
use super::place::{Ending, absolute, base, ending, parent};
use crate::args::Copy;
use crate::commands::import::abandoned_on_failure;
use crate::engine::{Engine, call, new_token};
use crate::error::{Error, Result};
use crate::transfer::{Source, upload};
use schema::filesystem::{ExtractRequest, FileKind};
use schema::{Call, Code, Failure};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

/// How long the archive may be unpacked.
const PATIENCE: Duration = Duration::from_secs(3600);

/// Copies a path of the host to one of a container; `-` is a tar archive on stdin.
pub(super) async fn copy(engine: &Engine, arguments: &Copy, source: &str, name: &str, path: &str) -> Result {
    if path.is_empty() {
        return Err(Failure::invalid("the path in the container is empty").hint("write CONTAINER:/PATH").into());
    }
    let path = absolute(path);
    if source == "-" {
        let (directory, stat) = resolve(engine, name, ending(&path).path.to_owned(), true).await?;
        if stat.kind != FileKind::Directory {
            return Err(Failure::invalid(format_args!("{name}:{path} is not a directory"))
                .hint("an archive is unpacked into a directory")
                .into());
        }
        let archive = Source::open("-", "pipe an archive: tar -c x | cctl cp - CONTAINER:/PATH")?;
        return extract(engine, arguments, name, directory, archive).await;
    }
    let from = ending(source);
    let is_directory = kind(source, &from, arguments.follow_link)?;
    let (directory, target) = target(engine, name, &path, &from, is_directory).await?;
    let what =
        Pack { source: Path::new(from.path).to_owned(), name: target, follow: arguments.follow_link || from.directory };
    let (reader, writer) = std::io::pipe().map_err(|error| Failure::io("making a pipe", &error))?;
    let packing = tokio::task::spawn_blocking(move || pack(&what, writer));
    let archive = Source::of(File::from(OwnedFd::from(reader)), source);
    let token = new_token()?;
    let sent = async {
        upload(engine, &token, archive).await?;
        let packed = packing.await.map_err(|error| Failure::internal(format_args!("packing: {error}")))?;
        // What could not be packed whole is not unpacked.
        let bytes = packed?;
        unpack(engine, arguments, name, directory, &token).await?;
        Ok::<u64, Error>(bytes)
    };
    let bytes = abandoned_on_failure(engine, &token, sent.await).await?;
    say(arguments, bytes, &format!("{name}:{path}"));
    Ok(())
}

async fn extract(engine: &Engine, arguments: &Copy, name: &str, directory: String, archive: Source) -> Result {
    let token = new_token()?;
    let sent = async {
        upload(engine, &token, archive).await?;
        unpack(engine, arguments, name, directory, &token).await
    };
    abandoned_on_failure(engine, &token, sent.await).await
}

/// Unpacks an upload; it is of no more use then.
async fn unpack(engine: &Engine, arguments: &Copy, name: &str, path: String, token: &str) -> Result {
    let request = ExtractRequest { path, upload: token.to_owned(), keep_owner: arguments.archive };
    let call = Call::within(PATIENCE);
    engine.containers.extract(&call, name, &request).await?;
    // What is not removed now is removed in an hour.
    let _ = engine.images.abandon(&call, token).await;
    Ok(())
}

/// Whether the source is a directory.
fn kind(source: &str, from: &Ending<'_>, follow: bool) -> Result<bool, Failure> {
    let path = Path::new(from.path);
    let facts = if follow || from.directory { path.metadata() } else { path.symlink_metadata() };
    match facts {
        Ok(facts) if from.directory && !facts.is_dir() => {
            Err(Failure::invalid(format_args!("{source} is not a directory")))
        }
        Ok(facts) => Ok(facts.is_dir()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(Failure::not_found(format_args!("no such file or directory: {source}")))
        }
        Err(error) => Err(Failure::io(format_args!("reading {source}"), &error)),
    }
}

/// The directory of the container to unpack in, and what the source is called in it: by Docker's rules.
async fn target(
    engine: &Engine,
    container: &str,
    path: &str,
    from: &Ending<'_>,
    is_directory: bool,
) -> Result<(String, Option<String>)> {
    let Ending { path: bare, directory: must_be_directory, .. } = ending(path);
    let shown = format!("{container}:{path}");
    match resolve(engine, container, bare.to_owned(), true).await {
        Ok((directory, stat)) if stat.kind == FileKind::Directory => {
            let name = source_name(from)?;
            Ok((directory, if from.contents { None } else { Some(name) }))
        }
        Ok(_) if must_be_directory => Err(Failure::invalid(format_args!("{shown} is not a directory")).into()),
        Ok(_) if is_directory => {
            Err(Failure::invalid(format_args!("cannot copy a directory to {shown}, which is a file")).into())
        }
        Ok((file, _)) => Ok((parent(&file).to_owned(), Some(base(&file).to_owned()))),
        Err(Error::Failure(failure)) if failure.code == Code::NotFound => {
            // It may be the container itself that is missing: then this says so.
            engine.containers.inspect(&call(), container).await?;
            if must_be_directory && !is_directory {
                return Err(Failure::not_found(format_args!("no such directory: {shown}"))
                    .hint("make it first")
                    .into());
            }
            let (directory, stat) = resolve(engine, container, parent(bare).to_owned(), true).await?;
            if stat.kind != FileKind::Directory {
                return Err(Failure::invalid(format_args!("{container}:{directory} is not a directory")).into());
            }
            Ok((directory, Some(base(bare).to_owned())))
        }
        Err(other) => Err(other),
    }
}

/// The name of the source: that of `.` and `..` is found out.
fn source_name(from: &Ending<'_>) -> Result<String, Failure> {
    let named = base(from.path);
    if !named.is_empty() {
        return Ok(named.to_owned());
    }
    let path =
        std::fs::canonicalize(from.path).map_err(|error| Failure::io(format_args!("reading {}", from.path), &error))?;
    Ok(path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned()))
}
