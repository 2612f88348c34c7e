//! `login` and `logout`.

use crate::args::{Login, Logout};
use crate::auth::{Logins, default_registry, name};
use crate::console;
use crate::engine::{Engine, call};
use crate::error::{Error, Result};
use crate::terminal;
use rustix::stdio::stdin;
use schema::Failure;
use schema::image_store::Credentials;
use schema::log_collector::Stream;

/// Bytes of a name or password at most.
const LONGEST: usize = 64 << 10;

/// Asks who the user is, lets the registry confirm it, and keeps it.
pub(crate) async fn run(engine: &Engine, arguments: &Login) -> Result<u8> {
    let registry = registry(engine, arguments.registry.as_deref())?;
    let given = match (&arguments.password, arguments.password_stdin) {
        (Some(password), _) => {
            console::note("warning: others may see a password in the list of processes: rather use --password-stdin");
            Some(password.clone())
        }
        (None, true) => Some(password_from_stdin()?),
        (None, false) => None,
    };
    match (&arguments.username, given) {
        (Some(user), Some(password)) => {
            let credentials = credentials(user.clone(), password)?;
            confirm(engine, &registry, credentials).await?;
        }
        (None, Some(_)) if arguments.password_stdin => {
            return Err(Failure::invalid("Must provide --username with --password-stdin").into());
        }
        (user, password) => {
            if !ask_for_login() {
                return Err(Failure::invalid("Cannot perform an interactive login from a non TTY device")
                    .hint("use --username and --password-stdin")
                    .into());
            }
            let credentials = ask(&registry, user.clone(), password).await?;
            confirm(engine, &registry, credentials).await?;
        }
    }
    console::print_line("Login Succeeded")?;
    Ok(0)
}

/// Forgets who the user is.
pub(crate) async fn log_out(engine: &Engine, arguments: &Logout) -> Result<u8> {
    let registry = registry(engine, arguments.registry.as_deref())?;
    if Logins::of_user()?.forget(&registry).await? {
        console::print_line(format_args!("Removing login credentials for {registry}"))?;
    } else {
        console::print_line(format_args!("Not logged in to {registry}"))?;
    }
    Ok(0)
}

/// A login at the terminal; answers the credentials that were kept.
pub(super) async fn interactive(engine: &Engine, registry: &str, user: Option<String>) -> Result<Credentials> {
    let credentials = ask(registry, user, None).await?;
    confirm(engine, registry, credentials).await
}

/// Whether there is a terminal to ask at.
pub(super) fn ask_for_login() -> bool {
    terminal::on_stdin()
}

fn registry(engine: &Engine, named: Option<&str>) -> Result<String, Failure> {
    match named {
        Some(named) if !named.is_empty() => Ok(name(named).to_owned()),
        _ => Ok(name(&default_registry(&engine.instance)?).to_owned()),
    }
}

/// Lets the registry confirm credentials, and keeps them.
async fn confirm(engine: &Engine, registry: &str, credentials: Credentials) -> Result<Credentials> {
    let logins = Logins::of_user()?;
    // A file that cannot be read or written shows before the registry is asked.
    let known = logins.find(registry).await?;
    let token = engine.images.login(&call(), registry, &credentials).await?;
    let kept = if token.is_empty() {
        credentials
    } else {
        Credentials { password: String::new(), identity_token: token, ..credentials }
    };
    if known.as_ref() != Some(&kept) {
        logins.store(registry, &kept).await?;
    }
    Ok(kept)
}

/// Asks at the terminal. Enter keeps the user who is known, and his password.
async fn ask(registry: &str, user: Option<String>, password: Option<String>) -> Result<Credentials> {
    let known = Logins::of_user()?.find(registry).await?.filter(|known| !known.user.is_empty());
    let user = match user {
        Some(user) => user,
        None => {
            let prompt =
                known.as_ref().map_or_else(|| "Username: ".to_owned(), |known| format!("Username ({}): ", known.user));
            let typed = prompted(prompt, false).await?;
            if typed.trim().is_empty() { known.as_ref().map_or(typed, |known| known.user.clone()) } else { typed }
        }
    };
    let user = user.trim().to_owned();
    if user.is_empty() {
        return Err(Failure::invalid("Username Required").into());
    }
    match (password, known) {
        (Some(password), _) => Ok(credentials(user, password)?),
        (None, Some(known)) if known.user == user => Ok(known),
        (None, _) => Ok(credentials(user, prompted("Password: ".to_owned(), true).await?)?),
    }
}

fn credentials(user: String, password: String) -> Result<Credentials, Failure> {
    if password.is_empty() {
        return Err(Failure::invalid("Password Required"));
    }
    if user.contains(':') {
        return Err(Failure::invalid(format_args!("{user:?} cannot be a user's name: it contains a colon")));
    }
    Ok(Credentials { user, password, identity_token: String::new() })
}

/// A line that is typed after a prompt. A signal ends it, and what was hidden shows again.
async fn prompted(prompt: String, hidden: bool) -> Result<String> {
    // Signals are watched before anything is hidden, and it is hidden before anything is typed.
    let typed = crate::transfer::unless_interrupted(async {
        let _hidden = hidden.then(terminal::Hidden::enter).transpose()?;
        console::write(Stream::Stderr, prompt.as_bytes())?;
        let line = tokio::task::spawn_blocking(line_from_stdin).await;
        Ok(line.map_err(|error| Failure::internal(format_args!("reading a line: {error}")))??)
    })
    .await;
    if hidden || matches!(typed, Err(Error::Signalled(_))) {
        // The Enter did not show either.
        console::write(Stream::Stderr, b"\n")?;
    }
    typed
}

/// A line without its end.
fn line_from_stdin() -> Result<String, Failure> {
    let mut line = Vec::new();
    let mut byte = [0];
    while line.len() < LONGEST {
        let length = console::read(stdin(), &mut byte).map_err(|errno| Failure::io("reading stdin", &errno.into()))?;
        if length == 0 || byte == [b'\n'] {
            break;
        }
        line.push(byte[0]);
    }
    text(line)
}

/// All of stdin, without the newline at its end.
fn password_from_stdin() -> Result<String, Failure> {
    let mut password = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let length =
            console::read(stdin(), &mut buffer).map_err(|errno| Failure::io("reading stdin", &errno.into()))?;
        password.extend_from_slice(&buffer[..length]);
        if length == 0 {
            break;
        }
        if password.len() > LONGEST {
            return Err(Failure::invalid(format_args!("a password has {LONGEST} bytes at most")));
        }
    }
    text(password)
}

fn text(bytes: Vec<u8>) -> Result<String, Failure> {
    let mut text = String::from_utf8(bytes).map_err(|_| Failure::invalid("what was typed is not UTF-8"))?;
    text.truncate(text.trim_end_matches(['\r', '\n']).len());
    Ok(text)
}
