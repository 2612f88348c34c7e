//! Writable layers: what changed, images of it, archives of it, files in and out.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod archives;
mod copy;

use harness::{Instance, eventually};

/// Runs a script in a container of this name, to its end.
fn ran(cctl: &Instance, name: &str, script: &str) {
    assert_eq!(cctl.cctl(&["run", "--name", name, "base", "sh", "-c", script]).code, 0);
}

#[test]
fn what_a_container_wrote_is_in_the_image_that_is_committed() {
    let cctl = Instance::start();
    ran(&cctl, "box", "echo hello > /world");
    let id = cctl.cctl(&["commit", "-m", "a word", "-a", "somebody", "box", "worded"]).ok();
    assert!(id.starts_with("sha256:"), "{id}");
    assert_eq!(cctl.cctl(&["run", "--rm", "worded", "cat", "/world"]).ok(), "hello");
    let image: serde_json::Value = serde_json::from_str(&cctl.cctl(&["inspect", "worded"]).ok()).unwrap();
    let base: serde_json::Value =
        serde_json::from_str(&cctl.cctl(&["inspect", "--type", "image", "base"]).ok()).unwrap();
    let container: serde_json::Value = serde_json::from_str(&cctl.cctl(&["inspect", "box"]).ok()).unwrap();
    assert_eq!(image[0]["Comment"], "a word");
    assert_eq!(image[0]["Author"], "somebody");
    assert_eq!(image[0]["Parent"], base[0]["Id"]);
    assert_eq!(image[0]["Container"], container[0]["Id"]);
    // Again to the same name: the name goes to the second.
    ran(&cctl, "delta", "echo other > /world");
    let second = cctl.cctl(&["commit", "delta", "worded"]).ok();
    assert_ne!(id, second);
    assert_eq!(cctl.cctl(&["run", "--rm", "worded", "cat", "/world"]).ok(), "other");
}

#[test]
fn a_commit_keeps_and_changes_the_configuration() {
    let cctl = Instance::start();
    cctl.cctl(&["run", "--name", "box", "-e", "KEPT=1", "-w", "/tmp", "base", "true"]).ok();
    cctl.cctl(&[
        "commit",
        "-c",
        "CMD [\"pwd\"]",
        "-c",
        "ENV ADDED=2",
        "-c",
        "EXPOSE 80",
        "-c",
        "LABEL who=me",
        "box",
        "changed",
    ])
    .ok();
    assert_eq!(cctl.cctl(&["run", "--rm", "changed"]).ok(), "/tmp");
    assert_eq!(cctl.cctl(&["run", "--rm", "changed", "sh", "-c", "echo $KEPT $ADDED"]).ok(), "1 2");
    cctl.cctl(&["commit", "-c", "FROM x", "box", "no"]).fails(1, &["FROM"]);
    assert_eq!(cctl.cctl(&["images", "-q", "no"]).ok(), "");
}

#[test]
fn no_file_is_torn_by_a_commit_under_a_writer() {
    let cctl = Instance::start();
    // Two files that are always written in the same order: the second is never ahead of the first.
    let script = "i=0; while :; do i=$((i+1)); echo $i > /first; echo $i > /second; done";
    cctl.cctl(&["run", "-d", "--name", "box", "base", "sh", "-c", script]).ok();
    eventually("it writes", || cctl.cctl(&["exec", "box", "cat", "/second"]).stdout.trim().parse::<u64>().ok());
    for round in 0..3 {
        let tag = format!("torn:{round}");
        cctl.cctl(&["commit", "box", &tag]).ok();
        let both = cctl.cctl(&["run", "--rm", &tag, "sh", "-c", "cat /first /second"]).ok();
        let numbers: Vec<u64> = both.lines().map(|line| line.parse().unwrap()).collect();
        assert!(!numbers.is_empty() && numbers.get(1).is_none_or(|second| numbers[0] - second <= 1), "{both:?}");
    }
    // It goes on afterwards.
    let before: u64 = cctl.cctl(&["exec", "box", "cat", "/first"]).ok().trim().parse().unwrap_or(0);
    eventually("it goes on", || {
        (cctl.cctl(&["exec", "box", "cat", "/first"]).stdout.trim().parse::<u64>().ok()? > before).then_some(())
    });
    assert!(cctl.cctl(&["ps", "--format", "{{.Status}}"]).ok().starts_with("Up"), "not left paused");
}

#[test]
fn diff_tells_what_was_added_changed_and_deleted_by_its_exact_name() {
    let cctl = Instance::start();
    ran(
        &cctl,
        "first",
        "mkdir /made; echo 1 > /hello; echo 2 > /www; echo 3 > /.hidden; mkdir -p /deep/er; echo 4 > /deep/er/file",
    );
    cctl.cctl(&["commit", "first", "grown"]).ok();
    let script = "rm /hello /www /.hidden; chmod 600 /etc/group; echo more >> /etc/passwd; mkdir /made/in; touch /made/in/new; rm -r /deep";
    assert_eq!(cctl.cctl(&["run", "--name", "box", "grown", "sh", "-c", script]).code, 0);
    let diff = cctl.cctl(&["diff", "box"]).ok();
    let expected =
        "D /.hidden\nD /deep\nC /etc/group\nC /etc/passwd\nD /hello\nC /made\nA /made/in\nA /made/in/new\nD /www";
    assert_eq!(diff, expected);
    // The same of a running one.
    cctl.cctl(&["run", "-d", "--name", "runs", "grown", "sh", "-c", "rm /www; sleep 600"]).ok();
    eventually("the running one's change is seen", || {
        (cctl.cctl(&["diff", "runs"]).stdout == "D /www\n").then_some(())
    });
    cctl.cctl(&["diff", "nobody"]).fails(1, &["No such container", "nobody"]);
}

#[test]
fn what_an_upper_layer_deletes_is_gone_and_comes_back_with_the_lower_image() {
    let cctl = Instance::start();
    ran(&cctl, "alpha", "mkdir /dir; echo 1 > /dir/one; echo 2 > /dir/two");
    cctl.cctl(&["commit", "alpha", "image:a"]).ok();
    assert_eq!(
        cctl.cctl(&["run", "--name", "beta", "image:a", "sh", "-c", "rm -r /dir; mkdir /dir; echo 3 > /dir/three"])
            .code,
        0
    );
    cctl.cctl(&["commit", "beta", "image:b"]).ok();
    assert_eq!(cctl.cctl(&["run", "--rm", "image:b", "ls", "/dir"]).ok(), "three");
    assert_eq!(cctl.cctl(&["run", "--rm", "image:a", "ls", "/dir"]).ok(), "one\ntwo");
}

#[test]
fn history_shows_how_an_image_was_made() {
    let cctl = Instance::start();
    ran(&cctl, "alpha", "echo 1 > /1");
    cctl.cctl(&["commit", "-m", "first", "alpha", "step:1"]).ok();
    assert_eq!(cctl.cctl(&["run", "--name", "beta", "step:1", "sh", "-c", "echo 2 > /2"]).code, 0);
    cctl.cctl(&["commit", "-m", "second", "beta", "step:2"]).ok();
    let history = cctl.cctl(&["history", "step:2"]).ok();
    let lines: Vec<&str> = history.lines().collect();
    assert_eq!(lines.len(), 4, "{history}");
    assert!(lines[0].starts_with("IMAGE") && lines[0].contains("CREATED BY") && lines[0].contains("COMMENT"));
    assert!(lines[1].contains("second") && lines[1].contains("echo 2 > /2"), "{history}");
    assert!(lines[2].contains("first"), "{history}");
    cctl.cctl(&["history", "nothing"]).fails(1, &["nothing"]);
}

#[test]
fn tags_move_only_by_force_and_images_go_with_their_last_name() {
    let cctl = Instance::start();
    ran(&cctl, "alpha", "echo 1 > /1");
    let id = cctl.cctl(&["commit", "alpha"]).ok();
    cctl.cctl(&["tag", &id, "one"]).ok();
    cctl.cctl(&["tag", &id, "two:x"]).ok();
    cctl.cctl(&["tag", "base", "one"]).fails(1, &["one:latest", "-f"]);
    cctl.cctl(&["tag", "-f", "base", "one"]).ok();
    for bad in ["", ":x", "UPPER", "a:b:c", "a:/x"] {
        assert_ne!(cctl.cctl(&["tag", &id, bad]).code, 0, "{bad:?}");
    }
    assert_eq!(cctl.cctl(&["rmi", "one"]).ok(), "Untagged: one:latest");
    // A container still needs it: the last name stays unless it is forced.
    cctl.cctl(&["run", "--name", "user", "two:x", "true"]).ok();
    cctl.cctl(&["rmi", "two:x"]).fails(1, &["two:x"]);
    cctl.cctl(&["rmi", "-f", "two:x"]).ok();
    assert_eq!(cctl.cctl(&["start", "-a", "user"]).code, 0, "its layers are still there");
    cctl.cctl(&["rm", "user"]).ok();
    cctl.cctl(&["rmi", "nothing"]).fails(1, &["nothing"]);
    assert_eq!(cctl.cctl(&["run", "--rm", "base", "true"]).code, 0);
    let report = cctl.cctl(&["system", "check"]);
    assert_eq!(report.code, 0, "{report:?}");
}

#[test]
fn a_parent_may_go_before_its_child() {
    let cctl = Instance::start();
    ran(&cctl, "alpha", "echo 1 > /1");
    cctl.cctl(&["commit", "alpha", "child"]).ok();
    cctl.cctl(&["rm", "alpha"]).ok();
    cctl.cctl(&["rmi", "base"]).ok();
    assert_eq!(cctl.cctl(&["run", "--rm", "child", "cat", "/1"]).ok(), "1");
    assert_eq!(cctl.cctl(&["system", "check"]).code, 0);
}
