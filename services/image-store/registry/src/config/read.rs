//! From TOML to [`Configuration`]: every mistake is told with its key and value.

use super::{Configuration, Patience, Settings};
use crate::name::{DOCKER_HUB, canonical};
use crate::proxy::{self, Proxies};
use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;
use toml::{Table, Value};

/// The longest of all timeouts, in seconds.
const LONGEST: i64 = 3600;
const MOST_ATTEMPTS: i64 = 100;

pub(super) fn configuration(table: &Table, environment: Proxies) -> Result<Configuration, String> {
    let mut found = Configuration {
        default: DOCKER_HUB.to_owned(),
        patience: Patience::default(),
        proxies: environment,
        registries: HashMap::new(),
    };
    for (key, value) in table {
        match key.as_str() {
            "default" => canonical(registry(key, value)?).clone_into(&mut found.default),
            "registry" => {
                for (name, value) in section(key, value)? {
                    let key = format!("registry.{name:?}");
                    let name = registry(&key, &Value::String(name.clone()))?.to_owned();
                    found.registries.insert(canonical(&name).to_owned(), settings(&key, section(&key, value)?)?);
                }
            }
            "proxy" => proxies(section(key, value)?, &mut found.proxies)?,
            "transfer" => patience(section(key, value)?, &mut found.patience)?,
            _ => return Err(unknown(key)),
        }
    }
    Ok(found)
}

fn settings(prefix: &str, table: &Table) -> Result<Settings, String> {
    let mut settings = Settings::default();
    for (key, value) in table {
        let whole = format!("{prefix}.{key}");
        match key.as_str() {
            "plain-http" => {
                settings.plain_http = value.as_bool().ok_or_else(|| wrong(&whole, value, "true or false"))?;
            }
            "ca" => {
                let path = text(&whole, value)?;
                if !Path::new(path).is_absolute() {
                    return Err(wrong(&whole, value, "an absolute path"));
                }
                settings.ca = Some(path.into());
            }
            "mirrors" => {
                let mirrors = texts(&whole, value)?;
                settings.mirrors = { mirrors.iter() }
                    .map(|mirror| registry(&whole, mirror).map(ToOwned::to_owned))
                    .collect::<Result<_, _>>()?;
            }
            _ => return Err(unknown(&whole)),
        }
    }
    Ok(settings)
}

fn proxies(table: &Table, found: &mut Proxies) -> Result<(), String> {
    for (key, value) in table {
        let whole = format!("proxy.{key}");
        match key.as_str() {
            "http" => found.http = Some(proxy_url(&whole, value)?),
            "https" => found.https = Some(proxy_url(&whole, value)?),
            "no-proxy" => {
                let entries: Result<Vec<&str>, String> =
                    texts(&whole, value)?.iter().map(|entry| text(&whole, entry)).collect();
                found.no_proxy = entries?.join(",");
            }
            _ => return Err(unknown(&whole)),
        }
    }
    Ok(())
}

fn proxy_url(key: &str, value: &Value) -> Result<String, String> {
    let given = text(key, value)?;
    proxy::check(given).map(|()| given.to_owned()).map_err(|_| wrong(key, value, "an http or https URL"))
}

fn patience(table: &Table, found: &mut Patience) -> Result<(), String> {
    for (key, value) in table {
        let whole = format!("transfer.{key}");
        match key.as_str() {
            "connect-timeout" => found.connect = Duration::from_secs(number(&whole, value, LONGEST)?.into()),
            "idle-timeout" => found.idle = Duration::from_secs(number(&whole, value, LONGEST)?.into()),
            "attempts" => found.attempts = number(&whole, value, MOST_ATTEMPTS)?,
            _ => return Err(unknown(&whole)),
        }
    }
    Ok(())
}

fn number(key: &str, value: &Value, most: i64) -> Result<u32, String> {
    let number = value.as_integer().filter(|number| (1..=most).contains(number));
    number
        .and_then(|number| u32::try_from(number).ok())
        .ok_or_else(|| wrong(key, value, &format!("a whole number from 1 to {most}")))
}

/// `host[:port]`, without a scheme or a path.
fn registry<'a>(key: &str, value: &'a Value) -> Result<&'a str, String> {
    let name = text(key, value)?;
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b':' | b'[' | b']');
    if name.is_empty() || !name.bytes().all(fits) || name.contains("//") {
        return Err(wrong(key, value, "a registry: host[:port]"));
    }
    Ok(name)
}

fn section<'a>(key: &str, value: &'a Value) -> Result<&'a Table, String> {
    value.as_table().ok_or_else(|| wrong(key, value, "a table"))
}

fn text<'a>(key: &str, value: &'a Value) -> Result<&'a str, String> {
    value.as_str().ok_or_else(|| wrong(key, value, "a string"))
}

fn texts<'a>(key: &str, value: &'a Value) -> Result<&'a [Value], String> {
    value.as_array().map(Vec::as_slice).ok_or_else(|| wrong(key, value, "a list of strings"))
}

fn wrong(key: &str, value: &Value, expected: &str) -> String {
    format!("{key} = {value}: this should be {expected}")
}

fn unknown(key: &str) -> String {
    format!("{key}: unknown key")
}
