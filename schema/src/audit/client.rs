//! Asks any service for its audit log.

use super::model::{AuditPage, AuditQuery};
use crate::bindings::common_capnp::service;
use crate::link::Link;
use crate::rpc::request;
use crate::wire::Wire;
use crate::{Call, Failure, Instance};

/// A service, as far as all services are alike.
#[derive(Clone)]
pub struct Client {
    link: Link<service::Client>,
}

impl Client {
    /// A client of one of an instance's services; connects at the first call.
    pub fn new(instance: &Instance, service: &'static str) -> Self {
        Self { link: Link::new(service, instance.socket(service)) }
    }

    /// A part of its audit log.
    pub async fn records(&self, call: &Call, query: AuditQuery) -> Result<AuditPage, Failure> {
        request!(
            self,
            call,
            audit_records_request,
            |params| {
                params.set_after(query.after);
                params.set_since(query.since);
                params.set_until(query.until);
                params.set_max_count(query.max_count);
            },
            AuditPage::read
        )
        .await
    }
}
