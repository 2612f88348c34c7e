//! Making the kernel agree with the records: what is missing is made, what is otherwise is set right.

use super::Engine;
use crate::books::Books;
use crate::link::Link;
use crate::plug;
use crate::reservation::reserve;
use crate::subnet::Subnet;
use crate::subnet6::Subnet6;
use crate::subnets::Subnets;
use crate::sysctl;
use schema::Failure;

impl Engine {
    /// Bridge and table, made if they are missing.
    pub(super) fn stand(&mut self) -> Result<Link, Failure> {
        let followed = self.follow_ipv6()?;
        let bridge = match (&self.books, self.ground.bridge()?) {
            (Some(books), Some(bridge)) if !followed => {
                self.ground.forward(books.subnets())?;
                bridge
            }
            _ => self.make_bridge()?,
        };
        let ruleset = self.ruleset()?;
        if !self.netfilter.stands(&ruleset)? {
            let all = self.books()?.published();
            self.netfilter.apply(ruleset.create(&all))?;
        }
        Ok(bridge)
    }

    /// Gives addresses of IPv6 from now on if the host has it, and none if it has not. Tells whether that changed.
    pub(super) fn follow_ipv6(&mut self) -> Result<bool, Failure> {
        let Some(now) = self.books.as_ref().map(Books::subnets) else { return Ok(false) };
        let wanted = match (sysctl::has_ipv6()?, now.v6) {
            (true, Some(_)) | (false, None) => return Ok(false),
            (false, Some(_)) => None,
            (true, None) => self.subnet6(now.v4)?,
        };
        self.books_mut()?.set_v6(wanted);
        Ok(wanted != now.v6)
    }

    /// The IPv6 subnet of this instance: as recorded; as the bridge has it, if the record was lost; or chosen now.
    fn subnet6(&self, v4: Subnet) -> Result<Option<Subnet6>, Failure> {
        let recorded = self.records.subnets()?.and_then(|subnets| subnets.v6);
        if recorded.is_some() {
            return Ok(recorded);
        }
        let chosen = match self.ground.subnet6()? {
            None => self.ground.choose_subnet6(0)?,
            found => found,
        };
        if chosen.is_some() {
            self.records.put_subnets(Subnets { v4, v6: chosen })?;
        }
        Ok(chosen)
    }

    /// Makes the bridge on the subnets of the books; on others if nothing is attached and those are in use.
    fn make_bridge(&mut self) -> Result<Link, Failure> {
        if let Some(books) = &self.books
            && !books.leases().is_empty()
        {
            let bridge = self.ground.make_bridge(books.subnets())?;
            plug::join_all(self.ground.links(), &bridge, books.leases().iter())?;
            return Ok(bridge);
        }
        let recorded = self.books.as_ref().map(Books::subnets);
        let (bridge, subnets) = self.ground.make_bridge_on_free_subnets(recorded)?;
        if recorded != Some(subnets) {
            self.settle(subnets)?;
        }
        self.ground.finish_bridge(&bridge, subnets)?;
        Ok(bridge)
    }

    /// Makes the kernel agree with the records: bridge, ports of the bridge, table, reserved ports.
    pub(crate) fn restore(&mut self) -> Result<(), Failure> {
        self.ground.mend()?;
        self.follow_ipv6()?;
        self.adopt_lost()?;
        let Some(books) = &self.books else { return Ok(()) };
        let (ruleset, published) = (self.ruleset()?, books.published());
        if books.leases().is_empty() {
            self.ground.complete_bridge(books.subnets())?;
            if self.netfilter.stands(&ruleset)? && !self.netfilter.stands_with(&ruleset, &published)? {
                self.netfilter.apply(ruleset.create(&published))?;
            }
            return Ok(());
        }
        self.make_bridge()?;
        if !self.netfilter.stands_with(&ruleset, &published)? {
            tracing::warn!("the table is missing or not as it should be; making it anew");
            self.netfilter.apply(ruleset.create(&published))?;
        }
        self.hold_ports();
        Ok(())
    }

    /// Finds the containers whose leases were lost, by their interfaces, and records them.
    fn adopt_lost(&mut self) -> Result<(), Failure> {
        let Some(books) = &mut self.books else { return Ok(()) };
        for (id, address, interface) in self.ground.connected()? {
            if !books.leases().contains_key(&id) {
                tracing::error!(container = id.short(), %address, interface, "its lease is lost; its ports are not published");
                books.adopt(id.clone(), address, interface);
                if let Some(lease) = books.leases().get(&id) {
                    self.records.put_lease(&id, lease)?;
                }
            }
        }
        Ok(())
    }

    /// Reserves the published ports again, which a process that ended no longer does. One that was taken
    /// meanwhile goes on being published.
    fn hold_ports(&mut self) {
        let Some(books) = &self.books else { return };
        for (id, lease) in books.leases() {
            if self.held.contains_key(id) {
                continue;
            }
            let held = lease.ports.iter().filter_map(|binding| match reserve(binding) {
                Ok(held) => Some(held),
                Err(error) => {
                    tracing::warn!(container = id.short(), ?binding, %error, "a published port is also in use by another process");
                    None
                }
            });
            self.held.insert(id.clone(), held.collect());
        }
    }
}
