//! Which layers each container needs: recorded before anything else is made for it, forgotten after all that.

use crate::layout::Layout;
use kit::store::{Durability, Store};
use schema::common::Layer;
use schema::{ContainerId, Digest, Failure};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs;
use std::path::PathBuf;

/// What all containers need.
#[derive(Debug, Default)]
pub(crate) struct Chains {
    pub(crate) needed: HashSet<Digest>,
    /// Containers that have no intact record.
    pub(crate) unknown: Vec<ContainerId>,
}

/// Sets damaged records aside: those containers are known by what else is theirs.
pub(crate) fn recover(layout: &Layout) -> Result<(), Failure> {
    open(layout)?.load().map(drop)
}

/// Records the layers of a container.
pub(crate) fn record(layout: &Layout, id: &ContainerId, layers: &[Layer]) -> Result<(), Failure> {
    let chain: Vec<Digest> = layers.iter().map(|layer| layer.diff_id.clone()).collect();
    open(layout)?.put(id.as_str(), &chain, Durability::Soon)
}

/// Forgets a container; done also if nothing is recorded.
pub(crate) fn forget(layout: &Layout, id: &ContainerId) -> Result<(), Failure> {
    open(layout)?.drop_record(id.as_str())
}

/// The containers that have something here.
pub(crate) fn containers(layout: &Layout) -> Result<BTreeSet<ContainerId>, Failure> {
    let mut known = BTreeSet::new();
    for (name, _, _) in open(layout)?.verify()? {
        known.extend(name.parse::<ContainerId>().ok());
    }
    let failed = |error| Failure::io(format_args!("reading {}", layout.containers().display()), &error);
    for entry in fs::read_dir(layout.containers()).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        match name.to_string_lossy().parse() {
            Ok(id) => drop(known.insert(id)),
            Err(_) => tracing::warn!(?name, "something that is no container is left alone"),
        }
    }
    Ok(known)
}

/// The layers of each container that has something here; none if it is not known which these are.
pub(crate) fn each(layout: &Layout) -> Result<BTreeMap<ContainerId, Option<Vec<Digest>>>, Failure> {
    let mut chains: BTreeMap<_, _> = containers(layout)?.into_iter().map(|id| (id, None)).collect();
    for (name, _, record) in open(layout)?.verify()? {
        if let (Ok(id), Ok(chain)) = (name.parse(), record) {
            chains.insert(id, Some(chain));
        }
    }
    Ok(chains)
}

/// Records that were damaged and moved aside.
pub(crate) fn quarantined(layout: &Layout) -> Result<Vec<(String, PathBuf)>, Failure> {
    open(layout)?.quarantined()
}

/// What all containers that have something here need.
pub(crate) fn all(layout: &Layout) -> Result<Chains, Failure> {
    let mut unknown = containers(layout)?;
    let mut needed = HashSet::new();
    for (name, _, record) in open(layout)?.verify()? {
        if let (Ok(id), Ok(chain)) = (name.parse(), record) {
            needed.extend(chain);
            unknown.remove(&id);
        }
    }
    // Those that were released meanwhile need nothing.
    let unknown = unknown.into_iter().filter(|id| layout.container(id).exists()).collect();
    Ok(Chains { needed, unknown })
}

fn open(layout: &Layout) -> Result<Store<Vec<Digest>>, Failure> {
    Store::open_volatile(layout.chains(), "chain", 1)
}
