//! Conversions of the audit log.

use super::model::{AuditPage, AuditRecord};
use crate::Failure;
use crate::bindings::common_capnp::{audit_page, audit_record};
use crate::wire::{Wire, length, list, set_list, set_texts, text, texts};

impl Wire for AuditRecord {
    type Owned = audit_record::Owned;

    fn read(reader: audit_record::Reader<'_>) -> Result<Self, Failure> {
        Ok(Self {
            at: reader.get_at(),
            service: text(reader.get_service())?,
            method: text(reader.get_method())?,
            uid: reader.get_uid(),
            gid: reader.get_gid(),
            pid: reader.get_pid(),
            role: text(reader.get_role())?,
            object: text(reader.get_object())?,
            details: texts(reader.get_details())?,
            request: reader.get_request(),
            outcome: text(reader.get_outcome())?,
            message: text(reader.get_message())?,
            missing: reader.get_missing(),
        })
    }

    fn write(&self, mut builder: audit_record::Builder<'_>) {
        let Self { at, service, method, uid, gid, pid, role, object, details, request, outcome, message, missing } =
            self;
        builder.set_at(*at);
        builder.set_service(service);
        builder.set_method(method);
        builder.set_uid(*uid);
        builder.set_gid(*gid);
        builder.set_pid(*pid);
        builder.set_role(role);
        builder.set_object(object);
        set_texts(builder.reborrow().init_details(length(details)), details);
        builder.set_request(*request);
        builder.set_outcome(outcome);
        builder.set_message(message);
        builder.set_missing(*missing);
    }
}

impl Wire for AuditPage {
    type Owned = audit_page::Owned;

    fn read(reader: audit_page::Reader<'_>) -> Result<Self, Failure> {
        Ok(Self { records: list(reader.get_records())?, next: reader.get_next(), damaged: reader.get_damaged() })
    }

    fn write(&self, mut builder: audit_page::Builder<'_>) {
        let Self { records, next, damaged } = self;
        set_list(builder.reborrow().init_records(length(records)), records);
        builder.set_next(*next);
        builder.set_damaged(*damaged);
    }
}
