//! Spans for a collector: a small one of the test's own, which first refuses.

use harness::{Instance, eventually};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::thread;

/// Takes what is posted, and refuses the first so many.
struct Collector {
    address: String,
    taken: Arc<Mutex<Vec<Value>>>,
}

impl Collector {
    fn start(mut refusals: u32) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let taken = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&taken);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = BufReader::new(stream.unwrap());
                let (mut line, mut head) = (String::new(), Vec::new());
                while stream.read_line(&mut line).unwrap() > 2 {
                    head.push(std::mem::take(&mut line).trim().to_ascii_lowercase());
                }
                assert_eq!(head[0], "post /v1/traces http/1.1");
                assert!(head.contains(&"content-type: application/json".to_owned()), "{head:?}");
                let length = head.iter().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
                let mut body = vec![0; length.parse().unwrap()];
                stream.read_exact(&mut body).unwrap();
                let status = if refusals > 0 { "503 Service Unavailable" } else { "200 OK" };
                refusals = refusals.saturating_sub(1);
                if status.starts_with("200") {
                    sink.lock().unwrap().push(serde_json::from_slice(&body).unwrap());
                }
                write!(stream.get_mut(), "HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\n{{}}").unwrap();
            }
        });
        Self { address, taken }
    }

    /// Services with their spans of one command.
    fn spans(&self, command: &str) -> Vec<(String, Value)> {
        let taken = self.taken.lock().unwrap();
        let resources = taken.iter().flat_map(|body| body["resourceSpans"].as_array().unwrap());
        let spans = resources.flat_map(|resource| {
            let attributes = resource["resource"]["attributes"].as_array().unwrap();
            let service = attributes.iter().find(|attribute| attribute["key"] == "service.name").unwrap();
            let service = service["value"]["stringValue"].as_str().unwrap().to_owned();
            let spans = resource["scopeSpans"][0]["spans"].as_array().unwrap();
            spans.iter().map(move |span| (service.clone(), span.clone()))
        });
        spans.filter(|(_, span)| span["traceId"].as_str().unwrap().ends_with(command)).collect()
    }
}

/// The whole of a run is there: each span once, with the times of a part within those of the whole.
fn check(spans: &[(String, Value)]) {
    let named = |name: &str| {
        let found: Vec<_> = spans.iter().filter(|(_, span)| span["name"] == name).collect();
        assert_eq!(found.len(), 1, "{name} in {spans:#?}");
        &found[0].1
    };
    let time = |span: &Value, which: &str| span[which].as_str().unwrap().parse::<i128>().unwrap();
    let whole = named("containers.run");
    for part in ["executor.prepare", "executor.start", "filesystem.mount", "network.attach", "log-collector.open"] {
        let part = named(part);
        assert_eq!(part["parentSpanId"], whole["spanId"], "{part} in {whole}");
        assert!(time(part, "startTimeUnixNano") >= time(whole, "startTimeUnixNano"));
        assert!(time(part, "endTimeUnixNano") <= time(whole, "endTimeUnixNano"));
    }
    let mut ids: Vec<_> = spans.iter().map(|(_, span)| span["spanId"].as_str().unwrap()).collect();
    ids.sort_unstable();
    assert!(ids.windows(2).all(|pair| pair[0] != pair[1]), "a span came twice: {ids:?}");
    assert!(ids.iter().all(|id| id.len() == 16 && *id != "0000000000000000"));
}

#[test]
fn a_run_is_a_trace() {
    let cctl = Instance::start_without_spares();
    let collector = Collector::start(2);
    let mut command = cctl.command(&["system", "otlp", "--endpoint", &format!("http://{}", collector.address)]);
    let mut gateway = command.stderr(Stdio::piped()).spawn().unwrap();
    let run = |request: &str| {
        let output = cctl.command(&["run", "--rm", "base", "true"]).env("CCTL_REQUEST", request).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    };
    // From when it follows the logs on, everything is sent; refused, it is sent again.
    eventually("it follows", || {
        run("5eed0000aa");
        (!collector.spans("5eed0000aa").is_empty()).then_some(())
    });
    run("5eed0000ab");
    cctl.kill_service("executor");
    run("5eed0000ac");
    for command in ["5eed0000ab", "5eed0000ac"] {
        let spans = eventually("all of the run", || {
            let spans = collector.spans(command);
            spans.iter().any(|(_, span)| span["name"] == "containers.run").then_some(spans)
        });
        check(&spans);
    }
    kill_process(Pid::from_child(&gateway), Signal::TERM).unwrap();
    assert!(gateway.wait().unwrap().success());
    let mut said = String::new();
    gateway.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(said.contains("503") && said.lines().count() <= 2, "{said}");
    // What there is, once.
    let collector = Collector::start(0);
    cctl.cctl(&["system", "otlp", "--once", "--endpoint", &format!("http://{}", collector.address)]).ok();
    check(&collector.spans("5eed0000ab"));
    let (nobody, refused) = (TcpListener::bind("127.0.0.1:0").unwrap(), "https://127.0.0.1");
    let address = format!("http://{}", nobody.local_addr().unwrap());
    drop(nobody);
    cctl.cctl(&["system", "otlp", "--once", "--endpoint", &address]).fails(1, &[&address, "collector"]);
    cctl.cctl(&["system", "otlp", "--endpoint", refused]).fails(125, &["TLS"]);
}
