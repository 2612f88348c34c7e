//! The file that keeps logins.

use super::registry::{key, name};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use schema::Failure;
use schema::image_store::Credentials;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

/// Bytes of the file at most.
const LARGEST: u64 = 1 << 20;

/// Docker's `config.json`, as far as it is of logins; what else is in it is kept.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AuthFile {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
    /// By registry: which helper keeps its credentials.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    cred_helpers: BTreeMap<String, String>,
    /// The helper that keeps those of all others.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    creds_store: String,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// What is kept for a registry; empty if a helper keeps it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    /// Base64 of `user:password`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    auth: String,
    #[serde(default, rename = "identitytoken", skip_serializing_if = "String::is_empty")]
    identity_token: String,
}

impl Entry {
    /// Of credentials; a token takes the place of the password.
    pub(super) fn of(credentials: &Credentials) -> Self {
        let Credentials { user, password, identity_token } = credentials;
        let password = if identity_token.is_empty() { password } else { "" };
        Self { auth: STANDARD.encode(format!("{user}:{password}")), identity_token: identity_token.clone() }
    }

    /// The credentials; none if the entry is empty. A password may contain colons, a user's name may not.
    pub(super) fn credentials(&self, registry: &str) -> Result<Option<Credentials>, Failure> {
        if *self == Self::default() {
            return Ok(None);
        }
        let bad = || {
            Failure::corrupt(format_args!("the login to {registry} that is kept cannot be understood"))
                .hint(format_args!("`cctl login {registry}` makes a new one"))
        };
        let pair = STANDARD.decode(&self.auth).ok().and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(bad)?;
        let (user, password) = match pair.split_once(':') {
            Some(split) => split,
            None if !self.identity_token.is_empty() => ("", ""),
            None => return Err(bad()),
        };
        Ok(Some(Credentials {
            user: user.to_owned(),
            password: password.trim_end_matches('\0').to_owned(),
            identity_token: self.identity_token.clone(),
        }))
    }
}

impl AuthFile {
    /// Reads the file; an empty one if there is none. Fails if others may read it: it holds secrets.
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let failed = |error: std::io::Error| Failure::io(format_args!("reading {}", path.display()), &error);
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(failed(error)),
        };
        let mode = file.metadata().map_err(failed)?.mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(Failure::permission_denied(format_args!(
                "{} holds passwords, and others may read it: its mode is {mode:04o}",
                path.display()
            ))
            .hint(format_args!("chmod 600 {}", path.display())));
        }
        let mut text = Vec::new();
        file.take(LARGEST + 1).read_to_end(&mut text).map_err(failed)?;
        let bad = |what: &dyn std::fmt::Display| {
            Failure::corrupt(format_args!("{}: {what}", path.display())).hint("mend it, or remove it and log in again")
        };
        if text.len() as u64 > LARGEST {
            return Err(bad(&"it is too large"));
        }
        if text.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self::default());
        }
        serde_json::from_slice(&text).map_err(|error| bad(&error))
    }

    /// Takes the place of the file, as a whole or not at all.
    pub(super) fn write(&self, path: &Path) -> Result<(), Failure> {
        let failed = |error: std::io::Error| Failure::io(format_args!("writing {}", path.display()), &error);
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed)?;
        let mut text = serde_json::to_vec_pretty(self).map_err(Failure::internal)?;
        text.push(b'\n');
        let mut new = path.as_os_str().to_owned();
        new.push(format!(".{}", std::process::id()));
        let new = Path::new(&new);
        let written =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(new).and_then(|mut file| {
                file.write_all(&text)?;
                file.sync_all()
            });
        written.and_then(|()| std::fs::rename(new, path)).map_err(|error| {
            // It is of no use to anybody.
            let _ = std::fs::remove_file(new);
            failed(error)
        })
    }

    /// The helper that keeps a registry's credentials.
    pub(super) fn helper(&self, registry: &str) -> Option<&str> {
        let named = self.cred_helpers.iter().find(|(known, _)| name(known) == name(registry));
        named.map(|(_, helper)| helper.as_str()).or(Some(&*self.creds_store)).filter(|helper| !helper.is_empty())
    }

    /// What is kept for a registry, under whichever of its names.
    pub(super) fn entry(&self, registry: &str) -> Option<&Entry> {
        self.auths
            .get(&key(registry))
            .or_else(|| self.auths.iter().find(|(known, _)| name(known) == name(registry)).map(|(_, entry)| entry))
    }

    /// Keeps an entry in place of all that was kept for the registry.
    pub(super) fn set(&mut self, registry: &str, entry: Entry) {
        self.remove(registry);
        self.auths.insert(key(registry), entry);
    }

    /// Forgets a registry; whether it was known.
    pub(super) fn remove(&mut self, registry: &str) -> bool {
        let before = self.auths.len();
        self.auths.retain(|known, _| name(known) != name(registry));
        self.auths.len() < before
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::os::unix::fs::PermissionsExt;

    fn credentials(user: &str, password: &str) -> Credentials {
        Credentials { user: user.into(), password: password.into(), identity_token: String::new() }
    }

    #[test]
    fn the_seed_s_encoding() {
        assert_eq!(Entry::of(&credentials("ken", "test")).auth, "a2VuOnRlc3Q=");
    }

    #[test]
    fn what_is_written_is_read_by_its_owner_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("deep/er/auth.json");
        let mut file = AuthFile::read(&path).unwrap();
        file.set("docker.io", Entry::of(&credentials("me", "a:b:c")));
        file.set(
            "host:5000",
            Entry::of(&Credentials { identity_token: "token".into(), ..credentials("me", "secret") }),
        );
        file.write(&path).unwrap();
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600);
        assert_eq!(path.parent().unwrap().metadata().unwrap().mode() & 0o777, 0o700);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.contains("a:b:c") && !text.contains("secret") && text.contains("https://index.docker.io/v1/"));
        let mut file = AuthFile::read(&path).unwrap();
        let found =
            |file: &AuthFile, registry: &str| file.entry(registry).unwrap().credentials(registry).unwrap().unwrap();
        assert!(found(&file, "index.docker.io") == credentials("me", "a:b:c"));
        assert_eq!(
            (found(&file, "host:5000").identity_token.as_str(), found(&file, "host:5000").password.as_str()),
            ("token", "")
        );
        assert!(file.remove("https://host:5000/v2/") && !file.remove("host:5000"));
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(0o644)).unwrap();
        let failure = AuthFile::read(file.path()).unwrap_err();
        assert!(failure.message.contains("0644") && failure.hint.starts_with("chmod 600"), "{failure:?}");
    }

    #[test]
    fn docker_s_own_file_is_understood_and_kept() {
        let text = r#"{"auths":{"https://index.docker.io/v1/":{"auth":"a2VuOnRlc3Q="},"other":{}},"credsStore":"","credHelpers":{"gcr.io":"gcloud"},"psFormat":"table"}"#;
        let file: AuthFile = serde_json::from_str(text).unwrap();
        assert!(file.entry("docker.io").unwrap().credentials("docker.io").unwrap() == Some(credentials("ken", "test")));
        assert!(file.entry("other").unwrap().credentials("other").unwrap().is_none());
        assert_eq!((file.helper("gcr.io"), file.helper("docker.io")), (Some("gcloud"), None));
        assert!(serde_json::to_string(&file).unwrap().contains("psFormat"));
    }

    #[test]
    fn damage_is_named() {
        let entry = Entry { auth: "%%%".into(), identity_token: String::new() };
        assert!(entry.credentials("host").unwrap_err().hint.contains("cctl login host"));
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "{").unwrap();
        assert!(AuthFile::read(file.path()).unwrap_err().message.contains(file.path().to_str().unwrap()));
    }

    proptest! {
        #[test]
        fn any_password_comes_back(user in "[^:\0]{1,20}", password in "[^\0]{0,40}") {
            let entry = Entry::of(&credentials(&user, &password));
            prop_assert!(entry.credentials("host").unwrap() == Some(credentials(&user, &password)));
        }
    }
}
