//! The made-up container manager.

use super::program;
use super::world::World;
use schema::containers::{Container, ContainerSpec, Info, Server};
use schema::network::NetworkInfo;
use schema::{Call, ContainerId, Failure};
use std::time::Duration;

pub struct Api(pub World);

impl Server for Api {
    type Listed = Container;

    async fn create(&self, _: &Call, id: ContainerId, spec: ContainerSpec) -> Result<Container, Failure> {
        if spec.image != "base" && !self.0.pulled.borrow().contains(&spec.image) {
            return Err(Failure::not_found(format_args!("no such image: {}", spec.image)).hint("import it"));
        }
        self.0.note(format!("create {} {:?}", id, spec.auto_remove));
        if let Ok(known) = self.0.with(id.as_str(), |thing| thing.container.clone()) {
            return Ok(known);
        }
        Ok(self.0.create(id, spec))
    }

    async fn start(&self, call: &Call, name: String) -> Result<Container, Failure> {
        self.0.note(format!("start {name}"));
        if self.0.with(&name, |thing| thing.container.arguments == ["slow"])? {
            tokio::time::sleep(Duration::from_millis(1500)).await;
        }
        self.0.with(&name, |thing| {
            if thing.started_by != call.request.0 {
                if thing.runs() {
                    return Err(Failure::conflict(format_args!("{name} is already running")));
                }
                thing.started_by = call.request.0;
                program::start(&self.0, thing)?;
            }
            Ok(thing.container.clone())
        })?
    }

    async fn stop(&self, _: &Call, name: String, timeout_ms: u32) -> Result<Container, Failure> {
        self.0.note(format!("stop {name} {timeout_ms}"));
        self.0.with(&name, |thing| {
            if thing.runs() {
                thing.end(143);
            }
            thing.container.clone()
        })
    }

    async fn kill(&self, _: &Call, name: String, signal: i32) -> Result<Container, Failure> {
        self.0.note(format!("kill {name} {signal}"));
        self.0.with(&name, |thing| {
            if !thing.runs() {
                return Err(Failure::conflict(format_args!("{name} is not running")));
            }
            program::signal(thing, signal);
            Ok(thing.container.clone())
        })?
    }

    async fn restart(&self, _: &Call, name: String, _: u32) -> Result<Container, Failure> {
        self.0.with(&name, |thing| thing.container.clone())
    }

    async fn wait(&self, _: &Call, name: String) -> Result<Container, Failure> {
        let id = self.0.with(&name, |thing| thing.container.id.clone())?;
        self.0.when(id.as_str(), |thing| (!thing.runs()).then(|| thing.container.clone())).await
    }

    async fn list(&self, _: &Call) -> Result<Vec<Container>, Failure> {
        Ok(self.0.things.borrow().iter().rev().map(|thing| thing.container.clone()).collect())
    }

    async fn inspect(&self, _: &Call, name: String) -> Result<Container, Failure> {
        self.0.with(&name, |thing| thing.container.clone())
    }

    async fn resize(&self, _: &Call, name: String, rows: u16, columns: u16) -> Result<(), Failure> {
        self.0.note(format!("resize {rows} {columns}"));
        self.0.with(&name, |_| ())
    }

    async fn keep(&self, _: &Call, name: String, _: u32) -> Result<(), Failure> {
        self.0.note("keep".into());
        self.0.with(&name, |_| ())
    }

    async fn shut_down(&self, _: &Call, _: u32) -> Result<(), Failure> {
        Ok(())
    }

    async fn info(&self, _: &Call) -> Result<Info, Failure> {
        let text = String::new;
        let network = NetworkInfo {
            bridge: "cctl0".into(),
            subnet: text(),
            gateway: text(),
            table: text(),
            attached: 0,
            subnet6: text(),
            gateway6: text(),
        };
        Ok(Info { containers: 2, running: 1, network })
    }

    async fn remove(&self, _: &Call, name: String, force: bool) -> Result<(), Failure> {
        self.0.note(format!("remove {name} {force}"));
        let runs = self.0.with(&name, |thing| thing.runs())?;
        if runs && !force {
            return Err(Failure::conflict(format_args!("{name} is running")).hint("use -f"));
        }
        let id = self.0.with(&name, |thing| thing.container.id.clone())?;
        self.0.things.borrow_mut().retain(|thing| thing.container.id != id);
        Ok(())
    }
}
