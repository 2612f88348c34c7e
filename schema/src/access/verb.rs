//! What can be granted: words as `cctl` has them.

use serde::{Deserialize, Serialize};

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$entry:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$entry])* #[serde(rename = $word)] $variant,)*
        }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The word.
            pub fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }

            /// What the word means; none: nothing.
            pub fn find(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.word() == word)
            }
        }
    };
}

pub(super) use words;

words! {
    /// Something that `cctl` does, and that is granted or not.
    Verb {
        /// Read and write a container's streams while it runs, and wait for its end.
        Attach = "attach",
        /// Make an image of a container.
        Commit = "commit",
        /// Copy files out of a container and into it.
        Cp = "cp",
        /// Make a container.
        Create = "create",
        /// See what a container has changed of its image.
        Diff = "diff",
        /// See what happens to containers, all of them.
        Events = "events",
        /// Run a further process in a container.
        Exec = "exec",
        /// Read all files of a container.
        Export = "export",
        /// See how an image was made.
        History = "history",
        /// See which images there are.
        Images = "images",
        /// Make an image of an archive.
        Import = "import",
        /// See how much there is of everything.
        Info = "info",
        /// See a container's configuration, its environment included.
        Inspect = "inspect",
        /// Send a signal to a container.
        Kill = "kill",
        /// Take images from an archive.
        Load = "load",
        /// Read a container's output.
        Logs = "logs",
        /// Freeze a container.
        Pause = "pause",
        /// See a container's ports.
        Port = "port",
        /// See which containers there are.
        Ps = "ps",
        /// Bring images from registries.
        Pull = "pull",
        /// Send images to registries.
        Push = "push",
        /// Give a container another name.
        Rename = "rename",
        /// Stop and start a container.
        Restart = "restart",
        /// Remove a container.
        Rm = "rm",
        /// Remove images.
        Rmi = "rmi",
        /// Read whole images.
        Save = "save",
        /// Start a container.
        Start = "start",
        /// See what a container uses.
        Stats = "stats",
        /// See how the services are.
        Status = "status",
        /// Stop a container.
        Stop = "stop",
        /// Give images further names.
        Tag = "tag",
        /// See the processes of a container.
        Top = "top",
        /// Let a container go on.
        Unpause = "unpause",
        /// Wait for the end of a container.
        Wait = "wait",
    }
}

impl Verb {
    /// Tells of every container and of the whole instance: nothing that a project has a part of.
    pub fn is_of_all(self) -> bool {
        matches!(self, Self::Events | Self::Info | Self::Status)
    }
}

/// What viewers have: everything that only reads, but for files.
pub const VIEWER: &[Verb] = &[
    Verb::Diff,
    Verb::Events,
    Verb::History,
    Verb::Images,
    Verb::Info,
    Verb::Inspect,
    Verb::Logs,
    Verb::Port,
    Verb::Ps,
    Verb::Stats,
    Verb::Status,
    Verb::Top,
];
