//! Zipkin v2: what senders report, what readers get, and the same back again.

use std::sync::Arc;

use fixpoint_trace::{
    model::{Attributes, Event, Kind, Record, Scope, Span, Status, Trace, Value},
    otlp,
    store::Signal,
    zipkin,
};
use proptest::{collection::vec, option, prelude::*, sample::Index};
use prost::Message;
use serde_json::{Value as Json, json};

use crate::any;

fn decode(json: &Json) -> Vec<Span> {
    let decoded = zipkin::decode(json.to_string().as_bytes()).unwrap();
    assert_eq!(decoded.accepted.rejected, 0, "{}", decoded.accepted.message);
    spans(decoded.records)
}

fn spans(records: Vec<Record>) -> Vec<Span> {
    let span = |record| match record {
        Record::Span(span) => span,
        Record::Log(log) => panic!("no span: {log:?}"),
    };
    records.into_iter().map(span).collect()
}

fn there_and_back(json: &Json) -> Json {
    zipkin::to_json(&Trace { spans: decode(json), ..Trace::default() })
}

/// The client's half of a call, as the documentation of the API has it.
fn client() -> Json {
    json!({
        "traceId": "5982fe77008310cc80f1da5e10147517",
        "parentId": "90394f6bcffb5d13",
        "id": "bd7a977555f6b982",
        "kind": "CLIENT",
        "name": "query",
        "timestamp": 1_458_702_548_467_000_u64,
        "duration": 386_000,
        "localEndpoint": {"serviceName": "zipkin-server", "ipv4": "10.57.50.83", "port": 9411},
        "remoteEndpoint": {
            "serviceName": "mysql", "ipv4": "10.57.50.84", "ipv6": "2001:db8::c001", "port": 3306
        },
        "annotations": [{"timestamp": 1_458_702_548_467_010_u64, "value": "wire send"}],
        "tags": {"sql.query": "select 1", "error": "too slow"},
        "debug": true,
    })
}

#[test]
fn a_span_of_zipkin_is_read_by_the_names_of_opentelemetry() {
    let [span] = &decode(&json!([client()]))[..] else { panic!() };
    assert_eq!(span.trace_id.to_string(), "5982fe77008310cc80f1da5e10147517");
    assert_eq!(span.parent.unwrap().to_string(), "90394f6bcffb5d13");
    assert_eq!(
        (span.name.as_str(), span.kind, span.service()),
        ("query", Kind::Client, "zipkin-server")
    );
    assert_eq!((span.start, span.duration()), (1_458_702_548_467_000_000, Some(386_000_000)));
    assert_eq!(span.status, Status::Error("too slow".into()));
    assert_eq!(span.events[0].name, "wire send");
    assert_eq!(span.events[0].time, 1_458_702_548_467_010_000);
    let expected = Attributes::from([
        ("sql.query".to_owned(), Value::from("select 1")),
        ("peer.service".to_owned(), "mysql".into()),
        ("network.peer.address".to_owned(), "10.57.50.84".into()),
        ("network.peer.port".to_owned(), Value::Int(3306)),
        ("network.local.address".to_owned(), "10.57.50.83".into()),
        ("network.local.port".to_owned(), Value::Int(9411)),
        ("zipkin.remote_ipv6".to_owned(), "2001:db8::c001".into()),
        ("zipkin.debug".to_owned(), true.into()),
    ]);
    assert_eq!(span.attributes, expected);
}

#[test]
fn the_two_halves_of_a_shared_span_do_not_overwrite_each_other() {
    let mut server = client();
    server["kind"] = json!("SERVER");
    server["shared"] = json!(true);
    server["localEndpoint"]["serviceName"] = json!("mysql");
    let both = json!([client(), server]);
    let [client, server] = &decode(&both)[..] else { panic!() };
    assert_ne!(client.span_id, server.span_id);
    assert_eq!(server.parent, Some(client.span_id));
    assert_eq!(decode(&both)[1].span_id, server.span_id, "the same whenever it is sent");
    assert_eq!(there_and_back(&both), both);
}

#[test]
fn two_servers_that_share_one_span_are_two() {
    let mut servers = [client(), client()];
    for (server, name) in servers.iter_mut().zip(["a", "b"]) {
        server["kind"] = json!("SERVER");
        server["shared"] = json!(true);
        server["localEndpoint"]["serviceName"] = json!(name);
    }
    let spans = decode(&json!(servers));
    assert_ne!(spans[0].span_id, spans[1].span_id);
    assert_eq!(spans[0].parent, spans[1].parent);
}

#[test]
fn short_ids_are_padded_and_zeros_are_no_parent() {
    let spans = decode(&json!([
        {"traceId": "80F1DA5E10147517", "id": "1", "parentId": "0000000000000000"},
        {"traceId": "80f1da5e10147517", "id": "2", "parentId": "2"},
    ]));
    assert_eq!(spans[0].trace_id.to_string(), "000000000000000080f1da5e10147517");
    assert_eq!(spans[0].span_id.to_string(), "0000000000000001");
    assert_eq!((spans[0].parent, spans[1].parent), (None, None));
    let json = zipkin::to_json(&Trace { spans, ..Trace::default() });
    assert_eq!(json[0]["traceId"], "80f1da5e10147517");
}

#[test]
fn a_span_without_a_duration_is_over_and_one_without_a_time_began_with_its_first_annotation() {
    let sent = json!([
        {"traceId": "80f1da5e10147517", "id": "000000000000000a", "timestamp": 5},
        {"traceId": "80f1da5e10147517", "id": "000000000000000b", "annotations": [
            {"timestamp": 9, "value": "late"}, {"timestamp": 8, "value": "early"}]},
    ]);
    let spans = decode(&sent);
    assert_eq!((spans[0].start, spans[0].end), (5000, Some(5000)));
    assert_eq!((spans[1].start, spans[1].end), (8000, Some(8000)));
    assert_eq!(there_and_back(&sent), sent);
}

#[test]
fn tags_that_stand_for_fields_go_back_to_them() {
    let [ok, failed] = &decode(&json!([
        {"traceId": "1", "id": "1", "timestamp": 1, "tags": {
            "otel.status_code": "OK", "otel.scope.name": "lib", "otel.scope.version": "1",
            "otel.dropped_attributes_count": "2", "w3c.tracestate": "a=b", "http.path": 5}},
        {"traceId": "1", "id": "2", "timestamp": 1, "tags": {
            "otel.status_code": "ERROR", "otel.status_description": "why",
            "otel.library.name": "old"}},
    ]))[..] else {
        panic!()
    };
    assert_eq!(
        (&ok.status, ok.trace_state.as_str(), ok.dropped.attributes),
        (&Status::Ok, "a=b", 2)
    );
    assert_eq!((ok.scope.name.as_str(), ok.scope.version.as_str()), ("lib", "1"));
    assert_eq!(ok.attributes, Attributes::from([("http.path".to_owned(), "5".into())]));
    assert_eq!((&failed.status, failed.scope.name.as_str()), (&Status::Error("why".into()), "old"));
}

#[test]
fn an_error_tag_is_a_failure_and_stays_as_it_was_sent() {
    for (text, status) in [
        ("boom", Status::Error("boom".into())),
        ("", Status::Error(String::new())),
        ("true", Status::Error(String::new())),
        ("false", Status::Unset),
    ] {
        let sent = json!([{"traceId": "80f1da5e10147517", "id": "000000000000000a",
            "timestamp": 5, "tags": {"error": text}}]);
        assert_eq!(decode(&sent)[0].status, status, "{text}");
        assert_eq!(there_and_back(&sent), sent);
    }
}

#[test]
fn a_span_of_opentelemetry_is_written_as_its_specification_says() {
    let context = decode(&json!([client()]))[0].context();
    let span = Span {
        kind: Kind::Producer,
        end: Some(10_000_900),
        status: Status::Ok,
        attributes: Attributes::from([
            ("bool".to_owned(), true.into()),
            ("list".to_owned(), Value::Array(vec![Value::Int(1), "x".into()])),
            ("server.address".to_owned(), "broker".into()),
        ]),
        events: vec![Event {
            time: 10_000_000,
            name: "retry".into(),
            attributes: Attributes::from([("attempt".to_owned(), Value::Int(2))]),
            ..Event::default()
        }],
        scope: Arc::new(Scope::named("lib")),
        resource: Arc::new(Attributes::from([
            ("service.name".to_owned(), "shop".into()),
            ("host.name".to_owned(), "h".into()),
        ])),
        ..Span::new(context, "send", 10_000_800)
    };
    let trace = Trace { spans: vec![span], ..Trace::default() };
    let json = zipkin::to_json(&trace);
    assert_eq!(
        json,
        json!([{
            "traceId": "5982fe77008310cc80f1da5e10147517",
            "id": "bd7a977555f6b982",
            "kind": "PRODUCER",
            "name": "send",
            "timestamp": 10_000,
            "duration": 1,
            "localEndpoint": {"serviceName": "shop"},
            "remoteEndpoint": {"serviceName": "broker"},
            "annotations": [{"timestamp": 10_000, "value": r#""retry": {"attempt":2}"#}],
            "tags": {
                "bool": "true", "list": r#"[1,"x"]"#, "server.address": "broker",
                "otel.status_code": "OK", "otel.scope.name": "lib", "host.name": "h",
            },
        }])
    );
    assert_eq!(decode(&json)[0].events, trace.spans[0].events);
}

#[test]
fn an_annotation_nested_deeper_than_values_may_be_stays_text() {
    // The outermost list is not within another.
    for (lists, attributes) in [(25, 1), (26, 0)] {
        let text = format!(r#""deep": {{"a":{}{}}}"#, "[".repeat(lists), "]".repeat(lists));
        let sent = json!([{"traceId": "80f1da5e10147517", "id": "000000000000000a",
            "timestamp": 5, "annotations": [{"timestamp": 5, "value": text}]}]);
        let [span] = &decode(&sent)[..] else { panic!() };
        assert_eq!(span.events[0].attributes.len(), attributes, "{lists}");
        // What was taken can be stored, and given back.
        let stored = otlp::decode(Signal::Traces, &otlp::encode_spans(&[span])).unwrap();
        assert_eq!(stored.records, [Record::Span(span.clone())]);
        assert_eq!(there_and_back(&sent), sent);
    }
}

#[test]
fn a_span_that_is_not_valid_is_counted_and_costs_the_others_nothing() {
    for (field, bad, why) in [
        ("traceId", json!(""), "trace id"),
        ("traceId", json!("0".repeat(33)), "trace id"),
        ("id", json!("0"), "span id"),
        ("parentId", json!("x"), "span id"),
        ("kind", json!("FRIEND"), "unknown variant"),
        ("timestamp", json!(-1), "no such integer"),
        ("tags", json!({"a": {}}), "no text"),
    ] {
        let mut span = client();
        span[field] = bad;
        let decoded = zipkin::decode(json!([span, client()]).to_string().as_bytes()).unwrap();
        let told = decoded.accepted;
        assert_eq!((told.accepted, told.rejected), (1, 1), "{field}");
        assert!(told.message.contains(why), "{}", told.message);
    }
    let error = zipkin::decode(b"{}").unwrap_err();
    assert_eq!(error.to_string(), "could not read Zipkin spans in JSON");
}

/// What an official encoder of protobuf makes of a small span, bytes by hand from `zipkin.proto`.
fn proto_span() -> Vec<u8> {
    let mut bytes = vec![0x0a, 8, 0x80, 0xf1, 0xda, 0x5e, 0x10, 0x14, 0x75, 0x17]; // trace_id
    bytes.extend([0x1a, 8, 0, 0, 0, 0, 0, 0, 0, 7]); // id
    bytes.extend([0x20, 2]); // kind: SERVER
    bytes.extend(b"\x2a\x03get"); // name
    bytes.push(0x31); // timestamp
    bytes.extend(5_u64.to_le_bytes());
    bytes.extend([0x38, 3]); // duration
    bytes.extend(b"\x42\x0b\x0a\x01s\x12\x04\x0a\x00\x00\x01\x20\x50"); // local_endpoint
    bytes.extend(b"\x5a\x06\x0a\x01k\x12\x01v"); // tags
    bytes.extend([0x68, 1]); // shared
    bytes
}

fn proto_list(spans: &[&[u8]]) -> Vec<u8> {
    #[derive(Message)]
    struct List {
        #[prost(bytes = "vec", repeated, tag = "1")]
        spans: Vec<Vec<u8>>,
    }
    List { spans: spans.iter().map(|span| span.to_vec()).collect() }.encode_to_vec()
}

#[test]
fn protobuf_says_the_same_as_json() {
    let decoded = zipkin::decode_protobuf(&proto_list(&[&proto_span(), &[0x0a, 9]])).unwrap();
    assert_eq!((decoded.accepted.accepted, decoded.accepted.rejected), (1, 1));
    let expected = decode(&json!([{
        "traceId": "80f1da5e10147517", "id": "0000000000000007", "kind": "SERVER", "name": "get",
        "timestamp": 5, "duration": 3, "shared": true, "tags": {"k": "v"},
        "localEndpoint": {"serviceName": "s", "ipv4": "10.0.0.1", "port": 80},
    }]));
    assert_eq!(spans(decoded.records), expected);
}

fn endpoint() -> impl Strategy<Value = Json> {
    let fields = (
        option::of("[a-z]{1,8}"),
        option::of(any::<[u8; 4]>()),
        option::of(any::<[u8; 16]>()),
        option::of(1..u16::MAX),
    );
    fields.prop_map(|(name, v4, v6, port)| {
        object([
            ("serviceName", name.map(Json::from)),
            ("ipv4", v4.map(|ip| std::net::Ipv4Addr::from(ip).to_string().into())),
            ("ipv6", v6.map(|ip| std::net::Ipv6Addr::from(ip).to_string().into())),
            ("port", port.map(Json::from)),
        ])
    })
}

fn object<const N: usize>(fields: [(&str, Option<Json>); N]) -> Json {
    let fields = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Json::Object(fields.filter(|(_, value)| *value != json!({})).collect())
}

prop_compose! {
    /// Any span as a tracer of Zipkin may report it: tags named as it likes, but not as fields of
    /// OpenTelemetry's.
    fn zipkin_span()(
        (trace_high, trace, id) in (any::<u64>(), 1..u64::MAX, 1..u64::MAX),
        parent in option::of(1..u64::MAX),
        kind in option::of(prop_oneof![
            Just("CLIENT"), Just("SERVER"), Just("PRODUCER"), Just("CONSUMER")]),
        name in option::of(".{1,9}"),
        (timestamp, duration) in (option::of(1..1_u64 << 53), option::of(1..1_u64 << 40)),
        (local, remote) in (endpoint(), endpoint()),
        annotations in vec((1..1_u64 << 53, any::<String>()), 0..3),
        tags in vec(("[a-z]{1,4}\\.[a-z]{1,4}|error", any::<String>()), 0..4),
        (debug, shared) in (any::<bool>(), any::<bool>()),
    ) -> Json {
        let digits = |id: u64| Json::from(format!("{id:016x}"));
        let trace_id = if trace_high == 0 {
            format!("{trace:016x}")
        } else {
            format!("{trace_high:016x}{trace:016x}")
        };
        let annotations: Vec<_> = annotations.into_iter()
            .map(|(timestamp, value)| json!({"timestamp": timestamp, "value": value})).collect();
        let tags: serde_json::Map<_, _> =
            tags.into_iter().map(|(key, value)| (key, value.into())).collect();
        let shared = shared && kind == Some("SERVER");
        object([
            ("traceId", Some(trace_id.into())),
            ("parentId", parent.filter(|&parent| parent != id).map(digits)),
            ("id", Some(digits(id))),
            ("kind", kind.map(Json::from)),
            ("name", name.map(Json::from)),
            ("timestamp", timestamp.map(Json::from)),
            ("duration", duration.filter(|_| timestamp.is_some()).map(Json::from)),
            ("localEndpoint", Some(local)),
            ("remoteEndpoint", Some(remote)),
            ("annotations", (!annotations.is_empty()).then(|| annotations.into())),
            ("tags", Some(Json::Object(tags))),
            ("debug", debug.then(|| true.into())),
            ("shared", shared.then(|| true.into())),
        ])
    }
}

proptest! {
    #[test]
    fn any_span_of_zipkin_is_given_back_as_it_was_sent(span in zipkin_span()) {
        let sent = json!([span]);
        prop_assert_eq!(there_and_back(&sent), sent);
    }

    #[test]
    fn any_span_at_all_can_be_written_and_read(span in any::span()) {
        let json = zipkin::to_json(&Trace { spans: vec![span.clone()], ..Trace::default() });
        let decoded = zipkin::decode(json.to_string().as_bytes()).unwrap();
        let [Record::Span(back)] = &decoded.records[..] else { panic!("{decoded:?}") };
        prop_assert_eq!(back.context(), span.context());
        prop_assert_eq!((&back.name, back.kind), (&span.name, span.kind));
        prop_assert_eq!(back.start, span.start / 1000 * 1000);
    }

    #[test]
    fn damaged_spans_are_read_or_refused(
        span in zipkin_span(),
        hits in vec((any::<Index>(), any::<u8>()), 1..4),
    ) {
        let mut json = json!([span]).to_string().into_bytes();
        let mut protobuf = proto_list(&[&proto_span()]);
        for (place, to) in hits {
            let at = place.index(json.len());
            json[at] = to;
            let at = place.index(protobuf.len());
            protobuf[at] = to;
        }
        for decoded in [zipkin::decode(&json), zipkin::decode_protobuf(&protobuf)].into_iter().flatten() {
            prop_assert!(decoded.records.len() <= 1);
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..200)) {
        let _ = zipkin::decode(&bytes);
        if let Ok(decoded) = zipkin::decode_protobuf(&bytes) {
            prop_assert!(decoded.records.len() <= bytes.len());
        }
    }
}
