//! Who keeps which image.

use super::removal::Planned;
use super::{Lease, Reconcile, Release, Store};
use crate::disk::Disk;
use crate::holds::Holds;
use crate::removing::Removal;
use actix::{Context, Handler, ResponseFuture};
use schema::image_store::Image;
use schema::{Digest, Failure};
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// What changes, and what follows from it.
struct Change {
    begun: Vec<(String, Digest)>,
    ended: Vec<String>,
    /// Images that were kept by nothing but a lease that ended.
    removals: Vec<Planned>,
}

impl Handler<Lease> for Store {
    type Result = ResponseFuture<Result<Image, Failure>>;

    fn handle(&mut self, message: Lease, context: &mut Context<Self>) -> Self::Result {
        let Lease { call, holder, reference } = message;
        let holds = self.holds.clone();
        self.change(
            context,
            call.span("lease"),
            move |store| {
                let image = store.index.find(&reference)?.clone();
                let begun = (store.index.leases().get(&holder) != Some(&image)).then(|| (holder, image.clone()));
                Ok((store.changed(begun.into_iter().collect(), Vec::new()), image))
            },
            move |disk, (change, image)| change.write(disk, &holds).map(|change| (change, image)),
            |store, (change, image)| {
                store.leases_changed(change);
                store.image(&image)
            },
        )
    }
}

impl Handler<Release> for Store {
    type Result = ResponseFuture<Result<(), Failure>>;

    fn handle(&mut self, Release { call, holder }: Release, context: &mut Context<Self>) -> Self::Result {
        let holds = self.holds.clone();
        self.change(
            context,
            call.span("release"),
            move |store| {
                let ended = store.index.leases().contains_key(&holder).then_some(holder);
                Ok(store.changed(Vec::new(), ended.into_iter().collect()))
            },
            move |disk, change| change.write(disk, &holds),
            |store, change| {
                store.leases_changed(change);
                Ok(())
            },
        )
    }
}

impl Handler<Reconcile> for Store {
    type Result = ResponseFuture<Result<(), Failure>>;

    fn handle(&mut self, Reconcile { call, leases }: Reconcile, context: &mut Context<Self>) -> Self::Result {
        let holds = self.holds.clone();
        self.change(
            context,
            call.span("reconcile"),
            move |store| {
                let is_here = |(holder, image): &(String, Digest)| {
                    let known = store.index.record(image).is_some();
                    if !known {
                        tracing::warn!(holder, %image, "somebody keeps an image that is not there");
                    }
                    known
                };
                Ok(store.towards(&leases.into_iter().filter(is_here).collect()))
            },
            move |disk, change| change.write(disk, &holds),
            |store, change| {
                store.leases_changed(change);
                Ok(())
            },
        )
    }
}

impl Store {
    /// What leads from the leases that there are to those that there shall be.
    fn towards(&self, wanted: &BTreeMap<String, Digest>) -> Change {
        let now = self.index.leases();
        let is_new = |(holder, image): &(&String, &Digest)| now.get(*holder) != Some(image);
        let begun: Vec<(String, Digest)> =
            wanted.iter().filter(is_new).map(|(holder, image)| (holder.clone(), image.clone())).collect();
        let ended: Vec<String> = now.keys().filter(|holder| !wanted.contains_key(*holder)).cloned().collect();
        self.changed(begun, ended)
    }

    /// What follows when these begin and end. Costs as much as they are, however many others there are.
    fn changed(&self, begun: Vec<(String, Digest)>, ended: Vec<String>) -> Change {
        let now = self.index.leases();
        let moved: BTreeSet<&String> = begun.iter().map(|(holder, _)| holder).chain(&ended).collect();
        let before = moved.iter().filter_map(|holder| now.get(*holder));
        let touched: BTreeSet<&Digest> = begun.iter().map(|(_, image)| image).chain(before).collect();
        let holders = |image: &Digest| {
            let stayed = now.iter().filter(|(holder, held)| *held == image && !moved.contains(holder));
            let come = begun.iter().filter(|(_, held)| held == image).map(|(holder, _)| holder);
            let all: BTreeSet<&String> = stayed.map(|(holder, _)| holder).chain(come).collect();
            all.into_iter().cloned().collect()
        };
        let mut gone = HashSet::new();
        let removals = touched
            .into_iter()
            .filter_map(|image| {
                let removal = Removal::after_release(&self.index, image, || holders(image))?;
                Some(self.planned(image.hex().to_owned(), removal, &mut gone))
            })
            .collect();
        Change { begun, ended, removals }
    }

    fn leases_changed(&mut self, change: Change) {
        let Change { begun, ended, removals } = change;
        for holder in ended {
            self.index.release(&holder);
        }
        for (holder, image) in begun {
            self.index.lease(holder, image);
        }
        for Planned { record, .. } in removals {
            self.removed_now(record.removal);
        }
    }
}

impl Change {
    fn write(self, disk: &Disk, holds: &Holds) -> Result<Self, Failure> {
        for (holder, image) in &self.begun {
            disk.put_lease(holder, image)?;
        }
        for holder in &self.ended {
            disk.drop_lease(holder)?;
        }
        for Planned { name, record, needed } in &self.removals {
            if record.removal.deletes() {
                disk.remove(name, record.clone(), needed, holds)?;
                disk.removals.drop_record(name)?;
            } else {
                disk.forget_image(&record.removal)?;
            }
        }
        Ok(self)
    }
}
