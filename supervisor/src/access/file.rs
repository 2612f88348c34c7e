//! `access.toml`: read strictly. What is misspelt would otherwise give less than was meant, or more.

use super::Names;
use crate::drop_ins;
use schema::Failure;
use schema::access::{Permit, Project, Verb};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::Path;

/// What `run` takes, in one word.
const RUN: [Verb; 6] = [Verb::Create, Verb::Start, Verb::Attach, Verb::Wait, Verb::Kill, Verb::Rm];

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Whole {
    #[serde(default)]
    project: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    label: String,
    #[serde(default)]
    users: Vec<Id>,
    #[serde(default)]
    groups: Vec<Id>,
    verbs: Vec<String>,
    #[serde(default)]
    permits: Vec<String>,
}

/// A name, or a number of what has none here.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Id {
    Number(u32),
    Name(String),
}

impl Id {
    fn resolve(&self, what: &str, find: impl Fn(&str) -> Option<u32>) -> Result<u32, Failure> {
        let name = match self {
            Self::Number(number) => return Ok(*number),
            Self::Name(name) => name,
        };
        find(name).ok_or_else(|| {
            Failure::not_found(format_args!("there is no {what} {name:?} in /etc"))
                .hint("one that is managed elsewhere is named by its number, without quotes")
        })
    }
}

/// The projects; none if there is no such file. Fails if it is not root's, or wrong in any way.
pub(super) fn read(path: &Path, names: &Names) -> Result<Vec<Project>, Failure> {
    match path.symlink_metadata() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Failure::io(format_args!("reading {}", path.display()), &error)),
        Ok(_) => {}
    }
    let text = drop_ins::read_trusted(path, "it says who may do what")?;
    parse(&text, names).map_err(|failure| failure.context(path.display()))
}

fn parse(text: &str, names: &Names) -> Result<Vec<Project>, Failure> {
    let whole: Whole =
        toml::from_str(text).map_err(|error| Failure::invalid(error.to_string().trim_end().replace('\n', " ")))?;
    let mut taken = BTreeSet::new();
    let mut projects = Vec::new();
    for entry in &whole.project {
        if !taken.insert(&entry.name) {
            return Err(Failure::invalid(format_args!("there are two projects {:?}", entry.name)));
        }
        projects
            .push(project(entry, names).map_err(|failure| failure.context(format_args!("project {:?}", entry.name)))?);
    }
    Ok(projects)
}

fn project(entry: &Entry, names: &Names) -> Result<Project, Failure> {
    let Entry { name, label, users, groups, verbs, permits } = entry;
    let plain = |one: char| one.is_ascii_alphanumeric() || "-_.".contains(one);
    if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
        return Err(Failure::invalid("a name is 1 to 64 of letters, digits, '-', '_' and '.'"));
    }
    if label.split_once('=').is_none_or(|(key, value)| key.is_empty() || value.is_empty()) {
        return Err(Failure::invalid(format_args!("label {label:?} is not KEY=VALUE")));
    }
    let users = users.iter().map(|user| user.resolve("user", |name| names.user(name))).collect::<Result<_, _>>()?;
    let groups =
        groups.iter().map(|group| group.resolve("group", |name| names.group(name))).collect::<Result<_, _>>()?;
    let mut granted = BTreeSet::new();
    for word in verbs {
        match Verb::find(word) {
            Some(verb) if verb.is_of_all() => {
                return Err(Failure::invalid(format_args!("{word:?} tells of all containers: no project can have it"))
                    .hint("make who needs it a member of the group cctl-viewer"));
            }
            Some(verb) => drop(granted.insert(verb)),
            None if word == "run" => granted.extend(RUN),
            None => {
                let known = Verb::ALL.iter().filter(|verb| !verb.is_of_all()).map(|verb| verb.word());
                let known: Vec<&str> = known.chain(["run"]).collect();
                return Err(Failure::invalid(format_args!("there is no verb {word:?}"))
                    .hint(format_args!("verbs are {}", known.join(", "))));
            }
        }
    }
    let permits = permits.iter().map(|word| {
        Permit::find(word).ok_or_else(|| {
            let known: Vec<&str> = Permit::ALL.iter().map(|permit| permit.word()).collect();
            Failure::invalid(format_args!("there is no permit {word:?}"))
                .hint(format_args!("permits are {}", known.join(", ")))
        })
    });
    let permits = permits.collect::<Result<_, _>>()?;
    Ok(Project {
        name: name.clone(),
        label: label.clone(),
        users,
        groups,
        verbs: granted.into_iter().collect(),
        permits,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use schema::Code;

    fn names() -> Names {
        Names { passwd: "alice:x:1000:1000::/:/bin/sh\n".into(), group: "webdev:x:70:\n".into() }
    }

    const WEB: &str = r#"
        [[project]]
        name = "web"
        label = "project=web"
        users = ["alice", 1234]
        groups = ["webdev"]
        verbs = ["ps", "run", "ps"]
        permits = ["publish"]
    "#;

    #[test]
    fn projects_are_read() {
        let projects = parse(WEB, &names()).unwrap();
        let [web] = projects.as_slice() else { panic!("{projects:?}") };
        assert_eq!((web.users.as_slice(), web.groups.as_slice()), (&[1000, 1234][..], &[70][..]));
        assert_eq!(web.verbs.len(), RUN.len() + 1);
        assert_eq!(web.permits, [Permit::Publish]);
        assert_eq!(parse("", &names()).unwrap(), []);
    }

    #[test]
    fn whatever_is_wrong_is_named() {
        let changed = |from: &str, to: &str| parse(&WEB.replace(from, to), &names()).unwrap_err();
        for (from, to, named) in [
            ("\"ps\", \"run\"", "\"stopp\"", "stopp"),
            ("\"ps\", \"run\"", "\"events\"", "events"),
            ("\"publish\"", "\"everything\"", "everything"),
            ("\"alice\"", "\"bob\"", "bob"),
            ("\"webdev\"", "\"wheel\"", "wheel"),
            ("users", "user", "user"),
            ("project=web", "web", "web"),
            ("\"web\"", "\"a b\"", "a b"),
            ("1234", "-1", ""),
            ("[[project]]", "[project]", ""),
        ] {
            let failure = changed(from, to);
            assert!(failure.message.contains(named) && !failure.message.contains('\n'), "{from} {to}: {failure:?}");
        }
        assert!(parse(&format!("{WEB}{WEB}"), &names()).unwrap_err().message.contains("two projects"));
    }

    #[test]
    fn it_is_believed_if_it_is_roots_alone() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("access.toml");
        assert_eq!(read(&path, &names()).unwrap(), []);
        std::fs::write(&path, WEB).unwrap();
        let mode = |mode| std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        mode(0o666);
        assert_eq!(read(&path, &names()).unwrap_err().code, Code::PermissionDenied);
    }
}
