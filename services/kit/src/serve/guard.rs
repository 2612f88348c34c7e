//! What a peer does with the capability that it is handed: of the methods that there are it has those of its role, and what it
//! does with them is recorded.

use crate::access::{Door, Role};
use crate::actor::on_thread;
use crate::audit::{self, AuditLog};
use crate::peer::Peer;
use crate::process;
use capnp::capability::Promise;
use capnp::private::capability::{ClientHook, ParamsHook, PipelineHook, RequestHook, ResultsHook};
use capnp::{Error, any_pointer};
use schema::Failure;
use schema::access::{self, AUDIT_RECORDS, HELLO, Method, Recorded};
use schema::audit::{AuditPage, AuditQuery, AuditRecord, Subject, outcome, refuse, request, subject};
use std::cell::RefCell;
use std::rc::Rc;

/// Whose a capability is.
pub(super) struct Caller {
    pub(super) peer: Peer,
    pub(super) role: Role,
    pub(super) door: Rc<Door>,
}

impl Caller {
    /// Calls a method, if the capability has it.
    pub(super) fn call(
        self: &Rc<Self>,
        inner: &dyn ClientHook,
        called: (u64, u16),
        params: Box<dyn ParamsHook>,
        results: Box<dyn ResultsHook>,
    ) -> Promise<(), Error> {
        let (interface_id, method_id) = called;
        let method = access::method(interface_id, method_id);
        let has = self.has(called, method);
        let recorded = method.map_or(Recorded::No, |method| method.recorded);
        let is_quiet = self.role == Role::Service || (self.role == Role::Admin && recorded == Recorded::No);
        // The usual: nothing of it is recorded, whatever comes of it.
        if has && is_quiet && called != AUDIT_RECORDS {
            return inner.call(interface_id, method_id, params, results);
        }
        let asked = match params.get() {
            Ok(asked) => asked,
            Err(error) => return Promise::err(error),
        };
        if has
            && called == AUDIT_RECORDS
            && let Some(log) = &self.door.audit
        {
            return answer_records(log, AuditQuery::read(asked), results);
        }
        let known = method.map(|method| method.name);
        let name = known.map_or_else(|| format!("{interface_id:#x}.{method_id}"), str::to_owned);
        let (about, request) = (subject(&name, asked), request(asked));
        let entry =
            Entry { caller: Rc::clone(self), method: name.clone(), recorded, subject: about, request, is_over: false };
        let (true, Some(method)) = (has, known) else {
            if has {
                return inner.call(interface_id, method_id, params, results);
            }
            return self.refuse(&name, entry, results, known.is_some());
        };
        let came = Rc::new(RefCell::new(None));
        let watched = Watched { inner: Some(results), method, came: Rc::clone(&came) };
        let answer = inner.call(interface_id, method_id, params, Box::new(watched));
        Promise::from_future(async move {
            let answered = answer.await;
            let came = came.borrow_mut().take();
            entry.finish(came);
            answered
        })
    }

    /// Whether the capability has this method. What nobody has listed, only an admin has.
    fn has(&self, called: (u64, u16), method: Option<&Method>) -> bool {
        called == HELLO
            || match &self.role {
                Role::Admin => true,
                Role::Service => method.is_some_and(|method| method.of_services),
                Role::Limited(rights) => method.is_some_and(|method| rights.have(method)),
            }
    }

    /// Answers that the capability does not have this method.
    fn refuse(
        &self,
        name: &str,
        entry: Entry,
        mut results: Box<dyn ResultsHook>,
        is_known: bool,
    ) -> Promise<(), Error> {
        let (uid, role) = (self.peer.uid, self.role.word());
        let failure = Failure::permission_denied(format_args!("user {uid} ({role}) may not call {name}"))
            .hint("an admin may grant it: see `access.toml` in the guide");
        tracing::warn!(peer = ?self.peer, role, method = name, "refused");
        entry.finish(Some(("permissionDenied".to_owned(), failure.message.clone())));
        if !is_known {
            return Promise::err(Error::unimplemented(format!("permissionDenied: {failure}")));
        }
        match results.get() {
            Ok(answer) => {
                refuse(answer, &failure);
                Promise::ok(())
            }
            Err(error) => Promise::err(error),
        }
    }
}

/// Answers what is recorded.
fn answer_records(
    log: &RefCell<AuditLog>,
    query: Result<AuditQuery, Failure>,
    mut results: Box<dyn ResultsHook>,
) -> Promise<(), Error> {
    let directory = log.borrow().directory().to_owned();
    Promise::from_future(async move {
        let page = match query {
            Ok(query) => on_thread(move || audit::page(&directory, query)).await,
            Err(failure) => Err(failure),
        };
        AuditPage::answer(page, results.get()?);
        Ok(())
    })
}

/// A call that may have to be recorded. Dropped before its end: nobody waits for the answer any more.
struct Entry {
    caller: Rc<Caller>,
    method: String,
    recorded: Recorded,
    subject: Subject,
    request: u64,
    is_over: bool,
}

impl Entry {
    /// The call has ended like this; none: without an answer.
    fn finish(mut self, came: Option<(String, String)>) {
        self.is_over = true;
        self.record(came);
    }

    fn record(&mut self, came: Option<(String, String)>) {
        let Some(log) = &self.caller.door.audit else { return };
        let (outcome, message) = came.unwrap_or_else(|| ("unknown".to_owned(), String::new()));
        let refused = outcome == "permissionDenied";
        let wanted = match self.recorded {
            Recorded::No => refused,
            Recorded::Yes => true,
            Recorded::Beginning => refused || !self.subject.is_repeated,
            Recorded::Transfer => !self.subject.is_repeated || outcome != "begun",
        };
        if !wanted {
            return;
        }
        let Peer { pid, uid, gid, groups: _ } = self.caller.peer;
        let Subject { object, details, is_repeated: _ } = std::mem::take(&mut self.subject);
        let record = AuditRecord {
            at: process::now(),
            service: self.caller.door.service().to_owned(),
            method: std::mem::take(&mut self.method),
            uid,
            gid,
            pid,
            role: self.caller.role.word(),
            object,
            details,
            request: self.request,
            outcome,
            message,
            missing: 0,
        };
        let mut log = log.borrow_mut();
        if refused { log.refusal(record) } else { log.append(record) }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if !self.is_over {
            self.record(None);
        }
    }
}

/// Remembers what was answered.
struct Watched {
    inner: Option<Box<dyn ResultsHook>>,
    method: &'static str,
    came: Rc<RefCell<Option<(String, String)>>>,
}

impl Drop for Watched {
    fn drop(&mut self) {
        if let Some(inner) = &mut self.inner
            && let Ok(answer) = inner.get()
        {
            *self.came.borrow_mut() = outcome(self.method, answer.into_reader());
        }
    }
}

impl ResultsHook for Watched {
    fn get(&mut self) -> capnp::Result<any_pointer::Builder<'_>> {
        match &mut self.inner {
            Some(inner) => inner.get(),
            None => Err(Error::failed("the answer was passed on".to_owned())),
        }
    }

    fn set_pipeline(&mut self) -> capnp::Result<()> {
        self.inner.as_mut().map_or(Ok(()), |inner| inner.set_pipeline())
    }

    fn allow_cancellation(&self) {
        if let Some(inner) = &self.inner {
            inner.allow_cancellation();
        }
    }

    fn tail_call(mut self: Box<Self>, request: Box<dyn RequestHook>) -> Promise<(), Error> {
        match self.inner.take() {
            Some(inner) => inner.tail_call(request),
            None => Promise::err(Error::failed("the answer was passed on".to_owned())),
        }
    }

    fn direct_tail_call(
        mut self: Box<Self>,
        request: Box<dyn RequestHook>,
    ) -> (Promise<(), Error>, Box<dyn PipelineHook>) {
        match self.inner.take() {
            Some(inner) => inner.direct_tail_call(request),
            // It takes this object away, so nobody can ask twice.
            None => (Promise::err(Error::failed("the answer was passed on".to_owned())), Box::new(NoPipeline)),
        }
    }
}

/// Of an answer that there will not be.
struct NoPipeline;

impl PipelineHook for NoPipeline {
    fn add_ref(&self) -> Box<dyn PipelineHook> {
        Box::new(Self)
    }

    fn get_pipelined_cap(&self, _: &[capnp::private::capability::PipelineOp]) -> Box<dyn ClientHook> {
        capnp_rpc::new_future_client::<capnp::capability::Client>(std::future::pending::<
            capnp::Result<capnp::capability::Client>,
        >())
        .hook
    }
}
