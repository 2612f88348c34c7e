//! The network of an instance: its records, and the kernel made to agree with them.
//!
//! Everything here blocks, and belongs on a thread of its own. Effects follow records: whoever dies in between
//! leaves a record of what may have been done, and the next process finishes or undoes it.

use crate::books::Books;
use crate::conntrack;
use crate::ground::Ground;
use crate::lease::Lease;
use crate::leaving::{GRACE, Leaving};
use crate::netfilter::Netfilter;
use crate::plug;
use crate::reservation::{Reservation, reserve};
use crate::ruleset::{Ruleset, remove_table};
use crate::subnet::Subnet;
use kit::store::{Durability, Store};
use schema::common::SandboxRef;
use schema::network::{AttachSpec, Attachment, Mode, NetworkInfo};
use schema::{ContainerId, Failure};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

const VERSION: u32 = 1;
/// The record of the subnet.
const BRIDGE: &str = "bridge";

/// The subnet that this instance has chosen.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Choice {
    subnet: Subnet,
}

/// The network of an instance.
pub struct Engine {
    boot: String,
    ground: Ground,
    netfilter: Netfilter,
    choices: Store<Choice>,
    leases: Store<Lease>,
    books: Option<Books>,
    /// Sockets that hold the published ports.
    held: BTreeMap<ContainerId, Vec<Reservation>>,
    leaving: Leaving,
}

impl Engine {
    /// Loads the records in `state` and makes the kernel agree with them. `name` is that of the bridge and of
    /// the table. A kernel that refuses is no reason not to start: it is logged, and told to whoever attaches.
    pub fn open(state: &Path, name: &str) -> Result<Self, Failure> {
        let choices = Store::open(state.to_owned(), "network", VERSION)?;
        let leases = Store::open(state.join("leases"), "lease", VERSION)?;
        let boot = kit::process::boot_id().map_err(|error| Failure::io("reading the boot id", &error))?;
        let mut engine = Self {
            boot,
            ground: Ground::new(name)?,
            netfilter: Netfilter::default(),
            choices,
            leases,
            books: None,
            held: BTreeMap::new(),
            leaving: Leaving::open(state.join("leaving"))?,
        };
        let leases = engine.load_leases()?;
        if let Some(subnet) = engine.load_subnet()? {
            engine.open_books(subnet, leases);
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
        let standing = self.standing(id, sandbox, spec)?;
        let bridge = self.stand()?;
        let is_new = standing.is_none();
        let lease = match standing {
            Some(lease) => lease,
            None => self.grant(id, sandbox, spec)?,
        };
        let subnet = self.books()?.subnet();
        self.leaving.stay(&lease.interface)?;
        let result = plug::connect(self.ground.links(), &bridge, id, &lease, subnet)
            .and_then(|interface| self.note_interface(id, &lease, interface))
            .and_then(|()| self.publish(&lease, is_new));
        match result {
            Ok(()) => Ok(lease.attachment(subnet)),
            Err(failure) => {
                if is_new && let Err(undoing) = self.detach(id) {
                    tracing::warn!(container = id.short(), failure = %undoing, "cannot undo a failed attach");
                }
                Err(failure)
            }
        }
    }

    /// Gives address and ports back; the contract has the details.
    pub fn detach(&mut self, id: &ContainerId) -> Result<(), Failure> {
        let Some(lease) = self.lease(id) else { return Ok(()) };
        self.unpublish(id, &lease)?;
        if plug::unplug(self.ground.links(), &lease.interface)? {
            self.leaving.add(&lease.interface)?;
        }
        self.leases.drop_record(id.as_str())?;
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

    /// What this instance uses on the host.
    pub fn info(&mut self) -> Result<NetworkInfo, Failure> {
        let subnet = match &self.books {
            Some(books) => books.subnet(),
            None => {
                let subnet = self.ground.choose_subnet(0)?;
                self.settle(subnet)?;
                subnet
            }
        };
        Ok(NetworkInfo {
            bridge: self.ground.name().to_owned(),
            subnet: subnet.to_string(),
            gateway: subnet.gateway().to_string(),
            table: self.ground.name().to_owned(),
            attached: u32::try_from(self.leases_by_id().count()).unwrap_or(u32::MAX),
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
        let books = self.books.as_mut().ok_or_else(no_subnet)?;
        let (lease, held) = books.grant(id, sandbox, spec, reserve)?;
        if let Err(failure) = self.leases.put(id.as_str(), &lease, Durability::Process) {
            books.release(id);
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
            self.leaving.add(&lease.interface)?;
        }
        self.record(id, &Lease { interface, ..lease.clone() })
    }

    fn record(&mut self, id: &ContainerId, lease: &Lease) -> Result<(), Failure> {
        self.leases.put(id.as_str(), lease, Durability::Process)?;
        self.books.as_mut().ok_or_else(no_subnet)?.update(id, lease.clone());
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

    /// Bridge and table, made if they are missing.
    fn stand(&mut self) -> Result<crate::link::Link, Failure> {
        let bridge = match (&self.books, self.ground.bridge()?) {
            (Some(_), Some(bridge)) => bridge,
            _ => self.make_bridge()?,
        };
        let ruleset = self.ruleset()?;
        if !self.netfilter.stands(&ruleset)? {
            let all = self.books()?.published();
            self.netfilter.apply(ruleset.create(&all))?;
        }
        Ok(bridge)
    }

    /// Makes the bridge on the subnet of the books; on another if nothing is attached and that one is in use.
    fn make_bridge(&mut self) -> Result<crate::link::Link, Failure> {
        if let Some(books) = &self.books
            && !books.leases().is_empty()
        {
            return self.ground.make_bridge(books.subnet());
        }
        let recorded = self.books.as_ref().map(Books::subnet);
        let (bridge, subnet) = self.ground.make_bridge_on_free_subnet(recorded)?;
        if recorded != Some(subnet) {
            self.settle(subnet)?;
        }
        self.ground.finish_bridge(&bridge)?;
        Ok(bridge)
    }

    /// Makes the kernel agree with the records: bridge, ports of the bridge, table, reserved ports.
    fn restore(&mut self) -> Result<(), Failure> {
        self.adopt_lost()?;
        let Some(books) = &self.books else { return Ok(()) };
        let (ruleset, published) = (self.ruleset()?, books.published());
        if books.leases().is_empty() {
            if self.netfilter.stands(&ruleset)? && !self.netfilter.stands_with(&ruleset, &published)? {
                self.netfilter.apply(ruleset.create(&published))?;
            }
            return Ok(());
        }
        let bridge = self.ground.make_bridge(books.subnet())?;
        plug::join_all(self.ground.links(), &bridge, books.leases().iter())?;
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
                    self.leases.put(id.as_str(), lease, Durability::Process)?;
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

    /// The subnet as recorded; if that record is lost, the one of the bridge.
    fn load_subnet(&self) -> Result<Option<Subnet>, Failure> {
        let (records, _) = self.choices.load()?;
        let recorded = records.into_iter().find(|(record, _)| record == BRIDGE).map(|(_, choice)| choice.subnet);
        let subnet = match recorded {
            None => self.ground.subnet()?,
            recorded => recorded,
        };
        if let (None, Some(subnet)) = (recorded, subnet) {
            self.choices.put(BRIDGE, &Choice { subnet }, Durability::Disk)?;
        }
        Ok(subnet)
    }

    /// The leases of this boot. Those of an earlier one are of no meaning any more.
    fn load_leases(&self) -> Result<BTreeMap<ContainerId, Lease>, Failure> {
        let (records, _) = self.leases.load()?;
        let mut leases = BTreeMap::new();
        for (name, lease) in records {
            match name.parse::<ContainerId>() {
                Ok(id) if lease.boot == self.boot => drop(leases.insert(id, lease)),
                _ => self.leases.drop_record(&name)?,
            }
        }
        Ok(leases)
    }

    fn settle(&mut self, subnet: Subnet) -> Result<(), Failure> {
        self.choices.put(BRIDGE, &Choice { subnet }, Durability::Disk)?;
        self.open_books(subnet, BTreeMap::new());
        Ok(())
    }

    fn open_books(&mut self, subnet: Subnet, leases: BTreeMap<ContainerId, Lease>) {
        let seed = schema::call::RequestId::random().0;
        self.books = Some(Books::new(self.boot.clone(), subnet, leases, seed));
    }

    fn books(&self) -> Result<&Books, Failure> {
        self.books.as_ref().ok_or_else(no_subnet)
    }

    fn ruleset(&self) -> Result<Ruleset, Failure> {
        Ok(Ruleset { name: self.ground.name().to_owned(), subnet: self.books()?.subnet() })
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
