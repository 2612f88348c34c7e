//! From a container to the host.

use super::local::{Target, target};
use super::place::{Ending, absolute, base, ending, parent};
use super::unpack::{Unpack, unpack};
use crate::args::Copy;
use crate::commands::archive::{download, is_root};
use crate::commands::sink::Sink;
use crate::console;
use crate::engine::{Engine, call};
use crate::error::Result;
use crate::render::size::stored;
use schema::Failure;
use schema::filesystem::{ArchiveRequest, FileKind, PathStat};
use schema::log_collector::Stream;
use std::fs::File;
use std::path::PathBuf;

/// Symbolic links that are followed at most, as the kernel does.
const MOST_LINKS: usize = 40;

/// Copies a path of a container to one of the host; `-` is a tar archive on stdout.
pub(super) async fn copy(engine: &Engine, arguments: &Copy, name: &str, path: &str, destination: &str) -> Result {
    if path.is_empty() {
        return Err(Failure::invalid("the path in the container is empty").hint("write CONTAINER:/PATH").into());
    }
    let path = absolute(path);
    let Ending { path: bare, contents, directory } = ending(&path);
    let follow = arguments.follow_link || directory;
    let (source, stat) = resolve(engine, name, bare.to_owned(), follow).await?;
    let is_directory = stat.kind == FileKind::Directory;
    if directory && !is_directory {
        return Err(Failure::invalid(format_args!("{name}:{path} is not a directory")).into());
    }
    let request = ArchiveRequest { path: source, export: false, by_path: is_root() };
    if destination == "-" {
        return Ok(download(engine, name, &request, Sink::open(None)?).await?.finish()?);
    }
    let Target { root, name: target } = target(destination, base(bare), is_directory, contents)?;
    let shown = destination.to_owned();
    let (reader, writer) = std::io::pipe().map_err(|error| Failure::io("making a pipe", &error))?;
    let how = Unpack { root, name: target, keep_owner: arguments.archive };
    let unpacking = tokio::task::spawn_blocking(move || unpack(reader, &how));
    let sink = Sink::Device(File::from(std::os::fd::OwnedFd::from(writer)), PathBuf::from(&shown));
    // An archive that cannot be unpacked is not read to its end: that is what is said then.
    let sent = download(engine, name, &request, sink).await.map(drop);
    let copied = unpacking.await.map_err(|error| Failure::internal(format_args!("unpacking: {error}")))?;
    let bytes = copied.and_then(|bytes| sent.map(|()| bytes))?;
    say(arguments, bytes, &shown);
    Ok(())
}

/// Says what was copied, if somebody looks.
pub(super) fn say(arguments: &Copy, bytes: u64, destination: &str) {
    if !arguments.quiet && crate::terminal::is_on(Stream::Stderr) {
        console::note(format_args!("copied {} to {destination}", stored(bytes)));
    }
}

/// What lies at a path. With `follow`, a symbolic link stands for what it leads to.
pub(super) async fn resolve(engine: &Engine, name: &str, mut path: String, follow: bool) -> Result<(String, PathStat)> {
    for _ in 0..MOST_LINKS {
        let stat = engine.containers.stat(&call(), name, &path).await?;
        if stat.kind != FileKind::Symlink || !follow {
            return Ok((path, stat));
        }
        let target = String::from_utf8(stat.link_target)
            .map_err(|_| Failure::invalid(format_args!("{name}:{path} leads to a path that is not UTF-8")))?;
        path =
            if target.starts_with('/') { target } else { format!("{}/{target}", parent(&path).trim_end_matches('/')) };
    }
    Err(Failure::invalid(format_args!("{name}:{path}: too many symbolic links")).into())
}
