//! How transfers behave: together, unattended, and when something is wrong.

use super::*;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};

#[test]
fn mistakes_are_told_at_once() {
    on_engines(async |[engine]| {
        let failed = async |name: &str| engine.pull(name).await.unwrap_err();
        assert_eq!(failed("Not A Name").await.code, Code::InvalidArgument);
        let refused = failed("127.0.0.1:1/app").await;
        assert_eq!(refused.code, Code::Unavailable);
        assert!(refused.message.contains("127.0.0.1:1") && refused.message.contains("refused"), "{refused}");
        assert_eq!(engine.push("127.0.0.1:1/app").await.unwrap_err().code, Code::NotFound);
        let odd = PullRequest { platform: "amd64".to_owned(), ..pull("app") };
        assert_eq!(engine.follow(Request::Pull(odd)).await.1.unwrap_err().code, Code::InvalidArgument);
        engine.configure("default = 7");
        let failure = failed("app").await;
        assert!(failure.message.contains("registries.toml") && failure.message.contains("default = 7"), "{failure}");
    });
}

/// Serves this answer to every connection.
fn serve(answer: &'static [u8]) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _request = stream.read(&mut [0; 4096]);
            let _gone = stream.write_all(answer);
        }
    });
    address
}

#[test]
fn a_file_is_fetched_into_an_upload() {
    on_engines(async |[engine]| {
        let fetch = async |address: std::net::SocketAddr, upload: &str| {
            let (transfer, upload) = (fresh(), upload.to_owned());
            let request = FetchRequest { transfer, url: format!("{address}/dir/file.tar?secret"), upload };
            engine.follow(Request::Fetch(request)).await
        };
        for (upload, answer) in [
            ("length", &b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"[..]),
            ("chunks", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
            ("end", b"HTTP/1.0 200 OK\r\n\r\nhello"),
        ] {
            let (items, result) = fetch(serve(answer), upload).await;
            assert_eq!(result.unwrap().size, 5);
            assert_eq!((items[0].title.as_str(), items[0].current), ("file.tar", 5));
            assert_eq!(fs::read(engine.file("uploads").join(upload)).unwrap(), b"hello");
        }
        let failure = fetch(serve(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"), "none").await.1.unwrap_err();
        assert_eq!(failure.code, Code::NotFound);
        assert!(failure.message.contains("404") && failure.message.contains("/dir/file.tar"), "{failure}");
    });
}

#[test]
fn a_transfer_that_nobody_asks_about_is_given_up_and_its_name_is_free_again() {
    on_engines(async |[engine]| {
        // It never answers, and the client of registries would wait for it longer than for whoever asks.
        engine.configure("[transfer]\nconnect-timeout = 60\nidle-timeout = 60\n");
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let name = format!("{}/app", silent.local_addr().unwrap());
        let request = pull(&name);
        let begun = Follow { call: call(), request: Request::Pull(request.clone()), seen: 0, wait_ms: 0 };
        let first = ask(&engine.transfers, begun).await.unwrap();
        let other = PullRequest { reference: "other".to_owned(), ..request.clone() };
        let other = Follow { call: call(), request: Request::Pull(other), seen: 0, wait_ms: 0 };
        assert_eq!(ask(&engine.transfers, other).await.unwrap_err().code, Code::Conflict);
        let (stream, _) = silent.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE * 2)).unwrap();
        // The connection ends when the transfer does.
        let read = move || Ok((&stream).read_to_end(&mut Vec::new()).is_ok());
        assert!(kit::actor::on_thread(read).await.unwrap());
        let again = Follow { call: call(), request: Request::Pull(request), seen: 0, wait_ms: 0 };
        assert!(ask(&engine.transfers, again).await.unwrap().version > first.version);
    });
}

/// Serves blobs and a manifest as a registry does, layers slowly, and counts who asks for one.
fn slow_registry(files: HashMap<String, Vec<u8>>, asked: Arc<AtomicU32>) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let answer = move |mut stream: TcpStream, files: Arc<HashMap<String, Vec<u8>>>, asked: Arc<AtomicU32>| {
        let mut request = [0; 4096];
        let count = stream.read(&mut request).unwrap();
        let text = String::from_utf8_lossy(&request[..count]).into_owned();
        let path = text.split(' ').nth(1).unwrap_or_default();
        let body = files.get(path.rsplit('/').next().unwrap_or_default()).map_or(&b"{}"[..], Vec::as_slice);
        if body.len() > 10_000 {
            asked.fetch_add(1, Ordering::Relaxed);
            std::thread::sleep(Duration::from_millis(500));
        }
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
        let _gone = stream.write_all(&[head.as_bytes(), body].concat());
    };
    std::thread::spawn(move || {
        let files = Arc::new(files);
        for stream in listener.incoming() {
            let (stream, files, asked) = (stream.unwrap(), Arc::clone(&files), Arc::clone(&asked));
            std::thread::spawn(move || answer(stream, files, asked));
        }
    });
    address
}

#[test]
fn two_transfers_share_one_download_of_a_layer() {
    on_engines(async |[here, there]| {
        let image = here.image(&[&[5; 100_000]], "app").await;
        let stored = |digest: &Digest| fs::read(here.file("blobs/sha256").join(digest.hex())).unwrap();
        let mut files: HashMap<String, Vec<u8>> =
            [&image.id, &image.layers[0].digest].map(|digest| (digest.to_string(), stored(digest))).into();
        files.insert("latest".to_owned(), stored(&image.manifest));
        let asked = Arc::new(AtomicU32::new(0));
        let name = format!("{}/app", slow_registry(files, Arc::clone(&asked)));
        let results = futures::future::join_all((0..4).map(|_| there.pull(&name))).await;
        assert!(results.iter().all(Result::is_ok), "{results:?}");
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        there.check().await;
    });
}
