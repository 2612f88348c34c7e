//! Which addresses of the subnet are taken, and which comes next.

use crate::subnet::Subnet;
use std::collections::BTreeSet;
use std::net::Ipv4Addr;

/// The addresses of a subnet, less network, broadcast and gateway. They are given out in ascending order,
/// round and round, so that an address that was given back rests as long as possible.
#[derive(Clone, Debug)]
pub struct Pool {
    subnet: Subnet,
    gateway: Ipv4Addr,
    taken: BTreeSet<Ipv4Addr>,
    /// Where the next search begins.
    next: u32,
}

impl Pool {
    /// A pool in which all is free.
    pub fn new(subnet: Subnet, gateway: Ipv4Addr) -> Self {
        Self { subnet, gateway, taken: BTreeSet::new(), next: first_host(&subnet) }
    }

    /// Takes the next free address. None if all are taken.
    pub fn allocate(&mut self) -> Option<Ipv4Addr> {
        let (first, last) = self.hosts()?;
        let start = if (first..=last).contains(&self.next) { self.next } else { first };
        let address = (start..=last).chain(first..start).map(Ipv4Addr::from).find(|address| self.is_free(*address))?;
        self.taken.insert(address);
        self.next = address.to_bits().wrapping_add(1);
        Some(address)
    }

    /// Takes this address, which was given out before. False if it is taken or not in the pool.
    pub fn claim(&mut self, address: Ipv4Addr) -> bool {
        let within = self.hosts().is_some_and(|(first, last)| (first..=last).contains(&address.to_bits()));
        within && address != self.gateway && self.taken.insert(address)
    }

    /// The next search begins after this address.
    pub fn resume_after(&mut self, address: Ipv4Addr) {
        self.next = address.to_bits().wrapping_add(1);
    }

    /// Gives an address back. If nothing else was free, it is the next.
    pub fn release(&mut self, address: Ipv4Addr) {
        let was_full = self.free() == 0;
        if self.taken.remove(&address) && was_full {
            self.next = address.to_bits();
        }
    }

    /// How many addresses are free.
    pub fn free(&self) -> u64 {
        let hosts = self.hosts().map_or(0, |(first, last)| u64::from(last - first) + 1);
        let gateway = self.hosts().is_some_and(|(first, last)| (first..=last).contains(&self.gateway.to_bits()));
        hosts - u64::from(gateway) - self.taken.len() as u64
    }

    fn is_free(&self, address: Ipv4Addr) -> bool {
        address != self.gateway && !self.taken.contains(&address)
    }

    /// The lowest and the highest address between network and broadcast; none in a subnet of one or two.
    fn hosts(&self) -> Option<(u32, u32)> {
        (self.subnet.size() > 2).then(|| (first_host(&self.subnet), self.subnet.last().to_bits() - 1))
    }
}

fn first_host(subnet: &Subnet) -> u32 {
    subnet.first().to_bits() | 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pool(text: &str) -> Pool {
        let subnet: Subnet = text.parse().unwrap();
        Pool::new(subnet, subnet.gateway())
    }

    fn last_byte(address: Option<Ipv4Addr>) -> Option<u8> {
        address.map(|address| address.octets()[3])
    }

    #[test]
    fn the_example_of_the_seed() {
        let mut pool = pool("127.0.0.1/29");
        for expected in [2, 3, 4, 5, 6] {
            assert_eq!(last_byte(pool.allocate()), Some(expected));
        }
        assert_eq!(pool.allocate(), None);
        for released in [5, 4, 6] {
            pool.release(Ipv4Addr::new(127, 0, 0, released));
        }
        for expected in [5, 6, 4] {
            assert_eq!(last_byte(pool.allocate()), Some(expected));
        }
        assert_eq!(pool.allocate(), None);
    }

    #[test]
    fn a_released_address_rests_until_the_round_is_over() {
        let mut pool = pool("10.0.0.0/29");
        let first = pool.allocate().unwrap();
        pool.release(first);
        let others: Vec<_> = std::iter::from_fn(|| pool.allocate()).collect();
        assert_eq!(others.len(), 5);
        assert_eq!(others.last(), Some(&first));
    }

    #[test]
    fn small_ranges_have_no_room() {
        for text in ["10.0.0.0/32", "10.0.0.0/31", "10.0.0.0/30"] {
            let mut pool = pool(text);
            let room = if text.ends_with("30") { 1 } else { 0 };
            assert_eq!(pool.free(), room);
            assert_eq!(std::iter::from_fn(|| pool.allocate()).count() as u64, room);
        }
        assert_eq!(pool("10.0.0.0/24").free(), 253);
        assert_eq!(pool("10.0.0.0/26").free(), 61);
        assert_eq!(pool("10.0.0.0/8").free(), 16_777_213);
    }

    #[test]
    fn claims_are_checked() {
        let mut pool = pool("10.0.0.0/29");
        assert!(pool.claim(Ipv4Addr::new(10, 0, 0, 3)));
        for bad in [[10, 0, 0, 3], [10, 0, 0, 0], [10, 0, 0, 1], [10, 0, 0, 7], [10, 0, 0, 8]] {
            assert!(!pool.claim(bad.into()), "{bad:?}");
        }
        pool.resume_after(Ipv4Addr::new(10, 0, 0, 3));
        assert_eq!(last_byte(pool.allocate()), Some(4));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Allocate,
        Release(usize),
    }

    proptest! {
        #[test]
        fn nothing_is_given_twice_and_nothing_is_lost(
            prefix in 26_u8..=32,
            steps in prop::collection::vec(prop_oneof![3 => Just(Step::Allocate), 2 => (0_usize..64).prop_map(Step::Release)], 0..400),
        ) {
            let subnet = Subnet::new(Ipv4Addr::new(10, 9, 8, 64), prefix).unwrap();
            let mut pool = Pool::new(subnet, subnet.gateway());
            let room = pool.free();
            let mut held = Vec::new();
            for step in steps {
                match step {
                    Step::Allocate => match pool.allocate() {
                        Some(address) => {
                            prop_assert!(!held.contains(&address));
                            prop_assert!(address > subnet.first() && address < subnet.last() && address != subnet.gateway());
                            held.push(address);
                        }
                        None => prop_assert_eq!(held.len() as u64, room),
                    },
                    Step::Release(index) if !held.is_empty() => {
                        let address = held.swap_remove(index % held.len());
                        pool.release(address);
                        pool.release(address);
                    }
                    Step::Release(_) => {}
                }
                prop_assert_eq!(pool.free() + held.len() as u64, room);
            }
        }
    }
}
