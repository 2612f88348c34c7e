//! Programs that keep credentials: `docker-credential-NAME get|store|erase`, with JSON on stdin and stdout.
//!
//! The protocol: <https://github.com/docker/docker-credential-helpers>.

use schema::Failure;
use schema::image_store::Credentials;
use serde::{Deserialize, Serialize};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

/// How long a helper may take: it may ask its user something.
const PATIENCE: Duration = Duration::from_secs(120);
/// Bytes that it may write.
const LARGEST: u64 = 1 << 20;
/// What stands for a name beside an identity token.
const TOKEN: &str = "<token>";
/// What a helper says of a registry that it does not know.
const UNKNOWN: &str = "credentials not found";

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Message {
    #[serde(rename = "ServerURL", default)]
    server: String,
    username: String,
    secret: String,
}

/// What it keeps for a registry.
pub(super) async fn get(helper: &str, registry: &str) -> Result<Option<Credentials>, Failure> {
    let Some(answer) = run(helper, "get", registry.as_bytes()).await? else { return Ok(None) };
    let message: Message = serde_json::from_slice(&answer)
        .map_err(|error| Failure::corrupt(format_args!("docker-credential-{helper} get: {error}")))?;
    Ok(Some(if message.username == TOKEN {
        Credentials { identity_token: message.secret, ..Credentials::default() }
    } else {
        Credentials { user: message.username, password: message.secret, identity_token: String::new() }
    }))
}

/// Gives it credentials to keep.
pub(super) async fn store(helper: &str, registry: &str, credentials: &Credentials) -> Result<(), Failure> {
    let Credentials { user, password, identity_token } = credentials;
    let (username, secret) =
        if identity_token.is_empty() { (user.as_str(), password) } else { (TOKEN, identity_token) };
    let message = Message { server: registry.to_owned(), username: username.to_owned(), secret: secret.clone() };
    let message = serde_json::to_vec(&message).map_err(Failure::internal)?;
    run(helper, "store", &message).await.map(drop)
}

/// Makes it forget a registry.
pub(super) async fn erase(helper: &str, registry: &str) -> Result<(), Failure> {
    run(helper, "erase", registry.as_bytes()).await.map(drop)
}

/// Runs it; none if it does not know the registry.
async fn run(helper: &str, action: &str, input: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
    let named = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if !helper.chars().all(named) {
        return Err(Failure::invalid(format_args!("{helper:?} is not the name of a credential helper")));
    }
    let program = format!("docker-credential-{helper}");
    match tokio::time::timeout(PATIENCE, converse(&program, action, input)).await {
        Ok(Ok((true, answer))) => Ok(Some(answer)),
        Ok(Ok((false, answer))) => {
            let said = String::from_utf8_lossy(&answer).trim().to_owned();
            if said.contains(UNKNOWN) {
                return Ok(None);
            }
            Err(Failure::unavailable(format_args!("{program} {action}: {said}")))
        }
        Ok(Err(error)) => Err(Failure::io(format_args!("{program} {action}"), &error)
            .hint("it is named in the file of logins, and must be in PATH")),
        Err(_) => Err(Failure::deadline(format_args!("{program} {action} did not end in {} s", PATIENCE.as_secs()))),
    }
}

/// Whether it succeeded, and what it wrote. It is killed if nobody waits for it any more.
async fn converse(program: &str, action: &str, input: &[u8]) -> std::io::Result<(bool, Vec<u8>)> {
    let mut child = Command::new(program)
        .arg(action)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .spawn()?;
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let write = async {
        if let Some(mut stdin) = stdin {
            // One that has ended without reading says why itself.
            let _ = stdin.write_all(input).await;
        }
    };
    let read = async {
        let mut answer = Vec::new();
        if let Some(stdout) = stdout {
            stdout.take(LARGEST).read_to_end(&mut answer).await?;
        }
        Ok::<_, std::io::Error>(answer)
    };
    let ((), answer) = tokio::join!(write, read);
    let answer = answer?;
    Ok((child.wait().await?.success(), answer))
}
