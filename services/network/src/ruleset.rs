//! The one nftables table of an instance, as messages for the kernel. Nothing here speaks to the kernel.
//!
//! The rules are the same for ever; what changes are the elements of a few maps. So publishing a port costs the
//! same whatever else is published, and no rule of ours or anybody's is rewritten for it.

mod chains;

use crate::expression::Rule;
use crate::hash::fnv1a;
use crate::message::Message;
use crate::published::{Element, Published, Set, set_named};
use crate::subnets::Subnets;
use chains::Hook;
use schema::common::PortBinding;

/// Attributes of linux/netfilter/nf_tables.h.
pub(crate) mod nfta {
    pub(crate) const TABLE_NAME: u16 = 1;
    pub(crate) const TABLE_USERDATA: u16 = 6;
    pub(crate) const CHAIN_TABLE: u16 = 1;
    pub(crate) const CHAIN_NAME: u16 = 3;
    pub(crate) const CHAIN_HOOK: u16 = 4;
    pub(crate) const CHAIN_POLICY: u16 = 5;
    pub(super) const CHAIN_TYPE: u16 = 7;
    pub(crate) const HOOK_HOOKNUM: u16 = 1;
    pub(super) const HOOK_PRIORITY: u16 = 2;
    pub(crate) const RULE_TABLE: u16 = 1;
    pub(super) const RULE_CHAIN: u16 = 2;
    pub(super) const RULE_EXPRESSIONS: u16 = 4;
    pub(super) const SET_TABLE: u16 = 1;
    pub(super) const SET_NAME: u16 = 2;
    pub(super) const SET_FLAGS: u16 = 3;
    pub(super) const SET_KEY_TYPE: u16 = 4;
    pub(super) const SET_KEY_LEN: u16 = 5;
    pub(super) const SET_DATA_TYPE: u16 = 6;
    pub(super) const SET_DATA_LEN: u16 = 7;
    pub(super) const SET_ID: u16 = 10;
}

/// Numbers by which the `nft` program knows what kind of value a key is made of (its datatype.h); the kernel
/// only stores them. Those of a concatenation stand in one number, six bits each.
mod datatype {
    use crate::family::Family;

    const PROTOCOL: u32 = 12;
    const PORT: u32 = 13;
    pub(super) const PROTOCOL_AND_PORT: u32 = PROTOCOL << 6 | PORT;

    const fn address(family: Family) -> u32 {
        match family {
            Family::V4 => 7,
            Family::V6 => 8,
        }
    }

    pub(super) const fn address_and_port(family: Family) -> u32 {
        address(family) << 6 | PORT
    }

    pub(super) const fn address_protocol_and_port(family: Family) -> u32 {
        address(family) << 12 | PROTOCOL_AND_PORT
    }
}

/// Type of the comment in a table's user data (libnftnl).
const COMMENT: u8 = 0;
/// Family, version and resource id of a message (`struct nfgenmsg`).
pub(crate) const INET: [u8; 4] = [libc::NFPROTO_INET as u8, libc::NFNETLINK_V0 as u8, 0, 0];

/// The table of an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ruleset {
    /// Name of the table, and of the bridge.
    pub(crate) name: String,
    /// The containers' addresses.
    pub(crate) subnets: Subnets,
}

impl Ruleset {
    /// Makes the table anew, whatever was there, with these ports published. To be sent as one batch, so that
    /// there is no moment without it.
    pub(crate) fn create(&self, published: &[Published]) -> Vec<Message> {
        let mut batch = remove_table(&self.name);
        batch.push(table(&self.name, Some(&self.comment())));
        batch.extend(self.skeleton());
        batch.extend(self.publish(published));
        batch
    }

    /// Publishes ports. What is published already as it should be stays.
    pub(crate) fn publish(&self, published: &[Published]) -> Vec<Message> {
        self.elements(published, libc::NFT_MSG_NEWSETELEM, libc::NLM_F_CREATE, "publishing")
    }

    /// Takes ports back. The kernel refuses the whole batch if one is not published.
    pub(crate) fn unpublish(&self, published: &[Published]) -> Vec<Message> {
        self.elements(published, libc::NFT_MSG_DELSETELEM, 0, "unpublishing")
    }

    fn elements(&self, published: &[Published], kind: i32, flags: i32, doing: &str) -> Vec<Message> {
        let of_one = |one: &Published| {
            let PortBinding { host_port, protocol, .. } = one.binding;
            let doing = format!("{doing} {host_port}/{protocol}");
            let messages = one.elements().into_iter();
            messages.map(|(set, element)| self.element(kind, flags, set, &element, doing.clone())).collect::<Vec<_>>()
        };
        published.iter().flat_map(of_one).collect()
    }

    /// What the table says of itself: a table that says something else was made by another version, or for
    /// another subnet.
    pub(crate) fn comment(&self) -> String {
        let fingerprint = self
            .skeleton()
            .iter()
            .fold(0, |hash, message| fnv1a(&[&u64::to_le_bytes(hash), message.body.as_slice()].concat()));
        format!("cctl: containers on {}, rules {fingerprint:016x}", self.name)
    }

    /// How many rules the table has.
    pub(crate) fn rule_count(&self) -> usize {
        self.chains().iter().map(|(_, _, rules)| rules.len()).sum()
    }

    /// Everything but the table itself and the elements.
    fn skeleton(&self) -> Vec<Message> {
        let mut batch: Vec<_> = (1..).zip(Set::ALL).map(|(number, set)| self.set(set, number)).collect();
        let chains = self.chains();
        batch.extend(chains.iter().map(|(name, hook, _)| self.chain(name, hook.as_ref())));
        for (chain, _, rules) in &chains {
            batch.extend(rules.iter().map(|rule| self.rule(chain, rule)));
        }
        batch
    }

    /// Each part of a key and of a value fills up four bytes.
    fn set(&self, set: Set, number: u32) -> Message {
        let (key_type, key_length, values) = match set {
            Set::Ports(family) => (datatype::PROTOCOL_AND_PORT, 8, Some(family)),
            Set::AddressPorts(family) => {
                (datatype::address_protocol_and_port(family), family.length() + 8, Some(family))
            }
            Set::LoopbackPorts => (datatype::PROTOCOL_AND_PORT, 8, None),
        };
        let message = message(libc::NFT_MSG_NEWSET, libc::NLM_F_CREATE, format!("making the set {}", set.name()));
        message.with(|list| {
            list.text(nfta::SET_TABLE, &self.name);
            list.text(nfta::SET_NAME, set.name());
            list.number(nfta::SET_FLAGS, values.map_or(0, |_| libc::NFT_SET_MAP as u32));
            list.number(nfta::SET_KEY_TYPE, key_type);
            list.number(nfta::SET_KEY_LEN, key_length);
            if let Some(family) = values {
                list.number(nfta::SET_DATA_TYPE, datatype::address_and_port(family));
                list.number(nfta::SET_DATA_LEN, family.length() + 4);
            }
            list.number(nfta::SET_ID, number);
        })
    }

    fn chain(&self, name: &str, hook: Option<&Hook>) -> Message {
        let message = message(libc::NFT_MSG_NEWCHAIN, libc::NLM_F_CREATE, format!("making the chain {name}"));
        message.with(|list| {
            list.text(nfta::CHAIN_TABLE, &self.name);
            list.text(nfta::CHAIN_NAME, name);
            if let Some(hook) = hook {
                list.nested(nfta::CHAIN_HOOK, |inner| {
                    inner.number(nfta::HOOK_HOOKNUM, hook.number as u32);
                    inner.number(nfta::HOOK_PRIORITY, hook.priority as u32);
                });
                list.text(nfta::CHAIN_TYPE, hook.kind);
            }
        })
    }

    fn rule(&self, chain: &str, rule: &Rule) -> Message {
        let flags = libc::NLM_F_CREATE | libc::NLM_F_APPEND;
        let message = message(libc::NFT_MSG_NEWRULE, flags, format!("making a rule of the chain {chain}"));
        message.with(|list| {
            list.text(nfta::RULE_TABLE, &self.name);
            list.text(nfta::RULE_CHAIN, chain);
            list.nested(nfta::RULE_EXPRESSIONS, |inner| inner.append(rule.expressions()));
        })
    }

    fn element(&self, kind: i32, flags: i32, set: Set, element: &Element, doing: String) -> Message {
        message(kind, flags, doing).with(|list| {
            set_named(list, &self.name, set);
            element.write(list);
        })
    }
}

/// Removes a table; done also if there is none.
pub(crate) fn remove_table(name: &str) -> Vec<Message> {
    let delete = message(libc::NFT_MSG_DELTABLE, 0, format!("removing the table {name}"));
    vec![table(name, None), delete.with(|list| list.text(nfta::TABLE_NAME, name))]
}

fn table(name: &str, comment: Option<&str>) -> Message {
    message(libc::NFT_MSG_NEWTABLE, libc::NLM_F_CREATE, format!("making the table {name}")).with(|list| {
        list.text(nfta::TABLE_NAME, name);
        if let Some(comment) = comment {
            list.bytes(nfta::TABLE_USERDATA, &user_data(comment));
        }
    })
}

fn message(kind: i32, flags: i32, doing: String) -> Message {
    Message::new(nft_type(kind), flags, &INET, format!("nftables: {doing}"))
}

/// The type of an nf_tables message.
pub(crate) fn nft_type(kind: i32) -> u16 {
    (libc::NFNL_SUBSYS_NFTABLES << 8 | kind) as u16
}

/// A comment as `nft list` shows it.
pub(crate) fn user_data(comment: &str) -> Vec<u8> {
    let mut data = vec![COMMENT, comment.len() as u8 + 1];
    data.extend_from_slice(comment.as_bytes());
    data.push(0);
    data
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ruleset(name: &str, subnet: &str) -> Ruleset {
        let subnets = Subnets { v4: subnet.parse().unwrap(), v6: "fd12::/64".parse().ok() };
        Ruleset { name: name.to_owned(), subnets }
    }

    #[test]
    fn the_comment_tells_tables_apart() {
        let one = ruleset("cctl0", "10.88.1.0/24");
        assert_eq!(one.comment(), one.clone().comment());
        assert_ne!(one.comment(), ruleset("cctl0", "10.88.2.0/24").comment());
        assert_ne!(one.comment(), ruleset("cctl1", "10.88.1.0/24").comment());
        let mut without = one.clone();
        without.subnets.v6 = None;
        assert_ne!(one.comment(), without.comment());
        assert!(user_data(&one.comment()).len() < 128);
    }

    #[test]
    fn a_table_is_replaced_in_one_batch() {
        let batch = ruleset("cctl0", "10.88.1.0/24").create(&[]);
        let kinds: Vec<_> = batch.iter().map(|message| i32::from(message.kind & 0xff)).collect();
        assert_eq!(kinds[..3], [libc::NFT_MSG_NEWTABLE, libc::NFT_MSG_DELTABLE, libc::NFT_MSG_NEWTABLE]);
        let rules = kinds.iter().filter(|kind| **kind == libc::NFT_MSG_NEWRULE).count();
        assert_eq!(rules, ruleset("cctl0", "10.88.1.0/24").rule_count());
    }
}
