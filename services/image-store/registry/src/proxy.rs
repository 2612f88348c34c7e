//! By which proxies the world is reached.

use reqwest::{NoProxy, Proxy, Url};
use schema::Failure;
use std::env;

/// Proxies for URLs of each scheme, as URLs, and the hosts that are reached without.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Proxies {
    pub(crate) http: Option<String>,
    pub(crate) https: Option<String>,
    /// Domains, addresses and networks, separated by commas.
    pub(crate) no_proxy: String,
}

impl std::fmt::Debug for Proxies {
    /// Without the URLs: they may have a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proxies").field("no_proxy", &self.no_proxy).finish_non_exhaustive()
    }
}

impl Proxies {
    /// From `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`, or their names in lower case.
    pub fn from_env() -> Self {
        Self::from_variables(|name| env::var(name).ok())
    }

    fn from_variables(value: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| value(name).filter(|value| !value.is_empty());
        let variable = |name: &str| set(name).or_else(|| set(&name.to_ascii_lowercase()));
        let all = variable("ALL_PROXY");
        Self {
            http: variable("HTTP_PROXY").or_else(|| all.clone()),
            https: variable("HTTPS_PROXY").or(all),
            no_proxy: variable("NO_PROXY").unwrap_or_default(),
        }
    }

    /// As the HTTP client wants them.
    pub(crate) fn build(&self) -> Result<Vec<Proxy>, Failure> {
        let mut proxies = Vec::new();
        for (url, make) in [(&self.http, Proxy::http as fn(String) -> _), (&self.https, Proxy::https)] {
            let Some(url) = url else { continue };
            check(url).map_err(|why| {
                Failure::invalid(format_args!("a proxy cannot be used: {why}"))
                    .hint("set HTTP_PROXY and HTTPS_PROXY to an http or https URL when you start cctl's services")
            })?;
            let proxy = make(with_scheme(url)).map_err(|error| Failure::invalid(format_args!("a proxy: {error}")))?;
            proxies.push(proxy.no_proxy(NoProxy::from_string(&self.around())));
        }
        Ok(proxies)
    }

    /// Hosts that are reached without a proxy: this machine is one of them.
    fn around(&self) -> String {
        let separator = if self.no_proxy.is_empty() { "" } else { "," };
        format!("localhost,127.0.0.0/8,::1{separator}{}", self.no_proxy)
    }
}

/// Whether this is the URL of a proxy. It is not repeated in the answer: it may have a password.
pub(crate) fn check(url: &str) -> Result<(), &'static str> {
    match with_scheme(url).parse::<Url>() {
        Ok(parsed) if ["http", "https"].contains(&parsed.scheme()) && parsed.has_host() => Ok(()),
        Ok(_) => Err("its scheme is not http or https"),
        Err(_) => Err("it is not a URL"),
    }
}

/// `host:port` alone is commonly written.
fn with_scheme(url: &str) -> String {
    if url.contains("://") { url.to_owned() } else { format!("http://{url}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_of_both_cases_are_heeded() {
        let of = |variables: &[(&str, &str)]| {
            let find =
                |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
            Proxies::from_variables(find)
        };
        assert_eq!(of(&[]), Proxies::default());
        let some = of(&[("https_proxy", "a:1"), ("HTTP_PROXY", ""), ("http_proxy", "b:2"), ("NO_PROXY", "c")]);
        assert_eq!(some, Proxies { http: Some("b:2".into()), https: Some("a:1".into()), no_proxy: "c".into() });
        let all = of(&[("ALL_PROXY", "a"), ("HTTPS_PROXY", "b")]);
        assert_eq!((all.http.as_deref(), all.https.as_deref()), (Some("a"), Some("b")));
        assert!(format!("{:?}", of(&[("ALL_PROXY", "http://u:secret@a")])).find("secret").is_none());
    }

    #[test]
    fn bad_proxies_are_told_without_their_passwords() {
        let proxies = Proxies { http: Some("socks5://u:secret@a".to_owned()), ..Proxies::default() };
        let failure = proxies.build().unwrap_err();
        assert!(failure.message.contains("scheme") && !failure.message.contains("secret"), "{failure}");
        let good =
            Proxies { http: Some("a:1".to_owned()), https: Some("http://b".to_owned()), no_proxy: "c".to_owned() };
        assert_eq!(good.build().unwrap().len(), 2);
    }
}
