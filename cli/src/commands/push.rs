//! `push`.

use super::login::interactive;
use super::pull::{advise, registry_of, wants_login};
use crate::args::PushImage;
use crate::auth::Logins;
use crate::console;
use crate::engine::{Engine, new_token, patient_call};
use crate::error::Result;
use crate::parse::reference::{parts, tagged};
use crate::transfer::{Progress, WAIT_MS, Work, follow, unless_interrupted};
use schema::Failure;
use schema::image_store::{Credentials, PushRequest, TransferResult};
use schema::log_collector::Stream;

/// Sends an image to a registry. One that wants to know who asks is told, if the user can be asked.
pub(crate) async fn run(engine: &Engine, arguments: &PushImage) -> Result<u8> {
    let PushImage { all_tags, quiet, reference } = arguments;
    let named = parts(reference);
    if *all_tags && named.tag.is_some() {
        return Err(Failure::invalid("tag can't be used with --all-tags/-a").hint("name the repository alone").into());
    }
    if named.tag.is_none() && !all_tags && !quiet {
        console::print_line("Using default tag: latest")?;
    }
    let registry = registry_of(engine, reference)?;
    let mut credentials = Logins::of_user()?.find(&registry).await?.unwrap_or_default();
    let mut progress = Progress::new(Work::Push, Stream::Stdout, *quiet);
    progress.line(format_args!("The push refers to repository [{}]", named.repository))?;
    let result = match push(engine, arguments, &credentials, &mut progress).await {
        Err(error) if wants_login(&error, &credentials) => {
            console::note(format_args!("{registry} wants to know who you are"));
            credentials = interactive(engine, &registry, None).await?;
            progress = Progress::new(Work::Push, Stream::Stdout, *quiet);
            push(engine, arguments, &credentials, &mut progress).await
        }
        answer => answer,
    };
    let result = result.map_err(|error| advise(error, &registry))?;
    for skipped in &result.skipped {
        console::note(format_args!("Skipping {skipped}"));
    }
    for pushed in &result.pushed {
        progress.line(line(pushed))?;
    }
    if *quiet {
        console::print_line(if *all_tags { reference.clone() } else { tagged(reference) })?;
    }
    // What some tags lacked, others may have had; none at all is a failure.
    Ok(u8::from(result.pushed.is_empty() && !result.skipped.is_empty()))
}

async fn push(
    engine: &Engine,
    arguments: &PushImage,
    credentials: &Credentials,
    progress: &mut Progress,
) -> Result<TransferResult> {
    let request = PushRequest {
        transfer: new_token()?,
        reference: arguments.reference.clone(),
        all_tags: arguments.all_tags,
        credentials: credentials.clone(),
    };
    let asked = follow(progress, |seen| {
        let request = &request;
        async move { engine.images.push(&patient_call(), request, seen, WAIT_MS).await }
    });
    unless_interrupted(asked).await
}

/// `latest: digest: sha256:… size: 123`, of `latest sha256:… 123`.
fn line(pushed: &str) -> String {
    match pushed.split(' ').collect::<Vec<_>>()[..] {
        [tag, digest, size] => format!("{tag}: digest: {digest} size: {size}"),
        _ => pushed.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docker_s_last_line() {
        assert_eq!(line("latest sha256:ab 123"), "latest: digest: sha256:ab size: 123");
    }
}
