//! Which containers there are, and who has which name. It never waits for a container: it sees the last view
//! of each.

mod messages;

use crate::container::{ContainerActor, Handle, Shared, Stage, View};
use crate::journal::{Damage, Loaded};
use crate::record::Record;
use crate::{lookup, names};
use actix::prelude::*;
use schema::containers::ContainerSpec;
use schema::{ContainerId, Failure};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

pub(crate) use messages::{Admit, Damaged, Departed, Discard, Find, Forget, Known, Recovered, Views};

/// How many containers that are gone are remembered, for callers who ask again after a lost answer.
const REMEMBERED: usize = 256;

/// The owner of all names and ids.
pub(crate) struct Registry {
    shared: Rc<Shared>,
    /// What was recorded before this process began; taken when the actor starts.
    loaded: BTreeMap<ContainerId, Record>,
    entries: BTreeMap<ContainerId, Entry>,
    names: HashMap<String, ContainerId>,
    damaged: BTreeMap<ContainerId, Damage>,
    departed: VecDeque<Arc<Record>>,
}

struct Entry {
    name: String,
    handle: Handle,
}

impl Registry {
    /// The registry of the containers that the journal holds.
    pub(crate) fn new(shared: Rc<Shared>, loaded: Loaded) -> Self {
        let Loaded { records, damaged } = loaded;
        Self {
            shared,
            loaded: records,
            entries: BTreeMap::new(),
            names: HashMap::new(),
            damaged,
            departed: VecDeque::new(),
        }
    }

    fn insert(&mut self, record: Record, stage: Stage, ctx: &mut Context<Self>) -> Handle {
        let (id, name) = (record.id().clone(), record.name().to_owned());
        let handle = ContainerActor::spawn(record, stage, Rc::clone(&self.shared), ctx.address());
        self.names.insert(name.clone(), id.clone());
        self.entries.insert(id, Entry { name, handle: handle.clone() });
        handle
    }

    /// The containers that exist for their users.
    fn listed(&self) -> impl Iterator<Item = (&ContainerId, &Entry)> + Clone {
        self.entries.iter().filter(|(_, entry)| entry.handle.now().is_listed())
    }

    fn find(&self, reference: &str) -> Result<Handle, Failure> {
        let intact = self.listed().map(|(id, entry)| (id, entry.name.as_str()));
        let id = lookup::find(reference, intact.chain(self.damaged.keys().map(|id| (id, ""))))?;
        match self.entries.get(id) {
            Some(entry) => Ok(entry.handle.clone()),
            None => Err(self.damage(id)),
        }
    }

    fn damage(&self, id: &ContainerId) -> Failure {
        let files = self.damaged.get(id).map_or(&[][..], |damage| &damage.files);
        let files: Vec<_> = files.iter().map(|file| file.display().to_string()).collect();
        Failure::corrupt(format_args!("the record of container {} is damaged", id.short())).hint(format_args!(
            "its files are left alone, the record is in {}; `cctl rm -f {}` removes all of it",
            files.join(" and "),
            id.short()
        ))
    }

    /// The container that a repeated `create` made before; none if there is no such id.
    fn known(&self, id: &ContainerId, spec: &ContainerSpec) -> Result<Option<Handle>, Failure> {
        if self.damaged.contains_key(id) {
            return Err(self.damage(id));
        }
        match self.entries.get(id) {
            None => Ok(None),
            Some(entry) if entry.handle.now().record.requested == *spec => Ok(Some(entry.handle.clone())),
            Some(_) => Err(Failure::already_exists(format_args!("container {} exists and is another one", id.short()))
                .hint("choose another id")),
        }
    }

    /// Takes a new container, under the name that it asks for or one that is free.
    fn admit(&mut self, mut record: Record, ctx: &mut Context<Self>) -> Result<Handle, Failure> {
        if let Some(known) = self.known(record.id(), &record.requested)? {
            return Ok(known);
        }
        if record.name().is_empty() {
            let free = names::suggestions(record.id()).find(|name| !self.names.contains_key(name));
            record.container.spec.name = free.unwrap_or_default();
        } else if let Some(holder) = self.names.get(record.name()) {
            return Err(Failure::already_exists(format_args!(
                "the name {:?} is in use by container {}",
                record.name(),
                holder.short()
            ))
            .hint("remove or rename that one, or choose another name"));
        }
        Ok(self.insert(record, Stage::New, ctx))
    }

    fn forget(&mut self, record: Arc<Record>) {
        self.entries.remove(record.id());
        if self.names.get(record.name()) == Some(record.id()) {
            self.names.remove(record.name());
        }
        self.departed.push_back(record);
        if self.departed.len() > REMEMBERED {
            self.departed.pop_front();
        }
    }

    fn departed(&self, reference: &str) -> Option<Arc<Record>> {
        self.departed.iter().rfind(|record| record.id().as_str() == reference).cloned()
    }

    /// The container with a damaged record that is meant, if one is.
    fn damaged(&self, reference: &str) -> Option<(ContainerId, Damage)> {
        let intact = self.listed().map(|(id, entry)| (id, entry.name.as_str()));
        let id = lookup::find(reference, intact.chain(self.damaged.keys().map(|id| (id, "")))).ok()?;
        self.damaged.get(id).map(|damage| (id.clone(), damage.clone()))
    }

    fn views(&self) -> Vec<(Handle, View)> {
        self.listed().map(|(_, entry)| (entry.handle.clone(), entry.handle.now())).collect()
    }
}

impl Actor for Registry {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        for record in std::mem::take(&mut self.loaded).into_values() {
            self.insert(record, Stage::Recovering, ctx);
        }
    }
}
