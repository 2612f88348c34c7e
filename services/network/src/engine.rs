//! The network of an instance: its records, and the kernel made to agree with them.
//!
//! Everything here blocks, and belongs on a thread of its own. Effects follow records: whoever dies in between
//! leaves a record of what may have been done, and the next process finishes or undoes it.

mod check;
mod restore;

use crate::books::Books;
use crate::conntrack;
use crate::ground::Ground;
use crate::lease::Lease;
use crate::leaving::{GRACE, Leaving};
use crate::link::Link;
use crate::netfilter::{Netfilter, Port};
use crate::plug;
use crate::records::Records;
use crate::reservation::{Reservation, reserve};
use crate::ruleset::{Ruleset, remove_table};
use crate::subnet::Subnet;
use crate::subnets::Subnets;
use schema::common::SandboxRef;
use schema::network::{AttachSpec, Attachment, Mode, NetworkInfo};
use schema::{ContainerId, Failure};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

/// The network of an instance.
pub struct Engine {
    ground: Ground,
    netfilter: Netfilter,
    records: Records,
    books: Option<Books>,
    /// Sockets that hold the published ports.
    held: BTreeMap<ContainerId, Vec<Reservation>>,
    /// The sandboxes that this process has connected from beginning to end.
    connected: BTreeMap<ContainerId, SandboxRef>,
    leaving: Leaving,
}

impl Engine {
    /// Loads the records in `state` and makes the kernel agree with them. `name` is that of the bridge and of
    /// the table. A kernel that refuses is no reason not to start: it is logged, and told to whoever attaches.
    pub fn open(state: &Path, name: &str) -> Result<Self, Failure> {
        let mut engine = Self {
            ground: Ground::new(name)?,
            netfilter: Netfilter::default(),
            records: Records::open(state)?,
            books: None,
            held: BTreeMap::new(),
            connected: BTreeMap::new(),
            leaving: Leaving::open(state.join("leaving"))?,
        };
        let leases = engine.records.leases()?;
        match engine.records.subnets()? {
            Some(subnets) => engine.open_books(subnets.v4, leases),
            // If the record was lost, the bridge still knows.
            None => {
                if let Some(v4) = engine.ground.subnet()? {
                    engine.records.put_subnets(Subnets { v4, v6: None })?;
                    engine.open_books(v4, leases);
                }
            }
        }
        if let Err(failure) = engine.restore() {
            tracing::error!(%failure, "cannot restore the network");
        }
        if let Err(failure) = engine.sweep(Duration::ZERO) {
            tracing::error!(%failure, "cannot remove interfaces of containers that are gone");
        }
        Ok(engine)
    }

    /// Connects a sandbox; the contract has the details.
    pub fn attach(&mut self, id: &ContainerId, sandbox: SandboxRef, spec: &AttachSpec) -> Result<Attachment, Failure> {
        match spec.mode {
            Mode::Host => Err(Failure::invalid("a container in the host's network is not attached to anything")),
            Mode::None if !spec.ports.is_empty() => {
                Err(Failure::invalid("ports cannot be published for a container without a network")
                    .hint("leave out -p, or use --network bridge"))
            }
            Mode::None => plug::loopback_only(&sandbox).map(|()| Attachment::default()),
            Mode::Bridge => self.attach_to_bridge(id, sandbox, spec),
        }
    }

    fn attach_to_bridge(
        &mut self,
        id: &ContainerId,
        sandbox: SandboxRef,
        spec: &AttachSpec,
    ) -> Result<Attachment, Failure> {
        self.ground.mend()?;
        let standing = self.standing(id, sandbox, spec)?;
        let bridge = self.stand()?;
        let is_new = standing.is_none();
        let lease = match standing {
            Some(lease) => lease,
            None => self.grant(id, sandbox, spec)?,
        };
        let subnets = self.books()?.subnets();
        if self.is_connected(&bridge, id, &lease)? {
            return Ok(lease.attachment(subnets));
        }
        let result = self
            .connect(&bridge, id, &lease)
            .and_then(|interface| self.note_interface(id, &lease, interface))
            .and_then(|()| self.publish(&lease, is_new));
        match result {
            Ok(()) => {
                self.connected.insert(id.clone(), sandbox);
                Ok(lease.attachment(subnets))
            }
            Err(failure) => {
                if is_new && let Err(undoing) = self.detach(id) {
                    tracing::warn!(container = id.short(), failure = %undoing, "cannot undo a failed attach");
                }
                Err(failure)
            }
        }
    }

    /// Whether nothing is left to be done: it was connected before, and its interface is still there, on the bridge.
    fn is_connected(&mut self, bridge: &Link, id: &ContainerId, lease: &Lease) -> Result<bool, Failure> {
        if self.connected.get(id) != Some(&lease.sandbox) || !lease.ports.is_empty() {
            return Ok(false);
        }
        let link = self.ground.links().named(&lease.interface)?;
        Ok(link.is_some_and(|link| link.running && link.bridge == Some(bridge.index)))
    }

    fn connect(&mut self, bridge: &Link, id: &ContainerId, lease: &Lease) -> Result<String, Failure> {
        self.leaving.stay(&lease.interface)?;
        plug::connect(self.ground.links(), bridge, id, lease, self.books()?.subnets(), self.ground.mtu()?)
    }

    /// Gives address and ports back; the contract has the details.
    pub fn detach(&mut self, id: &ContainerId) -> Result<(), Failure> {
        self.connected.remove(id);
        let Some(lease) = self.lease(id) else { return Ok(()) };
        self.ground.mend()?;
        self.unpublish(id, &lease)?;
        if plug::unplug(self.ground.links(), &lease.interface)? {
            self.leaving.add(self.ground.links(), &lease.interface)?;
        }
        self.records.drop_lease(id)?;
        self.held.remove(id);
        if let Some(books) = &mut self.books {
            books.release(id);
        }
        Ok(())
    }

    /// Removes the interfaces of detached containers whose namespaces have not gone in time.
    pub fn sweep_late(&mut self) -> Result<(), Failure> {
        self.sweep(GRACE)
    }

    fn sweep(&mut self, grace: Duration) -> Result<(), Failure> {
        self.ground.mend()?;
        self.leaving.sweep(self.ground.links(), grace)
    }

    /// Releases what belongs to containers that are not in `live`, and restores what belongs to those that are.
    pub fn reconcile(&mut self, live: &[ContainerId]) -> Result<(), Failure> {
        let live: BTreeSet<_> = live.iter().collect();
        let dead: Vec<_> = self.leases_by_id().filter(|(id, _)| !live.contains(id)).map(|(id, _)| id.clone()).collect();
        for id in dead {
            tracing::info!(container = id.short(), "releasing the lease of a container that is gone");
            self.detach(&id)?;
        }
        self.restore()
    }

    /// The socket by which this engine changes the table.
    pub(crate) fn port(&self) -> Port {
        self.netfilter.port()
    }

    /// What this instance uses on the host.
    pub fn info(&mut self) -> Result<NetworkInfo, Failure> {
        self.ground.mend()?;
        self.follow_ipv6()?;
        let subnets = match &self.books {
            Some(books) => books.subnets(),
            None => {
                let subnets = self.ground.choose_subnets(0)?;
                self.settle(subnets)?;
                subnets
            }
        };
        Ok(NetworkInfo {
            bridge: self.ground.name().to_owned(),
            subnet: subnets.v4.to_string(),
            gateway: subnets.v4.gateway().to_string(),
            table: self.ground.name().to_owned(),
            attached: u32::try_from(self.leases_by_id().count()).unwrap_or(u32::MAX),
            subnet6: subnets.v6.map(|subnet| subnet.to_string()).unwrap_or_default(),
            gateway6: subnets.v6.map(|subnet| subnet.gateway().to_string()).unwrap_or_default(),
        })
    }

    /// Removes bridge and table, when nothing is attached.
    pub fn tear_down(&mut self) -> Result<(), Failure> {
        if let Some((id, _)) = self.leases_by_id().next() {
            let count = self.leases_by_id().count();
            return Err(Failure::conflict(format_args!(
                "the network is in use by {count} container(s), {} for one",
                id.short()
            ))
            .hint("stop them first: `cctl system stop --containers`"));
        }
        self.sweep(Duration::ZERO)?;
        self.netfilter.apply(remove_table(self.ground.name()))?;
        self.ground.remove_bridge()
    }

    /// The lease that a repeated attach goes on with. A sandbox is attached in one way; a new sandbox of the same
    /// container takes the lease over, or gets a new one if it is to be attached in another way.
    fn standing(&mut self, id: &ContainerId, sandbox: SandboxRef, spec: &AttachSpec) -> Result<Option<Lease>, Failure> {
        let Some(mut lease) = self.lease(id) else { return Ok(None) };
        let same_sandbox = lease.sandbox == sandbox;
        if lease.spec == *spec {
            if !same_sandbox {
                lease.sandbox = sandbox;
                self.record(id, &lease)?;
            }
            return Ok(Some(lease));
        }
        if same_sandbox {
            return Err(Failure::conflict(format_args!("container {} is attached in another way", id.short()))
                .hint("detach it first"));
        }
        self.detach(id)?;
        Ok(None)
    }

    /// An address and ports, recorded before anything is done for them.
    fn grant(&mut self, id: &ContainerId, sandbox: SandboxRef, spec: &AttachSpec) -> Result<Lease, Failure> {
        let books = self.books_mut()?;
        let (lease, held) = books.grant(id, sandbox, spec, reserve)?;
        if let Err(failure) = self.records.put_lease(id, &lease) {
            self.books_mut()?.release(id);
            return Err(failure);
        }
        self.held.insert(id.clone(), held);
        Ok(lease)
    }

    /// Records which interface a container has, where it differs. The one of an earlier sandbox is taken off
    /// the bridge: it has the same address.
    fn note_interface(&mut self, id: &ContainerId, lease: &Lease, interface: String) -> Result<(), Failure> {
        if lease.interface == interface {
            return Ok(());
        }
        self.leaving.stay(&interface)?;
        if plug::unplug(self.ground.links(), &lease.interface)? {
            self.leaving.add(self.ground.links(), &lease.interface)?;
        }
        self.record(id, &Lease { interface, ..lease.clone() })
    }

    fn record(&mut self, id: &ContainerId, lease: &Lease) -> Result<(), Failure> {
        self.records.put_lease(id, lease)?;
        self.books_mut()?.update(id, lease.clone());
        Ok(())
    }

    fn publish(&mut self, lease: &Lease, is_new: bool) -> Result<(), Failure> {
        let published = lease.published();
        if published.is_empty() {
            return Ok(());
        }
        let ruleset = self.ruleset()?;
        if let Err(refused) = self.netfilter.apply(ruleset.publish(&published)) {
            // Something is not as we made it. The books say how it should be.
            tracing::warn!(%refused, "cannot publish; making the table anew");
            let all = self.books()?.published();
            self.netfilter.apply(ruleset.create(&all))?;
        }
        if is_new {
            let addresses = self.ground.links().addresses()?;
            conntrack::forget_earlier(&mut self.netfilter, &published, &addresses)?;
        }
        Ok(())
    }

    fn unpublish(&mut self, id: &ContainerId, lease: &Lease) -> Result<(), Failure> {
        let published = lease.published();
        if published.is_empty() {
            return Ok(());
        }
        let ruleset = self.ruleset()?;
        if let Err(refused) = self.netfilter.apply(ruleset.unpublish(&published)) {
            tracing::warn!(%refused, "cannot unpublish; making the table anew");
            let others = self.leases_by_id().filter(|(other, _)| *other != id);
            let others: Vec<_> = others.flat_map(|(_, lease)| lease.published()).collect();
            self.netfilter.apply(ruleset.create(&others))?;
        }
        Ok(conntrack::forget_translated(&mut self.netfilter, &published)?)
    }

    /// Records the choice of subnets. Nothing has an address of others.
    fn settle(&mut self, subnets: Subnets) -> Result<(), Failure> {
        self.records.put_subnets(subnets)?;
        self.open_books(subnets.v4, BTreeMap::new());
        self.books_mut()?.set_v6(subnets.v6);
        Ok(())
    }

    /// Books without IPv6: whether the host has it is for [`follow_ipv6`](Self::follow_ipv6) to find out.
    fn open_books(&mut self, subnet: Subnet, leases: BTreeMap<ContainerId, Lease>) {
        let seed = schema::call::RequestId::random().0;
        let subnets = Subnets { v4: subnet, v6: None };
        self.books = Some(Books::new(self.records.boot().to_owned(), subnets, leases, seed));
    }

    fn books_mut(&mut self) -> Result<&mut Books, Failure> {
        self.books.as_mut().ok_or_else(no_subnet)
    }

    fn books(&self) -> Result<&Books, Failure> {
        self.books.as_ref().ok_or_else(no_subnet)
    }

    fn ruleset(&self) -> Result<Ruleset, Failure> {
        Ok(Ruleset { name: self.ground.name().to_owned(), subnets: self.books()?.subnets() })
    }

    fn lease(&self, id: &ContainerId) -> Option<Lease> {
        self.books.as_ref()?.leases().get(id).cloned()
    }

    fn leases_by_id(&self) -> impl Iterator<Item = (&ContainerId, &Lease)> {
        self.books.iter().flat_map(|books| books.leases())
    }
}

/// Every way to the books leads past the choice of a subnet.
fn no_subnet() -> Failure {
    Failure::internal("no subnet has been chosen")
}
