//! Lines of /etc/hosts: `--add-host`.

use super::Parsed;
use schema::filesystem::HostEntry;
use std::net::IpAddr;

const EXPECTED: &str = "expected NAME:ADDRESS, such as db:10.0.0.7, db:fd00::7 or db=10.0.0.7";

/// `name:address` or `name=address`; an IPv6 address may have brackets.
pub(crate) fn host(text: &str) -> Parsed<HostEntry> {
    let (hostname, address) = text.split_once('=').or_else(|| text.split_once(':')).ok_or(EXPECTED)?;
    let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(address);
    let name = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if hostname.is_empty() || !hostname.chars().all(name) {
        return Err(format!("{hostname:?} is not a host name; {EXPECTED}"));
    }
    let address: IpAddr = bare.parse().map_err(|_| format!("{address:?} is not an IP address; {EXPECTED}"))?;
    Ok(HostEntry { address: address.to_string(), hostname: hostname.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_families() {
        let line = |text: &str| host(text).map(|entry| format!("{} {}", entry.address, entry.hostname));
        assert_eq!(line("db:10.0.0.7"), Ok("10.0.0.7 db".into()));
        assert_eq!(line("db=fd00::7"), Ok("fd00::7 db".into()));
        assert_eq!(line("a.b:[::1]"), Ok("::1 a.b".into()));
        for bad in ["", "db", "db:", ":1.2.3.4", "db:host-gateway", "a b:1.2.3.4", "a\n:1.2.3.4", "db:1.2.3"] {
            assert!(host(bad).is_err(), "{bad:?}");
        }
    }
}
