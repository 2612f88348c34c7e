//! An authority, and a certificate for loopback that it has signed.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// The authority's certificate.
pub(crate) const CA: &str = "ca.pem";
/// The server's certificate.
pub(crate) const CERTIFICATE: &str = "server.pem";
/// The server's key.
pub(crate) const KEY: &str = "server.key";

const EXTENSIONS: &str = "basicConstraints=critical,CA:FALSE\nsubjectAltName=IP:127.0.0.1,DNS:localhost\n";

/// Makes all of it in a directory.
pub(crate) fn make(directory: &Path) {
    fs::write(directory.join("extensions"), EXTENSIONS).expect("writing extensions");
    let curve = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    openssl(directory, &format!("req -x509 {curve} -keyout ca.key -out {CA} -days 30 -subj /CN=test-authority"));
    openssl(directory, &format!("req -new {curve} -keyout {KEY} -out request.pem -subj /CN=localhost"));
    let signed = format!("-CA {CA} -CAkey ca.key -CAcreateserial -days 30 -extfile extensions");
    openssl(directory, &format!("x509 -req -in request.pem -out {CERTIFICATE} {signed}"));
}

fn openssl(directory: &Path, arguments: &str) {
    let output = Command::new("openssl")
        .args(arguments.split(' '))
        .current_dir(directory)
        .stdin(Stdio::null())
        .output()
        .expect("openssl, of the Debian package of that name");
    assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}
