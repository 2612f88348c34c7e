//! What every service keeps: `schema/common.capnp`.

use crate::Subject;
use crate::line::{Line, connect};
use crate::report::{Outcome, Report, expect};
use capnp::any_pointer;
use capnp::traits::HasTypeId;
use futures::future::{join_all, try_join_all};
use schema::bindings::common_capnp::{Code, outcome, service};
use schema::bindings::{
    containers_capnp, executor_capnp, filesystem_capnp, image_store_capnp, log_collector_capnp, network_capnp,
};
use schema::common::PROTOCOL;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// No id, no name, no reference.
const MALFORMED: &str = "../\u{1}";
/// Connections that must be possible side by side.
const CONNECTIONS: usize = 32;
/// Calls that must be possible at once.
const CALLS: usize = 1000;
/// Larger than any message may be.
const TOO_LARGE: usize = 9 << 20;
/// For what needs no work at all.
const SOON: Duration = Duration::from_secs(10);

type Bare = Line<service::Client>;

/// The checks that are the same for all.
pub(crate) async fn check(subject: &Subject, report: &mut Report) {
    let socket = &subject.socket();
    report.check("hello says which service it is", says_who(socket, subject.service)).await;
    if !report.is_reachable() {
        return;
    }
    report.check("hello: unknown features are ignored", unknown_features(socket)).await;
    report.check("the epoch is that of the process, not of the connection", one_epoch(socket)).await;
    report.check("many connections are served side by side", many_connections(socket)).await;
    report.check("connections that say nothing hold up nobody", idle(socket)).await;
    report.check("a thousand calls over one connection are all answered", many_calls(socket)).await;
    report.check("an unknown method is unimplemented, and the connection goes on", unknown_method(socket)).await;
    report.check("what is malformed is a failure, not an exception", malformed(socket, subject.service, false)).await;
    report.check("a call whose time is over is answered", malformed(socket, subject.service, true)).await;
    report.check("bytes that are no message harm nobody else", garbage(socket)).await;
    report.check("half a message and then the end harms nobody else", torn(socket)).await;
    report.check("a message that is too large harms nobody else", too_large(socket)).await;
    report.check("callers that go away harm nobody else", gone(socket)).await;
}

async fn says_who(socket: &Path, service: &str) -> Outcome {
    let about = Bare::connect(socket).await?.hello(0).await?;
    expect(about.service == service, format!("it says that it is {:?}, not {service:?}", about.service))?;
    expect(about.protocol == PROTOCOL, format!("it speaks protocol {}, not {PROTOCOL}", about.protocol))?;
    expect(!about.version.is_empty(), "it says no version")?;
    expect(about.epoch != 0, "its epoch is 0: it cannot be told from the next start")
}

async fn unknown_features(socket: &Path) -> Outcome {
    let line = Bare::connect(socket).await?;
    let (all, none) = (line.hello(u64::MAX).await?, line.hello(0).await?);
    expect(all.epoch == none.epoch, "another epoch")?;
    expect(none.features == 0, format!("features {:#x} that the caller does not know", none.features))
}

async fn one_epoch(socket: &Path) -> Outcome {
    let (one, two) = (Bare::connect(socket).await?, Bare::connect(socket).await?);
    let epochs = [one.hello(0).await?.epoch, two.hello(0).await?.epoch, one.hello(0).await?.epoch];
    expect(epochs.iter().all(|epoch| *epoch == epochs[0]), format!("{epochs:?}"))
}

async fn many_connections(socket: &Path) -> Outcome {
    let lines = try_join_all((0..CONNECTIONS).map(|_| Bare::connect(socket))).await?;
    try_join_all(lines.iter().map(|line| line.hello(0))).await.map(drop)
}

async fn idle(socket: &Path) -> Outcome {
    let quiet = join_all((0..CONNECTIONS).map(|_| connect(socket))).await;
    answered_soon(socket).await?;
    drop(quiet);
    Ok(())
}

async fn answered_soon(socket: &Path) -> Outcome {
    let begun = Instant::now();
    Bare::connect(socket).await?.hello(0).await?;
    expect(begun.elapsed() < SOON, format!("another caller waited for {:?}", begun.elapsed()))
}

async fn many_calls(socket: &Path) -> Outcome {
    let line = Bare::connect(socket).await?;
    try_join_all((0..CALLS).map(|_| line.hello(0))).await.map(drop)
}

async fn unknown_method(socket: &Path) -> Outcome {
    let line = Bare::connect(socket).await?;
    let request = line.client.client.new_call::<any_pointer::Owned, any_pointer::Owned>(
        <service::Client as HasTypeId>::TYPE_ID,
        999,
        None,
    );
    match request.send().promise.await {
        Ok(_) => return Err("method 999 of Service answers".to_owned()),
        Err(error) if error.kind == capnp::ErrorKind::Unimplemented => {}
        Err(error) => return Err(format!("the exception is {:?}, not Unimplemented: {error}", error.kind)),
    }
    line.hello(0).await.map(drop)
}

/// Calls a method that takes a name, with what is none.
macro_rules! with_name {
    ($socket:ident, $ends:ident, $client:ty, $method:ident, $set:ident) => {{
        let line = Line::<$client>::connect($socket).await?;
        let mut request = line.client.$method();
        let mut params = request.get();
        params.$set(MALFORMED);
        params.init_call().set_deadline_ms(if $ends { 0 } else { 10_000 });
        let failed = |error: capnp::Error| format!("an exception: {error}");
        let response = request.send().promise.await.map_err(failed)?;
        let outcome = response.get().and_then(|answer| answer.get_outcome()).map_err(failed)?;
        match outcome.which() {
            Ok(outcome::Failure(failure)) => failure.and_then(|failure| Ok(failure.get_code()?)).map_err(failed)?,
            Ok(outcome::Ok(_)) => return Err(format!("the name {MALFORMED:?} is taken for one")),
            Err(unknown) => return Err(format!("the outcome is neither: {unknown}")),
        }
    }};
}

async fn malformed(socket: &Path, service: &str, time_is_over: bool) -> Outcome {
    let begun = Instant::now();
    let code = match service {
        schema::image_store::SERVICE => {
            with_name!(socket, time_is_over, image_store_capnp::image_store::Client, resolve_request, set_reference)
        }
        schema::filesystem::SERVICE => {
            with_name!(socket, time_is_over, filesystem_capnp::filesystem::Client, release_request, set_id)
        }
        schema::network::SERVICE => {
            with_name!(socket, time_is_over, network_capnp::network::Client, detach_request, set_id)
        }
        schema::executor::SERVICE => {
            with_name!(socket, time_is_over, executor_capnp::executor::Client, destroy_request, set_id)
        }
        schema::log_collector::SERVICE => {
            with_name!(socket, time_is_over, log_collector_capnp::log_collector::Client, remove_request, set_id)
        }
        _ => with_name!(socket, time_is_over, containers_capnp::containers::Client, inspect_request, set_container),
    };
    let mut allowed = vec![Code::InvalidArgument];
    // A manager of containers may know them by names of any kind.
    allowed.extend((service == schema::containers::SERVICE).then_some(Code::NotFound));
    allowed.extend(time_is_over.then_some(Code::DeadlineExceeded));
    expect(allowed.contains(&code), format!("the code is {code:?}, not one of {allowed:?}"))?;
    expect(begun.elapsed() < SOON, format!("it took {:?}", begun.elapsed()))
}

async fn garbage(socket: &Path) -> Outcome {
    let other = Bare::connect(socket).await?;
    other.hello(0).await?;
    for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0xff; 64], &[0; 64], &[0, 0, 0, 0, 2, 0, 0, 0, 9, 9, 9, 9]] {
        let mut stream = connect(socket).await.map_err(|error| error.to_string())?;
        // It may be closed already.
        let _ = stream.write_all(bytes).await;
        other.hello(0).await?;
    }
    answered_soon(socket).await
}

async fn torn(socket: &Path) -> Outcome {
    let mut stream = connect(socket).await.map_err(|error| error.to_string())?;
    stream.write_all(&[0, 0, 0, 0, 16, 0, 0, 0, 1, 2, 3]).await.map_err(|error| error.to_string())?;
    drop(stream);
    answered_soon(socket).await
}

async fn too_large(socket: &Path) -> Outcome {
    let mut stream = connect(socket).await.map_err(|error| error.to_string())?;
    let words = u32::try_from(TOO_LARGE / 8).unwrap_or(u32::MAX);
    let head = [0_u32.to_le_bytes(), words.to_le_bytes()].concat();
    // What it does with the connection is its own matter, also to read no further.
    let send = async {
        stream.write_all(&head).await?;
        stream.write_all(&vec![0; TOO_LARGE]).await?;
        stream.read(&mut [0; 64]).await
    };
    let _ = tokio::time::timeout(Duration::from_secs(2), send).await;
    answered_soon(socket).await
}

async fn gone(socket: &Path) -> Outcome {
    for _ in 0..CONNECTIONS {
        let line = Bare::connect(socket).await?;
        let waiting: Vec<_> = (0..8).map(|_| line.client.hello_request().send()).collect();
        tokio::task::yield_now().await;
        drop(waiting);
    }
    answered_soon(socket).await
}
