//! A client's line to a service that dies.

use schema::image_store::Client;
use schema::{Call, Code, Instance};
use std::fs;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixListener;
use std::time::Duration;

/// The beginning of a message: one segment of 100 words, of which none follows.
const HALF_A_MESSAGE: [u8; 8] = [0, 0, 0, 0, 100, 0, 0, 0];

#[test]
fn a_call_is_repeated_after_the_service_died_in_the_middle_of_an_answer() {
    let directory = tempfile::tempdir().unwrap();
    let instance = Instance::new(directory.path(), directory.path());
    let socket = instance.socket("image-store");
    let listener = UnixListener::bind(&socket).unwrap();
    let service = std::thread::spawn(move || {
        let (mut first, _) = listener.accept().unwrap();
        let mut buffer = [0; 1 << 16];
        assert!(first.read(&mut buffer).unwrap() > 0);
        first.write_all(&HALF_A_MESSAGE).unwrap();
        first.shutdown(Shutdown::Write).unwrap();
        while first.read(&mut buffer).unwrap_or(0) > 0 {}
        // The client tries again, and then learns that nobody serves any more.
        let second = listener.accept().unwrap();
        fs::remove_file(socket).unwrap();
        drop((second, listener));
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let call = Call::within(Duration::from_secs(30));
    let failure = tokio::task::LocalSet::new().block_on(&runtime, Client::new(&instance).list(&call)).unwrap_err();
    assert_eq!(failure.code, Code::Unavailable, "{failure}");
    service.join().unwrap();
}
