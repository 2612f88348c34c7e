//! Images between cctl and podman, skopeo and umoci, by way of a registry.

use crate::{digest, instance};
use harness::Registry;
use std::path::Path;
use std::process::{Command, Output};

fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    done(program, arguments, &output)
}

fn done(program: &str, arguments: &[&str], output: &Output) -> String {
    assert!(output.status.success(), "{program} {arguments:?}: {output:?}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Podman with a store of its own. Its containers share the host's network and cgroup: nothing of it stays.
fn podman(home: &Path, arguments: &[&str]) -> String {
    let store = home.join("podman");
    let text = |name: &str| store.join(name).display().to_string();
    let fixed = [
        "--root",
        &text("root"),
        "--runroot",
        &text("run"),
        "--tmpdir",
        &text("tmp"),
        "--storage-driver",
        "vfs",
        "--cgroup-manager",
        "cgroupfs",
        "--events-backend",
        "none",
    ];
    run("podman", &[&fixed[..], arguments].concat())
}

#[test]
fn an_image_of_ours_is_the_same_to_skopeo_and_podman() {
    let registry = Registry::start();
    let cctl = instance(&registry);
    cctl.cctl(&["run", "--name", "box", "base", "sh", "-c", "echo ours > /file"]).ok();
    cctl.cctl(&["commit", "box", "ours"]).ok();
    let pushed = digest(&cctl.cctl(&["push", "ours"]).ok());
    let reference = format!("{}/ours:latest", registry.name());
    let seen =
        run("skopeo", &["inspect", "--tls-verify=false", "--format", "{{.Digest}}", &format!("docker://{reference}")]);
    assert_eq!(seen, pushed);
    podman(cctl.scratch(), &["pull", "-q", "--tls-verify=false", &reference]);
    let output =
        podman(cctl.scratch(), &["run", "--rm", "--network=host", "--cgroups=disabled", &reference, "cat", "/file"]);
    assert_eq!(output, "ours");
    let theirs = podman(cctl.scratch(), &["image", "inspect", "--format", "{{.Digest}} {{.Id}}", &reference]);
    let id = cctl.cctl(&["images", "-q", "--no-trunc", "ours"]).ok();
    assert_eq!(theirs, format!("{pushed} {}", id.trim_start_matches("sha256:")));
    podman(cctl.scratch(), &["rmi", "-f", &reference]);
}

#[test]
fn an_image_of_theirs_is_the_same_to_us() {
    let registry = Registry::start();
    let cctl = instance(&registry);
    let archive = cctl.scratch().join("base.tar").display().to_string();
    cctl.cctl(&["save", "-o", &archive, "base"]).ok();
    podman(cctl.scratch(), &["load", "-q", "-i", &archive]);
    podman(cctl.scratch(), &["tag", "docker.io/library/base:latest", "localhost/mine:1"]);
    for (format, name) in [("oci", "as-oci"), ("v2s2", "as-docker")] {
        let reference = format!("{}/podman/{name}:1", registry.name());
        podman(
            cctl.scratch(),
            &["push", "-q", "--tls-verify=false", "--format", format, "localhost/mine:1", &reference],
        );
        let theirs = run(
            "skopeo",
            &["inspect", "--tls-verify=false", "--format", "{{.Digest}}", &format!("docker://{reference}")],
        );
        let pulled = cctl.cctl(&["pull", &reference]).ok();
        assert!(pulled.contains(&theirs), "{pulled} {theirs}");
        assert_eq!(cctl.cctl(&["run", "--rm", &reference, "echo", name]).ok(), name);
    }
}

#[test]
fn compressed_layers_and_whiteouts_of_other_makers_are_understood() {
    let registry = Registry::start();
    let cctl = instance(&registry);
    let layout = cctl.scratch().join("layout").display().to_string();
    let bundle = cctl.scratch().join("bundle").display().to_string();
    let image = format!("{layout}:one");
    let archive = cctl.scratch().join("base.tar").display().to_string();
    cctl.cctl(&["save", "-o", &archive, "base"]).ok();
    run("skopeo", &["copy", "--quiet", &format!("oci-archive:{archive}"), &format!("oci:{image}")]);
    run("umoci", &["unpack", "--image", &image, &bundle]);
    let root = Path::new(&bundle).join("rootfs");
    std::fs::write(root.join("added"), "by umoci\n").unwrap();
    std::fs::remove_file(root.join("etc/group")).unwrap();
    run("umoci", &["repack", "--image", &format!("{layout}:two"), &bundle]);
    let flat = format!("dir:{}", cctl.scratch().join("flat").display());
    run("skopeo", &["copy", "--quiet", "--dest-decompress", &format!("oci:{layout}:two"), &flat]);
    for (compression, name) in [("gzip", "gz"), ("zstd", "zst")] {
        let reference = format!("{}/umoci/{name}", registry.name());
        let target = format!("docker://{reference}");
        let how = ["--quiet", "--dest-tls-verify=false", "--format", "oci", "--dest-compress-format", compression];
        run("skopeo", &[&["copy"], &how[..], &[&flat, &target]].concat());
        cctl.cctl(&["pull", "-q", &reference]).ok();
        assert_eq!(
            cctl.cctl(&["run", "--rm", &reference, "sh", "-c", "cat /added; [ -e /etc/group ] || echo gone"]).ok(),
            "by umoci\ngone"
        );
        cctl.cctl(&["rmi", &reference]).ok();
    }
}

#[test]
fn the_right_platform_is_chosen_from_an_index() {
    let registry = Registry::start();
    let cctl = instance(&registry);
    let host = cctl.cctl(&["inspect", "-f", "{{.Architecture}}", "base"]).ok();
    let other = if host == "amd64" { "arm64" } else { "amd64" };
    cctl.cctl_with_input(&["import", "--platform", &format!("linux/{other}"), "-", "other"], &archive_with("other"))
        .ok();
    cctl.cctl_with_input(&["import", "-", "mine"], &archive_with("mine")).ok();
    let mut manifests = Vec::new();
    for (name, architecture) in [("other", other), ("mine", &host)] {
        let pushed = cctl.cctl(&["push", name]).ok();
        let size: u64 = pushed.rsplit(' ').next().unwrap().trim().parse().unwrap();
        manifests.push(format!(
            r#"{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{}","size":{size},"platform":{{"os":"linux","architecture":"{architecture}"}}}}"#,
            digest(&pushed)
        ));
        // The manifests of an index live in its repository.
        run(
            "skopeo",
            &[
                "copy",
                "--quiet",
                "--src-tls-verify=false",
                "--dest-tls-verify=false",
                "--preserve-digests",
                &format!("docker://{}/{name}", registry.name()),
                &format!("docker://{}/multi:{architecture}", registry.name()),
            ],
        );
    }
    let index = format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{}]}}"#,
        manifests.join(",")
    );
    let url = format!("http://{}/v2/multi/manifests/latest", registry.name());
    run(
        "curl",
        &["-sf", "-X", "PUT", "-H", "Content-Type: application/vnd.oci.image.index.v1+json", "-d", &index, &url],
    );
    cctl.cctl(&["pull", "-q", "multi"]).ok();
    assert_eq!(cctl.cctl(&["inspect", "-f", "{{.Architecture}}", "multi"]).ok(), host);
    cctl.cctl(&["pull", "-q", "--platform", &format!("linux/{other}"), "multi"]).ok();
    assert_eq!(cctl.cctl(&["inspect", "-f", "{{.Architecture}}", "multi"]).ok(), other);
    let missing = cctl.cctl(&["pull", "--platform", "linux/s390x", "multi"]);
    assert!(missing.code == 1 && missing.stderr.contains("s390x"), "{missing:?}");
}

fn archive_with(name: &str) -> Vec<u8> {
    let directory = std::env::temp_dir().join(format!("cctl-images-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(directory.join(name), name).unwrap();
    let output = Command::new("tar").args(["-c", "-C"]).arg(&directory).arg(".").output().unwrap();
    std::fs::remove_dir_all(&directory).unwrap();
    output.stdout
}
