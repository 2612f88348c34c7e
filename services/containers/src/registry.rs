//! Which containers there are, and who has which name. It never waits for a container: it sees the last view
//! of each.

mod messages;

use crate::container::{ContainerActor, Handle, Shared, Stage, View};
use crate::exec::ExecHandle;
use crate::ids::Pool;
use crate::journal::{Damage, Loaded};
use crate::lifecycle::Phase;
use crate::record::Record;
use crate::{lookup, names};
use actix::prelude::*;
use schema::call::RequestId;
use schema::common::IdRange;
use schema::containers::{ContainerSpec, UserMode};
use schema::{ContainerId, Failure};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

pub(crate) use messages::{
    Admit, AllDamaged, Damaged, Departed, Discard, Find, Forget, GiveBack, Ids, Known, Leaving, Left, Recovered,
    Rename, Reserve, Unreserve, Views,
};

/// How many containers that are gone are remembered, for callers who ask again after a lost answer.
const REMEMBERED: usize = 256;

/// How long callers ask again.
const ASKED_AGAIN: Duration = Duration::from_secs(60);

/// The owner of all names and ids.
pub(crate) struct Registry {
    shared: Rc<Shared>,
    /// What was recorded before this process began; taken when the actor starts.
    loaded: BTreeMap<ContainerId, Record>,
    entries: BTreeMap<ContainerId, Entry>,
    names: HashMap<String, ContainerId>,
    /// The ids that were asked for, of those that have others.
    asked_as: HashMap<ContainerId, ContainerId>,
    damaged: BTreeMap<ContainerId, Damage>,
    departed: VecDeque<Arc<Record>>,
    /// Those that removed themselves before this process began, for callers who have lost its answer.
    before: Vec<Arc<Record>>,
    /// Sandboxes that stand ready, and their user ids.
    spares: HashMap<ContainerId, Option<IdRange>>,
    /// User ids of sandboxes whose containers have no record that can be read.
    foreign: HashMap<ContainerId, IdRange>,
    /// The user ids that were given last.
    last: Option<IdRange>,
    /// Execs of the containers that were recorded before; taken with them.
    execs: HashMap<ContainerId, Vec<ExecHandle>>,
}

struct Entry {
    name: String,
    handle: Handle,
    ids: Option<IdRange>,
}

impl Registry {
    /// The registry of the containers that the journal holds.
    pub(crate) fn new(shared: Rc<Shared>, loaded: Loaded, execs: HashMap<ContainerId, Vec<ExecHandle>>) -> Self {
        let Loaded { records, damaged, execs: _, departed } = loaded;
        Self {
            shared,
            loaded: records,
            entries: BTreeMap::new(),
            names: HashMap::new(),
            asked_as: HashMap::new(),
            damaged,
            departed: VecDeque::new(),
            before: departed.into_iter().map(Arc::new).collect(),
            spares: HashMap::new(),
            foreign: HashMap::new(),
            last: None,
            execs,
        }
    }

    fn insert(&mut self, record: Record, stage: Stage, ctx: &mut Context<Self>) -> Handle {
        self.insert_and_start(record, stage, None, ctx)
    }

    fn insert_and_start(
        &mut self,
        record: Record,
        stage: Stage,
        start: Option<RequestId>,
        ctx: &mut Context<Self>,
    ) -> Handle {
        let (id, name, ids) = (record.id().clone(), record.name().to_owned(), record.container.ids);
        let execs = self.execs.remove(&id).unwrap_or_default();
        // Whoever had it removed was perhaps told already that its name is free.
        if record.phase != Phase::Removing {
            self.names.insert(name.clone(), id.clone());
        }
        if let Some(asked) = &record.asked_as {
            self.asked_as.insert(asked.clone(), id.clone());
        }
        let handle = ContainerActor::spawn(record, stage, start, Rc::clone(&self.shared), ctx.address(), execs);
        self.entries.insert(id, Entry { name, handle: handle.clone(), ids });
        handle
    }

    /// The containers that exist for their users.
    fn listed(&self) -> impl Iterator<Item = (&ContainerId, &Entry)> + Clone {
        self.entries.iter().filter(|(_, entry)| entry.handle.now().is_listed())
    }

    fn find(&self, reference: &str) -> Result<Handle, Failure> {
        // Its name may be another's by now.
        let is_going = |entry: &Entry| entry.handle.now().phase() == Phase::Removing;
        let staying = self.listed().filter(|(_, entry)| !is_going(entry));
        let intact = staying.chain(self.listed().filter(|(_, entry)| is_going(entry)));
        let intact = intact.map(|(id, entry)| (id, entry.name.as_str()));
        let asked_as = self.asked_as.iter().find(|(asked, _)| asked.as_str() == reference).map(|(_, id)| id);
        let is_listed = |id: &&ContainerId| self.entries.get(*id).is_some_and(|entry| entry.handle.now().is_listed());
        let id = match asked_as.filter(is_listed) {
            Some(id) => id,
            None => lookup::find(reference, intact.chain(self.damaged.keys().map(|id| (id, ""))))?,
        };
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

    /// The container that a repeated `create` or `run` made before; none if there is no such id.
    fn known(&self, id: &ContainerId, spec: &ContainerSpec) -> Result<Option<Handle>, Failure> {
        let id = self.asked_as.get(id).unwrap_or(id);
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

    /// Takes a new container, under the name that it asks for or one that is free, and with user ids that are free.
    fn admit(
        &mut self,
        mut record: Record,
        pool: &Pool,
        start: Option<RequestId>,
        ctx: &mut Context<Self>,
    ) -> Result<Handle, Failure> {
        if let Some(known) = self.known(record.asked_as.as_ref().unwrap_or(record.id()), &record.requested)? {
            return Ok(known);
        }
        if record.name().is_empty() {
            let free = names::suggestions(record.id()).find(|name| !self.names.contains_key(name));
            record.container.spec.name = free.unwrap_or_default();
        } else if let Some(holder) = self.names.get(record.name()) {
            return Err(taken(record.name(), holder));
        }
        let privileged = record.container.spec.security.privileged;
        let users = &mut record.container.spec.users;
        *users = pool.resolve(*users, privileged);
        if *users == UserMode::Private {
            record.container.ids = Some(match self.spares.get(record.id()) {
                Some(Some(ids)) => *ids,
                _ => self.choose(pool)?,
            });
        }
        self.spares.remove(record.id());
        Ok(self.insert_and_start(record, Stage::New, start, ctx))
    }

    /// User ids that nobody has.
    fn choose(&mut self, pool: &Pool) -> Result<IdRange, Failure> {
        let others = self.entries.values().filter_map(|entry| entry.ids).chain(self.foreign.values().copied());
        let ids = pool.choose(&others.chain(self.spares.values().copied().flatten()).collect(), self.last)?;
        self.last = Some(ids);
        Ok(ids)
    }

    /// Takes a name for a container, which then has two until the record has it. Answers the old one.
    fn rename(&mut self, id: &ContainerId, name: &str) -> Result<String, Failure> {
        names::check(name)?;
        let holder = self.names.get(name).filter(|holder| *holder != id);
        if let Some(holder) = holder {
            return Err(taken(name, holder));
        }
        let entry = self.entries.get_mut(id).ok_or_else(|| lookup::unknown(id.as_str()))?;
        self.names.insert(name.to_owned(), id.clone());
        Ok(std::mem::replace(&mut entry.name, name.to_owned()))
    }

    /// Gives back a name that a container has no more, or did not get.
    fn give_back(&mut self, id: &ContainerId, name: &str) {
        if self.names.get(name) == Some(id) {
            self.names.remove(name);
        }
        if let Some(entry) = self.entries.get_mut(id)
            && entry.name == name
        {
            entry.handle.now().record.name().clone_into(&mut entry.name);
        }
    }

    /// A container was removed, for its users: its name is free.
    fn leave(&mut self, record: Arc<Record>) {
        self.names.retain(|_, holder| holder != record.id());
        if self.departed.iter().any(|known| known.id() == record.id()) {
            return;
        }
        self.departed.push_back(record);
        if self.departed.len() > REMEMBERED {
            self.departed.pop_front();
        }
    }

    fn forget(&mut self, record: Arc<Record>) {
        self.entries.remove(record.id());
        if let Some(asked) = &record.asked_as {
            self.asked_as.remove(asked);
        }
        self.leave(record);
    }

    /// Some have removed themselves: after a while, nobody asks again.
    fn forget_later(&self, ids: Vec<ContainerId>, ctx: &mut Context<Self>) {
        if ids.is_empty() {
            return;
        }
        ctx.run_later(ASKED_AGAIN, move |registry, _| {
            registry.before.retain(|record| !ids.contains(record.id()));
            let journal = Arc::clone(&registry.shared.journal);
            drop(tokio::task::spawn_blocking(move || {
                journal.forget_departed(|name| ids.iter().any(|id| id.as_str() == name));
            }));
        });
    }

    fn departed(&self, reference: &str) -> Option<Arc<Record>> {
        let by_id = self.departed.iter().chain(&self.before).rfind(|record| record.has_id(reference));
        by_id.cloned().or_else(|| {
            let before = self.before.iter().map(|record| (record.id(), record.name()));
            let id = lookup::find(reference, before).ok()?;
            self.before.iter().find(|record| record.id() == id).cloned()
        })
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

fn taken(name: &str, holder: &ContainerId) -> Failure {
    Failure::already_exists(format_args!("the name {name:?} is in use by container {}", holder.short()))
        .hint("remove or rename that one, or choose another name")
}

impl Actor for Registry {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        for record in std::mem::take(&mut self.loaded).into_values() {
            self.insert(record, Stage::Recovering, ctx);
        }
        let before = self.before.iter().map(|record| record.id().clone()).collect();
        self.forget_later(before, ctx);
    }
}
