//! Who the user is to registries: kept in a file of the form of Docker's `config.json`, or by credential helpers.

mod file;
mod helper;
mod registry;

pub(crate) use registry::{default_registry, key, name};

use file::{AuthFile, Entry};
use schema::Failure;
use schema::image_store::Credentials;
use std::path::PathBuf;

/// Where logins are kept.
pub(crate) struct Logins {
    path: PathBuf,
}

impl Logins {
    /// `$CCTL_AUTH_FILE`, else `$XDG_CONFIG_HOME/cctl/auth.json`, else `~/.config/cctl/auth.json`. Fails if the
    /// environment names none of these.
    pub(crate) fn of_user() -> Result<Self, Failure> {
        let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let config = || variable("XDG_CONFIG_HOME").or_else(|| Some(variable("HOME")?.join(".config")));
        match variable("CCTL_AUTH_FILE").or_else(|| Some(config()?.join("cctl/auth.json"))) {
            Some(path) => Ok(Self { path }),
            None => Err(Failure::invalid("there is no place for logins to registries")
                .hint("set HOME, XDG_CONFIG_HOME or CCTL_AUTH_FILE")),
        }
    }

    /// What is kept for a registry; none if nothing is. Fails if the file cannot be trusted or read, or a helper
    /// fails.
    pub(crate) async fn find(&self, registry: &str) -> Result<Option<Credentials>, Failure> {
        let file = AuthFile::read(&self.path)?;
        match file.helper(registry) {
            Some(helper) => helper::get(helper, &key(registry)).await,
            None => file.entry(registry).map(|entry| entry.credentials(registry)).transpose().map(Option::flatten),
        }
    }

    /// Keeps credentials for a registry.
    pub(crate) async fn store(&self, registry: &str, credentials: &Credentials) -> Result<(), Failure> {
        let mut file = AuthFile::read(&self.path)?;
        match file.helper(registry).map(str::to_owned) {
            Some(helper) => {
                helper::store(&helper, &key(registry), credentials).await?;
                file.set(registry, Entry::default());
            }
            None => file.set(registry, Entry::of(credentials)),
        }
        file.write(&self.path)
    }

    /// Forgets what is kept for a registry; whether there was something.
    pub(crate) async fn forget(&self, registry: &str) -> Result<bool, Failure> {
        let mut file = AuthFile::read(&self.path)?;
        let helper = file.helper(registry).map(str::to_owned);
        let mut known = false;
        if let Some(helper) = helper {
            known = helper::get(&helper, &key(registry)).await?.is_some();
            if known {
                helper::erase(&helper, &key(registry)).await?;
            }
        }
        if file.remove(registry) {
            known = true;
            file.write(&self.path)?;
        }
        Ok(known)
    }
}
