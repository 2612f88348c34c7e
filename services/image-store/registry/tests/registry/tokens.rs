//! Saying who we are: to the registry, to its token server, and to nobody else.

use crate::server::{Answer, Request, Server};
use crate::{Notes, blob, configuration, digest, run};
use registry_client::{Credentials, Registry, Wanted};
use schema::Code;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const CONTENT: &[u8] = b"some layer";
/// `Basic` of alice:secret.
const BASIC: &str = "Basic YWxpY2U6c2VjcmV0";

fn alice() -> Credentials {
    Credentials::Password { user: "alice".to_owned(), password: "secret".to_owned() }
}

fn registry(server: &Server, credentials: Credentials) -> Registry {
    Registry::new(&configuration(""), &server.name(), credentials).unwrap()
}

/// A registry with a token server at `/token`; each token is `token-<number>`, good if `good` says so.
fn with_tokens(good: impl Fn(&str) -> bool + Send + Sync + 'static) -> Server {
    let issued = AtomicUsize::new(0);
    Server::start(move |request, _| {
        let host = request.header("host").unwrap();
        let challenge = format!("WWW-Authenticate: Bearer realm=\"http://{host}/token\",service=\"svc\"");
        if request.line.contains("/token") {
            let known = request.header("authorization").is_none_or(|header| header == BASIC);
            if !known || String::from_utf8_lossy(&request.body).contains("refresh_token=bad") {
                return Answer::new("401 Unauthorized", &[], br#"{"details":"incorrect username or password"}"#);
            }
            let number = issued.fetch_add(1, Ordering::Relaxed);
            let token = format!(r#"{{"token":"token-{number}","refresh_token":"refresh","expires_in":300}}"#);
            return Answer::ok(token.as_bytes());
        }
        match request.header("authorization").and_then(|header| header.strip_prefix("Bearer ")) {
            Some(token) if good(token) => Answer::ok(if request.line.contains("/blobs/") { CONTENT } else { b"{}" }),
            _ => Answer::new("401 Unauthorized", &[&challenge], b""),
        }
    })
}

fn to_tokens(server: &Server) -> Vec<Request> {
    server.seen().into_iter().filter(|request| request.line.contains("/token")).collect()
}

#[test]
fn tokens_are_asked_for_with_the_scope_and_used_again() {
    let server = with_tokens(|_| true);
    let registry = registry(&server, alice());
    run(async {
        registry.manifest("team/app", Wanted::Tag("latest")).await.unwrap();
        registry.manifest("team/app", Wanted::Tag("other")).await.unwrap();
        registry.tags("other").await.unwrap();
    });
    let asked = to_tokens(&server);
    assert_eq!(asked.len(), 2);
    assert!(asked[0].line.contains("service=svc&scope=repository%3Ateam%2Fapp%3Apull&account=alice"), "{asked:?}");
    assert!(asked.iter().all(|request| request.header("authorization") == Some(BASIC)));
    let others = server.seen().into_iter().filter(|request| !request.line.contains("/token"));
    assert!(others.into_iter().all(|request| request.header("authorization") != Some(BASIC)));
}

#[test]
fn a_token_that_has_run_out_is_replaced_and_one_that_never_works_is_not_asked_for_for_ever() {
    let server = with_tokens(|token| token != "token-0");
    run(registry(&server, alice()).manifest("app", Wanted::Tag("latest"))).unwrap();
    assert_eq!(to_tokens(&server).len(), 2);
    let never = with_tokens(|_| false);
    let failure = run(registry(&never, alice()).manifest("app", Wanted::Tag("latest"))).unwrap_err();
    assert_eq!(failure.code, Code::PermissionDenied);
    assert!(to_tokens(&never).len() <= 2);
}

#[test]
fn an_identity_token_is_exchanged_by_a_form() {
    let server = with_tokens(|_| true);
    let me = Credentials::IdentityToken("it&self".to_owned());
    run(registry(&server, me).manifest("app", Wanted::Tag("latest"))).unwrap();
    let asked = to_tokens(&server);
    assert_eq!(asked[0].line, "POST /token");
    let form = String::from_utf8(asked[0].body.clone()).unwrap();
    for part in ["grant_type=refresh_token", "service=svc", "scope=repository%3Aapp%3Apull", "refresh_token=it%26self"]
    {
        assert!(form.contains(part), "{form}");
    }
    let bad = Credentials::IdentityToken("bad".to_owned());
    let failure = run(registry(&server, bad).manifest("app", Wanted::Tag("latest"))).unwrap_err();
    assert_eq!(failure.code, Code::PermissionDenied);
}

#[test]
fn a_login_gives_what_may_be_kept_in_place_of_the_password() {
    let server = with_tokens(|_| true);
    assert_eq!(run(registry(&server, alice()).log_in()).unwrap().as_deref(), Some("refresh"));
    assert!(to_tokens(&server)[0].line.contains("offline_token=true"));
    let mallory = Credentials::Password { user: "mallory".to_owned(), password: "guess".to_owned() };
    let failure = run(registry(&server, mallory).log_in()).unwrap_err();
    assert_eq!(failure.code, Code::PermissionDenied);
    assert!(failure.message.contains("incorrect username or password"), "{failure}");
    assert!(!failure.message.contains("guess") && failure.hint.contains("cctl login"), "{failure:?}");
    // A registry that asks nobody has a login too.
    let open = Server::registry(|_, _| Answer::ok(b"{}"));
    assert_eq!(run(registry(&open, alice()).log_in()).unwrap(), None);
    assert_eq!(run(registry(&open, Credentials::Anonymous).log_in()).unwrap_err().code, Code::InvalidArgument);
}

#[test]
fn credentials_are_not_sent_on_to_another_host() {
    let other = Arc::new(Server::start(|_, _| Answer::ok(CONTENT)));
    let target = format!("Location: http://{}/storage", other.name());
    let server = Server::start(move |request, _| match request.header("authorization") {
        None => Answer::new("401 Unauthorized", &["WWW-Authenticate: Basic realm=\"x\""], b""),
        Some(_) if request.line.contains("/blobs/") => Answer::new("307 Temporary Redirect", &[&target], b""),
        Some(_) => Answer::ok(b"{}"),
    });
    let (arrived, result) = run(blob(&registry(&server, alice()), CONTENT, &Notes::default()));
    result.unwrap();
    assert_eq!(digest(&arrived), digest(CONTENT));
    assert!(server.seen().iter().any(|request| request.header("authorization") == Some(BASIC)));
    let seen = other.seen();
    assert!(seen.len() == 1 && seen[0].header("authorization").is_none(), "{seen:?}");
}

#[test]
fn a_password_is_not_repeated_to_a_registry_that_refuses_it() {
    let server = Server::start(|_, _| Answer::new("401 Unauthorized", &["WWW-Authenticate: Basic realm=\"x\""], b""));
    let failure = run(registry(&server, alice()).manifest("app", Wanted::Tag("latest"))).unwrap_err();
    assert_eq!(failure.code, Code::PermissionDenied);
    assert!(failure.hint.contains("does not accept these credentials"), "{failure:?}");
    assert_eq!(server.seen().len(), 1);
}
