//! `pull`, and the pulls of other verbs.

use super::login::ask_for_login;
use crate::args::PullImage;
use crate::auth::{Logins, default_registry, name};
use crate::console;
use crate::engine::{Engine, new_token, patient_call};
use crate::error::{Error, Result};
use crate::parse::reference::{DEFAULT_REGISTRY, Parts, parts, registry, tagged};
use crate::transfer::{Progress, WAIT_MS, Work, follow, unless_interrupted};
use schema::image_store::{Credentials, PullRequest, TransferResult};
use schema::log_collector::Stream;
use schema::{Code, Failure};

/// What is asked for.
pub(super) struct Wanted<'a> {
    pub(super) reference: &'a str,
    /// Empty: this host's.
    pub(super) platform: &'a str,
    pub(super) all_tags: bool,
    /// Only the name is printed at the end, or nothing if the stream is stderr.
    pub(super) quiet: bool,
    /// Where it is shown.
    pub(super) stream: Stream,
}

/// Brings an image from a registry.
pub(crate) async fn run(engine: &Engine, arguments: &PullImage) -> Result<u8> {
    let PullImage { all_tags, platform, quiet, reference } = arguments;
    let Parts { tag, digest, .. } = parts(reference);
    if *all_tags && (tag.is_some() || digest.is_some()) {
        return Err(Failure::invalid("tag can't be used with --all-tags/-a").hint("name the repository alone").into());
    }
    if tag.is_none() && digest.is_none() && !all_tags && !quiet {
        console::print_line("Using default tag: latest")?;
    }
    pull(engine, &Wanted { reference, platform, all_tags: *all_tags, quiet: *quiet, stream: Stream::Stdout }).await?;
    console::print_line(if *all_tags { reference.clone() } else { tagged(reference) })?;
    Ok(0)
}

/// Brings an image, with the credentials that the user has for its registry. A signal ends it.
pub(super) async fn pull(engine: &Engine, wanted: &Wanted<'_>) -> Result {
    let registry = registry_of(engine, wanted.reference)?;
    let credentials = Logins::of_user()?.find(&registry).await?.unwrap_or_default();
    let request = PullRequest {
        transfer: new_token()?,
        reference: wanted.reference.to_owned(),
        platform: wanted.platform.to_owned(),
        all_tags: wanted.all_tags,
        credentials,
    };
    let mut progress = Progress::new(Work::Pull, wanted.stream, wanted.quiet);
    let Parts { repository, tag, digest } = parts(wanted.reference);
    if !wanted.all_tags {
        progress.line(format_args!("{}: Pulling from {repository}", digest.or(tag).unwrap_or("latest")))?;
    }
    let asked = follow(&mut progress, |seen| {
        let request = &request;
        async move { engine.images.pull(&patient_call(), request, seen, WAIT_MS).await }
    });
    let result = unless_interrupted(asked).await.map_err(|error| advise(error, &registry))?;
    summary(&progress, wanted, &result)
}

fn summary(progress: &Progress, wanted: &Wanted<'_>, result: &TransferResult) -> Result {
    for skipped in &result.skipped {
        console::note(format_args!("Skipping {skipped}"));
    }
    if !result.digest.is_empty() {
        progress.line(format_args!("Digest: {}", result.digest))?;
    }
    let reference = if wanted.all_tags { wanted.reference.to_owned() } else { tagged(wanted.reference) };
    if result.up_to_date {
        progress.line(format_args!("Status: Image is up to date for {reference}"))
    } else {
        progress.line(format_args!("Status: Downloaded newer image for {reference}"))
    }
}

/// The registry that a name belongs to.
pub(super) fn registry_of(engine: &Engine, reference: &str) -> Result<String, Failure> {
    match registry(reference) {
        DEFAULT_REGISTRY => Ok(name(&default_registry(&engine.instance)?).to_owned()),
        host => Ok(host.to_owned()),
    }
}

/// Says what to do where a registry wants to know who asks.
pub(super) fn advise(error: Error, registry: &str) -> Error {
    match error {
        Error::Failure(failure) if failure.code == Code::PermissionDenied && !failure.hint.contains("cctl login") => {
            failure.hint(format_args!("`cctl login {registry}` tells it who you are")).into()
        }
        other => other,
    }
}

/// Whether an error is a registry's that does not know who asks, and its user can be asked.
pub(super) fn wants_login(error: &Error, credentials: &Credentials) -> bool {
    let anonymous = *credentials == Credentials::default();
    let denied = matches!(error, Error::Failure(failure) if failure.code == Code::PermissionDenied);
    anonymous && denied && ask_for_login()
}
