//! Tokens of a registry's token server: Docker's "Token Authentication Specification", and its OAuth 2 form.

use super::Credentials;
use super::challenge::Realm;
use crate::error::Asked;
use crate::http::{Http, Request};
use crate::retry::Problem;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, Url};
use serde::Deserialize;
use std::time::{Duration, Instant};

const CLIENT: &str = "cctl";
const LONGEST_ANSWER: u64 = 256 << 10;
/// What the specification says of a token that does not say how long it is good for.
const DEFAULT_LIFE: Duration = Duration::from_secs(60);
/// A token is used no longer than this before its end: a request takes a while.
const MARGIN: Duration = Duration::from_secs(10);
const LONGEST_LIFE: Duration = Duration::from_secs(3600);
/// In place of a scope: who we are, and nothing else.
pub(super) const LOG_IN: &str = "";

/// What lets us do something for a while.
pub(super) struct Token {
    pub(super) value: String,
    pub(super) expires: Instant,
    /// What stands for our credentials, if the server gives that.
    pub(super) refresh: Option<String>,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    token: String,
    #[serde(default)]
    access_token: String,
    expires_in: Option<u64>,
    refresh_token: Option<String>,
}

/// Asks for a token for these scopes, which spaces separate.
pub(super) async fn ask(
    http: &Http,
    realm: &Realm,
    scopes: &str,
    credentials: &Credentials,
    asked: &Asked,
) -> Result<Token, Problem> {
    let host = realm.url.host_str().unwrap_or_default();
    let asked = Asked { what: format!("{}, its token server {host}", asked.what), ..asked.clone() };
    let response = match credentials {
        Credentials::IdentityToken(refresh) => {
            let form = [
                ("grant_type", "refresh_token"),
                ("service", &realm.service),
                ("client_id", CLIENT),
                ("scope", scopes),
                ("refresh_token", refresh),
            ];
            let request =
                Request::new(Method::POST, realm.url.clone()).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
            http.send_bytes(&request, encoded(&form).into(), &asked).await?
        }
        _ => {
            let mut request = Request::get(question(realm, scopes, credentials));
            request.secret = credentials.basic();
            http.send(&request, &asked).await?
        }
    };
    let body = response.ok().await?.read(LONGEST_ANSWER).await?;
    let answer = serde_json::from_slice(&body).map_err(|error| asked.nonsense(format_args!("not a token: {error}")))?;
    token(answer).ok_or_else(|| asked.nonsense("there is no token in its answer"))
}

fn question(realm: &Realm, scopes: &str, credentials: &Credentials) -> Url {
    let mut url = realm.url.clone();
    let mut query = url.query_pairs_mut();
    if !realm.service.is_empty() {
        query.append_pair("service", &realm.service);
    }
    for scope in scopes.split_whitespace() {
        query.append_pair("scope", scope);
    }
    if let Credentials::Password { user, .. } = credentials {
        query.append_pair("account", user);
        if scopes == LOG_IN {
            query.append_pair("client_id", CLIENT).append_pair("offline_token", "true");
        }
    }
    drop(query);
    url
}

/// As a form is sent.
fn encoded(form: &[(&str, &str)]) -> String {
    // A URL is the one thing in our hands that encodes so.
    let Ok(mut url) = Url::parse("http://form/") else { return String::new() };
    url.query_pairs_mut().extend_pairs(form);
    url.query().unwrap_or_default().to_owned()
}

fn token(answer: Answer) -> Option<Token> {
    let Answer { token, access_token, expires_in, refresh_token } = answer;
    let value = if token.is_empty() { access_token } else { token };
    let life = expires_in.map_or(DEFAULT_LIFE, Duration::from_secs).min(LONGEST_LIFE).saturating_sub(MARGIN);
    let refresh = refresh_token.filter(|token| !token.is_empty());
    (!value.is_empty()).then(|| Token { value, expires: Instant::now() + life, refresh })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_name_service_scopes_and_account() {
        let realm = Realm { url: "https://a/token?x=1".parse().unwrap(), service: "s p".to_owned() };
        let alice = Credentials::Password { user: "al&ce".to_owned(), password: "w".to_owned() };
        let url = question(&realm, "repository:a:pull repository:b:pull,push", &alice);
        assert_eq!(
            url.as_str(),
            "https://a/token?x=1&service=s+p&scope=repository%3Aa%3Apull&scope=repository%3Ab%3Apull%2Cpush&account=al%26ce"
        );
        assert!(question(&realm, LOG_IN, &alice).as_str().ends_with("&client_id=cctl&offline_token=true"));
        assert_eq!(encoded(&[("a", "b c"), ("d", "&=")]), "a=b+c&d=%26%3D");
    }

    #[test]
    fn answers_of_both_forms_are_understood() {
        let of = |text: &str| token(serde_json::from_str(text).unwrap());
        assert_eq!(of(r#"{"token":"t","access_token":"u"}"#).unwrap().value, "t");
        let oauth = of(r#"{"access_token":"u","expires_in":300,"refresh_token":"r"}"#).unwrap();
        assert_eq!((oauth.value.as_str(), oauth.refresh.as_deref()), ("u", Some("r")));
        assert!(oauth.expires > Instant::now() + Duration::from_secs(200));
        assert!(of("{}").is_none());
    }
}
