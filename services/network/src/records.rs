//! The durable records of an instance's network.

use crate::lease::Lease;
use crate::subnet::Subnet;
use kit::store::{Durability, Store};
use schema::{ContainerId, Failure};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

const VERSION: u32 = 1;
/// The record of the subnet.
const BRIDGE: &str = "bridge";

/// The subnet that this instance has chosen.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Choice {
    subnet: Subnet,
}

/// The chosen subnet, which outlives a boot, and the leases, which do not: they describe what is in the kernel. So
/// they are written to survive this process, not a power cut.
pub(crate) struct Records {
    boot: String,
    choices: Store<Choice>,
    leases: Store<Lease>,
}

impl Records {
    /// The records in a directory.
    pub(crate) fn open(state: &Path) -> Result<Self, Failure> {
        Ok(Self {
            boot: kit::process::boot_id().map_err(|error| Failure::io("reading the boot id", &error))?,
            choices: Store::open(state.to_owned(), "network", VERSION)?,
            leases: Store::open(state.join("leases"), "lease", VERSION)?,
        })
    }

    /// Which boot of the kernel this is.
    pub(crate) fn boot(&self) -> &str {
        &self.boot
    }

    /// The chosen subnet.
    pub(crate) fn subnet(&self) -> Result<Option<Subnet>, Failure> {
        let (records, _) = self.choices.load()?;
        Ok(records.into_iter().find(|(record, _)| record == BRIDGE).map(|(_, choice)| choice.subnet))
    }

    /// Records the chosen subnet.
    pub(crate) fn put_subnet(&self, subnet: Subnet) -> Result<(), Failure> {
        self.choices.put(BRIDGE, &Choice { subnet }, Durability::Disk)
    }

    /// The leases of this boot. Those of an earlier one are of no meaning any more, and are removed.
    pub(crate) fn leases(&self) -> Result<BTreeMap<ContainerId, Lease>, Failure> {
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

    /// Records a lease.
    pub(crate) fn put_lease(&self, id: &ContainerId, lease: &Lease) -> Result<(), Failure> {
        self.leases.put(id.as_str(), lease, Durability::Process)
    }

    /// Removes the record of a lease; done also if there is none.
    pub(crate) fn drop_lease(&self, id: &ContainerId) -> Result<(), Failure> {
        self.leases.drop_record(id.as_str())
    }
}
