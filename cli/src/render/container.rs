//! Containers in a list.

use super::duration::{ago, between, words};
use super::listing::{Headings, Listing, heading};
use super::table::Table;
use super::text::cut;
use super::time::local;
use super::{port, size};
use crate::args::Format;
use crate::error::Result;
use schema::containers::{State, Summary};
use schema::filesystem::Usage;
use std::collections::HashMap;

const COMMAND_WIDTH: usize = 20;

const HEADINGS: &Headings = &[
    ("ID", "CONTAINER ID"),
    ("Image", "IMAGE"),
    ("Command", "COMMAND"),
    ("CreatedAt", "CREATED AT"),
    ("RunningFor", "CREATED"),
    ("Status", "STATUS"),
    ("State", "STATE"),
    ("Ports", "PORTS"),
    ("Names", "NAMES"),
    ("Size", "SIZE"),
    ("Labels", "LABELS"),
    ("Mounts", "MOUNTS"),
    ("LocalVolumes", "LOCAL VOLUMES"),
    ("Networks", "NETWORKS"),
];

/// How much of each container is shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    /// Whole ids and commands.
    pub(crate) whole: bool,
    /// What time it is, nanoseconds since the Unix epoch.
    pub(crate) now: i64,
    /// What each takes on disk, by id; none: not shown.
    pub(crate) usage: Option<&'a HashMap<String, Usage>>,
}

impl View<'_> {
    /// The id.
    pub(crate) fn id(self, container: &Summary) -> String {
        if self.whole { container.id.to_string() } else { container.id.short().to_owned() }
    }

    /// The containers in a list, in the format that is asked for.
    pub(crate) fn list(self, containers: &[Summary], format: &Format) -> Result<String> {
        // Of each, what is shown is made, and nothing else: there may be thousands.
        if matches!(format, Format::Table) {
            let shown = self.shown();
            let mut table = Table::new(&shown.iter().map(|field| heading(HEADINGS, field)).collect::<Vec<_>>());
            for container in containers {
                table.row(shown.iter().map(|field| self.cell(container, field)));
            }
            return Ok(table.render());
        }
        let mut listing = Listing::new(HEADINGS, self.shown());
        for container in containers {
            let cells = HEADINGS.iter().map(|(field, _)| (*field, self.cell(container, field)));
            listing.push_with_labels(&cells.collect::<HashMap<_, _>>(), &container.labels)?;
        }
        listing.render(format)
    }

    fn shown(self) -> Vec<&'static str> {
        let mut shown = vec!["ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names"];
        shown.extend(self.usage.map(|_| "Size"));
        shown
    }

    /// A field of [`HEADINGS`].
    fn cell(self, container: &Summary, field: &str) -> String {
        let Summary { id, name, image, arguments, labels, created_at, state, published, volumes, .. } = container;
        match field {
            "ID" => self.id(container),
            "Image" => image.clone(),
            "Command" => self.command(arguments),
            "CreatedAt" => local(*created_at),
            "RunningFor" => ago(*created_at, self.now),
            "Status" => status(container, self.now),
            "State" => {
                serde_json::to_value(state).ok().and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default()
            }
            "Ports" => published.as_ref().map_or_else(String::new, |ports| port::arrows(ports)),
            "Names" => name.clone(),
            "Size" => {
                let usage = self.usage.and_then(|usage| usage.get(id.as_str()));
                usage.map_or_else(|| "0B".to_owned(), |usage| size::stored(usage.bytes))
            }
            "Labels" => labels.join(","),
            "Mounts" => volumes.iter().map(|volume| self.mount(&volume.source)).collect::<Vec<_>>().join(","),
            "LocalVolumes" => "0".to_owned(),
            "Networks" => super::inspect::network(container.network).to_owned(),
            _ => String::new(),
        }
    }

    fn mount(self, source: &str) -> String {
        if self.whole { source.to_owned() } else { cut(source, 15) }
    }

    fn command(self, arguments: &[String]) -> String {
        let command = arguments.join(" ");
        let shown = if self.whole { command } else { cut(&command, COMMAND_WIDTH) };
        format!("{shown:?}")
    }
}

/// What a container does, and since when.
fn status(container: &Summary, now: i64) -> String {
    let up = || words(between(container.started_at, now));
    match (container.state, &container.exit) {
        (State::Created, _) => "Created".to_owned(),
        (State::Starting, _) => "Starting".to_owned(),
        (State::Running, _) => format!("Up {}", up()),
        (State::Paused, _) => format!("Up {} (Paused)", up()),
        (State::Restarting, Some(exit)) => format!("Restarting ({}) {}", exit.code, ago(exit.finished_at, now)),
        (State::Restarting, None) => "Restarting".to_owned(),
        (State::Stopping, _) => format!("Up {} (stopping)", up()),
        (State::Removing, _) => "Removal In Progress".to_owned(),
        (State::Exited, _) if container.has_failed => "Created (failed to start)".to_owned(),
        (State::Exited, Some(exit)) if exit.code < 0 => format!("Exited (unknown) {}", ago(exit.finished_at, now)),
        (State::Exited, Some(exit)) => format!("Exited ({}) {}", exit.code, ago(exit.finished_at, now)),
        (State::Exited, None) => "Exited".to_owned(),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use schema::common::{ExitRecord, PortBinding, Protocol};
    use schema::containers::{Container, ContainerSpec, StartError};
    use schema::network::Attachment;
    use schema::{Code, ContainerId, Digest};

    const SECOND: i64 = 1_000_000_000;
    const VIEW: View<'_> = View { whole: false, now: 1000 * SECOND, usage: None };

    fn table(containers: &[Summary]) -> String {
        VIEW.list(containers, &Format::Table).unwrap()
    }

    pub(crate) fn container() -> Container {
        Container {
            id: ContainerId::from_bytes([0xab; 32]),
            spec: ContainerSpec { image: "base".into(), name: "web".into(), ..ContainerSpec::default() },
            image_id: Digest::from_sha256(&[1; 32]),
            arguments: vec!["sh".into(), "-c".into(), "while :; do echo x; done".into()],
            created_at: 880 * SECOND,
            state: State::Running,
            pid: 4711,
            started_at: 997 * SECOND,
            exit: None,
            error: None,
            attachment: Some(Attachment {
                ports: vec![PortBinding {
                    host_address: Some(std::net::Ipv4Addr::UNSPECIFIED.into()),
                    host_port: 8080,
                    container_port: 80,
                    protocol: Protocol::Tcp,
                }],
                ..Attachment::default()
            }),
            run_position: 0,
            warnings: Vec::new(),
            restart_count: 0,
            execs: Vec::new(),
            ids: None,
        }
    }

    pub(crate) fn summary() -> Summary {
        container().into()
    }

    pub(crate) fn exited(code: i32) -> Summary {
        let exit = ExitRecord { code, signal: 0, oom_killed: false, finished_at: 880 * SECOND, note: String::new() };
        Summary { state: State::Exited, exit: Some(exit), published: None, ..summary() }
    }

    #[test]
    fn a_row_says_what_matters() {
        let table = table(&[summary()]);
        let mut lines = table.lines();
        assert_eq!(
            lines.next().unwrap().split_whitespace().collect::<Vec<_>>().join(" "),
            "CONTAINER ID IMAGE COMMAND CREATED STATUS PORTS NAMES"
        );
        let row = lines.next().unwrap();
        assert!(row.starts_with("abababababab   base"), "{row}");
        for cell in ["\"sh -c while :; do e…\"", "2 minutes ago", "Up 3 seconds", "0.0.0.0:8080->80/tcp", "web"] {
            assert!(row.contains(cell), "{row}");
        }
    }

    #[test]
    fn each_field_of_the_headings_is_one() {
        let whole = View { whole: true, ..VIEW };
        let labelled =
            ContainerSpec { labels: vec!["a=b".into()], image: "i".into(), name: "n".into(), ..<_>::default() };
        let container = Container { spec: labelled, ..container() }.into();
        for (field, _) in HEADINGS {
            assert!(!whole.cell(&container, field).is_empty() || *field == "Mounts", "{field}");
        }
    }

    #[test]
    fn each_state_has_its_words() {
        assert_eq!(status(&exited(7), VIEW.now), "Exited (7) 2 minutes ago");
        assert_eq!(status(&exited(-1), VIEW.now), "Exited (unknown) 2 minutes ago");
        let failed = StartError { code: Code::CommandNotFound.into(), message: "no such command".into() };
        assert_eq!(
            status(&Container { state: State::Exited, error: Some(failed), ..container() }.into(), VIEW.now),
            "Created (failed to start)"
        );
        assert_eq!(status(&Summary { state: State::Created, ..summary() }, VIEW.now), "Created");
    }

    #[test]
    fn json_is_an_object_a_line() {
        let text = VIEW.list(&[summary(), exited(0)], &Format::Json).unwrap();
        let objects: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(objects[0]["ID"], "abababababab");
        assert_eq!(objects[0]["State"], "running");
        assert_eq!(objects[1]["Status"], "Exited (0) 2 minutes ago");
    }

    #[test]
    fn commands_cannot_move_the_cursor() {
        let hostile = Summary { arguments: vec!["\u{1b}[2J\n".into()], ..summary() };
        assert!(!table(&[hostile]).contains('\u{1b}'));
    }
}
