//! The time zone of the caller.

use jiff::tz::TimeZone;
use std::sync::OnceLock;

/// The time zone of the caller: as the environment says, or the host.
pub(crate) fn zone() -> TimeZone {
    static ZONE: OnceLock<TimeZone> = OnceLock::new();
    ZONE.get_or_init(|| zone_of_host().unwrap_or_else(TimeZone::system)).clone()
}

/// What the host's file says, if nothing else counts. What the zone is called is not asked for: that takes a look at the
/// names of all there are.
fn zone_of_host() -> Option<TimeZone> {
    if std::env::var_os("TZ").is_some() {
        return None;
    }
    TimeZone::tzif("local", &std::fs::read("/etc/localtime").ok()?).ok()
}
