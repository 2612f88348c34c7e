//! Figures for Prometheus.

use crate::exposition::{Figures, read};
use harness::{Instance, eventually};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::process::{Child, Stdio};
use std::time::Duration;

const SERVICES: [&str; 7] =
    ["supervisor", "image-store", "filesystem", "network", "executor", "log-collector", "containers"];

/// A gateway that serves.
struct Gateway {
    process: Child,
    place: String,
}

impl Gateway {
    fn start(cctl: &Instance, listen: &str) -> Self {
        let mut command = cctl.command(&["system", "metrics", "--listen", listen]);
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let place = line.trim().strip_prefix("listening on ").expect("it says where it is").to_owned();
        Self { process, place }
    }

    fn connect(&self) -> TcpStream {
        let address = self.place.strip_prefix("http://").and_then(|rest| rest.strip_suffix("/metrics")).unwrap();
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    /// The whole answer to something that is sent.
    fn answer(&self, sent: &[u8]) -> String {
        let mut stream = self.connect();
        stream.write_all(sent).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// What a scrape gives: never anything but figures.
    fn scrape(&self) -> Figures {
        let answer = self.answer(b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1:9323\r\nAccept: */*\r\n\r\n");
        figures(&answer)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn figures(answer: &str) -> Figures {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer:?}"));
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains("Content-Type: text/plain; version=0.0.4"), "{head}");
    assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{head}");
    read(body).unwrap()
}

fn kill(pid: i32) {
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
}

#[test]
fn containers_and_services_have_figures() {
    let cctl = Instance::start();
    let text = "x".repeat(1000);
    let script = format!("echo {text}; while :; do :; done");
    let id = cctl.cctl(&["run", "-d", "--name", "busy", "-m", "64m", "base", "sh", "-c", &script]).ok();
    let failed = cctl.cctl(&["run", "--name", "failed", "base", "sh", "-c", "exit 3"]);
    assert_eq!(failed.code, 3);
    let one = read(&cctl.cctl(&["system", "metrics", "--once"]).stdout).unwrap();
    for service in SERVICES {
        assert_eq!(one.value(&format!("cctl_service_up{{service=\"{service}\"}}")), 1.0);
        assert!(one.value(&format!("cctl_service_open_fds{{service=\"{service}\"}}")) > 3.0);
        assert!(one.value(&format!("cctl_service_memory_bytes{{service=\"{service}\"}}")) > 0.0);
    }
    assert_eq!(one.value("cctl_containers_up"), 1.0);
    assert_eq!(one.value("cctl_containers{state=\"running\"}"), 1.0);
    assert_eq!(one.value("cctl_containers{state=\"exited\"}"), 1.0);
    let labels = format!("{{id=\"{id}\",name=\"busy\",image=\"base\"}}");
    let of = |figures: &Figures, name: &str| figures.value(&format!("cctl_container_{name}{labels}"));
    assert_eq!(of(&one, "memory_limit_bytes"), f64::from(64 << 20));
    assert_eq!(of(&one, "restarts_total"), 0.0);
    assert_eq!(of(&one, "oom_kills_total"), 0.0);
    assert_eq!(of(&one, "log_bytes_total"), 1001.0);
    assert_eq!(of(&one, "log_dropped_bytes_total"), 0.0);
    assert!(of(&one, "pids") >= 1.0);
    let code = one.samples.iter().find(|(name, _)| name.starts_with("cctl_container_exit_code{")).unwrap();
    assert!(code.0.contains("name=\"failed\"") && *code.1 == 3.0, "{code:?}");
    // What was called is told with the signs of life, twice a second.
    eventually("the start is counted", || {
        let now = read(&cctl.cctl(&["system", "metrics"]).stdout).unwrap();
        let calls = "cctl_service_calls_total{service=\"executor\",method=\"executor.start\",outcome=\"ok\"}";
        let grown = of(&now, "cpu_seconds_total") > of(&one, "cpu_seconds_total");
        (grown && *now.samples.get(calls)? >= 2.0).then_some(())
    });
    let promtool = std::process::Command::new("promtool").arg("--version").output();
    if promtool.is_ok() {
        let figures = cctl.cctl(&["system", "metrics"]).stdout;
        let mut check =
            std::process::Command::new("promtool").args(["check", "metrics"]).stdin(Stdio::piped()).spawn().unwrap();
        check.stdin.take().unwrap().write_all(figures.as_bytes()).unwrap();
        assert!(check.wait().unwrap().success(), "promtool");
    }
}

/// Of counters, the ones of a process that was not replaced never fall; and no scrape is an error.
#[test]
fn scrapes_go_on_while_services_are_killed() {
    let cctl = Instance::start();
    cctl.cctl(&["run", "-d", "--name", "busy", "base", "sh", "-c", "while :; do echo x; sleep 0.01; done"]).ok();
    let gateway = Gateway::start(&cctl, "127.0.0.1:0");
    let mut last: BTreeMap<String, f64> = BTreeMap::new();
    for round in 0..14 {
        let service = SERVICES[round % SERVICES.len()];
        let pid = cctl.status().into_iter().find(|row| row["name"] == service).unwrap()["pid"].as_i64().unwrap();
        if pid != 0 {
            kill(i32::try_from(pid).unwrap());
        }
        let figures = gateway.scrape();
        assert_eq!(figures.value("cctl_build_info{version=\"0.1.0\"}"), 1.0);
        for service in SERVICES {
            let up = figures.value(&format!("cctl_service_up{{service=\"{service}\"}}"));
            assert!(up == 0.0 || up == 1.0);
        }
        for (sample, value) in figures.counters().filter(|(sample, _)| sample.starts_with("cctl_container_")) {
            let before = last.insert(sample.clone(), value).unwrap_or(0.0);
            // The collector counts what it drops, from its start on.
            assert!(value >= before || sample.contains("log_dropped"), "{sample} fell from {before} to {value}");
        }
        eventually("all serve", || cctl.status().iter().all(|row| row["state"] == "ready").then_some(()));
    }
    assert!(last.keys().any(|sample| sample.starts_with("cctl_container_cpu_seconds_total")), "{last:?}");
    // What was asked within the last half second is answered again.
    eventually("all restarts are told", || {
        let figures = gateway.scrape();
        let restarts = SERVICES[1..]
            .iter()
            .map(|name| figures.value(&format!("cctl_service_restarts_total{{service=\"{name}\"}}")));
        (restarts.sum::<f64>() >= 6.0).then_some(())
    });
}

#[test]
fn what_is_down_is_zero() {
    let cctl = Instance::start();
    let gateway = Gateway::start(&cctl, "127.0.0.1:0");
    assert_eq!(gateway.scrape().value("cctl_service_up{service=\"executor\"}"), 1.0);
    // A stopped service is replaced within moments; a stopped instance is down.
    cctl.cctl(&["system", "stop"]).ok();
    std::thread::sleep(Duration::from_millis(600));
    let figures = gateway.scrape();
    for service in SERVICES {
        assert_eq!(figures.value(&format!("cctl_service_up{{service=\"{service}\"}}")), 0.0);
    }
    assert_eq!(figures.value("cctl_containers_up"), 0.0);
    cctl.cctl(&["system", "start"]).ok();
    eventually("it is seen again", || {
        (gateway.scrape().value("cctl_service_up{service=\"executor\"}") == 1.0).then_some(())
    });
}

#[test]
fn a_hostile_peer_gets_nothing_and_stops_nobody() {
    let cctl = Instance::start();
    let gateway = Gateway::start(&cctl, "127.0.0.1:0");
    let refused = [
        (b"GET /metrics HTTP/1.1\r\nHost: evil.example\r\n\r\n".as_slice(), "421"),
        (b"POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n", "405"),
        (b"GET /secret HTTP/1.1\r\nHost: localhost\r\n\r\n", "404"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", "400"),
        (b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"),
    ];
    for (sent, status) in refused {
        let answer = gateway.answer(sent);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    }
    let long = [b"GET /".as_slice(), &vec![b'a'; 10_000]].concat();
    assert!(gateway.answer(&long).starts_with("HTTP/1.1 431 "));
    // Those who ask for nothing hold up nobody, and go.
    let idle: Vec<TcpStream> = (0..20).map(|_| gateway.connect()).collect();
    gateway.scrape();
    for mut stream in idle {
        assert_eq!(stream.read(&mut [0; 16]).unwrap_or(0), 0);
    }
    gateway.scrape();
}

#[test]
fn a_socket_serves_too_and_is_gone_with_its_gateway() {
    let cctl = Instance::start();
    let path = cctl.scratch().join("metrics.sock");
    let mut gateway = Gateway::start(&cctl, &format!("unix:{}", path.display()));
    let mut stream = UnixStream::connect(&path).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.0\r\nHost: any\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert_eq!(figures(&answer).value("cctl_containers_up"), 1.0);
    let pid = Pid::from_child(&gateway.process);
    kill_process(pid, Signal::TERM).unwrap();
    assert!(gateway.process.wait().unwrap().success());
    assert!(!path.exists());
    // Killed, it leaves the file, which the next one replaces.
    let mut gateway = Gateway::start(&cctl, &format!("unix:{}", path.display()));
    gateway.process.kill().unwrap();
    gateway.process.wait().unwrap();
    assert!(path.exists());
    drop(Gateway::start(&cctl, &format!("unix:{}", path.display())));
    cctl.cctl(&["system", "metrics", "--listen", "0.0.0.0:9323"]).fails(125, &["loopback"]);
}
