//! `save`, `load`, and `import` from a URL.

use harness::Instance;
use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::process::Command;

#[test]
fn saved_images_are_loaded_with_their_names_and_ids() {
    let cctl = Instance::start();
    cctl.cctl(&["run", "--name", "box", "base", "sh", "-c", "echo saved > /file"]).ok();
    cctl.cctl(&["commit", "box", "me/saved:1"]).ok();
    cctl.cctl(&["rm", "box"]).ok();
    let ids = cctl.cctl(&["images", "-q", "--no-trunc"]).ok();
    let archive = cctl.scratch().join("images.tar").display().to_string();
    cctl.cctl(&["save", "-o", &archive, "me/saved:1", "base"]).ok();
    cctl.cctl(&["rmi", "me/saved:1", "base"]).ok();
    assert_eq!(cctl.cctl(&["images", "-q"]).ok(), "");
    let loaded = cctl.cctl(&["load", "-i", &archive]).ok();
    assert!(loaded.contains("Loaded image: me/saved:1") && loaded.contains("Loaded image: base:latest"), "{loaded}");
    assert_eq!(cctl.cctl(&["images", "-q", "--no-trunc"]).ok(), ids);
    assert_eq!(cctl.cctl(&["run", "--rm", "me/saved:1", "cat", "/file"]).ok(), "saved");
    cctl.cctl_with_input(&["load"], b"this is no archive").fails(1, &["archive"]);
}

#[test]
fn other_tools_read_what_we_save_and_we_read_theirs() {
    let cctl = Instance::start();
    let path = |name: &str| cctl.scratch().join(name).display().to_string();
    let id = cctl.cctl(&["images", "-q", "--no-trunc", "base"]).ok();
    cctl.cctl(&["save", "-o", &path("ours.tar"), "base"]).ok();
    let run = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output().unwrap();
        assert!(output.status.success(), "{program} {arguments:?}: {output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    for form in ["docker-archive", "oci-archive"] {
        let raw = run("skopeo", &["inspect", "--config", "--raw", &format!("{form}:{}", path("ours.tar"))]);
        assert!(raw.contains("\"rootfs\""), "{form}: {raw}");
        let theirs = path(&format!("theirs-{form}.tar"));
        run(
            "skopeo",
            &["copy", "--quiet", &format!("{form}:{}", path("ours.tar")), &format!("{form}:{theirs}:copied/{form}:1")],
        );
        let loaded = cctl.cctl(&["load", "-i", &theirs]).ok();
        assert!(loaded.contains(&format!("copied/{form}:1")), "{loaded}");
        assert_eq!(cctl.cctl(&["run", "--rm", &format!("copied/{form}:1"), "echo", "runs"]).ok(), "runs");
    }
    assert_eq!(
        cctl.cctl(&["images", "-q", "--no-trunc", "copied/oci-archive"]).ok(),
        id,
        "the same configuration, the same id"
    );
}

#[test]
fn an_archive_is_imported_from_a_url() {
    let cctl = Instance::start();
    let tree = cctl.scratch().join("tree");
    fs::create_dir(&tree).unwrap();
    fs::write(tree.join("hello"), "hi\n").unwrap();
    let tar = Command::new("tar").args(["-cz", "-C"]).arg(&tree).arg(".").output().unwrap().stdout;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        for status in ["200 OK", "404 Not Found"] {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            let _ = std::io::Read::read(&mut stream, &mut request).unwrap();
            let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", tar.len());
            stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&tar)).unwrap();
        }
    });
    // Without a scheme: http.
    let id = cctl.cctl(&["import", &format!("{address}/tree.tar.gz"), "fetched"]).ok();
    assert!(id.contains("sha256:"), "{id}");
    let comment = cctl.cctl(&["inspect", "-f", "{{.Comment}}", "fetched"]).ok();
    assert!(comment.contains(&format!("{address}/tree.tar.gz")), "{comment}");
    cctl.cctl(&["import", &format!("http://{address}/gone.tar"), "gone"]).fails(1, &["404", "gone.tar"]);
    assert_eq!(cctl.cctl(&["images", "-q", "gone"]).ok(), "");
    server.join().unwrap();
}
