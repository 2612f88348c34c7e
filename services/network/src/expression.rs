//! The expressions that rules are made of, as nf_tables takes them. The registers are those that the `nft`
//! program uses, so that it can show our rules in its own language.

use crate::family::{Family, octets};
use crate::header::{End, Range};
use crate::message::Attributes;
use crate::published::Set;
use std::net::Ipv6Addr;

/// Attributes of linux/netfilter/nf_tables.h.
mod nfta {
    pub(super) const LIST_ELEM: u16 = 1;
    pub(super) const EXPR_NAME: u16 = 1;
    pub(super) const EXPR_DATA: u16 = 2;
    pub(super) const DATA_VALUE: u16 = 1;
    pub(super) const DATA_VERDICT: u16 = 2;
    pub(super) const VERDICT_CODE: u16 = 1;
    pub(super) const VERDICT_CHAIN: u16 = 2;
    pub(super) const META_DREG: u16 = 1;
    pub(super) const META_KEY: u16 = 2;
    pub(super) const CMP_SREG: u16 = 1;
    pub(super) const CMP_OP: u16 = 2;
    pub(super) const CMP_DATA: u16 = 3;
    pub(super) const PAYLOAD_DREG: u16 = 1;
    pub(super) const PAYLOAD_BASE: u16 = 2;
    pub(super) const PAYLOAD_OFFSET: u16 = 3;
    pub(super) const PAYLOAD_LEN: u16 = 4;
    pub(super) const PAYLOAD_SREG: u16 = 5;
    pub(super) const PAYLOAD_CSUM_TYPE: u16 = 6;
    pub(super) const PAYLOAD_CSUM_OFFSET: u16 = 7;
    pub(super) const PAYLOAD_CSUM_FLAGS: u16 = 8;
    pub(super) const BITWISE_SREG: u16 = 1;
    pub(super) const BITWISE_DREG: u16 = 2;
    pub(super) const BITWISE_LEN: u16 = 3;
    pub(super) const BITWISE_MASK: u16 = 4;
    pub(super) const BITWISE_XOR: u16 = 5;
    pub(super) const CT_DREG: u16 = 1;
    pub(super) const CT_KEY: u16 = 2;
    pub(super) const FIB_DREG: u16 = 1;
    pub(super) const FIB_RESULT: u16 = 2;
    pub(super) const FIB_FLAGS: u16 = 3;
    pub(super) const LOOKUP_SET: u16 = 1;
    pub(super) const LOOKUP_SREG: u16 = 2;
    pub(super) const LOOKUP_DREG: u16 = 3;
    pub(super) const NAT_TYPE: u16 = 1;
    pub(super) const NAT_FAMILY: u16 = 2;
    pub(super) const NAT_REG_ADDR_MIN: u16 = 3;
    pub(super) const NAT_REG_PROTO_MIN: u16 = 5;
    pub(super) const IMMEDIATE_DREG: u16 = 1;
    pub(super) const IMMEDIATE_DATA: u16 = 2;
}

const VERDICT: u32 = 0;
const REGISTER_1: u32 = libc::NFT_REG_1 as u32;
/// The first of the registers of 32 bits, of which register 1 has four.
const REGISTER_OF_4_BYTES: u32 = libc::NFT_REG32_00 as u32;
/// Offset of the destination port in the headers of TCP and UDP.
const PORT: u32 = 2;
/// `NFT_FIB_RESULT_ADDRTYPE`, `NFTA_FIB_F_DADDR`.
const FIB_ADDRESS_TYPE: u32 = 3;
const FIB_OF_DESTINATION: u32 = 2;
/// The header of IPv6 has no checksum; those of TCP and UDP cover its addresses (`NFT_PAYLOAD_L4CSUM_PSEUDOHDR`).
const NO_CHECKSUM: u32 = 0;
const COVERED_BY_TRANSPORT: u32 = 1;

/// Connection states (`NF_CT_STATE_BIT`).
pub(crate) const ESTABLISHED_OR_RELATED: u32 = 2 | 4;
/// Connection status: the destination was translated (`IPS_DST_NAT`).
pub(crate) const DESTINATION_TRANSLATED: u32 = 1 << 5;

/// How an interface's name is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Is {
    /// It is this one.
    This,
    /// It is another one.
    Other,
}

/// The expressions of a rule: conditions, and then what is done.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rule(Attributes);

impl Rule {
    /// The list of expressions.
    pub(crate) fn expressions(&self) -> &Attributes {
        &self.0
    }

    /// The interface that the packet came by.
    pub(crate) fn came_by(self, is: Is, interface: &str) -> Self {
        self.interface(libc::NFT_META_IIFNAME, is, interface)
    }

    /// The interface that the packet leaves by.
    pub(crate) fn leaves_by(self, is: Is, interface: &str) -> Self {
        self.interface(libc::NFT_META_OIFNAME, is, interface)
    }

    /// The packet's source lies in a subnet.
    pub(crate) fn from(self, range: impl Into<Range>) -> Self {
        self.address_in(End::Source, &range.into())
    }

    /// The packet's destination lies in a subnet.
    pub(crate) fn to(self, range: impl Into<Range>) -> Self {
        self.address_in(End::Destination, &range.into())
    }

    /// The packet is for this host.
    pub(crate) fn for_this_host(self) -> Self {
        self.expression("fib", |data| {
            data.number(nfta::FIB_DREG, REGISTER_1);
            data.number(nfta::FIB_RESULT, FIB_ADDRESS_TYPE);
            data.number(nfta::FIB_FLAGS, FIB_OF_DESTINATION);
        })
        .compare(libc::NFT_CMP_EQ, &u32::from(libc::RTN_LOCAL).to_ne_bytes())
    }

    /// The packet's protocol and port are in a set.
    pub(crate) fn port_in(self, set: Set) -> Self {
        self.protocol_and_port(REGISTER_OF_4_BYTES).expression("lookup", |data| {
            data.text(nfta::LOOKUP_SET, set.name());
            data.number(nfta::LOOKUP_SREG, REGISTER_1);
        })
    }

    /// The connection is in one of these states.
    pub(crate) fn connection_state(self, mask: u32) -> Self {
        self.connection(libc::NFT_CT_STATE, mask)
    }

    /// The connection has one of these marks.
    pub(crate) fn connection_status(self, mask: u32) -> Self {
        self.connection(libc::NFT_CT_STATUS, mask)
    }

    /// Sends a packet to the address and port that a map has for it, if it has.
    pub(crate) fn translate_by_port(self, family: Family) -> Self {
        self.of(family).protocol_and_port(REGISTER_OF_4_BYTES).translate_by(Set::Ports(family), family)
    }

    /// The same with a map of addresses and ports.
    pub(crate) fn translate_by_address(self, family: Family) -> Self {
        self.of(family)
            .address(End::Destination, family)
            .protocol_and_port(REGISTER_OF_4_BYTES + family.length() / 4)
            .translate_by(Set::AddressPorts(family), family)
    }

    fn translate_by(self, map: Set, family: Family) -> Self {
        self.expression("lookup", |data| {
            data.text(nfta::LOOKUP_SET, map.name());
            data.number(nfta::LOOKUP_SREG, REGISTER_1);
            data.number(nfta::LOOKUP_DREG, REGISTER_1);
        })
        .expression("nat", |data| {
            data.number(nfta::NAT_TYPE, libc::NFT_NAT_DNAT as u32);
            data.number(nfta::NAT_FAMILY, u32::from(family.number()));
            data.number(nfta::NAT_REG_ADDR_MIN, REGISTER_1);
            data.number(nfta::NAT_REG_PROTO_MIN, REGISTER_OF_4_BYTES + family.length() / 4);
        })
    }

    /// Writes an address into the header of a packet of IPv6, and sets the checksums right. Nobody remembers it.
    pub(crate) fn rewrite(self, end: End, address: Ipv6Addr) -> Self {
        self.expression("immediate", |data| {
            data.number(nfta::IMMEDIATE_DREG, REGISTER_1);
            data.nested(nfta::IMMEDIATE_DATA, |value| value.bytes(nfta::DATA_VALUE, &address.octets()));
        })
        .expression("payload", |data| {
            data.number(nfta::PAYLOAD_SREG, REGISTER_1);
            data.number(nfta::PAYLOAD_BASE, libc::NFT_PAYLOAD_NETWORK_HEADER as u32);
            data.number(nfta::PAYLOAD_OFFSET, end.offset(Family::V6));
            data.number(nfta::PAYLOAD_LEN, Family::V6.length());
            data.number(nfta::PAYLOAD_CSUM_TYPE, NO_CHECKSUM);
            data.number(nfta::PAYLOAD_CSUM_OFFSET, 0);
            data.number(nfta::PAYLOAD_CSUM_FLAGS, COVERED_BY_TRANSPORT);
        })
    }

    /// Gives the packet the address of the interface that it leaves by.
    pub(crate) fn masquerade(self) -> Self {
        self.expression("masq", |_| {})
    }

    /// Lets the packet pass this hook of our table.
    pub(crate) fn accept(self) -> Self {
        self.verdict(libc::NF_ACCEPT, None)
    }

    /// Ends the packet.
    pub(crate) fn drop(self) -> Self {
        self.verdict(libc::NF_DROP, None)
    }

    /// Leaves this chain.
    pub(crate) fn leave(self) -> Self {
        self.verdict(libc::NFT_RETURN, None)
    }

    /// Goes on in another chain, and comes back.
    pub(crate) fn jump(self, chain: &str) -> Self {
        self.verdict(libc::NFT_JUMP, Some(chain))
    }

    fn interface(self, key: i32, is: Is, name: &str) -> Self {
        let mut padded = name.as_bytes().to_vec();
        padded.resize(libc::IFNAMSIZ, 0);
        let comparison = match is {
            Is::This => libc::NFT_CMP_EQ,
            Is::Other => libc::NFT_CMP_NEQ,
        };
        self.meta(key, REGISTER_1).compare(comparison, &padded)
    }

    fn of(self, family: Family) -> Self {
        self.meta(libc::NFT_META_NFPROTO, REGISTER_1).compare(libc::NFT_CMP_EQ, &[family.number()])
    }

    fn address(self, end: End, family: Family) -> Self {
        self.payload(libc::NFT_PAYLOAD_NETWORK_HEADER, end.offset(family), family.length(), REGISTER_1)
    }

    fn protocol_and_port(self, register: u32) -> Self {
        self.meta(libc::NFT_META_L4PROTO, register).payload(libc::NFT_PAYLOAD_TRANSPORT_HEADER, PORT, 2, register + 1)
    }

    fn address_in(self, end: End, Range { first, mask }: &Range) -> Self {
        let (family, mask) = (Family::of(*first), octets(*mask));
        let rule = self.of(family).address(end, family);
        let rule = if mask.iter().all(|byte| *byte == u8::MAX) { rule } else { rule.and(&mask) };
        rule.compare(libc::NFT_CMP_EQ, &octets(*first))
    }

    fn connection(self, key: i32, mask: u32) -> Self {
        self.expression("ct", |data| {
            data.number(nfta::CT_DREG, REGISTER_1);
            data.number(nfta::CT_KEY, key as u32);
        })
        .and(&mask.to_ne_bytes())
        .compare(libc::NFT_CMP_NEQ, &[0; 4])
    }

    fn meta(self, key: i32, register: u32) -> Self {
        self.expression("meta", |data| {
            data.number(nfta::META_KEY, key as u32);
            data.number(nfta::META_DREG, register);
        })
    }

    fn payload(self, base: i32, offset: u32, length: u32, register: u32) -> Self {
        self.expression("payload", |data| {
            data.number(nfta::PAYLOAD_DREG, register);
            data.number(nfta::PAYLOAD_BASE, base as u32);
            data.number(nfta::PAYLOAD_OFFSET, offset);
            data.number(nfta::PAYLOAD_LEN, length);
        })
    }

    fn and(self, mask: &[u8]) -> Self {
        self.expression("bitwise", |data| {
            data.number(nfta::BITWISE_SREG, REGISTER_1);
            data.number(nfta::BITWISE_DREG, REGISTER_1);
            data.number(nfta::BITWISE_LEN, mask.len() as u32);
            data.nested(nfta::BITWISE_MASK, |value| value.bytes(nfta::DATA_VALUE, mask));
            data.nested(nfta::BITWISE_XOR, |value| value.bytes(nfta::DATA_VALUE, &vec![0; mask.len()]));
        })
    }

    fn compare(self, comparison: i32, value: &[u8]) -> Self {
        self.expression("cmp", |data| {
            data.number(nfta::CMP_SREG, REGISTER_1);
            data.number(nfta::CMP_OP, comparison as u32);
            data.nested(nfta::CMP_DATA, |wrapped| wrapped.bytes(nfta::DATA_VALUE, value));
        })
    }

    fn verdict(self, code: i32, chain: Option<&str>) -> Self {
        self.expression("immediate", |data| {
            data.number(nfta::IMMEDIATE_DREG, VERDICT);
            data.nested(nfta::IMMEDIATE_DATA, |wrapped| {
                wrapped.nested(nfta::DATA_VERDICT, |verdict| {
                    verdict.number(nfta::VERDICT_CODE, code as u32);
                    if let Some(chain) = chain {
                        verdict.text(nfta::VERDICT_CHAIN, chain);
                    }
                });
            });
        })
    }

    fn expression(mut self, name: &str, data: impl FnOnce(&mut Attributes)) -> Self {
        self.0.nested(nfta::LIST_ELEM, |element| {
            element.text(nfta::EXPR_NAME, name);
            element.nested(nfta::EXPR_DATA, data);
        });
        self
    }
}
