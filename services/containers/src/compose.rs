//! What PID 1 executes and with what environment: the user's word over the image's.

use schema::Failure;
use schema::containers::ContainerSpec;
use schema::image_store::ImageConfig;

const DEFAULT_PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const DEFAULT_TERM: &str = "TERM=xterm";
const DEFAULT_DIRECTORY: &str = "/";

/// Entrypoint and command together, by Docker's rules: a command replaces the image's command, an entrypoint
/// replaces the image's entrypoint and drops its command.
pub(crate) fn arguments(spec: &ContainerSpec, image: &ImageConfig) -> Result<Vec<String>, Failure> {
    let (entrypoint, command) = parts(spec, image);
    let arguments: Vec<String> = entrypoint.iter().chain(command).cloned().collect();
    match arguments.first() {
        None => Err(Failure::invalid(format_args!("no command: the image {:?} names none", spec.image))
            .hint("write the command after the image")),
        Some(program) if program.is_empty() => {
            Err(Failure::invalid("the command to run is empty").hint("name a program as the first word"))
        }
        Some(_) => Ok(arguments),
    }
}

/// Entrypoint and command.
fn parts<'a>(spec: &'a ContainerSpec, image: &'a ImageConfig) -> (&'a [String], &'a [String]) {
    let (entrypoint, default) = match &spec.entrypoint {
        // `--entrypoint ""` is one empty word: none.
        Some(words) if words.iter().all(String::is_empty) => (&[][..], &[][..]),
        Some(words) => (words.as_slice(), &[][..]),
        None => (image.entrypoint.as_slice(), image.command.as_slice()),
    };
    (entrypoint, if spec.command.is_empty() { default } else { &spec.command })
}

/// The configuration of a container as that of an image: what a user said of the process over what the image
/// says, as Docker's commit has it.
pub(crate) fn effective(spec: &ContainerSpec, image: &ImageConfig) -> ImageConfig {
    let (entrypoint, command) = parts(spec, image);
    let or = |given: &str, image: &str| if given.is_empty() { image.to_owned() } else { given.to_owned() };
    let published = spec.ports.iter().map(|port| format!("{}/{}", port.container_port, port.protocol));
    let mut exposed_ports: Vec<_> = image.exposed_ports.iter().cloned().chain(published).collect();
    exposed_ports.sort();
    exposed_ports.dedup();
    ImageConfig {
        environment: merged(&image.environment, &spec.environment),
        entrypoint: entrypoint.to_vec(),
        command: command.to_vec(),
        working_directory: or(&spec.working_directory, &image.working_directory),
        user: or(&spec.user, &image.user),
        stop_signal: or(&spec.stop_signal, &image.stop_signal),
        architecture: image.architecture.clone(),
        os: image.os.clone(),
        comment: String::new(),
        labels: merged(&image.labels, &spec.labels),
        exposed_ports,
        volumes: image.volumes.clone(),
        variant: image.variant.clone(),
    }
}

/// The environment of PID 1, each key once: defaults, then the image's, then the user's; the last wins.
/// (HOME is not known here: the executor reads it from the container's own /etc/passwd.)
pub(crate) fn environment(hostname: &str, terminal: bool, image: &[String], user: &[String]) -> Vec<String> {
    let mut merged: Vec<String> = vec![DEFAULT_PATH.to_owned(), format!("HOSTNAME={hostname}")];
    if terminal {
        merged.push(DEFAULT_TERM.to_owned());
    }
    for entries in [image, user] {
        merged = self::merged(&merged, entries);
    }
    merged
}

/// Entries `key=value` of two lists, each key once; the last of a key wins. What is no such entry is left out.
pub(crate) fn merged(first: &[String], then: &[String]) -> Vec<String> {
    let mut merged: Vec<String> = Vec::new();
    for entry in first.iter().chain(then) {
        let Some(key) = key(entry) else { continue };
        match merged.iter_mut().find(|known| self::key(known) == Some(key)) {
            Some(known) => known.clone_from(entry),
            None => merged.push(entry.clone()),
        }
    }
    merged
}

/// The key of an entry `KEY=value`; none if it is no such entry.
pub(crate) fn key(entry: &str) -> Option<&str> {
    entry.split_once('=').map(|(key, _)| key).filter(|key| !key.is_empty())
}

/// Where PID 1 starts.
pub(crate) fn working_directory(spec: &str, image: &str) -> String {
    match (spec, image) {
        ("", "") => DEFAULT_DIRECTORY.to_owned(),
        ("", image) if image.starts_with('/') => image.to_owned(),
        // OCI wants it absolute; older builders wrote it without the slash and meant the same.
        ("", image) => format!("/{image}"),
        (given, _) => given.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use schema::Code;
    use schema::common::{PortBinding, Protocol};

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    fn composed(entrypoint: Option<&str>, command: &str, image: (&str, &str)) -> Result<String, Failure> {
        let spec =
            ContainerSpec { entrypoint: entrypoint.map(words), command: words(command), ..ContainerSpec::default() };
        let config = ImageConfig { entrypoint: words(image.0), command: words(image.1), ..ImageConfig::default() };
        arguments(&spec, &config).map(|words| words.join(" "))
    }

    #[test]
    fn arguments_follow_dockers_rules() {
        let image = ("init", "serve all");
        for (entrypoint, command, expected) in [
            (None, "", "init serve all"),
            (None, "sh -c x", "init sh -c x"),
            (Some("top"), "", "top"),
            (Some("top"), "-b", "top -b"),
            (Some(""), "ls", "ls"),
        ] {
            assert_eq!(composed(entrypoint, command, image).as_deref(), Ok(expected));
        }
        assert_eq!(composed(None, "", ("", "sh")).as_deref(), Ok("sh"));
    }

    #[test]
    fn without_a_command_there_is_nothing_to_run() {
        for failed in [composed(None, "", ("", "")), composed(Some(""), "", ("init", "serve"))] {
            let failure = failed.unwrap_err();
            assert_eq!(failure.code, Code::InvalidArgument);
            assert!(failure.message.starts_with("no command"));
        }
        let empty_word = ContainerSpec { command: vec![String::new()], ..ContainerSpec::default() };
        assert!(arguments(&empty_word, &ImageConfig::default()).is_err());
        let reset =
            ContainerSpec { entrypoint: Some(vec![String::new()]), command: words("id"), ..ContainerSpec::default() };
        assert_eq!(arguments(&reset, &ImageConfig::default()), Ok(words("id")));
    }

    #[test]
    fn the_users_environment_wins_over_the_images_over_the_defaults() {
        let merged = environment("h", true, &words("PATH=/bin A=1 B=1"), &words("B=2 C=3 C=4 TERM=dumb E="));
        assert_eq!(merged, words("PATH=/bin HOSTNAME=h TERM=dumb A=1 B=2 C=4 E="));
        let plain = environment("h", false, &[], &[]);
        assert_eq!(plain, [DEFAULT_PATH, "HOSTNAME=h"]);
    }

    #[test]
    fn a_commit_takes_the_users_word_over_the_images() {
        let image = ImageConfig {
            environment: words("A=1 B=1"),
            entrypoint: words("init"),
            command: words("serve"),
            user: "web".to_owned(),
            labels: words("l=1 m=1"),
            exposed_ports: words("80/tcp"),
            os: "linux".to_owned(),
            ..ImageConfig::default()
        };
        let port =
            |number| PortBinding { host_address: None, host_port: 0, container_port: number, protocol: Protocol::Udp };
        let spec = ContainerSpec {
            command: words("sh -c x"),
            environment: words("B=2"),
            working_directory: "/srv".to_owned(),
            stop_signal: "INT".to_owned(),
            labels: words("m=2"),
            ports: vec![port(53), port(53)],
            ..ContainerSpec::default()
        };
        let made = effective(&spec, &image);
        assert_eq!((made.entrypoint, made.command), (words("init"), words("sh -c x")));
        assert_eq!((made.environment, made.labels), (words("A=1 B=2"), words("l=1 m=2")));
        assert_eq!(made.exposed_ports, words("53/udp 80/tcp"));
        let texts = [made.user, made.working_directory, made.stop_signal, made.os];
        assert_eq!(texts, ["web", "/srv", "INT", "linux"]);
        assert_eq!(effective(&ContainerSpec::default(), &image), image);
    }

    #[test]
    fn the_working_directory_is_the_users_or_the_images() {
        assert_eq!(working_directory("", ""), "/");
        assert_eq!(working_directory("", "/srv"), "/srv");
        assert_eq!(working_directory("", "srv"), "/srv");
        assert_eq!(working_directory("/x", "/srv"), "/x");
    }

    proptest! {
        #[test]
        fn each_key_is_there_once_with_its_last_value(
            image in prop::collection::vec("[A-D]{1,2}=[a-z]?", 0..12), user in prop::collection::vec("[A-D]{1,2}=[a-z]?", 0..12)
        ) {
            let merged = environment("h", false, &image, &user);
            for entry in image.iter().chain(&user) {
                let last = image.iter().chain(&user).rfind(|other| key(other) == key(entry)).unwrap();
                let found: Vec<_> = merged.iter().filter(|other| key(other) == key(entry)).collect();
                prop_assert_eq!(found, vec![last]);
            }
        }
    }
}
