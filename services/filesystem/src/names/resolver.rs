//! What /etc/resolv.conf of a container says, resolv.conf(5). Pure.

use super::check_name;
use schema::Failure;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

const NO_NAMESERVER: &str = "# The host has no name server that a container could reach.\n";
/// The domain that means: search nowhere.
const NOWHERE: &str = ".";

/// What a container's user has said of its name servers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Resolver {
    /// Addresses; empty: those of the host.
    #[serde(default)]
    pub(super) nameservers: Vec<String>,
    /// Domains; empty: those of the host.
    #[serde(default)]
    pub(super) search: Vec<String>,
}

impl Resolver {
    /// Fails with `invalidArgument` for what is no address and no domain.
    pub(super) fn new(nameservers: &[String], search: &[String]) -> Result<Self, Failure> {
        for nameserver in nameservers {
            if address(nameserver).is_none() {
                return Err(Failure::invalid(format_args!("the name server {nameserver:?} is not an IP address"))
                    .hint("name servers are given by their address: 192.0.2.53"));
            }
        }
        for domain in search.iter().filter(|domain| *domain != NOWHERE) {
            check_name(domain)?;
        }
        Ok(Self { nameservers: nameservers.to_vec(), search: search.to_vec() })
    }

    /// The file, made of the host's. Of these the first counts that names a server outside of the host's
    /// loopback; servers on loopback are left out: they are out of a container's reach. If there is none, no
    /// server is named: a public one would learn what a container looks up without anybody having asked for
    /// that.
    pub(super) fn render(&self, files: &[String]) -> String {
        let has_server = |file: &&String| file.lines().filter_map(nameserver).any(|address| !is_loopback(address));
        let reachable = files.iter().find(has_server);
        let host = reachable.or(files.first()).map_or("", String::as_str);
        let mut text = String::new();
        if reachable.is_none() && self.nameservers.is_empty() {
            text.push_str(NO_NAMESERVER);
        }
        for line in host.lines().filter(|line| self.keeps(line)) {
            text.push_str(line);
            text.push('\n');
        }
        let search: Vec<&str> = self.search.iter().map(String::as_str).filter(|domain| *domain != NOWHERE).collect();
        if !search.is_empty() {
            text.push_str(&format!("search {}\n", search.join(" ")));
        }
        for nameserver in &self.nameservers {
            text.push_str(&format!("nameserver {nameserver}\n"));
        }
        text
    }

    /// Whether a line of the host's file holds for the container too.
    fn keeps(&self, line: &str) -> bool {
        match (nameserver(line), line.split_ascii_whitespace().next()) {
            (Some(address), _) => self.nameservers.is_empty() && !is_loopback(address),
            (None, Some("search" | "domain")) => self.search.is_empty(),
            _ => true,
        }
    }
}

fn nameserver(line: &str) -> Option<&str> {
    let mut words = line.split_ascii_whitespace();
    (words.next() == Some("nameserver")).then(|| words.next().unwrap_or_default())
}

/// An address may name an interface: `fe80::1%eth0`.
fn address(text: &str) -> Option<IpAddr> {
    let (address, zone) = text.split_once('%').unwrap_or((text, "any"));
    let is_word = !zone.is_empty() && zone.bytes().all(|byte| byte.is_ascii_graphic());
    address.parse().ok().filter(|_| is_word)
}

fn is_loopback(text: &str) -> bool {
    address(text).is_some_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conf(resolver: &Resolver, files: &[&str]) -> String {
        resolver.render(&files.iter().map(|file| (*file).to_owned()).collect::<Vec<_>>())
    }

    fn host(files: &[&str]) -> String {
        conf(&Resolver::default(), files)
    }

    fn own(nameservers: &[&str], search: &[&str]) -> Resolver {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        Resolver::new(&owned(nameservers), &owned(search)).unwrap()
    }

    #[test]
    fn servers_on_loopback_are_left_out() {
        let file = "# x\nsearch a.org\nnameserver 127.0.0.53\nnameserver ::1\nnameserver 10.0.0.1\noptions edns0\n";
        assert_eq!(host(&[file]), "# x\nsearch a.org\nnameserver 10.0.0.1\noptions edns0\n");
    }

    #[test]
    fn behind_a_stub_the_servers_of_the_resolver_are_taken() {
        let (stub, behind) = ("nameserver 127.0.0.53\n", "nameserver fe80::1%eth0\n");
        assert_eq!(host(&[stub, behind]), behind);
        assert_eq!(host(&["nameserver 1.1.1.1\n", behind]), "nameserver 1.1.1.1\n");
    }

    #[test]
    fn without_a_server_the_file_says_so() {
        assert_eq!(host(&[]), NO_NAMESERVER);
        assert_eq!(host(&["nameserver 127.0.0.1\nsearch a\n"]), format!("{NO_NAMESERVER}search a\n"));
    }

    #[test]
    fn what_the_user_says_takes_the_place_of_the_hosts_lines() {
        let file = "search a.org\nnameserver 10.0.0.1\noptions edns0\n";
        let servers = own(&["192.0.2.1", "fe80::1%eth0"], &[]);
        let expected = "search a.org\noptions edns0\nnameserver 192.0.2.1\nnameserver fe80::1%eth0\n";
        assert_eq!(conf(&servers, &[file]), expected);
        let domains = own(&[], &["b.org", "c.org"]);
        assert_eq!(conf(&domains, &[file]), "nameserver 10.0.0.1\noptions edns0\nsearch b.org c.org\n");
        assert_eq!(conf(&own(&["127.0.0.1"], &["."]), &[]), "nameserver 127.0.0.1\n");
    }

    #[test]
    fn what_is_no_address_and_no_domain_is_refused() {
        let text = |text: &str| vec![text.to_owned()];
        for bad in ["dns.example.org", "", "10.0.0", "10.0.0.1\nnameserver 6.6.6.6", "fe80::1%", "fe80::1%a\nb"] {
            assert!(Resolver::new(&text(bad), &[]).is_err(), "{bad:?}");
        }
        assert!(Resolver::new(&[], &text("a b")).is_err());
    }
}
