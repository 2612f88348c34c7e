//! `system audit-log`: the audit logs of all services, as one.

use crate::args::{AuditLog, Format};
use crate::console;
use crate::engine::{Engine, call};
use crate::error::Result;
use crate::render::audit_log::{Users, listing};
use jiff::Timestamp;
use schema::audit::{AuditQuery, AuditRecord, Client};
use schema::{Code, Failure, Instance, SERVICES, supervisor};
use std::time::Duration;

/// How often it is looked for more.
const LOOK: Duration = Duration::from_millis(500);

/// Which of the records are wanted.
struct Wanted {
    user: Option<u32>,
    verb: Option<String>,
}

impl Wanted {
    /// Fails if there is no such user.
    fn of(arguments: &AuditLog, users: &Users) -> Result<Self, Failure> {
        let user = |user: &String| {
            users.find(user).ok_or_else(|| {
                Failure::not_found(format_args!("there is no user {user:?}")).hint("give the number of the user")
            })
        };
        Ok(Self { user: arguments.user.as_ref().map(user).transpose()?, verb: arguments.verb.clone() })
    }

    fn matches(&self, record: &AuditRecord) -> bool {
        let method = &record.method;
        let last = method.rsplit('.').next().unwrap_or(method);
        self.user.is_none_or(|user| user == record.uid)
            && self.verb.as_ref().is_none_or(|verb| {
                // As the command is called, too.
                match verb.as_str() {
                    "rm" => method == "containers.remove",
                    "rmi" => method == "image-store.remove",
                    // A run is both.
                    "create" | "start" if method == "containers.run" => true,
                    verb => method == verb || last == verb,
                }
            })
    }
}

/// One service, and how far it was read.
struct Source {
    name: &'static str,
    client: Client,
    after: u64,
    is_absent: bool,
}

impl Source {
    fn all(instance: &Instance) -> Vec<Self> {
        let names = [supervisor::SERVICE].into_iter().chain(SERVICES);
        let source = |name| Self { name, client: Client::new(instance, name), after: 0, is_absent: false };
        names.map(source).collect()
    }

    /// What is there from the place on that was reached.
    async fn read(&mut self, since: i64, until: i64) -> Result<Vec<AuditRecord>, Failure> {
        let mut records = Vec::new();
        loop {
            let query = AuditQuery { after: self.after, since, until, max_count: 0 };
            let page = match self.client.records(&call(), query).await {
                Ok(page) => page,
                // A plugin need not have any; and what nobody but root can speak to, only root has called.
                Err(failure) if self.may_be_absent(&failure) => {
                    self.is_absent = true;
                    return Ok(records);
                }
                Err(failure) => return Err(failure.context(format_args!("reading the audit log of {}", self.name))),
            };
            if page.damaged > 0 {
                console::note(format_args!("{} damaged records of {} are left out", page.damaged, self.name));
            }
            records.extend(page.records);
            if page.next == self.after {
                return Ok(records);
            }
            self.after = page.next;
        }
    }

    fn may_be_absent(&self, failure: &Failure) -> bool {
        use schema::{executor, filesystem, network};
        let is_inner = [executor::SERVICE, filesystem::SERVICE, network::SERVICE].contains(&self.name);
        failure.code == Code::Unimplemented || (failure.code == Code::PermissionDenied && is_inner)
    }
}

/// Prints what is recorded, oldest first. A service that cannot be asked is told, and then the exit status is 1.
pub(super) async fn run(engine: &Engine, arguments: &AuditLog) -> Result<u8> {
    let users = Users::read();
    let wanted = Wanted::of(arguments, &users)?;
    let start = Timestamp::now();
    let time = |at: Option<crate::parse::time::Since>| at.map_or(0, |at| at.nanoseconds(start));
    let (since, until) = (time(arguments.since), time(arguments.until));
    let format = arguments.format.as_ref().unwrap_or(&Format::Table);
    let (mut sources, mut status, mut first) = (Source::all(&engine.instance), 0, true);
    loop {
        let mut records = Vec::new();
        for source in sources.iter_mut().filter(|source| !source.is_absent) {
            match source.read(since, until).await {
                Ok(read) => records.extend(read.into_iter().filter(|record| wanted.matches(record))),
                // Nor would the others tell.
                Err(failure) if failure.code == Code::PermissionDenied => return Err(failure.into()),
                Err(failure) => {
                    console::complain(&failure);
                    source.is_absent = true;
                    status = 1;
                }
            }
        }
        records.sort_by_key(|record| record.at);
        if let (true, Some(tail)) = (first, arguments.tail) {
            records.drain(..records.len().saturating_sub(tail));
        }
        if first || !records.is_empty() {
            let text = listing(&records, &users)?.render(format)?;
            // One heading is enough.
            let rest = text.split_once('\n').map_or("", |(_, rest)| rest);
            let has_heading = matches!(format, Format::Table | Format::TableOf(_));
            console::print(if first || !has_heading { &text } else { rest })?;
        }
        if !arguments.follow || sources.iter().all(|source| source.is_absent) {
            return Ok(status);
        }
        first = false;
        tokio::time::sleep(LOOK).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbs_are_those_of_methods_and_of_commands() {
        let record = |method: &str| AuditRecord { method: method.to_owned(), uid: 7, ..AuditRecord::default() };
        let wanted = |verb: &str| Wanted { user: None, verb: Some(verb.to_owned()) };
        assert!(wanted("stop").matches(&record("containers.stop")));
        assert!(wanted("containers.stop").matches(&record("containers.stop")));
        assert!(
            wanted("rm").matches(&record("containers.remove")) && wanted("rmi").matches(&record("image-store.remove"))
        );
        for verb in ["run", "create", "start"] {
            assert!(wanted(verb).matches(&record("containers.run")));
        }
        assert!(!wanted("top").matches(&record("containers.stop")));
        assert!(Wanted { user: Some(7), verb: None }.matches(&record("a")));
        assert!(!Wanted { user: Some(8), verb: None }.matches(&record("a")));
    }
}
