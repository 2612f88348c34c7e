//! `system check`.

use super::access;
use crate::commands::pull::{Wanted, pull};
use crate::console;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::render::size::stored;
use crate::render::text::one_line;
use crate::transfer::unless_interrupted;
use schema::common::{CheckReport, Problem};
use schema::log_collector::Stream;
use schema::{Call, Failure, containers, image_store};
use std::collections::BTreeSet;
use std::time::Duration;

/// How long everything that is stored may be read.
const PATIENCE: Duration = Duration::from_secs(3600);

/// Has every service verify what it stores, and prints what is wrong. With `repair`, what can be mended is, and what is
/// missing of images is pulled. If anything remains, the exit status is 1.
pub(super) async fn run(engine: &Engine, repair: bool) -> Result<u8> {
    let call = Call::within(PATIENCE);
    let images = if repair {
        repaired_images(engine, &call).await?
    } else {
        unless_interrupted(async { Ok(engine.images.check(&call, false).await) }).await?
    };
    // After the images: layers are unpacked again from them.
    let containers = unless_interrupted(async { Ok(engine.containers.check(&call, repair).await) }).await?;
    let mut status = 0;
    for (service, answer) in [(image_store::SERVICE, images), (containers::SERVICE, containers)] {
        status |= show(service, answer)?;
    }
    if let Some(wrong) = access::trouble(&engine.instance) {
        let mut report = CheckReport { examined: 1, ..CheckReport::default() };
        let hint = "until it is mended, only root and the group cctl have access";
        report.problems.push(Problem::new("access.toml", wrong, hint));
        status |= show(schema::supervisor::SERVICE, Ok(report))?;
    }
    Ok(status)
}

/// Mends what the image store has, pulls what it lacks, and has it checked again.
async fn repaired_images(engine: &Engine, call: &Call) -> Result<Result<CheckReport, Failure>> {
    let check = || async { Ok(engine.images.check(call, true).await) };
    let first = match unless_interrupted(check()).await? {
        Ok(first) if first.problems.iter().any(|problem| !problem.sources.is_empty()) => first,
        other => return Ok(other),
    };
    let mut brought = BTreeSet::new();
    let mut refused = BTreeSet::new();
    for problem in &first.problems {
        if problem.sources.iter().any(|source| brought.contains(source)) {
            continue;
        }
        for source in &problem.sources {
            if refused.contains(source) {
                continue;
            }
            console::note(format_args!("{}: pulling {source}", one_line(&problem.object)));
            let wanted =
                Wanted { reference: source, platform: "", all_tags: false, quiet: false, stream: Stream::Stderr };
            match pull(engine, &wanted).await {
                Ok(()) => {
                    brought.insert(source.clone());
                    break;
                }
                Err(Error::Failure(failure)) => {
                    console::complain(&failure.context(source));
                    refused.insert(source.clone());
                }
                Err(other) => return Err(other),
            }
        }
    }
    let pulled = brought.iter().map(|source| Problem::new(format!("image {source}"), "it was pulled", ""));
    Ok(unless_interrupted(check()).await?.map(|last| {
        let repaired = first.repaired.into_iter().chain(pulled).chain(last.repaired).collect();
        CheckReport { repaired, ..last }
    }))
}

fn show(service: &str, answer: Result<CheckReport, Failure>) -> Result<u8> {
    match answer {
        Ok(report) => {
            console::print(&text(service, &report))?;
            Ok(u8::from(!report.problems.is_empty()))
        }
        Err(failure) => {
            console::complain(&failure.context(service));
            Ok(1)
        }
    }
}

fn text(service: &str, report: &CheckReport) -> String {
    let CheckReport { examined, bytes, problems, repaired, kept, owners: _ } = report;
    let found = match problems.len() {
        0 => "all whole".to_owned(),
        1 => "1 problem".to_owned(),
        more => format!("{more} problems"),
    };
    let mut text = format!("{service}: {examined} objects, {}: {found}\n", stored(*bytes));
    for (what, problems) in [("", problems), ("repaired: ", repaired), ("kept: ", kept)] {
        for Problem { object, message, hint, sources: _ } in problems {
            text.push_str(&format!("  {what}{}: {}\n", one_line(object), one_line(message)));
            if !hint.is_empty() {
                text.push_str(&format!("    {}\n", one_line(hint)));
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_are_listed() {
        let mut report = CheckReport { examined: 3, bytes: 1_500_000, ..CheckReport::default() };
        assert_eq!(text("image-store", &report), "image-store: 3 objects, 1.5MB: all whole\n");
        report.problems.push(Problem::new("blob sha256:ab", "its digest is wrong", "pull the image again"));
        report.repaired.push(Problem::new("name a:1", "it has it again", ""));
        report.kept.push(Problem::new("blob x", "it is kept in /x", "`rm /x`"));
        assert_eq!(
            text("image-store", &report),
            "image-store: 3 objects, 1.5MB: 1 problem\n  blob sha256:ab: its digest is wrong\n    pull the image again\n  \
             repaired: name a:1: it has it again\n  kept: blob x: it is kept in /x\n    `rm /x`\n"
        );
    }
}
