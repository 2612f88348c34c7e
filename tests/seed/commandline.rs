//! The command line: help, errors, options.

use harness::Instance;
use std::process::Command;

/// The commands of 0.1.3.
const COMMANDS: [&str; 25] = [
    "attach", "commit", "diff", "export", "history", "images", "import", "info", "inspect", "kill", "login", "logs",
    "port", "ps", "pull", "push", "restart", "rm", "rmi", "run", "start", "stop", "tag", "version", "wait",
];

#[test]
fn help_names_every_command_with_a_line_about_it() {
    let cctl = Instance::prepare();
    for arguments in [&[][..], &["help"], &["--help"]] {
        let output = cctl.cctl(arguments);
        let text = format!("{}{}", output.stdout, output.stderr);
        assert!(text.contains("Usage:"), "{output:?}");
        for command in COMMANDS {
            let line = text.lines().find(|line| line.trim_start().starts_with(&format!("{command} ")));
            assert!(line.is_some_and(|line| line.split_whitespace().count() > 2), "{command}: {text}");
        }
    }
}

#[test]
fn every_command_explains_itself() {
    let cctl = Instance::prepare();
    for command in COMMANDS {
        let flag = cctl.cctl(&[command, "--help"]).ok();
        assert!(flag.contains("Usage:"), "{command}: {flag}");
        assert_eq!(cctl.cctl(&["help", command]).ok(), flag, "{command}");
    }
    // The options of 0.1.3, under their names of today.
    for (command, options) in [
        ("run", &["-a", "-d", "-i", "-t", "-p", "-e", "-h", "-m", "-u"][..]),
        ("ps", &["-a", "-q", "--no-trunc"]),
        ("images", &["-a", "-q"]),
        ("commit", &["-m"]),
        ("tag", &["-f"]),
        ("stop", &["-t"]),
        ("restart", &["-t"]),
    ] {
        let help = cctl.cctl(&[command, "--help"]).ok();
        for option in options {
            assert!(help.contains(option), "{command} {option}: {help}");
        }
    }
}

#[test]
fn an_unknown_command_or_option_is_an_error_that_names_it() {
    let cctl = Instance::start();
    for (arguments, word) in [
        (&["frobnicate"][..], "frobnicate"),
        (&["run", "-m", "abc", "base", "true"], "abc"),
        (&["run", "-z", "base", "true"], "-z"),
        (&["run"], "IMAGE"),
        (&["run", "-p", "", "base", "true"], "-p"),
        (&["run", "-p", "65536", "base", "true"], "65536"),
        (&["run", "-p", "-1", "base", "true"], "-1"),
        (&["run", "-a", "foo", "base", "true"], "foo"),
        (&["run", "-a", "stdout", "-d", "base", "true"], "-d"),
        (&["logs"], "logs"),
        (&["logs", "a", "b"], "b"),
        (&["stop"], "stop"),
        (&["rm"], "rm"),
        (&["inspect"], "inspect"),
        (&["import"], "import"),
    ] {
        let output = cctl.cctl(arguments);
        assert_ne!(output.code, 0, "{arguments:?}");
        assert!(output.stdout.is_empty(), "{arguments:?}: {output:?}");
        assert!(output.stderr.contains(word), "{arguments:?}: {output:?}");
    }
    assert_eq!(cctl.cctl(&["ps", "-aq"]).ok(), "", "nothing was made");
}

#[test]
fn an_image_without_a_command_needs_one() {
    let cctl = Instance::start();
    cctl.cctl(&["run", "base"]).fails(125, &["command"]);
    assert_eq!(cctl.cctl(&["ps", "-aq"]).ok(), "");
}

#[test]
fn empty_names_are_refused_and_nothing_dies() {
    let cctl = Instance::start();
    for arguments in [
        &["inspect", ""][..],
        &["start", ""],
        &["logs", ""],
        &["rmi", ""],
        &["run", "", "true"],
        &["history", ""],
        &["run", "-p", "", "base", "true"],
    ] {
        assert_ne!(cctl.cctl(arguments).code, 0, "{arguments:?}");
    }
    assert!(cctl.status().iter().all(|row| row["restarts"] == 0), "{:?}", cctl.status());
}

#[test]
fn debug_lines_go_to_stderr_only() {
    let cctl = Instance::start();
    let output = cctl.command(&["run", "--rm", "base", "echo", "hello"]).env("CCTL_LOG", "debug").output().unwrap();
    assert_eq!(output.stdout, b"hello\n");
}

#[test]
fn completions_and_manuals_are_of_the_same_commands() {
    let cctl = Instance::prepare();
    for shell in ["bash", "zsh", "fish"] {
        let script = cctl.cctl(&["completion", shell]).ok();
        assert!(script.contains("commit") && script.contains("no-trunc"), "{shell}");
    }
    let script = cctl.scratch().join("completion");
    std::fs::write(&script, cctl.cctl(&["completion", "bash"]).ok()).unwrap();
    assert!(Command::new("bash").args(["-n"]).arg(&script).status().unwrap().success());
    let manuals = cctl.scratch().join("man");
    std::fs::create_dir(&manuals).unwrap();
    cctl.cctl(&["man", manuals.to_str().unwrap()]).ok();
    for command in COMMANDS {
        let page = std::fs::read_to_string(manuals.join(format!("cctl-{command}.1"))).unwrap();
        assert!(page.contains(".SH SYNOPSIS"), "{command}");
    }
}
