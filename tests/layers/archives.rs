//! `export` and `import`: whole filesystems as tar archives.

use super::ran;
use harness::Instance;
use std::path::Path;
use std::process::Command;

#[test]
fn an_export_has_owners_modes_links_and_attributes() {
    let cctl = Instance::start();
    let script = "echo x > /file; chown 12:34 /file; chmod 4751 /file; ln /file /hard; ln -s file /soft; mkfifo /fifo; mkdir -m 1777 /sticky";
    ran(&cctl, "box", script);
    let archive = cctl.scratch().join("c.tar");
    cctl.cctl(&["export", "-o", archive.to_str().unwrap(), "box"]).ok();
    let listing = Command::new("tar").args(["-tv", "--numeric-owner", "-f"]).arg(&archive).output().unwrap();
    let listing = String::from_utf8_lossy(&listing.stdout).into_owned();
    let line = |name: &str| {
        listing
            .lines()
            .find(|line| line.split_whitespace().nth(5) == Some(name))
            .unwrap_or_else(|| panic!("{name}: {listing}"))
    };
    assert!(line("file").starts_with("-rwsr-x--x 12/34"), "{}", line("file"));
    assert!(line("hard").starts_with("hrwsr-x--x") || line("file").starts_with("h"), "{listing}");
    assert!(line("soft").starts_with("lrwxrwxrwx"));
    assert!(line("fifo").starts_with("prw"));
    assert!(line("sticky/").starts_with("drwxrwxrwt"));
    // It comes back as it was.
    cctl.cctl(&["import", archive.to_str().unwrap(), "back"]).ok();
    let facts = "stat -c '%a %u:%g %h' /file /hard; readlink /soft; stat -c %F /fifo; stat -c %a /sticky";
    assert_eq!(
        cctl.cctl(&["run", "--rm", "back", "sh", "-c", facts]).ok(),
        "4751 12:34 2\n4751 12:34 2\nfile\nfifo\n1777"
    );
}

#[test]
fn a_running_container_is_exported_too_and_nothing_stays_mounted() {
    let cctl = Instance::start();
    cctl.cctl(&[
        "run",
        "-d",
        "--name",
        "box",
        "-v",
        "/etc:/mnt/etc",
        "base",
        "sh",
        "-c",
        "echo here > /file; sleep 600",
    ])
    .ok();
    harness::eventually("the file is there", || {
        (cctl.cctl(&["exec", "box", "cat", "/file"]).stdout == "here\n").then_some(())
    });
    let raw = cctl.command(&["export", "box"]).output().unwrap();
    assert!(raw.status.success(), "{raw:?}");
    let archive = cctl.scratch().join("c.tar");
    std::fs::write(&archive, &raw.stdout).unwrap();
    let names = names(&archive);
    assert!(names.contains(&"file".to_owned()));
    assert!(!names.iter().any(|name| name.starts_with("mnt/etc/") && name.len() > 8), "volumes are no part of it");
    assert!(!names.iter().any(|name| name.starts_with("proc/") && name.len() > 5));
    cctl.cctl(&["export", "nobody"]).fails(1, &["nobody"]);
}

fn names(archive: &Path) -> Vec<String> {
    let listing = Command::new("tar").arg("-tf").arg(archive).output().unwrap();
    String::from_utf8_lossy(&listing.stdout).lines().map(str::to_owned).collect()
}

#[test]
fn every_usual_compression_is_imported() {
    let cctl = Instance::start();
    std::fs::create_dir(cctl.scratch().join("tree")).unwrap();
    std::fs::write(cctl.scratch().join("tree/hello"), "hi\n").unwrap();
    for (flag, name) in
        [("--no-auto-compress", "tar"), ("--gzip", "gz"), ("--bzip2", "bz2"), ("--xz", "xz"), ("--zstd", "zst")]
    {
        let archive = cctl.scratch().join(name);
        let tree = cctl.scratch().join("tree");
        let made =
            Command::new("tar").arg("-c").arg(flag).arg("-f").arg(&archive).arg("-C").arg(tree).arg(".").status();
        assert!(made.unwrap().success(), "{name}");
        let bytes = std::fs::read(&archive).unwrap();
        let id = cctl.cctl_with_input(&["import", "-", name], &bytes).ok();
        assert!(id.starts_with("sha256:"), "{id}");
        cctl.cctl(&["create", "--name", name, name, "/hello"]).ok();
        let copied = cctl.command(&["cp", &format!("{name}:/hello"), "-"]).output().unwrap();
        assert!(String::from_utf8_lossy(&copied.stdout).contains("hi\n"), "{name}");
    }
    assert_ne!(cctl.cctl(&["import"]).code, 0, "no source");
}
