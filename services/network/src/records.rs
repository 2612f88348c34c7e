//! The durable records of an instance's network.

use crate::lease::Lease;
use crate::subnet::Subnet;
use crate::subnet6::Subnet6;
use crate::subnets::Subnets;
use kit::store::{Durability, Store};
use schema::{ContainerId, Failure};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

const VERSION: u32 = 1;
/// The record of the subnets.
const BRIDGE: &str = "bridge";

/// The subnets that this instance has chosen. That of IPv6 stays chosen while the host has no IPv6.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Choice {
    subnet: Subnet,
    #[serde(default)]
    subnet6: Option<Subnet6>,
}

/// The chosen subnets, which outlive a boot, and the leases, which do not: they describe what is in the kernel. So
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
            leases: Store::open_volatile(state.join("leases"), "lease", VERSION)?,
        })
    }

    /// Which boot of the kernel this is.
    pub(crate) fn boot(&self) -> &str {
        &self.boot
    }

    /// The chosen subnets.
    pub(crate) fn subnets(&self) -> Result<Option<Subnets>, Failure> {
        let (records, _) = self.choices.load()?;
        let choice = records.into_iter().find(|(record, _)| record == BRIDGE);
        Ok(choice.map(|(_, Choice { subnet, subnet6 })| Subnets { v4: subnet, v6: subnet6 }))
    }

    /// Records the chosen subnets.
    pub(crate) fn put_subnets(&self, subnets: Subnets) -> Result<(), Failure> {
        self.choices.put(BRIDGE, &Choice { subnet: subnets.v4, subnet6: subnets.v6 }, Durability::Disk)
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

    /// The containers whose leases are intact on the disk.
    pub(crate) fn intact(&self) -> Result<BTreeSet<ContainerId>, Failure> {
        let whole = self.leases.verify()?.into_iter().filter(|(_, _, lease)| lease.is_ok());
        Ok(whole.filter_map(|(name, ..)| name.parse().ok()).collect())
    }

    /// Whether the choice of subnets is intact on the disk.
    pub(crate) fn is_choice_intact(&self) -> Result<bool, Failure> {
        Ok(self.choices.verify()?.iter().any(|(name, _, choice)| name == BRIDGE && choice.is_ok()))
    }

    /// Damaged records that were moved aside.
    pub(crate) fn quarantined(&self) -> Result<Vec<(String, PathBuf)>, Failure> {
        Ok(self.choices.quarantined()?.into_iter().chain(self.leases.quarantined()?).collect())
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
