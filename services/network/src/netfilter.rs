//! The way to the kernel's packet filter: applying the table, looking whether it stands. All by nfnetlink; no
//! program is run.

use crate::message::{Message, attribute, text};
use crate::netlink::{Netlink, Refused};
use crate::published::{Element, Published, Set, elements, set_named};
use crate::ruleset::{INET, Ruleset, nft_type, nfta, user_data};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Begins and ends a batch (linux/netfilter/nfnetlink.h).
fn batch_mark(kind: i32) -> Message {
    let subsystem = (libc::NFNL_SUBSYS_NFTABLES as u16).to_be_bytes();
    let header = [libc::AF_UNSPEC as u8, libc::NFNETLINK_V0 as u8, subsystem[0], subsystem[1]];
    Message::new(kind as u16, 0, &header, "nftables: a batch")
}

/// The number of the socket by which the table is changed now; 0: there is none.
#[derive(Clone, Debug, Default)]
pub(crate) struct Port(Arc<AtomicU32>);

impl Port {
    /// The number.
    pub(crate) fn number(&self) -> u32 {
        self.0.load(Ordering::SeqCst)
    }
}

/// A socket that is kept open: when one of this kind is closed, the kernel finishes pending removals of nftables
/// first, and whoever closes it waits for that, some ten milliseconds.
#[derive(Debug, Default)]
pub(crate) struct Netfilter {
    socket: Option<Netlink>,
    port: Port,
}

impl Netfilter {
    /// The number of the socket, also of the one that takes its place.
    pub(crate) fn port(&self) -> Port {
        self.port.clone()
    }

    /// Applies messages as one transaction: all or none.
    pub(crate) fn apply(&mut self, messages: Vec<Message>) -> Result<(), Refused> {
        let last = messages.len();
        if last == 0 {
            return Ok(());
        }
        let mut batch = Vec::with_capacity(last + 2);
        batch.push(batch_mark(libc::NFNL_MSG_BATCH_BEGIN));
        batch.extend(messages);
        batch.push(batch_mark(libc::NFNL_MSG_BATCH_END));
        self.socket()?.transact(&batch, last).inspect_err(|_| {
            // Each message of the batch may have got an answer of its own, and they are left over.
            self.socket = None;
        })
    }

    /// Whether a table of this name stands and says of itself what ours says. Cheap: one question.
    pub(crate) fn stands(&mut self, ruleset: &Ruleset) -> Result<bool, Refused> {
        let request = question(libc::NFT_MSG_GETTABLE, "looking for the table");
        let request = request.with(|list| list.text(nfta::TABLE_NAME, &ruleset.name));
        let table = self.socket()?.get(&request)?;
        let comment = table.as_deref().and_then(body).and_then(|body| attribute(body, nfta::TABLE_USERDATA));
        Ok(comment == Some(&user_data(&ruleset.comment())))
    }

    /// Whether the table stands with all its rules, and publishes exactly these ports.
    pub(crate) fn stands_with(&mut self, ruleset: &Ruleset, published: &[Published]) -> Result<bool, Refused> {
        if !self.stands(ruleset)? || self.count_rules(ruleset)? != ruleset.rule_count() {
            return Ok(false);
        }
        let mut expected: Vec<_> = published.iter().flat_map(Published::elements).collect();
        let mut found = Vec::with_capacity(expected.len());
        for set in Set::ALL {
            found.extend(self.elements_of(ruleset, set)?.into_iter().map(|element| (set, element)));
        }
        found.sort_unstable();
        expected.sort_unstable();
        Ok(found == expected)
    }

    fn count_rules(&mut self, ruleset: &Ruleset) -> Result<usize, Refused> {
        let request = question(libc::NFT_MSG_GETRULE, "reading the rules");
        let rules = self.dump(&request.with(|list| list.text(nfta::RULE_TABLE, &ruleset.name)))?;
        // Kernels differ in whether they heed the name.
        let of_ours = |rule: &Vec<u8>| {
            let table = body(rule).and_then(|body| attribute(body, nfta::RULE_TABLE));
            table.map(text).as_deref() == Some(ruleset.name.as_str())
        };
        Ok(rules.iter().filter(|rule| of_ours(rule)).count())
    }

    fn elements_of(&mut self, ruleset: &Ruleset, set: Set) -> Result<Vec<Element>, Refused> {
        let request = question(libc::NFT_MSG_GETSETELEM, "reading the published ports");
        let lists = self.dump(&request.with(|list| set_named(list, &ruleset.name, set)))?;
        Ok(lists.iter().filter_map(|list| body(list)).flat_map(elements).collect())
    }

    /// All objects that a question finds; none if what it names does not exist.
    pub(crate) fn dump(&mut self, request: &Message) -> Result<Vec<Vec<u8>>, Refused> {
        match self.socket()?.dump(request) {
            Err(refused) if refused.is_missing() => Ok(Vec::new()),
            answer => answer,
        }
    }

    /// Carries out one request; done also if what it names does not exist.
    pub(crate) fn ask(&mut self, request: Message) -> Result<(), Refused> {
        match self.socket()?.transact(&[request], 0) {
            Err(refused) if refused.is_missing() => Ok(()),
            answer => answer,
        }
    }

    fn socket(&mut self) -> Result<&mut Netlink, Refused> {
        match &mut self.socket {
            Some(socket) => Ok(socket),
            empty => {
                let socket = Netlink::open()?;
                self.port.0.store(socket.port(), Ordering::SeqCst);
                Ok(empty.insert(socket))
            }
        }
    }
}

fn question(kind: i32, doing: &str) -> Message {
    Message::new(nft_type(kind), 0, &INET, format!("nftables: {doing}"))
}

/// The attributes of an object: after `struct nfgenmsg`.
fn body(object: &[u8]) -> Option<&[u8]> {
    object.get(INET.len()..)
}
