//! Who we are to a registry, and how we say it: RFC 9110 (Basic), and the token scheme that the OCI distribution
//! specification has from Docker (Bearer).

mod challenge;
mod token;

use crate::error::Asked;
use crate::http::{Http, same_origin};
use crate::retry::Problem;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use challenge::{Challenge, preferred};
use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderValue};
use schema::Failure;
use std::collections::HashMap;
use std::fmt;
use std::time::Instant;
use token::Token;

/// Who we are.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum Credentials {
    /// Nobody.
    #[default]
    Anonymous,
    /// A name and its password.
    Password {
        /// Name.
        user: String,
        /// Password.
        password: String,
    },
    /// What a log-in gave in place of the password: an OAuth 2 refresh token.
    IdentityToken(String),
}

impl fmt::Debug for Credentials {
    /// Without the secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Anonymous => "Anonymous",
            Self::Password { .. } => "Password",
            Self::IdentityToken(_) => "IdentityToken",
        })
    }
}

impl Credentials {
    /// The header of the scheme Basic.
    fn basic(&self) -> Option<HeaderValue> {
        match self {
            Self::Password { user, password } => {
                secret(&format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))
            }
            _ => None,
        }
    }
}

/// Says to one registry who we are, in the way that it wants to hear.
#[derive(Debug)]
pub(crate) struct Authority {
    pub(crate) credentials: Credentials,
    state: tokio::sync::Mutex<State>,
}

#[derive(Default)]
struct State {
    challenge: Option<Challenge>,
    /// By scope.
    tokens: HashMap<String, Token>,
}

impl fmt::Debug for State {
    /// Without the tokens.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("challenge", &self.challenge).finish_non_exhaustive()
    }
}

impl Authority {
    pub(crate) fn new(credentials: Credentials) -> Self {
        Self { credentials, state: tokio::sync::Mutex::default() }
    }

    /// What to say in a request for this scope; none: nothing. May ask the registry's token server. Only one
    /// does so at a time: the others find its token.
    pub(crate) async fn header(
        &self,
        http: &Http,
        base: &Url,
        scope: &str,
        asked: &Asked,
    ) -> Result<Option<HeaderValue>, Problem> {
        let mut state = self.state.lock().await;
        let realm = match &state.challenge {
            None => return Ok(None),
            Some(Challenge::Basic) => return Ok(self.credentials.basic()),
            Some(Challenge::Bearer(realm)) => realm.clone(),
        };
        if let Some(token) = state.tokens.get(scope)
            && token.expires > Instant::now()
        {
            return Ok(secret(&format!("Bearer {}", token.value)));
        }
        let realm = realm.checked(base, &self.credentials).map_err(|why| asked.nonsense(why))?;
        let token = token::ask(http, &realm, scope, &self.credentials, asked).await?;
        let header = secret(&format!("Bearer {}", token.value));
        state.tokens.insert(scope.to_owned(), token);
        Ok(header)
    }

    /// The registry wants to know who we are (status 401): whether it can be told now, in another way than before.
    pub(crate) async fn challenged(&self, headers: &HeaderMap, scope: &str, said: Option<&HeaderValue>) -> bool {
        let mut state = self.state.lock().await;
        let Some(challenge) = preferred(headers) else { return false };
        match challenge {
            Challenge::Basic => {
                let can = self.credentials.basic().is_some_and(|basic| said != Some(&basic));
                state.challenge = Some(Challenge::Basic);
                can
            }
            Challenge::Bearer(realm) => {
                // A token that was just refused is not believed again; one that somebody else has fetched since is.
                let current = state.tokens.get(scope).and_then(|token| secret(&format!("Bearer {}", token.value)));
                if current.as_ref() == said {
                    state.tokens.remove(scope);
                }
                state.challenge = Some(Challenge::Bearer(realm));
                true
            }
        }
    }

    /// Exchanges the credentials for a token that stands for them, at a registry with a token server. None: it
    /// has none, or gives no such token.
    pub(crate) async fn log_in(&self, http: &Http, base: &Url, asked: &Asked) -> Result<Option<String>, Problem> {
        let challenge = self.state.lock().await.challenge.clone();
        let Some(Challenge::Bearer(realm)) = challenge else { return Ok(None) };
        let realm = realm.checked(base, &self.credentials).map_err(|why| asked.nonsense(why))?;
        let token = token::ask(http, &realm, token::LOG_IN, &self.credentials, asked).await?;
        let Token { refresh, .. } = &token;
        let refresh = refresh.clone();
        self.state.lock().await.tokens.insert(token::LOG_IN.to_owned(), token);
        Ok(refresh)
    }
}

impl challenge::Realm {
    /// Who hears credentials hears them over TLS, unless the registry itself is plain.
    fn checked(self, base: &Url, credentials: &Credentials) -> Result<Self, String> {
        let plain = self.url.scheme() != "https" && base.scheme() == "https";
        if plain && *credentials != Credentials::Anonymous && !same_origin(&self.url, base) {
            return Err(format!("its token server {} does not speak TLS: it is not told a password", self.url));
        }
        Ok(self)
    }
}

/// A header that is kept out of traces. None: it cannot be one.
fn secret(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Credentials as they come in a call.
impl TryFrom<&schema::image_store::Credentials> for Credentials {
    type Error = Failure;

    fn try_from(given: &schema::image_store::Credentials) -> Result<Self, Failure> {
        let schema::image_store::Credentials { user, password, identity_token } = given;
        if !identity_token.is_empty() {
            return Ok(Self::IdentityToken(identity_token.clone()));
        }
        match (user.as_str(), password.as_str()) {
            ("", "") => Ok(Self::Anonymous),
            (user, _) if user.is_empty() || user.contains(':') => {
                Err(Failure::invalid(format_args!("{user:?} is not a user name: it is empty or has a colon")))
            }
            (user, password) => Ok(Self::Password { user: user.to_owned(), password: password.to_owned() }),
        }
    }
}
