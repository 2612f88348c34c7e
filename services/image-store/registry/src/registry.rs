//! One registry, and who we are to it.

use crate::auth::{Authority, Credentials};
use crate::config::Configuration;
use crate::error::Asked;
use crate::http::{Http, Request, Response, same_origin};
use crate::name::canonical;
use crate::progress::Progress;
use crate::retry::{Attempts, Problem};
use crate::scheme;
use bytes::Bytes;
use reqwest::header::HeaderValue;
use reqwest::{StatusCode, Url};
use schema::Failure;
use tokio::sync::OnceCell;

/// A registry. It remembers what it was told: keep one for a whole transfer.
#[derive(Debug)]
pub struct Registry {
    name: String,
    pub(crate) http: Http,
    attempts: u32,
    plain_http: bool,
    pub(crate) authority: Authority,
    base: OnceCell<Url>,
}

impl Registry {
    /// A registry by its name, `host[:port]`. Nothing is asked of it yet.
    /// Fails: invalidArgument if its configuration cannot be used.
    pub fn new(configuration: &Configuration, name: &str, credentials: Credentials) -> Result<Self, Failure> {
        let settings = configuration.of(name);
        Ok(Self {
            name: canonical(name).to_owned(),
            http: Http::new(configuration, settings.ca.as_deref())?,
            attempts: configuration.patience.attempts,
            plain_http: settings.plain_http,
            authority: Authority::new(credentials),
            base: OnceCell::new(),
        })
    }

    /// Its name, as people write it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it has been told who we are, or would be.
    pub fn knows_us(&self) -> bool {
        self.authority.credentials != Credentials::Anonymous
    }

    pub(crate) fn asked(&self, what: impl ToString) -> Asked {
        Asked {
            server: format!("registry {}", self.name),
            what: what.to_string(),
            registry: Some(self.name.clone()),
            known: self.knows_us(),
        }
    }

    /// A series of attempts, as patient as the configuration says.
    pub(crate) fn attempts(&self) -> Attempts {
        Attempts::new(self.attempts)
    }

    /// `https://host/v2/`. The first call finds out, and what the registry wants to hear of us.
    pub(crate) async fn base(&self, asked: &Asked) -> Result<&Url, Problem> {
        self.base
            .get_or_try_init(|| async {
                let scheme::Found { base, answer } =
                    scheme::find(&self.http, &self.name, self.plain_http, asked).await?;
                match answer.status() {
                    StatusCode::UNAUTHORIZED => {
                        self.authority.challenged(answer.headers(), "", None).await;
                        Ok(base)
                    }
                    status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                        Err(asked.refused(answer).await)
                    }
                    _ => Ok(base),
                }
            })
            .await
    }

    /// The URL of a part of a repository: `<repository>/manifests/latest`.
    pub(crate) async fn url(&self, path: &str, asked: &Asked) -> Result<Url, Problem> {
        self.base(asked).await?.join(path).map_err(|error| asked.nonsense(error))
    }

    /// What to say of ourselves in a request; nothing to other hosts.
    pub(crate) async fn secret(&self, url: &Url, scope: &str, asked: &Asked) -> Result<Option<HeaderValue>, Problem> {
        let base = self.base(asked).await?;
        if same_origin(url, base) { self.authority.header(&self.http, base, scope, asked).await } else { Ok(None) }
    }

    /// Asks once, and says who we are if that is wanted. Any other status is an answer.
    pub(crate) async fn ask(
        &self,
        mut request: Request,
        body: Option<Bytes>,
        scope: &str,
        asked: &Asked,
    ) -> Result<Response, Problem> {
        let mut asked_again = false;
        loop {
            request.secret = self.secret(&request.url, scope, asked).await?;
            let response = match &body {
                Some(body) => self.http.send_bytes(&request, body.clone(), asked).await?,
                None => self.http.send(&request, asked).await?,
            };
            let unauthorized =
                response.status() == StatusCode::UNAUTHORIZED && same_origin(response.url(), &request.url);
            if !unauthorized || asked_again {
                return Ok(response);
            }
            if !self.authority.challenged(response.headers(), scope, request.secret.as_ref()).await {
                return Ok(response);
            }
            asked_again = true;
        }
    }
}

/// After a problem: waits for the time of the next attempt. Fails if there is to be none.
pub(crate) async fn pause(attempts: &mut Attempts, problem: Problem, progress: &dyn Progress) -> Result<(), Failure> {
    let reason = problem.failure.message.clone();
    let wait = attempts.next(problem)?;
    tracing::info!(reason, ?wait, "trying again");
    progress.interrupted(&reason);
    tokio::time::sleep(wait).await;
    Ok(())
}

/// What a token must allow to read a repository.
pub(crate) fn pulling(repository: &str) -> String {
    format!("repository:{repository}:pull")
}

/// What a token must allow to write a repository.
pub(crate) fn pushing(repository: &str) -> String {
    format!("repository:{repository}:pull,push")
}
