//! The header `WWW-Authenticate` (RFC 9110, section 11.6.1). Pure.

use reqwest::Url;
use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};

/// How a registry wants to be told who we are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// By name and password.
    Basic,
    /// By a token of this server.
    Bearer(Realm),
}

/// A token server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Realm {
    pub(crate) url: Url,
    /// Which service the token is for; may be empty.
    pub(crate) service: String,
}

/// The challenge that is answered: Bearer before Basic. None: there is none that we know.
pub(crate) fn preferred(headers: &HeaderMap) -> Option<Challenge> {
    let texts = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
    let mut challenges: Vec<Challenge> = texts.flat_map(parse).collect();
    let bearer = challenges.iter().position(|challenge| matches!(challenge, Challenge::Bearer(_)));
    if challenges.is_empty() { None } else { Some(challenges.swap_remove(bearer.unwrap_or(0))) }
}

/// All challenges of one header that we know.
fn parse(text: &str) -> Vec<Challenge> {
    let mut found: Vec<(String, Vec<(String, String)>)> = Vec::new();
    for part in parts(text) {
        let (first, rest) = part.split_once(|char: char| char.is_ascii_whitespace()).unwrap_or((part, ""));
        // A new scheme begins with a word that no `=` follows.
        let parameter = if first.contains('=') || rest.trim_start().starts_with('=') {
            part
        } else {
            found.push((first.to_ascii_lowercase(), Vec::new()));
            rest
        };
        if let (Some((name, value)), Some((_, parameters))) = (parameter.split_once('='), found.last_mut()) {
            parameters.push((name.trim().to_ascii_lowercase(), unquoted(value.trim())));
        }
    }
    found.into_iter().filter_map(|(scheme, parameters)| known(&scheme, &parameters)).collect()
}

fn known(scheme: &str, parameters: &[(String, String)]) -> Option<Challenge> {
    let value = |wanted: &str| parameters.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
    match scheme {
        "basic" => Some(Challenge::Basic),
        "bearer" => {
            let url: Url = value("realm")?.parse().ok()?;
            let usable = matches!(url.scheme(), "http" | "https") && url.has_host();
            usable.then(|| Challenge::Bearer(Realm { url, service: value("service").unwrap_or_default().to_owned() }))
        }
        _ => None,
    }
}

/// What stands between commas that are not inside quotes.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    let comma = move |char: char| {
        let is_escaped = escaped;
        escaped = quoted && char == '\\' && !is_escaped;
        if char == '"' && !is_escaped {
            quoted = !quoted;
        }
        char == ',' && !quoted
    };
    text.split(comma).map(str::trim).filter(|part| !part.is_empty())
}

fn unquoted(value: &str) -> String {
    let Some(inner) = value.strip_prefix('"').map(|rest| rest.strip_suffix('"').unwrap_or(rest)) else {
        return value.to_owned();
    };
    let mut text = String::new();
    let mut chars = inner.chars();
    while let Some(char) = chars.next() {
        text.push(if char == '\\' { chars.next().unwrap_or(char) } else { char });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(headers: &[&str]) -> Option<Challenge> {
        let mut map = HeaderMap::new();
        for header in headers {
            map.append(WWW_AUTHENTICATE, header.parse().unwrap());
        }
        preferred(&map)
    }

    #[test]
    fn token_servers_are_found() {
        let bearer = Challenge::Bearer(Realm {
            url: "https://auth.docker.io/token".parse().unwrap(),
            service: "registry.docker.io".to_owned(),
        });
        for header in [
            r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a:pull,push""#,
            r#"bearer  Realm = "https://auth.docker.io/token" , SERVICE=registry.docker.io"#,
            r#"Basic realm="a, b", Bearer realm="https://auth.docker.io/token",service="registry.docker\.io""#,
        ] {
            assert_eq!(of(&[header]), Some(bearer.clone()), "{header}");
        }
        assert_eq!(of(&["Negotiate", "Basic realm=x"]), Some(Challenge::Basic));
        assert_eq!(of(&["Negotiate abc==, Digest realm=\"x\""]), None);
        assert_eq!(of(&["Bearer realm=\"file:///etc/passwd\""]), None);
        assert_eq!(of(&[]), None);
    }

    proptest! {
        #[test]
        fn no_header_does_harm(text in "[ -~]{0,80}|((Basic|Bearer|realm|=|\"|,| |\\\\|x){0,30})") {
            let _any = parse(&text);
        }
    }
}
