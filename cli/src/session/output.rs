//! From a container's log to our stdout and stderr.

use super::files::{Files, Source, Unusable};
use super::gaps::{self, Gaps};
use crate::console;
use crate::engine::{Engine, patient_call};
use crate::error::{Error, Result};
use crate::render::logs::Stamper;
use crate::render::time::now;
use schema::log_collector::{Chunk, Part, PartList, Record, Stream};
use schema::{Code, ContainerId, Failure};
use std::cell::Cell;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Bytes that one call answers at most.
const CHUNK: u32 = 1 << 20;
/// How long a call waits for output.
const WAIT_MS: u32 = 10_000;
/// How often files are asked for that are gone when they are opened.
const ATTEMPTS: u32 = 3;
/// Bytes that are worth a call of their own. As long as there are fewer at a time, the next call waits for more.
const ENOUGH: u64 = 1 << 20;
/// How long it waits, counted from the call before: nobody sees that, and a container that writes without end in small
/// pieces costs a thousand calls a second at most.
const PACE: Duration = Duration::from_millis(1);

/// How long a collector may go on refusing for want of descriptors or memory, and how long until it is asked again. The
/// log keeps what is not read.
const EXHAUSTED: Duration = Duration::from_secs(30);
const AGAIN: Duration = Duration::from_millis(200);

/// Bytes of a file that are written at one go.
const STEP: u64 = 1 << 20;
/// How often a client that writes what it has says that it will go on: the collector believes it for 5 s.
const RENEWED: Duration = Duration::from_secs(1);

/// A part of a container's output.
pub(crate) struct Output<'a> {
    /// Whose services.
    pub(crate) engine: &'a Engine,
    /// Whose output.
    pub(crate) id: &'a ContainerId,
    /// Where it begins.
    pub(crate) position: u64,
    /// The position at which it ends at the latest. May be found out meanwhile.
    pub(crate) until: &'a Cell<Option<u64>>,
    /// Only what was captured before this time: nanoseconds since the Unix epoch.
    pub(crate) before: Option<i64>,
    /// Whether to wait for more, until the container has ended.
    pub(crate) follow: bool,
    /// A random number of an attached client, whom the container waits for; 0: only looking on.
    pub(crate) reader: u64,
}

/// Output that follows each other in one stream.
struct Span {
    stream: Stream,
    /// Bytes of the stream that were dropped just before.
    dropped: u64,
    /// When it was captured, if that is known: nanoseconds since the Unix epoch.
    at: Option<i64>,
    body: Body,
}

enum Body {
    Bytes(Vec<u8>),
    /// Bytes of a file, from an offset on.
    Part(Arc<Source>, u64, u64),
}

impl Body {
    fn length(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Part(_, _, length) => *length,
        }
    }

    fn truncate(&mut self, most: u64) {
        match self {
            Self::Bytes(bytes) => bytes.truncate(usize::try_from(most).unwrap_or(usize::MAX)),
            Self::Part(_, _, length) => *length = most.min(*length),
        }
    }
}

/// What one call answered.
struct Spans {
    spans: Vec<Span>,
    next: u64,
    lost: u64,
    ended: bool,
}

/// What is to be written, and where; of a part of a file, the position of its first byte.
struct Piece {
    stream: Stream,
    body: Body,
    position: u64,
}

/// How output is come by.
struct Way {
    /// None: through the collector.
    files: Option<Files>,
    /// When the last call was made, if it was answered with little.
    little: Option<Instant>,
}

impl Output<'_> {
    /// Writes the streams that are wanted, each line with its time if there is a `stamper`, and says where something is
    /// missing. While one chunk is written, the next one is read. Fails with `notFound` if the log is gone.
    pub(crate) async fn copy(&self, wanted: impl Fn(Stream) -> bool, mut stamper: Option<Stamper>) -> Result {
        let plain = stamper.is_none() && self.before.is_none();
        let files = plain.then(|| Files::of(&self.engine.instance)).flatten();
        let mut way = Way { files, little: None };
        let (mut position, mut gaps) = (self.position, Gaps::default());
        let mut pieces: Vec<Piece> = Vec::new();
        loop {
            let wants_more = self.until.get().is_none_or(|until| position < until);
            let read = async {
                let more = if wants_more { Some(self.next(&mut way, position).await?) } else { None };
                Ok::<_, Error>(more)
            };
            let (chunk, stopped) = tokio::try_join!(read, self.write(std::mem::take(&mut pieces), position))?;
            if let Some(stopped) = stopped {
                // A file does not have what it should: the collector says what is lost.
                (position, gaps, way.files) = (stopped, Gaps::default(), None);
                continue;
            }
            let Some(chunk) = chunk else { break };
            let done = chunk.ended || chunk.spans.iter().any(|span| self.is_late(span));
            let idle = chunk.next == position && !self.waits();
            position = chunk.next;
            if chunk.lost > 0 {
                pieces.push(said(gaps::rotated(chunk.lost)));
            }
            for (span, position) in self.wanted(chunk) {
                let Span { stream, dropped, at, body } = span;
                if !wanted(stream) {
                    continue;
                }
                gaps.add(stream, dropped);
                let body = match (&mut stamper, body) {
                    (Some(stamper), Body::Bytes(bytes)) => Body::Bytes(stamper.stamp(at.unwrap_or(0), stream, &bytes)),
                    (_, body) => body,
                };
                if body.length() > 0 {
                    pieces.extend(gaps.tell().map(said));
                    pieces.push(Piece { stream, body, position });
                }
            }
            pieces.extend(gaps.tell_now_and_then().map(said));
            if done || idle {
                // If a file does not have it all, there is more to be done.
                let Some(stopped) = self.write(std::mem::take(&mut pieces), position).await? else { break };
                (position, gaps, way.files) = (stopped, Gaps::default(), None);
            }
        }
        self.write(gaps.tell().map(said).into_iter().collect(), position).await.map(drop)
    }

    /// Writes pieces, and keeps what comes from `next` on from being rotated away as long as somebody takes them.
    async fn write(&self, pieces: Vec<Piece>, next: u64) -> Result<Option<u64>> {
        if pieces.is_empty() {
            return Ok(None);
        }
        let written = Arc::new(AtomicU64::new(0));
        tokio::select! {
            stopped = write(pieces, Arc::clone(&written)) => stopped,
            never = self.hold(next, &written) => match never {},
        }
    }

    /// Says again and again that this client reads, if it does.
    async fn hold(&self, next: u64, written: &AtomicU64) -> Infallible {
        if self.reader == 0 {
            return std::future::pending().await;
        }
        let mut before = 0;
        loop {
            tokio::time::sleep(RENEWED).await;
            let now = written.load(Ordering::Relaxed);
            if std::mem::replace(&mut before, now) != now {
                // If it fails, so does the next call, which says why.
                let _ = self.engine.logs.read_attached(&patient_call(), self.id, next, 1, 0, self.reader).await;
            }
        }
    }

    /// The spans of a chunk up to where the output ends, each with its position.
    fn wanted(&self, chunk: Spans) -> impl Iterator<Item = (Span, u64)> {
        let bytes: u64 = chunk.spans.iter().map(|span| span.dropped + span.body.length()).sum();
        let mut at = chunk.next - bytes;
        let until = self.until.get().unwrap_or(u64::MAX);
        let in_time = chunk.spans.into_iter().take_while(|span| !self.is_late(span));
        in_time.map_while(move |mut span| {
            if at >= until {
                return None;
            }
            span.dropped = span.dropped.min(until - at);
            at += span.dropped;
            span.body.truncate(until - at);
            let position = at;
            at += span.body.length();
            Some((span, position))
        })
    }

    fn is_late(&self, span: &Span) -> bool {
        self.before.is_some_and(|before| span.at.is_some_and(|at| at >= before))
    }

    fn waits(&self) -> bool {
        self.follow && self.before.is_none_or(|before| now() < before)
    }

    /// What comes from a position on.
    async fn next(&self, way: &mut Way, position: u64) -> Result<Spans, Failure> {
        if let Some(asked) = way.little.take() {
            tokio::time::sleep_until((asked + PACE).into()).await;
        }
        let asked = Instant::now();
        let spans = match self.by_files(&mut way.files, position).await {
            Some(spans) => spans,
            None => self.read(position).await?,
        };
        let bytes = spans.next - position.min(spans.next);
        way.little = (self.follow && bytes > 0 && bytes < ENOUGH).then_some(asked);
        Ok(spans)
    }

    /// The same, by the files; none: through the collector, from now on or this once.
    async fn by_files(&self, files: &mut Option<Files>, position: u64) -> Option<Spans> {
        for _ in 0..ATTEMPTS {
            let (opened, wait_ms) = (files.as_mut()?, self.wait_ms());
            let told = self.engine.logs.parts(&patient_call(), self.id, position, 0, wait_ms, self.reader).await;
            // A collector that knows no files, or that has no such log: reading says which.
            let found = told.map_or(Err(Unusable::Forbidden), |told| {
                let sources = opened.open(&told.files)?;
                spans(told, sources).ok_or(Unusable::Forbidden)
            });
            match found {
                Ok(spans) => return Some(spans),
                Err(Unusable::Moved) => {}
                Err(Unusable::Forbidden) => *files = None,
            }
        }
        None
    }

    async fn read(&self, position: u64) -> Result<Spans, Failure> {
        let since = Instant::now();
        let Chunk { records, next, lost, ended } = loop {
            let (call, wait_ms) = (patient_call(), self.wait_ms());
            match self.engine.logs.read_attached(&call, self.id, position, CHUNK, wait_ms, self.reader).await {
                Err(failure) if failure.code == Code::ResourceExhausted && since.elapsed() < EXHAUSTED => {
                    tokio::time::sleep(AGAIN).await;
                }
                answer => break answer?,
            }
        };
        let span =
            |Record { at, stream, data, dropped }| Span { stream, dropped, at: Some(at), body: Body::Bytes(data) };
        Ok(Spans { spans: records.into_iter().map(span).collect(), next, lost, ended })
    }

    /// How long a call waits for output.
    fn wait_ms(&self) -> u32 {
        let left = self.before.map_or(i64::MAX, |before| before.saturating_sub(now()) / 1_000_000 + 1);
        if self.waits() { u32::try_from(left).unwrap_or(WAIT_MS).min(WAIT_MS) } else { 0 }
    }
}

/// Parts with their files; none: they name one that is not there.
fn spans(told: PartList, sources: &[Arc<Source>]) -> Option<Spans> {
    let PartList { files: _, parts, next, lost, ended } = told;
    let span = |Part { stream, file, offset, length, dropped }| {
        let body = match length {
            0 => Body::Bytes(Vec::new()),
            length => Body::Part(Arc::clone(sources.get(file as usize)?), offset, length),
        };
        Some(Span { stream, dropped, at: None, body })
    };
    Some(Spans { spans: parts.into_iter().map(span).collect::<Option<_>>()?, next, lost, ended })
}

fn said(text: String) -> Piece {
    Piece { stream: Stream::Stderr, body: Body::Bytes(text.into_bytes()), position: 0 }
}

/// Writes pieces in their order, and counts what was taken. A reader that is slow holds up nothing else. Answers the position
/// at which it stopped because a file does not have what it should.
async fn write(pieces: Vec<Piece>, count: Arc<AtomicU64>) -> Result<Option<u64>> {
    let writing = tokio::task::spawn_blocking(move || {
        for Piece { stream, body, position } in pieces {
            match body {
                Body::Bytes(bytes) => {
                    console::write(stream, &bytes)?;
                    count.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                }
                Body::Part(source, offset, length) => {
                    let mut done = 0;
                    while done < length {
                        let wanted = STEP.min(length - done);
                        let written = source.write(stream, offset + done, wanted)?;
                        done += written;
                        count.fetch_add(written, Ordering::Relaxed);
                        if written < wanted {
                            return Ok(Some(position + done));
                        }
                    }
                }
            }
        }
        Ok(None)
    });
    writing.await.map_err(|error| Failure::internal(format_args!("writing output: {error}")))?
}
