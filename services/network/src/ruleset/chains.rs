//! The chains of the table, their hooks and rules.

use super::Ruleset;
use crate::expression::{DESTINATION_TRANSLATED, ESTABLISHED_OR_RELATED, Is, Rule};
use crate::family::Family;
use crate::header::End;
use crate::published::Set;
use crate::subnet::Subnet;
use crate::subnet6::Subnet6;
use std::net::Ipv6Addr;

/// After the translation of addresses in the input hook (`NF_IP_PRI_NAT_SRC`), which undoes that of the source.
const AFTER_TRANSLATION: i32 = libc::NF_IP_PRI_NAT_SRC + 10;

/// Where a base chain is called.
pub(super) struct Hook {
    /// The chain's type.
    pub(super) kind: &'static str,
    /// The hook's number (`NF_INET_*`).
    pub(super) number: i32,
    /// Lower ones come first.
    pub(super) priority: i32,
}

const fn hook(kind: &'static str, number: i32, priority: i32) -> Option<Hook> {
    Some(Hook { kind, number, priority })
}

/// A chain with its rules. It accepts what no rule ends.
type Chain = (&'static str, Option<Hook>, Vec<Rule>);

impl Ruleset {
    /// The chains with their hooks and rules.
    pub(super) fn chains(&self) -> Vec<Chain> {
        let mut chains = vec![
            publish(),
            self.guard(),
            prerouting(),
            (
                "output",
                hook("nat", libc::NF_INET_LOCAL_OUT, libc::NF_IP_PRI_NAT_DST),
                vec![rule().for_this_host().jump("publish")],
            ),
            self.postrouting(),
            self.forward(),
        ];
        if let Some(subnet) = self.subnets.v6 {
            chains.extend(self.loopback6(subnet.gateway()));
        }
        chains
    }

    /// The bridge takes packets of 127.0.0.0/8 (route_localnet), for ports published there. That must not let a
    /// container reach what listens on the host's loopback. Before connection tracking, answers to our own
    /// connections still carry the bridge's address. For ::1 the kernel has a check of its own, but where
    /// br_netfilter is loaded, translation comes before it.
    fn guard(&self) -> Chain {
        let bridge = self.name.as_str();
        let rules = vec![
            rule().came_by(Is::This, bridge).to(Subnet::loopback()).drop(),
            rule().came_by(Is::This, bridge).from(Subnet::loopback()).drop(),
            rule().came_by(Is::This, bridge).to(Subnet6::loopback()).drop(),
            rule().came_by(Is::This, bridge).from(Subnet6::loopback()).drop(),
        ];
        ("guard", hook("filter", libc::NF_INET_PRE_ROUTING, libc::NF_IP_PRI_RAW), rules)
    }

    /// To a container: the host's loopback address, and the address of a container that uses a published port,
    /// would not find the way back. From a container: to the world.
    fn postrouting(&self) -> Chain {
        let bridge = self.name.as_str();
        let hairpin = || rule().leaves_by(Is::This, bridge);
        let outward = || rule().leaves_by(Is::Other, bridge);
        let mut rules = vec![
            rule().leaves_by(Is::This, "lo").leave(),
            hairpin().from(Subnet::loopback()).masquerade(),
            hairpin().from(self.subnets.v4).connection_status(DESTINATION_TRANSLATED).masquerade(),
            outward().from(self.subnets.v4).masquerade(),
        ];
        if let Some(subnet) = self.subnets.v6 {
            rules.push(hairpin().from(subnet).connection_status(DESTINATION_TRANSLATED).masquerade());
            rules.push(outward().from(subnet).masquerade());
        }
        ("postrouting", hook("nat", libc::NF_INET_POST_ROUTING, libc::NF_IP_PRI_NAT_SRC), rules)
    }

    /// Nobody beyond the host reaches a port of a container that is not published, even if he has a route to the
    /// subnet. What does not go to our bridge is not our business.
    fn forward(&self) -> Chain {
        let bridge = self.name.as_str();
        let rules = vec![
            rule().leaves_by(Is::Other, bridge).accept(),
            rule().came_by(Is::This, bridge).accept(),
            rule().connection_state(ESTABLISHED_OR_RELATED).accept(),
            rule().connection_status(DESTINATION_TRANSLATED).accept(),
            rule().drop(),
        ];
        ("forward", hook("filter", libc::NF_INET_FORWARD, libc::NF_IP_PRI_FILTER), rules)
    }

    /// IPv6 has no route_localnet: an answer to ::1 finds no way from the bridge. So a packet from ::1 to a
    /// published port gets the bridge's address before connection tracking sees it, and the answer gets ::1 after
    /// it. Who else sends from ::1 is not concerned: what comes by an interface from ::1 does not live so long.
    fn loopback6(&self, gateway: Ipv6Addr) -> [Chain; 2] {
        let there = rule().from(Subnet6::loopback()).to(Subnet6::loopback()).port_in(Set::LoopbackPorts);
        let back = rule().came_by(Is::This, &self.name).from(Subnet6::loopback()).to(gateway);
        [
            (
                "loopback_output",
                hook("filter", libc::NF_INET_LOCAL_OUT, libc::NF_IP_PRI_RAW),
                vec![there.rewrite(End::Source, gateway)],
            ),
            (
                "loopback_input",
                hook("filter", libc::NF_INET_LOCAL_IN, AFTER_TRANSLATION),
                vec![back.rewrite(End::Destination, Ipv6Addr::LOCALHOST)],
            ),
        ]
    }
}

fn rule() -> Rule {
    Rule::default()
}

/// Where the published ports lead.
fn publish() -> Chain {
    let families = [Family::V4, Family::V6];
    let rules = families.map(|family| [rule().translate_by_address(family), rule().translate_by_port(family)]);
    ("publish", None, rules.into_iter().flatten().collect())
}

/// A neighbour can send packets to 127.0.0.1, and translation would come before the kernel's check: what is
/// published there is for the host alone. The same goes for ::1 where br_netfilter is loaded.
fn prerouting() -> Chain {
    let rules = vec![
        rule().to(Subnet::loopback()).leave(),
        rule().to(Subnet6::loopback()).leave(),
        rule().for_this_host().jump("publish"),
    ];
    ("prerouting", hook("nat", libc::NF_INET_PRE_ROUTING, libc::NF_IP_PRI_NAT_DST), rules)
}
