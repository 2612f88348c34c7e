//! How names are looked up: lines of /etc/hosts and /etc/resolv.conf.

use super::is_label;
use schema::Failure;
use schema::containers::ContainerSpec;
use std::net::IpAddr;

/// What a name may have at most: RFC 1035.
const LONGEST_NAME: usize = 253;

/// Checks hosts, name servers and domains.
pub(super) fn check(spec: &ContainerSpec) -> Result<(), Failure> {
    for host in &spec.extra_hosts {
        address(&host.address)?;
        name(&host.hostname)?;
    }
    spec.nameservers.iter().try_for_each(|server| address(server))?;
    // The root alone stands for "no domain".
    spec.search_domains.iter().filter(|domain| *domain != ".").try_for_each(|domain| name(domain))
}

fn address(text: &str) -> Result<(), Failure> {
    match text.parse::<IpAddr>() {
        Ok(_) => Ok(()),
        Err(_) => {
            Err(Failure::invalid(format_args!("{text:?} is not an IP address"))
                .hint("write it as in 192.0.2.1 or fd00::1"))
        }
    }
}

/// Host names and domains. Underscores are in use there, whatever RFC 1123 says.
fn name(text: &str) -> Result<(), Failure> {
    let name = text.strip_suffix('.').unwrap_or(text);
    let is_good = |label: &str| is_label(&label.replace('_', "x"));
    if name.len() <= LONGEST_NAME && name.split('.').all(is_good) {
        return Ok(());
    }
    Err(Failure::invalid(format_args!("{text:?} is not the name of a host or domain"))
        .hint("a name is of letters, digits, `-` and `_`, in labels that are separated by dots"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use schema::filesystem::HostEntry;

    fn spec(host: (&str, &str), server: &str, domain: &str) -> ContainerSpec {
        let host = HostEntry { address: host.0.to_owned(), hostname: host.1.to_owned() };
        ContainerSpec {
            extra_hosts: vec![host],
            nameservers: vec![server.to_owned()],
            search_domains: vec![domain.to_owned()],
            ..ContainerSpec::default()
        }
    }

    #[test]
    fn lines_of_hosts_and_resolv_conf_cannot_be_broken() {
        let good = ("fd00::1", "db_1.example");
        for domain in [".", "example.org.", "a"] {
            assert_eq!(check(&spec(good, "192.0.2.1", domain)), Ok(()));
        }
        for bad in [
            spec(("1.2.3", "db"), "192.0.2.1", "a"),
            spec(("1.2.3.4", "a b"), "192.0.2.1", "a"),
            spec(("1.2.3.4", "a\n6.6.6.6 bank"), "192.0.2.1", "a"),
            spec(good, "dns", "a"),
            spec(good, "1.1.1.1\noptions x", "a"),
            spec(good, "1.1.1.1", "a b"),
            spec(good, "1.1.1.1", ""),
        ] {
            assert_eq!(check(&bad).unwrap_err().code, schema::Code::InvalidArgument, "{bad:?}");
        }
    }
}
