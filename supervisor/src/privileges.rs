//! What a service may do and see, as the manifest says it. `deploy/services.toml` explains the keys.

use schema::capability;
use seccomp::{Filter, Machine};
use serde::{Deserialize, Deserializer, de::Error};

/// The capabilities of a service; by default none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Capabilities(pub(crate) u64);

impl Capabilities {
    /// All that the supervisor has.
    const ALL: u64 = u64::MAX;

    /// Whether it has whatever the supervisor has.
    pub(crate) fn are_all(&self) -> bool {
        self.0 == Self::ALL
    }
}

/// Whose network a service has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Network {
    /// The host's.
    #[default]
    Host,
    /// An empty one.
    None,
}

/// Whether the rules of Landlock hold for a service that sees a part of the host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Landlock {
    /// Those that follow from what it sees.
    #[default]
    Sees,
    /// None.
    None,
}

/// Which list of system calls holds for a service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Calls {
    /// That for programs of others; none for a service that may gain privileges.
    #[default]
    Usual,
    /// None: it may call whatever there is.
    All,
    /// The one of this name.
    Listed(String),
}

impl Calls {
    /// The list of a service whose definition names none.
    const USUAL: &str = "plugin";

    /// The name of the list; none: there is none. `inherited`: whatever a filter forbids, it forbids to containers, too.
    pub(crate) fn list(&self, inherited: bool) -> Option<&str> {
        match self {
            Self::Usual => (!inherited).then_some(Self::USUAL),
            Self::All => None,
            Self::Listed(name) => Some(name),
        }
    }

    /// The filter of a list.
    pub(crate) fn filter(name: &str) -> Result<Filter, String> {
        Filter::built_in(name, Machine::CURRENT)
    }
}

impl<'de> Deserialize<'de> for Calls {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        if name == "none" {
            return Ok(Self::All);
        }
        Self::filter(&name).map_err(|error| D::Error::custom(format!("{error}, none")))?;
        Ok(Self::Listed(name))
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Word(String),
    Names(Vec<String>),
}

impl<'de> Deserialize<'de> for Capabilities {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wrong = |text: &str| {
            D::Error::custom(format!(
                "{text:?} is no capability: write [\"NET_ADMIN\", …] as capabilities(7) names them without CAP_, or \"all\""
            ))
        };
        match Written::deserialize(deserializer)? {
            Written::Word(word) if word == "all" => Ok(Self(Self::ALL)),
            Written::Word(word) => Err(wrong(&word)),
            Written::Names(names) => {
                let set = names.iter().try_fold(0, |set, name| match capability::parse(name) {
                    Some(one) => Ok(set | one),
                    None => Err(wrong(name)),
                });
                set.map(Self)
            }
        }
    }
}
