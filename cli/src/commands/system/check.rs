//! `system check`.

use crate::console;
use crate::engine::Engine;
use crate::error::Result;
use crate::render::size::stored;
use crate::render::text::one_line;
use crate::transfer::unless_interrupted;
use schema::common::{CheckReport, Problem};
use schema::{Call, Failure, containers, image_store};
use std::time::Duration;

/// How long everything that is stored may be read.
const PATIENCE: Duration = Duration::from_secs(3600);

/// Has every service verify what it stores, and prints what is wrong; then the exit status is 1.
pub(super) async fn run(engine: &Engine) -> Result<u8> {
    let call = Call::within(PATIENCE);
    let both = async { Ok(tokio::join!(engine.images.check(&call), engine.containers.check(&call))) };
    let (images, containers) = unless_interrupted(both).await?;
    let mut status = 0;
    for (service, answer) in [(image_store::SERVICE, images), (containers::SERVICE, containers)] {
        status |= show(service, answer)?;
    }
    Ok(status)
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
    let CheckReport { examined, bytes, problems } = report;
    let found = match problems.len() {
        0 => "all whole".to_owned(),
        1 => "1 problem".to_owned(),
        more => format!("{more} problems"),
    };
    let mut text = format!("{service}: {examined} objects, {}: {found}\n", stored(*bytes));
    for Problem { object, message, hint } in problems {
        text.push_str(&format!("  {}: {}\n", one_line(object), one_line(message)));
        if !hint.is_empty() {
            text.push_str(&format!("    {}\n", one_line(hint)));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_are_listed() {
        let mut report = CheckReport { examined: 3, bytes: 1_500_000, problems: Vec::new() };
        assert_eq!(text("image-store", &report), "image-store: 3 objects, 1.5MB: all whole\n");
        report.problems.push(Problem {
            object: "blob sha256:ab".into(),
            message: "its digest is wrong".into(),
            hint: "pull the image again".into(),
        });
        assert_eq!(
            text("image-store", &report),
            "image-store: 3 objects, 1.5MB: 1 problem\n  blob sha256:ab: its digest is wrong\n    pull the image again\n"
        );
    }
}
