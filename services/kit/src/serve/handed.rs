//! The capability that a peer is handed: what it calls is counted first, and then is for its role to be had.

use super::guard::Caller;
use super::limits::Load;
use capnp::capability::{Promise, Request};
use capnp::private::capability::{ClientHook, ParamsHook, ResultsHook};
use capnp::{Error, MessageSize, any_pointer};
use std::rc::Rc;

/// A capability of a service, in the hands of one peer.
#[derive(Clone)]
pub(super) struct Handed {
    inner: Rc<Box<dyn ClientHook>>,
    caller: Rc<Caller>,
    load: Rc<Load>,
}

impl Handed {
    pub(super) fn new(inner: Box<dyn ClientHook>, caller: Caller, load: Rc<Load>) -> Self {
        Self { inner: Rc::new(inner), caller: Rc::new(caller), load }
    }
}

impl ClientHook for Handed {
    fn add_ref(&self) -> Box<dyn ClientHook> {
        Box::new(self.clone())
    }

    fn new_call(
        &self,
        interface_id: u64,
        method_id: u16,
        size_hint: Option<MessageSize>,
    ) -> Request<any_pointer::Owned, any_pointer::Owned> {
        self.inner.new_call(interface_id, method_id, size_hint)
    }

    fn call(
        &self,
        interface_id: u64,
        method_id: u16,
        params: Box<dyn ParamsHook>,
        results: Box<dyn ResultsHook>,
    ) -> Promise<(), Error> {
        let pending = match self.load.begin_call(&*params) {
            Ok(pending) => pending,
            Err(error) => return Promise::err(error),
        };
        let answer = self.caller.call(&**self.inner, (interface_id, method_id), params, results);
        Promise::from_future(async move {
            let _pending = pending;
            answer.await
        })
    }

    fn get_brand(&self) -> usize {
        self.inner.get_brand()
    }

    fn get_ptr(&self) -> usize {
        self.inner.get_ptr()
    }

    fn get_resolved(&self) -> Option<Box<dyn ClientHook>> {
        None
    }

    fn when_more_resolved(&self) -> Option<Promise<Box<dyn ClientHook>, Error>> {
        None
    }

    fn when_resolved(&self) -> Promise<(), Error> {
        self.inner.when_resolved()
    }
}
