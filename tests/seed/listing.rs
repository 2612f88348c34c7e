//! `ps`, `images`, `inspect`, `port`, `info`, `version`.

use harness::Instance;
use serde_json::Value;

#[test]
fn ps_lists_what_runs_newest_first() {
    let cctl = Instance::start();
    for name in ["one", "two", "three"] {
        cctl.cctl(&["run", "-d", "--name", name, "base", "sleep", "600"]).ok();
    }
    cctl.cctl(&["stop", "-t", "0", "two"]).ok();
    let table = cctl.cctl(&["ps"]).ok();
    let lines: Vec<&str> = table.lines().collect();
    let header: Vec<&str> = lines[0].split_whitespace().collect();
    assert_eq!(header, ["CONTAINER", "ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES"]);
    assert!(lines.len() == 3 && lines[1].ends_with("three") && lines[2].ends_with("one"), "{table}");
    let all = cctl.cctl(&["ps", "-a"]).ok();
    assert!(all.lines().any(|line| line.contains("Exited (137)") && line.ends_with("two")), "{all}");
    let short = cctl.cctl(&["ps", "-q"]).ok();
    assert!(short.lines().count() == 2 && short.lines().all(|id| id.len() == 12), "{short}");
    let long = cctl.cctl(&["ps", "-q", "--no-trunc"]).ok();
    assert!(long.lines().all(|id| id.len() == 64), "{long}");
}

#[test]
fn images_lists_names_and_heads() {
    let cctl = Instance::start();
    for (from, to) in [("base", "a/b"), ("a/b", "a/c")] {
        cctl.cctl(&["run", "--name", "box", from, "sh", "-c", &format!("echo {to} > /file")]).ok();
        cctl.cctl(&["commit", "box", to]).ok();
        cctl.cctl(&["rm", "box"]).ok();
    }
    cctl.cctl(&["run", "--name", "box", "base", "true"]).ok();
    let untagged = cctl.cctl(&["commit", "box"]).ok();
    let table = cctl.cctl(&["images"]).ok();
    let header: Vec<&str> = table.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(header, ["REPOSITORY", "TAG", "IMAGE", "ID", "CREATED", "SIZE"]);
    assert!(table.contains("<none>") && table.contains("a/b") && table.contains("a/c"), "{table}");
    let named = cctl.cctl(&["images", "a/b"]).ok();
    assert!(named.lines().count() == 2 && !named.contains("<none>"), "{named}");
    let dangling = cctl.cctl(&["images", "-q", "--no-trunc", "--filter", "dangling=true"]).ok();
    assert_eq!(dangling, untagged);
}

#[test]
fn inspect_tells_all_of_a_container_or_an_image() {
    let cctl = Instance::start();
    cctl.cctl(&["run", "-d", "--name", "box", "-p", "80", "base", "sleep", "600"]).ok();
    let text = cctl.cctl(&["inspect", "box"]).ok();
    assert!(text.contains("\n    "), "indented by four");
    let container: Value = serde_json::from_str(&text).unwrap();
    for key in ["Id", "Created", "Path", "Args", "Config", "State", "Image", "NetworkSettings"] {
        assert!(!container[0][key].is_null(), "{key}: {text}");
    }
    let image: Value = serde_json::from_str(&cctl.cctl(&["inspect", "base"]).ok()).unwrap();
    for key in ["Id", "Comment", "Created", "Config", "Architecture", "RepoTags"] {
        assert!(!image[0][key].is_null(), "{key}: {image}");
    }
    cctl.cctl(&["inspect", "nothing"]).fails(1, &["nothing"]);
}

#[test]
fn port_tells_where_a_port_is_published() {
    let cctl = Instance::start();
    cctl.cctl(&["run", "-d", "--name", "box", "-p", "80", "base", "sleep", "600"]).ok();
    let port = cctl.cctl(&["port", "box", "80"]).ok();
    let number: u16 = port.lines().next().unwrap().rsplit(':').next().unwrap().parse().unwrap();
    assert!(number >= 49153, "{port}");
    cctl.cctl(&["port", "box", "81"]).fails(1, &["81", "box"]);
    assert_ne!(cctl.cctl(&["port", "box", "1", "2"]).code, 0);
}

#[test]
fn info_and_version_count_and_name() {
    let cctl = Instance::start();
    cctl.cctl(&["run", "--name", "box", "base", "true"]).ok();
    let info = cctl.cctl(&["info"]).ok();
    assert!(info.contains("Containers: 1") && info.contains("Images: 1"), "{info}");
    let version = cctl.cctl(&["version"]).ok();
    assert!(version.contains("VERSION") && version.contains("executor"), "{version}");
}

#[test]
fn verbs_that_take_several_names_do_what_they_can() {
    let cctl = Instance::start();
    cctl.cctl(&["run", "-d", "--name", "box", "base", "sleep", "600"]).ok();
    cctl.cctl(&["start", "box"]).fails(1, &["box", "running"]);
    let stop = cctl.cctl(&["stop", "-t", "0", "nobody", "box"]);
    assert_eq!((stop.code, stop.stdout.as_str()), (1, "box\n"), "{stop:?}");
    assert_eq!(cctl.cctl(&["stop", "box"]).ok(), "box", "a stopped one is no error");
    assert_eq!(cctl.cctl(&["wait", "box", "box"]).ok(), "137\n137");
    assert_eq!(cctl.cctl(&["rm", "box"]).ok(), "box");
    cctl.cctl(&["rm", "box"]).fails(1, &["No such container", "box"]);
}
