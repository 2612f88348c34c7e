//! Whether this host can carry the network of containers, for `cctl system doctor`: what the service needs is made
//! once, in a network namespace that ends with this process. Prints a [`Report`] as JSON.

use crate::link::{Links, Mac, OtherEnd};
use crate::message::{Message, attribute, text};
use crate::netfilter::Netfilter;
use crate::netlink::Refused;
use crate::ruleset::{Ruleset, nft_type, nfta};
use crate::subnet::choose;
use crate::subnets::Subnets;
use nix::sched::{CloneFlags, unshare};
use schema::{Failure, Instance};
use serde::Serialize;
use std::fs::File;
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;
use std::process::ExitCode;

/// The argument that asks for it.
pub const ARGUMENT: &str = "--probe";

/// Names of what is made.
const BRIDGE: &str = "cctl-probe";
const PAIR: [&str; 2] = ["cctl-probe-a", "cctl-probe-b"];
const MTU: u32 = 1500;
/// A question about all families (`struct nfgenmsg`).
const ANY: [u8; 4] = [libc::AF_UNSPEC as u8, libc::NFNETLINK_V0 as u8, 0, 0];
/// `NF_DROP` (linux/netfilter.h).
const DROP: u32 = 0;

/// What was found.
#[derive(Debug, Serialize)]
struct Report {
    /// Why bridges and pairs of interfaces cannot be made; none: they can.
    links: Option<String>,
    /// The same of our rules.
    firewall: Option<String>,
    /// What others have in the way of forwarded packets, unless a rule in the same table names our bridge.
    forward: Vec<Chain>,
}

/// A chain that drops forwarded packets which none of its rules accepts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Chain {
    family: &'static str,
    table: String,
    chain: String,
}

/// Looks, tries, and prints. The exit code says only whether there is a report.
pub fn run() -> ExitCode {
    let printed = report().and_then(|report| {
        serde_json::to_string(&report).map_err(|error| Failure::internal(format_args!("printing the report: {error}")))
    });
    match printed {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}

fn report() -> Result<Report, Failure> {
    let bridge = Instance::from_env()?.kernel_name();
    // A kernel without nftables has no such chains.
    let forward = foreign(&mut Netfilter::default(), &bridge).unwrap_or_default();
    unshare(CloneFlags::CLONE_NEWNET)
        .map_err(|errno| Failure::io("making a network namespace to try it in", &errno.into()))?;
    Ok(Report {
        links: links().err().map(|failure| failure.to_string()),
        firewall: firewall().err().map(|failure| failure.to_string()),
        forward,
    })
}

fn links() -> Result<(), Failure> {
    let links = Links::open()?;
    links.add_bridge(BRIDGE, Mac::of(Ipv4Addr::LOCALHOST), MTU)?;
    let made = links.named(BRIDGE)?;
    let bridge = made.ok_or_else(|| Failure::internal("the bridge that was made is not there"))?;
    let home = File::open("/proc/thread-self/ns/net")
        .map_err(|error| Failure::io("opening the own network namespace", &error))?;
    let other = OtherEnd { name: PAIR[1], mac: Mac::of(Ipv4Addr::UNSPECIFIED), namespace: home.as_raw_fd() };
    Ok(links.add_veth(PAIR[0], bridge.index, MTU, &other)?)
}

fn firewall() -> Result<(), Failure> {
    let subnet = choose(BRIDGE, 0, &[]).ok_or_else(|| Failure::internal("no subnet to try it with"))?;
    let ruleset = Ruleset { name: BRIDGE.to_owned(), subnets: Subnets { v4: subnet, v6: None } };
    Ok(Netfilter::default().apply(ruleset.create(&[]))?)
}

/// The chains of others.
fn foreign(netfilter: &mut Netfilter, bridge: &str) -> Result<Vec<Chain>, Refused> {
    let question = |kind, doing: &'static str| Message::new(nft_type(kind), 0, &ANY, format!("nftables: {doing}"));
    let chains = netfilter.dump(&question(libc::NFT_MSG_GETCHAIN, "reading the chains"))?;
    let rules = netfilter.dump(&question(libc::NFT_MSG_GETRULE, "reading the rules"))?;
    let names_us = |chain: &Chain| {
        let of_table =
            |rule: &&Vec<u8>| table_of(rule).is_some_and(|table| table == (chain.family, chain.table.clone()));
        rules.iter().filter(of_table).any(|rule| rule.windows(bridge.len()).any(|part| part == bridge.as_bytes()))
    };
    Ok(chains.iter().filter_map(|object| parse(object)).filter(|chain| !names_us(chain)).collect())
}

/// A chain, if it is one that is in the way. Those of instances of cctl are not.
fn parse(object: &[u8]) -> Option<Chain> {
    let (family, table) = table_of(object)?;
    let body = object.get(ANY.len()..)?;
    let hook = attribute(attribute(body, nfta::CHAIN_HOOK)?, nfta::HOOK_HOOKNUM).and_then(number)?;
    let policy = attribute(body, nfta::CHAIN_POLICY).and_then(number)?;
    let ours = table == "cctl0" || table.starts_with("cctl-");
    let in_the_way = hook == libc::NF_INET_FORWARD as u32 && policy == DROP && !ours;
    in_the_way.then(|| Some(Chain { family, table, chain: text(attribute(body, nfta::CHAIN_NAME)?) }))?
}

/// The table of a chain or a rule: its family, as `nft` calls it, of those that see packets of containers.
fn table_of(object: &[u8]) -> Option<(&'static str, String)> {
    let family = match i32::from(*object.first()?) {
        libc::NFPROTO_INET => "inet",
        libc::NFPROTO_IPV4 => "ip",
        libc::NFPROTO_IPV6 => "ip6",
        _ => return None,
    };
    // In both, the name of the table is the first attribute.
    Some((family, text(attribute(object.get(ANY.len()..)?, nfta::CHAIN_TABLE)?)))
}

/// Numbers of nftables are in network order.
fn number(bytes: &[u8]) -> Option<u32> {
    bytes.try_into().ok().map(u32::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(family: i32, table: &str, hook: u32, policy: u32) -> Vec<u8> {
        let message = Message::new(0, 0, &[family as u8, 0, 0, 0], "a chain").with(|list| {
            list.text(nfta::CHAIN_TABLE, table);
            list.text(nfta::CHAIN_NAME, "FORWARD");
            list.nested(nfta::CHAIN_HOOK, |list| list.number(nfta::HOOK_HOOKNUM, hook));
            list.number(nfta::CHAIN_POLICY, policy);
        });
        message.body
    }

    #[test]
    fn chains_that_drop_forwarded_packets_are_in_the_way() {
        let forward = libc::NF_INET_FORWARD as u32;
        let found = parse(&chain(libc::NFPROTO_IPV4, "filter", forward, DROP)).unwrap();
        assert_eq!(found, Chain { family: "ip", table: "filter".into(), chain: "FORWARD".into() });
        for other in [
            chain(libc::NFPROTO_IPV4, "filter", forward, 1),
            chain(libc::NFPROTO_IPV4, "filter", libc::NF_INET_LOCAL_IN as u32, DROP),
            chain(libc::NFPROTO_BRIDGE, "filter", forward, DROP),
            chain(libc::NFPROTO_INET, "cctl-123456", forward, DROP),
            Vec::new(),
        ] {
            assert_eq!(parse(&other), None);
        }
    }
}
