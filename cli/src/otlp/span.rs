//! Spans of calls, as OTLP has them in JSON.
//! <https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>

use crate::journal::{COMMAND, Span};
use serde_json::{Value, json};

/// SPAN_KIND_SERVER
const SERVER: u8 = 2;
/// STATUS_CODE_ERROR
const ERROR: u8 = 2;

fn object(of: &Span) -> Value {
    let text = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
    let (_, method) = of.method.split_once('.').unwrap_or(("", &of.method));
    let mut span = json!({
        // No trace has the number zero.
        "traceId": format!("cc71{:0>28}", &of.request[..COMMAND]),
        "spanId": format!("{:016x}", of.id),
        "name": of.method,
        "kind": SERVER,
        "startTimeUnixNano": of.start.to_string(),
        "endTimeUnixNano": of.end.to_string(),
        "attributes": [
            text("rpc.system", "capnp"),
            text("rpc.service", &of.process),
            text("rpc.method", method),
            text("cctl.request", &of.request),
        ],
    });
    if let Some(parent) = of.parent {
        span["parentSpanId"] = format!("{parent:016x}").into();
    }
    if let Some(failure) = &of.failure {
        span["status"] = json!({"code": ERROR, "message": failure});
    }
    span
}

/// The body of a request to the collector.
pub(super) fn export(spans: &[Span]) -> String {
    let mut processes: Vec<&str> = spans.iter().map(|span| span.process.as_str()).collect();
    processes.sort_unstable();
    processes.dedup();
    let of = |process: &str| spans.iter().filter(|span| span.process == process).map(object).collect::<Vec<_>>();
    let resources = processes.into_iter().map(|process| {
        json!({
            "resource": {"attributes": [
                {"key": "service.namespace", "value": {"stringValue": "cctl"}},
                {"key": "service.name", "value": {"stringValue": process}},
            ]},
            "scopeSpans": [{
                "scope": {"name": "cctl", "version": env!("CARGO_PKG_VERSION")},
                "spans": of(process),
            }],
        })
    });
    json!({"resourceSpans": resources.collect::<Vec<_>>()}).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{Record, with_parents};

    fn span(process: &str, method: &str, request: &str, second: u32, us: u64) -> Span {
        let line = format!(
            r#"{{"timestamp":"2024-01-02T03:04:{second:02}.000000Z","level":"INFO","fields":{{"message":"done","us":{us}}},"spans":[{{"method":"{method}","request":"{request}","name":"call"}}]}}"#
        );
        Span::of(process, &Record::read(&line).unwrap()).unwrap()
    }

    #[test]
    fn a_call_within_a_call_is_a_part_of_it() {
        let request = "5eed00000100000a";
        let mut spans = [
            span("executor", "executor.start", request, 10, 1_000_000),
            span("containers", "containers.start", request, 11, 4_000_000),
            span("containers", "containers.wait", request, 30, 30_000_000),
            span("network", "network.attach", "5eed00000100000b", 10, 1_000_000),
            span("filesystem", "filesystem.mount", request, 11, 3_000_000),
        ];
        with_parents(&mut spans);
        assert_eq!(spans[0].parent, Some(spans[1].id));
        assert_eq!((spans[1].parent, spans[2].parent, spans[3].parent), (None, None, None));
        assert_eq!(spans[4].parent, Some(spans[1].id));
        let body: Value = serde_json::from_str(&export(&spans)).unwrap();
        let names: Vec<_> = (0..4)
            .map(|index| {
                body["resourceSpans"][index]["resource"]["attributes"][1]["value"]["stringValue"].as_str().unwrap()
            })
            .collect();
        assert_eq!(names, ["containers", "executor", "filesystem", "network"]);
        let start = &body["resourceSpans"][1]["scopeSpans"][0]["spans"][0];
        assert_eq!(start["traceId"], "cc710000000000000000005eed000001");
        assert_eq!(start["traceId"].as_str().unwrap().len(), 32);
        assert_eq!(start["endTimeUnixNano"], "1704164650000000000");
        assert_eq!(start["startTimeUnixNano"], "1704164649000000000");
        assert_eq!(start["parentSpanId"], format!("{:016x}", spans[1].id));
        assert_eq!(start["attributes"][2]["value"]["stringValue"], "start");
    }

    #[test]
    fn a_failure_is_an_error_and_other_lines_are_no_spans() {
        let failed = r#"{"timestamp":"2024-01-02T03:04:05Z","level":"INFO","fields":{"message":"failed","us":5,"failure":"no such thing"},"spans":[{"method":"a.b","request":"5eed000001000000","name":"call"}]}"#;
        let json = object(&Span::of("a", &Record::read(failed).unwrap()).unwrap());
        assert_eq!(
            (json["status"]["code"].as_u64(), json["status"]["message"].as_str()),
            (Some(2), Some("no such thing"))
        );
        for other in
            [failed.replace("\"us\":5,", ""), failed.replace("5eed", "é"), failed.replace("\"us\":5", "\"us\":-5")]
        {
            assert!(Record::read(&other).and_then(|record| Span::of("a", &record)).is_none(), "{other}");
        }
    }
}
