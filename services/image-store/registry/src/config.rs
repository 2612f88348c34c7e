//! `registries.toml`: what the owner of the machine says about registries.
//!
//! ```toml
//! default = "docker.io"              # the registry of names that do not say one
//!
//! [registry."example.org:5000"]
//! plain-http = true                  # it does not speak TLS
//! ca = "/etc/cctl/example.pem"       # further certificate authorities that are trusted there
//! mirrors = ["mirror.example.org"]   # asked first when pulling, without credentials
//!
//! [proxy]                            # each in place of the environment variable of that name
//! http = "http://proxy.example.org:3128"
//! https = "http://proxy.example.org:3128"
//! no-proxy = ["10.0.0.0/8", ".example.org"]
//!
//! [transfer]
//! connect-timeout = 10               # seconds
//! idle-timeout = 30                  # seconds without a byte
//! attempts = 5                       # in a row that bring nothing
//! ```

mod read;

use crate::name::canonical;
use crate::proxy::Proxies;
use schema::Failure;
use std::collections::HashMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

const FILE: &str = "registries.toml";

/// What `registries.toml` and the environment say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configuration {
    /// The registry of names that do not say one.
    pub default: String,
    /// How patient transfers are.
    pub patience: Patience,
    proxies: Proxies,
    registries: HashMap<String, Settings>,
}

/// How patient transfers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// For a connection, TLS included.
    pub connect: Duration,
    /// For an answer, and for a connection that brings next to nothing.
    pub idle: Duration,
    /// Attempts in a row that bring nothing.
    pub attempts: u32,
}

/// What is configured of one registry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// It does not speak TLS.
    pub plain_http: bool,
    /// A file of further certificate authorities, in PEM.
    pub ca: Option<PathBuf>,
    /// Registries that are asked first when pulling.
    pub mirrors: Vec<String>,
}

impl Default for Patience {
    fn default() -> Self {
        Self { connect: Duration::from_secs(10), idle: Duration::from_secs(30), attempts: 5 }
    }
}

impl Configuration {
    /// Reads `registries.toml` of this directory, if there is one: transfers do so when they begin, so a change
    /// holds for the next one. Proxies that it does not name come from the environment.
    /// Fails: invalidArgument, naming file, key and value.
    pub fn load(directory: &Path) -> Result<Self, Failure> {
        let file = directory.join(FILE);
        let text = match fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
            Err(error) => return Err(Failure::invalid(format_args!("{}: {error}", file.display()))),
        };
        Self::parse(&text, Proxies::from_env()).map_err(|why| {
            Failure::invalid(format_args!("{}: {why}", file.display()))
                .hint("mend the file: nothing needs to be restarted")
        })
    }

    /// What is configured of a registry; the default is nothing.
    pub fn of(&self, registry: &str) -> Settings {
        self.registries.get(canonical(registry)).cloned().unwrap_or_default()
    }

    /// By which proxies the world is reached.
    pub fn proxies(&self) -> &Proxies {
        &self.proxies
    }

    fn parse(text: &str, environment: Proxies) -> Result<Self, String> {
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| error.to_string())?;
        read::configuration(&table, environment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Configuration, String> {
        Configuration::parse(text, Proxies::default())
    }

    #[test]
    fn an_empty_file_means_docker_hub() {
        let configuration = parsed("").unwrap();
        assert_eq!(configuration.default, "docker.io");
        assert_eq!(configuration.of("a.b"), Settings::default());
        assert_eq!(configuration.patience, Patience::default());
    }

    #[test]
    fn everything_can_be_said() {
        let configuration = parsed(
            r#"
            default = "a.b:1"
            [registry."a.b:1"]
            plain-http = true
            ca = "/ca.pem"
            mirrors = ["c.d", "e.f:2"]
            [registry."index.docker.io"]
            mirrors = ["m"]
            [proxy]
            http = "http://p:1"
            https = "http://u:w@p:2"
            no-proxy = ["x", ".y"]
            [transfer]
            connect-timeout = 1
            idle-timeout = 2
            attempts = 3
            "#,
        )
        .unwrap();
        let settings = configuration.of("a.b:1");
        assert!(settings.plain_http && settings.ca == Some("/ca.pem".into()) && settings.mirrors == ["c.d", "e.f:2"]);
        assert_eq!(configuration.of("docker.io").mirrors, ["m"]);
        assert_eq!(configuration.patience.idle, Duration::from_secs(2));
        assert_eq!(configuration.patience.attempts, 3);
        assert_eq!(configuration.proxies.no_proxy, "x,.y");
    }

    #[test]
    fn mistakes_name_key_and_value() {
        for (text, key, value) in [
            ("defualt = 'x'", "defualt", "unknown"),
            ("default = 7", "default", "7"),
            ("default = ''", "default", "\"\""),
            ("default = 'http://x'", "default", "http://x"),
            ("[registry.a]\nplain-http = 'yes'", "registry.\"a\".plain-http", "yes"),
            ("[registry.a]\nca = 'here'", "registry.\"a\".ca", "here"),
            ("[registry.a]\nmirrors = 'x'", "registry.\"a\".mirrors", "x"),
            ("[registry.a]\nmirrors = [1]", "registry.\"a\".mirrors", "1"),
            ("[registry.a]\nport = 1", "registry.\"a\".port", "unknown"),
            ("[registry]\na = 1", "registry.\"a\"", "1"),
            ("[registry.'a/b']", "registry.\"a/b\"", "a/b"),
            ("[proxy]\nhttp = 'ftp://x'", "proxy.http", "ftp://x"),
            ("[transfer]\nattempts = 0", "transfer.attempts", "0"),
            ("[transfer]\nidle-timeout = 1.5", "transfer.idle-timeout", "1.5"),
        ] {
            let message = parsed(text).unwrap_err();
            assert!(message.contains(key) && message.contains(value), "{text:?}: {message}");
        }
        assert!(parsed("default = ").unwrap_err().contains("line 1"));
    }
}
