//! The operations of the matrix: what is there before, what the user does, and what must be true then.

use harness::{Instance, Registry, eventually};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;

/// Where it all happens.
pub(crate) struct World {
    pub(crate) cctl: Instance,
    pub(crate) registry: Registry,
}

/// An operation; each has a name of its own for what it makes.
pub(crate) struct Operation {
    pub(crate) name: &'static str,
    prepare: fn(&World, &str),
    act: fn(&World, &str),
    clean: fn(&World, &str),
}

impl Operation {
    /// Makes what the operation needs.
    pub(crate) fn prepare(&self, world: &World, name: &str) {
        (self.prepare)(world, name);
    }

    /// Does it, and looks at what came of it.
    pub(crate) fn act(&self, world: &World, name: &str) {
        (self.act)(world, name);
    }

    /// Removes all that was made.
    pub(crate) fn clean(&self, world: &World, name: &str) {
        (self.clean)(world, name);
    }
}

fn nothing(_world: &World, _name: &str) {}

fn remove(world: &World, name: &str) {
    world.ok(&["rm", "-f", name]);
}

impl World {
    /// Runs `cctl`, which must succeed; what it printed.
    fn ok(&self, arguments: &[&str]) -> String {
        self.cctl.cctl(arguments).ok()
    }

    fn state(&self, name: &str) -> String {
        self.ok(&["inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", name])
    }

    /// A container that runs, tells of it in its log, and ends by SIGTERM with code 7.
    fn runs(&self, name: &str) {
        self.ok(&[
            "run",
            "-d",
            "--name",
            name,
            "base",
            "sh",
            "-c",
            "trap 'exit 7' TERM; echo up; while :; do sleep 0.05; done",
        ]);
        eventually("it is up", || (self.ok(&["logs", name]) == "up").then_some(()));
    }
}

/// All of them.
pub(crate) const ALL: [Operation; 10] = [
    Operation {
        name: "create",
        prepare: nothing,
        act: |world, name| {
            let id = world.ok(&["create", "--name", name, "base", "true"]);
            assert!(
                id.len() == 64 && world.ok(&["ps", "-aq", "--no-trunc", "-f", &format!("name={name}")]) == id,
                "{id}"
            );
            assert_eq!(world.state(name), "created 0");
        },
        clean: remove,
    },
    Operation {
        name: "start",
        prepare: |world, name| {
            world.ok(&["create", "--name", name, "base", "sh", "-c", "echo up; exec sleep 1000"]);
        },
        act: |world, name| {
            assert_eq!(world.ok(&["start", name]), name);
            assert_eq!(world.state(name), "running 0");
            eventually("its output is logged", || (world.ok(&["logs", name]) == "up").then_some(()));
        },
        clean: remove,
    },
    Operation {
        name: "run --rm",
        prepare: nothing,
        act: |world, name| {
            let run =
                world.cctl.cctl(&["run", "--rm", "--name", name, "base", "sh", "-c", "echo one; echo two >&2; exit 5"]);
            assert_eq!((run.code, run.stdout.as_str(), run.stderr.as_str()), (5, "one\n", "two\n"));
            eventually("it is gone", || (world.cctl.cctl(&["inspect", name]).code == 1).then_some(()));
        },
        clean: nothing,
    },
    Operation {
        name: "stop",
        prepare: World::runs,
        act: |world, name| {
            assert_eq!(world.ok(&["stop", name]), name);
            assert_eq!(world.state(name), "exited 7");
            assert_eq!(world.ok(&["logs", name]), "up");
        },
        clean: remove,
    },
    Operation {
        name: "rm",
        prepare: |world, name| {
            world.ok(&["run", "--name", name, "base", "sh", "-c", "echo data > /data"]);
        },
        act: |world, name| {
            assert_eq!(world.ok(&["rm", name]), name);
            world.cctl.cctl(&["inspect", name]).fails(1, &[name]);
            // The name is free.
            world.ok(&["create", "--name", name, "base", "true"]);
        },
        clean: remove,
    },
    Operation {
        name: "exec",
        prepare: World::runs,
        act: |world, name| {
            let exec = world.cctl.cctl(&["exec", name, "sh", "-c", "echo done; echo done >> /file; exit 3"]);
            assert_eq!((exec.code, exec.stdout.as_str()), (3, "done\n"), "{exec:?}");
            assert_eq!(world.ok(&["exec", name, "cat", "/file"]), "done", "it was done more than once");
        },
        clean: remove,
    },
    Operation {
        name: "commit",
        prepare: |world, name| {
            world.ok(&["run", "--name", name, "base", "sh", "-c", &format!("echo {name} > /file; rm /bin/ls")]);
        },
        act: |world, name| {
            let image = world.ok(&["commit", name, name]);
            assert_eq!(world.ok(&["images", "-q", "--no-trunc", name]), image);
            assert_eq!(
                world.ok(&["diff", name]).lines().filter(|line| !line.starts_with('C')).collect::<Vec<_>>(),
                ["D /bin/ls", "A /file"]
            );
        },
        clean: |world, name| {
            assert_eq!(world.ok(&["run", "--rm", "--network", "none", name, "cat", "/file"]), name);
            world.ok(&["rm", name]);
            world.ok(&["rmi", name]);
        },
    },
    Operation {
        name: "pull",
        prepare: |world, name| {
            let image = world.ok(&["images", "-q", "--no-trunc", "small"]);
            fs::write(world.cctl.scratch().join(name), image).expect("a note");
        },
        act: |world, name| {
            let reference = format!("{}/small:pulled", world.registry.name());
            world.ok(&["pull", "-q", &reference]);
            let image = fs::read_to_string(world.cctl.scratch().join(name)).expect("a note");
            assert_eq!(world.ok(&["images", "-q", "--no-trunc", &reference]), image);
        },
        clean: |world, _name| {
            world.ok(&["rmi", &format!("{}/small:pulled", world.registry.name())]);
        },
    },
    Operation {
        name: "push",
        prepare: |world, name| {
            world.ok(&["tag", "small", &format!("{}/{name}", world.registry.name())]);
        },
        act: |world, name| {
            let reference = format!("{}/{name}", world.registry.name());
            world.ok(&["push", "-q", &reference]);
            let image = world.ok(&["images", "-q", "--no-trunc", &reference]);
            world.ok(&["rmi", &reference]);
            world.ok(&["pull", "-q", &reference]);
            assert_eq!(world.ok(&["images", "-q", "--no-trunc", &reference]), image);
        },
        clean: |world, name| {
            world.ok(&["rmi", &format!("{}/{name}", world.registry.name())]);
        },
    },
    Operation {
        name: "publish",
        prepare: nothing,
        act: |world, name| {
            let served = "while :; do echo hello | nc -l -p 80; done";
            world.ok(&["run", "-d", "--name", name, "-p", "127.0.0.1::80", "base", "sh", "-c", served]);
            let address = world.ok(&["port", name, "80"]);
            let answer = eventually("the port answers", || {
                let mut stream = TcpStream::connect(address.trim()).ok()?;
                stream.write_all(b"\n").ok()?;
                let mut text = String::new();
                stream.read_to_string(&mut text).ok()?;
                (!text.is_empty()).then_some(text)
            });
            assert_eq!(answer, "hello\n");
        },
        clean: remove,
    },
];
