//! The network, with sandboxes that are namespaces in which nothing runs but `sleep`.

use crate::Subject;
use crate::report::{Outcome, Report, call, expect, refused, words};
use nix::sched::{CloneFlags, setns};
use schema::call::RequestId;
use schema::common::{PortBinding, Protocol, SandboxRef};
use schema::network::{AttachSpec, Client, Mode};
use schema::{Code, ContainerId};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(10);

pub(crate) async fn check(subject: &Subject, report: &mut Report) {
    let client = &Client::new(&subject.instance);
    report.check("info answers", async { client.info(&call()).await.map(drop).map_err(words) }).await;
    report
        .check("detach of an unknown container is done, and again", async {
            client.detach(&call(), &new_id()).await.map_err(words)?;
            client.detach(&call(), &new_id()).await.map_err(words)
        })
        .await;
    report.check("a sandbox that is gone is notFound", gone(client)).await;
    if !nix::unistd::geteuid().is_root() {
        report.skip("network: sandboxes", "to be root: it makes network namespaces");
        return;
    }
    report.check("a container without a network has loopback", none(client)).await;
    report.check("a container on the bridge has eth0, its address and no other's", bridge(client)).await;
    report.check("attach again gives the same answer, and nothing else", again(client)).await;
    report.check("a published port leads to the container", published(client)).await;
    report.check("a port that is in use is a conflict that names it", in_use(client)).await;
    report.check("a failed attach leaves nothing", failed_attach(client)).await;
    report.check("tearDown of a network in use is a conflict", torn_down(client)).await;
    let name = "reconcile releases what is not named, and no other";
    if subject.disposable {
        report.check(name, reconciled(client)).await;
    } else {
        report.skip(name, "--disposable");
    }
}

/// Network namespaces, and the process that keeps them.
struct Sandbox {
    id: ContainerId,
    reference: SandboxRef,
    process: Child,
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Sandbox {
    fn new() -> Result<Self, String> {
        Self::make().map_err(|error| format!("making a network namespace by unshare(1): {error}"))
    }

    fn make() -> io::Result<Self> {
        let process = Command::new("unshare")
            .args(["--net", "sleep", "600"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()?;
        let pid = i32::try_from(process.id()).map_err(io::Error::other)?;
        let mut sandbox = Self { id: new_id(), reference: SandboxRef { pid, start_time: start_time(pid)? }, process };
        // unshare(1) has made the namespace when it has become sleep(1).
        let begun = Instant::now();
        while fs::read_to_string(format!("/proc/{pid}/comm"))?.trim() != "sleep" {
            if sandbox.process.try_wait()?.is_some() || begun.elapsed() > SOON {
                return Err(io::Error::other("it does not start"));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(sandbox)
    }

    /// What a file below /proc/PID/net says.
    fn net(&self, file: &str) -> String {
        fs::read_to_string(format!("/proc/{}/net/{file}", self.reference.pid)).unwrap_or_default()
    }

    fn has(&self, interface: &str) -> bool {
        self.net("dev").lines().any(|line| line.trim_start().starts_with(&format!("{interface}:")))
    }

    /// Answers each connection to a port with one word, from within.
    fn serve(&self, port: u16) -> Result<(), String> {
        let namespace =
            File::open(format!("/proc/{}/ns/net", self.reference.pid)).map_err(|error| error.to_string())?;
        let listen = move || {
            setns(namespace, CloneFlags::CLONE_NEWNET)?;
            TcpListener::bind(("0.0.0.0", port))
        };
        let made = std::thread::spawn(listen).join().map_err(|_| "the thread has panicked".to_owned())?;
        let listener = made.map_err(|error| format!("listening in the namespace: {error}"))?;
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let mut stream = stream;
                let _ = stream.write_all(b"within");
            }
        });
        Ok(())
    }
}

/// Field 22 of /proc/PID/stat; the second field may have blanks and brackets in it.
fn start_time(pid: i32) -> io::Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let after_name = text.rsplit_once(')').map_or("", |(_, rest)| rest);
    let field = after_name.split_whitespace().nth(19).and_then(|field| field.parse().ok());
    field.ok_or_else(|| io::Error::other("/proc/PID/stat has no start time"))
}

fn new_id() -> ContainerId {
    let mut bytes = [0; 32];
    bytes.chunks_mut(8).for_each(|chunk| chunk.copy_from_slice(&RequestId::random().0.to_le_bytes()));
    ContainerId::from_bytes(bytes)
}

fn spec(mode: Mode, ports: &[(u16, u16)]) -> AttachSpec {
    let binding = |&(host_port, container_port)| PortBinding {
        host_address: None,
        host_port,
        container_port,
        protocol: Protocol::Tcp,
    };
    AttachSpec { mode, ports: ports.iter().map(binding).collect() }
}

async fn gone(client: &Client) -> Outcome {
    for mode in [Mode::Bridge, Mode::None] {
        // The process is there, and is another than was meant.
        let pid = i32::try_from(std::process::id()).map_err(|error| error.to_string())?;
        let reference = SandboxRef { pid, start_time: u64::MAX };
        let answer = client.attach(&call(), &new_id(), &reference, &spec(mode, &[])).await;
        refused(answer, &[Code::NotFound], "attach")?;
    }
    Ok(())
}

async fn none(client: &Client) -> Outcome {
    let sandbox = Sandbox::new()?;
    let attachment =
        client.attach(&call(), &sandbox.id, &sandbox.reference, &spec(Mode::None, &[])).await.map_err(words)?;
    expect(attachment.address.is_none() && attachment.ports.is_empty(), format!("{attachment:?}"))?;
    expect(sandbox.net("fib_trie").contains("127.0.0.1"), "loopback is not up")?;
    expect(!sandbox.has("eth0"), "it has eth0")?;
    client.detach(&call(), &sandbox.id).await.map_err(words)
}

async fn bridge(client: &Client) -> Outcome {
    let (one, two) = (Sandbox::new()?, Sandbox::new()?);
    let mut addresses = Vec::new();
    let info = client.info(&call()).await.map_err(words)?;
    for sandbox in [&one, &two] {
        let attachment =
            client.attach(&call(), &sandbox.id, &sandbox.reference, &spec(Mode::Bridge, &[])).await.map_err(words)?;
        let address = attachment.address.ok_or("no address")?;
        let gateway = attachment.gateway.ok_or("no gateway")?;
        expect(sandbox.has("eth0"), "there is no eth0")?;
        expect(sandbox.net("fib_trie").contains(&address.to_string()), format!("{address} is not in the namespace"))?;
        expect(gateway.to_string() == info.gateway, format!("gateway {gateway}, and info says {}", info.gateway))?;
        let of_subnet = |address: std::net::Ipv4Addr| u32::from(address) >> (32 - u32::from(attachment.prefix_length));
        expect(of_subnet(address) == of_subnet(gateway), format!("{address} is not beside {gateway}"))?;
        expect(sandbox.net("route").lines().any(|line| line.starts_with("eth0\t00000000\t")), "no default route")?;
        addresses.push(address);
    }
    expect(addresses[0] != addresses[1], format!("both have {}", addresses[0]))?;
    let now = client.info(&call()).await.map_err(words)?;
    expect(now.attached == info.attached + 2, format!("{} attached, then {}", info.attached, now.attached))?;
    for sandbox in [&one, &two] {
        client.detach(&call(), &sandbox.id).await.map_err(words)?;
    }
    let now = client.info(&call()).await.map_err(words)?;
    expect(now.attached == info.attached, format!("{} attached, and after all {}", info.attached, now.attached))
}

async fn again(client: &Client) -> Outcome {
    let sandbox = Sandbox::new()?;
    let wanted = spec(Mode::Bridge, &[(0, 80)]);
    let attach = async |spec: &AttachSpec| client.attach(&call(), &sandbox.id, &sandbox.reference, spec).await;
    let (one, two) = (attach(&wanted).await.map_err(words)?, attach(&wanted).await.map_err(words)?);
    expect(one == two, format!("{one:?}, then {two:?}"))?;
    expect(!one.ports.is_empty() && one.ports.iter().all(|port| port.host_port != 0), format!("{:?}", one.ports))?;
    let are_addressed = one.ports.iter().all(|port| port.host_address.is_some());
    expect(are_addressed, format!("all addresses are 0.0.0.0 and ::, each by itself: {:?}", one.ports))?;
    refused(attach(&spec(Mode::Bridge, &[])).await, &[Code::Conflict], "attaching it in another way")?;
    client.detach(&call(), &sandbox.id).await.map_err(words)?;
    client.detach(&call(), &sandbox.id).await.map_err(words)
}

async fn published(client: &Client) -> Outcome {
    let sandbox = Sandbox::new()?;
    let attachment = client
        .attach(&call(), &sandbox.id, &sandbox.reference, &spec(Mode::Bridge, &[(0, 80)]))
        .await
        .map_err(words)?;
    sandbox.serve(80)?;
    let port = attachment.ports.first().ok_or("no port")?.host_port;
    let ask = move || {
        let mut stream = TcpStream::connect_timeout(&([127, 0, 0, 1], port).into(), SOON)?;
        stream.set_read_timeout(Some(SOON))?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok::<_, io::Error>(text)
    };
    let answer = tokio::task::spawn_blocking(ask).await.map_err(|error| error.to_string())?;
    let answer = answer.map_err(|error| format!("connecting to 127.0.0.1:{port}: {error}"))?;
    expect(answer == "within", format!("port {port} answers {answer:?}"))?;
    client.detach(&call(), &sandbox.id).await.map_err(words)?;
    let refused = tokio::task::spawn_blocking(ask).await.map_err(|error| error.to_string())?;
    expect(refused.is_err(), format!("port {port} answers when it was given back"))
}

/// A socket on a port of the host.
fn taken() -> Result<(TcpListener, u16), String> {
    let listener = TcpListener::bind("0.0.0.0:0").map_err(|error| error.to_string())?;
    let port = listener.local_addr().map_err(|error| error.to_string())?.port();
    Ok((listener, port))
}

async fn in_use(client: &Client) -> Outcome {
    let sandbox = Sandbox::new()?;
    let (_listener, port) = taken()?;
    let answer = client.attach(&call(), &sandbox.id, &sandbox.reference, &spec(Mode::Bridge, &[(port, 80)])).await;
    let names_it = answer.as_ref().is_err_and(|failure| failure.message.contains(&port.to_string()));
    refused(answer, &[Code::Conflict], "publishing a port that is in use")?;
    expect(names_it, format!("the message does not name port {port}"))
}

async fn failed_attach(client: &Client) -> Outcome {
    let sandbox = Sandbox::new()?;
    let before = client.info(&call()).await.map_err(words)?.attached;
    let (listener, port) = taken()?;
    let wanted = spec(Mode::Bridge, &[(port, 80)]);
    let answer = client.attach(&call(), &sandbox.id, &sandbox.reference, &wanted).await;
    refused(answer, &[Code::Conflict], "publishing a port that is in use")?;
    let after = client.info(&call()).await.map_err(words)?.attached;
    expect(before == after, format!("{before} attached, then {after}"))?;
    drop(listener);
    client.attach(&call(), &sandbox.id, &sandbox.reference, &wanted).await.map_err(words)?;
    client.detach(&call(), &sandbox.id).await.map_err(words)
}

async fn torn_down(client: &Client) -> Outcome {
    let sandbox = Sandbox::new()?;
    client.attach(&call(), &sandbox.id, &sandbox.reference, &spec(Mode::Bridge, &[])).await.map_err(words)?;
    refused(client.tear_down(&call()).await, &[Code::Conflict], "tearDown")?;
    client.detach(&call(), &sandbox.id).await.map_err(words)
}

async fn reconciled(client: &Client) -> Outcome {
    let (kept, other) = (Sandbox::new()?, Sandbox::new()?);
    let attach = async |sandbox: &Sandbox| {
        let wanted = spec(Mode::Bridge, &[(0, 80)]);
        client.attach(&call(), &sandbox.id, &sandbox.reference, &wanted).await.map_err(words)
    };
    let (one, two) = (attach(&kept).await?, attach(&other).await?);
    client.reconcile(&call(), std::slice::from_ref(&kept.id)).await.map_err(words)?;
    let attached = client.info(&call()).await.map_err(words)?.attached;
    expect(attached == 1, format!("{attached} attached, and one was named"))?;
    expect(attach(&kept).await? == one, "the one that was named has something else")?;
    let port = two.ports.first().ok_or("no port")?.host_port;
    TcpListener::bind(("0.0.0.0", port))
        .map(drop)
        .map_err(|error| format!("port {port} was not given back: {error}"))?;
    client.detach(&call(), &kept.id).await.map_err(words)
}
