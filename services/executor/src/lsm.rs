//! Security modules of the kernel: AppArmor profiles and SELinux labels that a process takes on when it executes.
//!
//! A host that has none of them is no error, unless somebody asks for one by name.

use schema::Failure;
use schema::security::{LabelPart, Security, label};
use std::ffi::CStr;
use std::fs;
use std::path::Path;

/// The engine's own profile (`deploy/apparmor`).
const OWN_PROFILE: &str = "cctl-default";
/// No profile.
const UNCONFINED: &str = "unconfined";
/// What a container's processes have on hosts with SELinux, if they have a label at all.
const USUAL_LABEL: [&str; 4] = ["system_u", "system_r", "container_t", "s0"];

/// What the host's kernel has.
#[derive(Clone, Debug, Default)]
pub(crate) struct Modules {
    /// AppArmor is on; where a process says what it takes on.
    app_armor: Option<&'static CStr>,
    /// SELinux is on.
    selinux: bool,
}

/// What is written, and where, before a program is executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TakenOn {
    pub(crate) path: &'static CStr,
    pub(crate) content: String,
}

impl Modules {
    /// Looks around.
    pub(crate) fn detect() -> Self {
        let enabled = fs::read_to_string("/sys/module/apparmor/parameters/enabled").unwrap_or_default();
        // Before Linux 5.8, modules share one file.
        let own = Path::new("/proc/self/attr/apparmor/exec").exists();
        let place = if own { c"/proc/self/attr/apparmor/exec" } else { c"/proc/self/attr/exec" };
        Self {
            app_armor: (enabled.trim() == "Y").then_some(place),
            selinux: Path::new("/sys/fs/selinux/enforce").exists(),
        }
    }

    /// The list of profiles that are loaded now; none: there is no AppArmor, or it does not tell.
    pub(crate) fn profiles(&self) -> Option<String> {
        self.app_armor.and_then(|_| fs::read_to_string("/sys/kernel/security/apparmor/profiles").ok())
    }

    /// What a process takes on. `profiles` is the list of those that are loaded.
    pub(crate) fn choose(
        &self,
        security: &Security,
        privileged: bool,
        profiles: Option<&str>,
    ) -> Result<Vec<TakenOn>, Failure> {
        let mut taken = Vec::new();
        taken.extend(self.profile(&security.app_armor, privileged, profiles)?);
        taken.extend(self.label(&security.labels)?);
        Ok(taken)
    }

    fn profile(&self, asked: &str, privileged: bool, profiles: Option<&str>) -> Result<Option<TakenOn>, Failure> {
        let loaded = |name: &str| profiles.map(|list| list.lines().any(|line| profile_of(line) == name));
        let take = |path, name: &str| Some(TakenOn { path, content: format!("exec {name}") });
        match (asked, self.app_armor) {
            (UNCONFINED, _) | ("", None) => Ok(None),
            ("", Some(_)) if privileged => Ok(None),
            ("", Some(path)) if loaded(OWN_PROFILE) == Some(true) => Ok(take(path, OWN_PROFILE)),
            ("", Some(_)) => Ok(None),
            (name, None) => Err(Failure::unimplemented(format_args!(
                "the AppArmor profile {name:?} cannot be applied: this host has no AppArmor"
            ))
            .hint("leave out --security-opt apparmor=…, or enable AppArmor in the kernel")),
            (name, Some(_)) if loaded(name) == Some(false) => {
                Err(Failure::not_found(format_args!("the AppArmor profile {name:?} is not loaded"))
                    .hint("load it with apparmor_parser; `aa-status` lists those that are"))
            }
            // Where it cannot be known, the kernel says so.
            (name, Some(path)) => Ok(take(path, name)),
        }
    }

    fn label(&self, asked: &[String]) -> Result<Option<TakenOn>, Failure> {
        let mut parts = None;
        for text in asked {
            match label(text)? {
                None => parts = None,
                Some((part, value)) => {
                    let [user, role, kind, level] = parts.get_or_insert(USUAL_LABEL);
                    *match part {
                        LabelPart::User => user,
                        LabelPart::Role => role,
                        LabelPart::Type => kind,
                        LabelPart::Level => level,
                    } = value;
                }
            }
        }
        match parts {
            None => Ok(None),
            Some(parts) if self.selinux => {
                Ok(Some(TakenOn { path: c"/proc/self/attr/exec", content: parts.join(":") }))
            }
            Some(parts) => Err(Failure::unimplemented(format_args!(
                "the SELinux label {:?} cannot be applied: this host has no SELinux",
                parts.join(":")
            ))
            .hint("leave out --security-opt label=…, or enable SELinux on the host")),
        }
    }
}

/// The name on a line `name (mode)`.
fn profile_of(line: &str) -> &str {
    line.rsplit_once(" (").map_or(line, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use schema::Code;

    const PROFILES: Option<&str> = Some("docker-default (enforce)\n/usr/sbin/x//y (complain)\n");
    const WITH_OWN: Option<&str> = Some("cctl-default (enforce)\n");

    fn app_armor() -> Modules {
        Modules { app_armor: Some(c"/proc/self/attr/apparmor/exec"), selinux: false }
    }

    fn profile(modules: &Modules, asked: &str, privileged: bool, list: Option<&str>) -> Result<Option<String>, Code> {
        let security = Security { app_armor: asked.to_owned(), ..Security::default() };
        let taken = modules.choose(&security, privileged, list).map_err(|failure| failure.code)?;
        Ok(taken.into_iter().next().map(|taken| taken.content))
    }

    #[test]
    fn a_host_without_app_armor_has_nothing_and_refuses_what_is_asked_by_name() {
        let none = Modules::default();
        for asked in ["", "unconfined"] {
            assert_eq!(profile(&none, asked, false, None), Ok(None));
        }
        assert_eq!(profile(&none, "mine", false, None), Err(Code::Unimplemented));
    }

    #[test]
    fn the_engines_profile_is_taken_on_where_it_is_loaded() {
        let host = app_armor();
        assert_eq!(profile(&host, "", false, WITH_OWN), Ok(Some("exec cctl-default".to_owned())));
        assert_eq!(profile(&host, "", false, PROFILES), Ok(None));
        assert_eq!(profile(&host, "", false, None), Ok(None));
        assert_eq!(profile(&host, "", true, WITH_OWN), Ok(None));
        assert_eq!(profile(&host, "unconfined", false, WITH_OWN), Ok(None));
    }

    #[test]
    fn one_that_is_asked_for_must_be_loaded() {
        let host = app_armor();
        for (asked, privileged) in [("docker-default", false), ("docker-default", true), ("/usr/sbin/x//y", false)] {
            assert_eq!(profile(&host, asked, privileged, PROFILES), Ok(Some(format!("exec {asked}"))));
        }
        assert_eq!(profile(&host, "docker", false, PROFILES), Err(Code::NotFound));
        assert_eq!(profile(&host, "docker", false, None), Ok(Some("exec docker".to_owned())));
    }

    #[test]
    fn labels_are_for_hosts_with_selinux() {
        let selinux = Modules { app_armor: None, selinux: true };
        let of = |modules: &Modules, labels: &[&str]| {
            let labels = labels.iter().map(ToString::to_string).collect();
            let taken = modules.choose(&Security { labels, ..Security::default() }, false, None);
            taken.map(|taken| taken.into_iter().next().map(|taken| taken.content)).map_err(|failure| failure.code)
        };
        assert_eq!(of(&selinux, &[]), Ok(None));
        assert_eq!(of(&selinux, &["disable"]), Ok(None));
        assert_eq!(of(&selinux, &["type:x_t", "level:s0:c1"]), Ok(Some("system_u:system_r:x_t:s0:c1".to_owned())));
        assert_eq!(of(&Modules::default(), &["disable"]), Ok(None));
        assert_eq!(of(&Modules::default(), &["type:x_t"]), Err(Code::Unimplemented));
    }
}
