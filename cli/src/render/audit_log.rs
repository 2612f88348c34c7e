//! The audit log, a call a line.

use super::listing::{Headings, Listing};
use super::text::one_line;
use super::time::rfc3339;
use crate::error::Result;
use schema::audit::AuditRecord;
use schema::passwd;
use serde_json::json;
use std::collections::BTreeMap;

/// The names of users.
pub(crate) struct Users(BTreeMap<u32, String>);

impl Users {
    /// Those of this host.
    pub(crate) fn read() -> Self {
        Self::parse(&std::fs::read_to_string("/etc/passwd").unwrap_or_default())
    }

    fn parse(text: &str) -> Self {
        // The first name of a number is the one that is shown.
        Self(passwd::users(text).rev().map(|user| (user.uid, user.name.to_owned())).collect())
    }

    /// The number of a user, by name or number.
    pub(crate) fn find(&self, user: &str) -> Option<u32> {
        let named = self.0.iter().find(|(_, name)| *name == user).map(|(number, _)| *number);
        named.or_else(|| user.parse().ok())
    }

    fn name(&self, uid: u32) -> String {
        self.0.get(&uid).cloned().unwrap_or_else(|| uid.to_string())
    }
}

/// All of it. What callers have chosen is shown on one line, whatever it is.
pub(crate) fn listing(records: &[AuditRecord], users: &Users) -> Result<Listing> {
    const HEADINGS: &Headings = &[
        ("Time", "TIME"),
        ("User", "USER"),
        ("Role", "ROLE"),
        ("PID", "PID"),
        ("Method", "CALL"),
        ("Object", "OBJECT"),
        ("Outcome", "OUTCOME"),
        ("Details", "DETAILS"),
        ("UID", "UID"),
        ("GID", "GID"),
        ("Service", "SERVICE"),
        ("Request", "REQUEST"),
        ("Message", "MESSAGE"),
        ("Missing", "MISSING"),
    ];
    let shown = ["Time", "User", "Role", "PID", "Method", "Object", "Outcome", "Details"];
    let mut listing = Listing::new(HEADINGS, shown);
    for record in records {
        let AuditRecord {
            at,
            service,
            method,
            uid,
            gid,
            pid,
            role,
            object,
            details,
            request,
            outcome,
            message,
            missing,
        } = record;
        let details: Vec<String> = details.iter().map(|detail| one_line(detail)).collect();
        listing.push(&json!({
            "Time": rfc3339(*at),
            "User": users.name(*uid),
            "Role": role,
            "PID": pid,
            "Method": one_line(method),
            "Object": one_line(object),
            "Outcome": outcome,
            "Details": details.join(" "),
            "UID": uid,
            "GID": gid,
            "Service": service,
            "Request": format!("{request:016x}"),
            "Message": one_line(message),
            "Missing": missing,
        }))?;
    }
    Ok(listing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Format;

    #[test]
    fn users_have_names_and_calls_a_line() {
        let users = Users::parse("root:x:0:0::/:/bin/sh\ntoor:x:0:0::/:/bin/sh\nalice:x:1000:1000::/:/bin/sh\n");
        assert_eq!(
            [users.find("toor"), users.find("alice"), users.find("7"), users.find("x")],
            [None, Some(1000), Some(7), None]
        );
        let record = AuditRecord {
            uid: 1000,
            role: "project web".into(),
            method: "containers.stop".into(),
            object: "a\nb".into(),
            outcome: "permissionDenied".into(),
            ..AuditRecord::default()
        };
        let text = listing(&[record.clone(), AuditRecord { uid: 0, ..record }], &users)
            .unwrap()
            .render(&Format::Table)
            .unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert!(lines[1].contains("alice") && lines[2].contains("root") && lines[1].contains("permissionDenied"));
    }
}
