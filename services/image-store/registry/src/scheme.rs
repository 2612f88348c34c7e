//! Whether a registry speaks TLS.

use crate::error::{Asked, causes, tls_error};
use crate::http::{Http, Response};
use crate::name::{host, is_loopback};
use crate::retry::Problem;
use reqwest::Url;
use schema::Failure;
use std::io;

/// Where a registry is, and its answer to the question whether it is one.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) base: Url,
    pub(crate) answer: Response,
}

/// Asks `/v2/` for the first time. Over TLS, unless `plain_http`; if a registry of this machine turns out not to
/// speak TLS, without. Who cannot be reached at all is not asked again.
pub(crate) async fn find(http: &Http, registry: &str, plain_http: bool, asked: &Asked) -> Result<Found, Problem> {
    if plain_http {
        return ask(http, url("http", registry)?, asked).await.map_err(|error| unreachable(&error, asked));
    }
    match ask(http, url("https", registry)?, asked).await {
        Err(error) if is_loopback(registry) && speaks_no_tls(&error) => {
            tracing::debug!(registry, "it speaks no TLS, but is on this machine");
            ask(http, url("http", registry)?, asked).await.map_err(|error| unreachable(&error, asked))
        }
        Err(error) if speaks_no_tls(&error) => {
            let Problem { failure, .. } = unreachable(&error, asked);
            Err(Problem::lasting(failure.hint(format_args!(
                "if it shall be used without TLS, write plain-http = true below [registry.{registry:?}] in registries.toml"
            ))))
        }
        result => result.map_err(|error| unreachable(&error, asked)),
    }
}

async fn ask(http: &Http, base: Url, asked: &Asked) -> Result<Found, reqwest::Error> {
    let answer = http.try_get(base.clone()).await?;
    Ok(Found { base, answer: Response::new(answer, http.idle, asked.clone()) })
}

fn unreachable(error: &reqwest::Error, asked: &Asked) -> Problem {
    Problem::lasting(asked.failed(error).failure)
}

fn url(scheme: &str, registry: &str) -> Result<Url, Problem> {
    format!("{scheme}://{}/v2/", host(registry)).parse().map_err(|error| {
        Problem::lasting(
            Failure::invalid(format_args!("{registry:?} is not a registry: {error}")).hint("write host[:port]"),
        )
    })
}

/// It answered the beginning of TLS with something else, or with the end of the connection.
fn speaks_no_tls(error: &reqwest::Error) -> bool {
    if let Some(error) = tls_error(error) {
        return matches!(error, rustls::Error::InvalidMessage(_));
    }
    let ended = |cause: &io::Error| cause.kind() == io::ErrorKind::UnexpectedEof;
    error.is_connect() && causes(error).any(|cause| cause.downcast_ref().is_some_and(ended))
}
