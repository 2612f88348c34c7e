//! The made-up log collector. As the real one does, it ends an input whose client does not return.

use super::program;
use super::world::World;
use schema::log_collector::{Chunk, From, InputServer, LogSpec, Record, Server};
use schema::{Call, Code, ContainerId, Failure};
use std::time::Duration;

pub struct Api(pub World);

impl Server for Api {
    type Input = Input;

    async fn open(&self, _: &Call, _: ContainerId, _: LogSpec) -> Result<u64, Failure> {
        Ok(0)
    }

    async fn read(
        &self,
        _: &Call,
        id: ContainerId,
        position: u64,
        most: u32,
        wait_ms: u32,
        _: u64,
    ) -> Result<Chunk, Failure> {
        let ready = self.0.when(id.as_str(), |thing| (thing.written() > position || !thing.runs()).then_some(()));
        if let Ok(gone) = tokio::time::timeout(Duration::from_millis(wait_ms.into()), ready).await {
            gone?;
        }
        self.0.with(id.as_str(), |thing| {
            if let Some(left) = thing.refusals.checked_sub(1) {
                thing.refusals = left;
                return Err(Failure::new(Code::ResourceExhausted, "too many open files"));
            }
            let mut chunk = Chunk { next: position, ..Chunk::default() };
            let mut begin = 0;
            for record in &thing.output {
                let end = begin + record.dropped + record.data.len() as u64;
                if end > position && chunk.next < position + u64::from(most) {
                    let skip = position.saturating_sub(begin + record.dropped);
                    let data = record.data[usize::try_from(skip).unwrap()..].to_vec();
                    let dropped = if position > begin { 0 } else { record.dropped };
                    chunk.next += dropped + data.len() as u64;
                    chunk.records.push(Record { data, dropped, ..record.clone() });
                }
                begin = end;
            }
            chunk.ended = !thing.runs() && chunk.next == begin;
            Ok(chunk)
        })?
    }

    async fn locate(&self, _: &Call, id: ContainerId, from: From) -> Result<u64, Failure> {
        self.0.note(format!("locate {from:?}"));
        self.0.with(id.as_str(), |thing| {
            let lines = thing.output.iter().rev();
            match from {
                From::Start => 0,
                From::End => thing.written(),
                // Each record is one line here.
                From::LastLines(count) => {
                    let count = usize::try_from(count).unwrap();
                    thing.written() - lines.take(count).map(|line| line.data.len() as u64).sum::<u64>()
                }
                From::Since(time) => {
                    thing.written()
                        - lines.take_while(|line| line.at >= time).map(|line| line.data.len() as u64).sum::<u64>()
                }
            }
        })
    }

    async fn remove(&self, _: &Call, _: ContainerId) -> Result<(), Failure> {
        Ok(())
    }

    async fn reconcile(&self, _: &Call, _: Vec<ContainerId>) -> Result<(), Failure> {
        Ok(())
    }

    async fn open_input(
        &self,
        _: &Call,
        id: ContainerId,
        session: String,
        once: bool,
    ) -> Result<(Input, u64), Failure> {
        self.0.note(format!("input once={once}"));
        let accepted = self.0.with(id.as_str(), |thing| {
            if !thing.runs() {
                return Err(Failure::conflict("it has ended"));
            }
            thing.held.entry(session.clone()).or_insert((0, once)).0 += 1;
            Ok(*thing.sessions.entry(session.clone()).or_default())
        })??;
        Ok((Input { world: self.0.clone(), restarts: self.0.restarts.get(), id, session, once }, accepted))
    }
}

pub struct Input {
    world: World,
    /// Belongs to the service as it was then.
    restarts: u32,
    id: ContainerId,
    session: String,
    once: bool,
}

impl InputServer for Input {
    async fn write(&self, _: &Call, offset: u64, data: Vec<u8>) -> Result<u64, Failure> {
        if self.world.with(self.id.as_str(), |thing| thing.container.arguments == ["deaf"])? {
            std::future::pending().await
        }
        self.world.with(self.id.as_str(), |thing| {
            let accepted = thing.sessions[&self.session];
            assert!(offset <= accepted, "a gap in the input: {offset} after {accepted}");
            let new = data.get(usize::try_from(accepted - offset).unwrap()..).unwrap_or_default();
            program::input(thing, new);
            let total = accepted + new.len() as u64;
            thing.sessions.insert(self.session.clone(), total);
            total
        })
    }

    async fn close(&self, _: &Call) -> Result<(), Failure> {
        self.world.note("input closed".into());
        self.world.with(self.id.as_str(), |thing| {
            if self.once {
                program::end_of_input(thing);
            }
        })
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        if self.restarts != self.world.restarts.get() {
            return;
        }
        let left = self.world.with(self.id.as_str(), |thing| {
            let holders = thing.held.get_mut(&self.session)?;
            holders.0 -= 1;
            (holders.0 == 0).then(|| thing.held.remove(&self.session))
        });
        if let Ok(Some(_)) = left {
            self.world.expect_back(self.id.clone(), self.session.clone(), self.once);
        }
    }
}
