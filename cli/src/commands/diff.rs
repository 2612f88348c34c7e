//! `diff`.

use crate::console;
use crate::engine::{Engine, call};
use crate::error::Result;
use schema::filesystem::{Change, ChangeKind};
use schema::log_collector::Stream;

/// Prints how a container's files differ from its image: a letter and a path a line.
pub(crate) async fn run(engine: &Engine, container: &str) -> Result<u8> {
    let mut after = Vec::new();
    loop {
        let list = engine.containers.changes(&call(), container, &after, 0).await?;
        console::write(Stream::Stdout, &lines(&list.changes))?;
        match list.changes.into_iter().next_back() {
            Some(last) if list.more => after = last.path,
            _ => return Ok(0),
        }
    }
}

/// Paths are bytes, and stay what they are.
fn lines(changes: &[Change]) -> Vec<u8> {
    let mut lines = Vec::new();
    for Change { path, kind } in changes {
        lines.extend_from_slice(match kind {
            ChangeKind::Added => b"A ",
            ChangeKind::Modified => b"C ",
            ChangeKind::Deleted => b"D ",
        });
        lines.extend_from_slice(path);
        lines.push(b'\n');
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_names() {
        let change = |path: &[u8], kind| Change { path: path.to_vec(), kind };
        let text = lines(&[
            change(b"/etc", ChangeKind::Modified),
            change(b"/hello", ChangeKind::Deleted),
            change(b"/\xff", ChangeKind::Added),
        ]);
        assert_eq!(text, b"C /etc\nD /hello\nA /\xff\n");
    }
}
