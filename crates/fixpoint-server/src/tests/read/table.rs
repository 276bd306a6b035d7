//! The requests, as data.
//!
//! Taken from each system's documentation, from Grafana's data sources and from Jaeger's page. Not
//! here: what is stored (`mod.rs`).

/// A request, and what its answer holds: JSON values by pointer. Of a list without an order, or an
/// answer that is no JSON, a part of its text.
pub(super) struct Row {
    pub(super) client: &'static str,
    pub(super) path: &'static str,
    pub(super) holds: &'static [(&'static str, &'static str)],
}

const fn row(
    client: &'static str,
    path: &'static str,
    holds: &'static [(&'static str, &'static str)],
) -> Row {
    Row { client, path, holds }
}

pub(super) const ZIPKIN: &str = "Zipkin";
pub(super) const JAEGER: &str = "Jaeger";
pub(super) const JAEGER_3: &str = "Jaeger v3";
pub(super) const TEMPO: &str = "Tempo";

pub(super) const TABLE: &[Row] = &[
    row(ZIPKIN, "/api/v2/services", &[("", r#"["shop","stock"]"#)]),
    row(ZIPKIN, "/api/v2/spans?serviceName=shop", &[("", r#"["get /cart","select cart"]"#)]),
    row(ZIPKIN, "/api/v2/remoteServices?serviceName=shop", &[("", r#"["postgres"]"#)]),
    row(
        ZIPKIN,
        "/api/v2/traces?serviceName=shop&spanName=all&annotationQuery=&endTs=1700000060000&lookback=900000&limit=10",
        &[("/0/0/name", r#""get /cart""#), ("/1", "")],
    ),
    row(
        ZIPKIN,
        "/api/v2/traces?serviceName=stock&spanName=reserve&endTs=1700000060000&lookback=900000",
        &[("/0/2/name", r#""reserve""#), ("/1", "")],
    ),
    row(
        ZIPKIN,
        "/api/v2/traces?annotationQuery=http.request.method=GET and http.response.status_code&endTs=1700000060000",
        &[("/0/0/traceId", r#""000000000000ca27""#), ("/1", "")],
    ),
    row(
        ZIPKIN,
        "/api/v2/traces?annotationQuery=error&endTs=1700000060000",
        &[("/0/2/tags/error", r#""sold out""#), ("/1", "")],
    ),
    row(
        ZIPKIN,
        "/api/v2/traces?remoteServiceName=postgres&endTs=1700000060000",
        &[("/0/1/remoteEndpoint/serviceName", r#""postgres""#), ("/1", "")],
    ),
    row(
        ZIPKIN,
        "/api/v2/traces?minDuration=90000&maxDuration=110000&endTs=1700000060000",
        &[("/0/1/name", r#""select cart""#), ("/1", "")],
    ),
    row(
        ZIPKIN,
        "/api/v2/traces?endTs=1700000060000&limit=1",
        &[("/0/0/name", r#""count""#), ("/1", "")],
    ),
    row(
        ZIPKIN,
        "/api/v2/traces?endTs=1700000005000&lookback=6000",
        &[("/0/0/name", r#""get /cart""#), ("/1", "")],
    ),
    row(
        ZIPKIN,
        "/api/v2/trace/000000000000ca27",
        &[
            ("/0/kind", r#""SERVER""#),
            ("/0/timestamp", "1700000000000000"),
            ("/0/duration", "300000"),
            ("/0/localEndpoint/serviceName", r#""shop""#),
            ("/1/parentId", r#""00000000000000a1""#),
            ("/1/annotations/0/value", r#""cache miss""#),
        ],
    ),
    row(
        ZIPKIN,
        "/api/v2/traceMany?traceIds=000000000000ca27,00000000000071c4",
        &[("/0/0/name", r#""get /cart""#), ("/1/0/name", r#""count""#)],
    ),
    row(ZIPKIN, "/api/v2/autocompleteKeys", &[("/0", r#""http.request.method""#)]),
    row(ZIPKIN, "/api/v2/autocompleteValues?key=http.request.method", &[("", r#"["GET"]"#)]),
    row(
        ZIPKIN,
        "/api/v2/dependencies?endTs=1700000060000&lookback=86400000",
        &[("", r#"[{"parent":"shop","child":"stock","callCount":1,"errorCount":1}]"#)],
    ),
    row(ZIPKIN, "/health", &[("/status", r#""UP""#)]),
    row(
        JAEGER,
        "/api/services",
        &[("/data", r#"["shop","stock"]"#), ("/total", "2"), ("/errors", "null")],
    ),
    row(JAEGER, "/api/services/shop/operations", &[("/data", r#"["get /cart","select cart"]"#)]),
    row(
        JAEGER,
        "/api/operations?service=shop&spanKind=client",
        &[("/data", r#"[{"name":"select cart","spanKind":"client"}]"#)],
    ),
    row(
        JAEGER,
        "/api/traces?service=shop&operation=get /cart&start=1699999000000000&end=1700000060000000&limit=20&lookback=custom",
        &[("/data/0/spans/0/operationName", r#""get /cart""#), ("/data/1", "")],
    ),
    row(
        JAEGER,
        r#"/api/traces?service=shop&tags={"http.response.status_code":"500"}&start=1699999000000000&end=1700000060000000&limit=20"#,
        &[("/data/0/traceID", r#""000000000000ca27""#), ("/data/1", "")],
    ),
    row(
        JAEGER,
        r#"/api/traces?service=stock&tags={"error":"true"}&limit=20"#,
        &[("/data/0/traceID", r#""000000000000ca27""#), ("/data/1", "")],
    ),
    row(
        JAEGER,
        "/api/traces?service=shop&tag=http.request.method:GET&limit=20",
        &[("/data/0/traceID", r#""000000000000ca27""#), ("/data/1", "")],
    ),
    row(
        JAEGER,
        "/api/traces?service=stock&minDuration=0.5ms&maxDuration=1.5ms&limit=20",
        &[("/data/0/spans/0/operationName", r#""count""#), ("/data/1", "")],
    ),
    row(
        JAEGER,
        "/api/traces?traceID=ca27&traceID=71c4",
        &[
            ("/data/0/spans/0/operationName", r#""get /cart""#),
            ("/data/1/spans/0/operationName", r#""count""#),
        ],
    ),
    row(
        JAEGER,
        "/api/traces/0000000000000000000000000000ca27",
        &[
            ("/data/0/spans/0/spanID", r#""00000000000000a1""#),
            ("/data/0/spans/0/startTime", "1700000000000000"),
            ("/data/0/spans/0/duration", "300000"),
            ("/data/0/spans/1/references/0/refType", r#""CHILD_OF""#),
            ("/data/0/spans/1/references/0/spanID", r#""00000000000000a1""#),
            ("/data/1", ""),
        ],
    ),
    row(
        JAEGER,
        "/api/dependencies?endTs=1700000060000&lookback=86400000",
        &[("/data", r#"[{"parent":"shop","child":"stock","callCount":1}]"#)],
    ),
    row(JAEGER_3, "/api/v3/services", &[("/services", r#"["shop","stock"]"#)]),
    row(
        JAEGER_3,
        "/api/v3/operations?service=shop&span_kind=server",
        &[("/operations", r#"[{"name":"get /cart","spanKind":"server"}]"#)],
    ),
    row(
        JAEGER_3,
        "/api/v3/traces/0000000000000000000000000000ca27",
        &[("/result/resourceSpans/0/scopeSpans/0/spans/0/name", r#""get /cart""#)],
    ),
    row(
        JAEGER_3,
        "/api/v3/traces?query.serviceName=shop&query.operationName=select cart&query.startTimeMin=2023-11-14T22:00:00.000Z&query.startTimeMax=2023-11-14T23:00:00.000Z&query.durationMin=90ms&query.durationMax=110ms&query.searchDepth=20",
        &[(
            "/result/resourceSpans/0/scopeSpans/0/spans/0/traceId",
            r#""0000000000000000000000000000ca27""#,
        )],
    ),
    row(
        JAEGER_3,
        "/api/v3/traces?query.service_name=shop&query.start_time_min=2023-11-14T22:00:00Z&query.start_time_max=2023-11-14T23:00:00Z&query.num_traces=20",
        &[("/result/resourceSpans/0/scopeSpans/0/spans/0/name", r#""get /cart""#)],
    ),
    row(
        JAEGER_3,
        r#"/api/v3/trace-summaries?query.attributes={"http.request.method":"GET"}&query.startTimeMin=2023-11-14T22:00:00.000Z&query.startTimeMax=2023-11-14T23:00:00.000Z&query.searchDepth=20"#,
        &[
            ("/summaries/0/traceId", r#""0000000000000000000000000000ca27""#),
            ("/summaries/0/rootServiceName", r#""shop""#),
            ("/summaries/0/rootOperationName", r#""get /cart""#),
            ("/summaries/0/minStartTimeUnixNano", r#""1700000000000000000""#),
            ("/summaries/0/maxEndTimeUnixNano", r#""1700000000300000000""#),
            ("/summaries/0/spanCount", "3"),
            ("/summaries/0/errorSpanCount", "1"),
            ("/summaries/0/orphanSpanCount", "0"),
            ("/summaries/0/services/1", r#"{"name":"stock","spanCount":1,"errorSpanCount":1}"#),
            ("/summaries/1", ""),
        ],
    ),
    row(
        JAEGER_3,
        "/api/v3/dependencies?startTime=2023-11-14T22:00:00Z&endTime=2023-11-14T23:00:00Z",
        &[("/dependencies", r#"[{"parent":"shop","child":"stock","callCount":"1"}]"#)],
    ),
    row(TEMPO, "/api/echo", &[("", "echo")]),
    row(TEMPO, "/api/status/buildinfo", &[("/status", r#""success""#)]),
    row(
        TEMPO,
        "/api/traces/0000000000000000000000000000ca27?start=1699999000&end=1700000060",
        &[("/batches/0/scopeSpans/0/spans/0/name", r#""get /cart""#)],
    ),
    row(
        TEMPO,
        "/api/v2/traces/ca27",
        &[("/trace/resourceSpans/0/scopeSpans/0/spans/0/name", r#""get /cart""#)],
    ),
    row(
        TEMPO,
        r#"/api/search?q={resource.service.name="shop" && name="get /cart" && duration>100ms}&limit=20&spss=3&start=1699999000&end=1700000060"#,
        &[
            ("/traces/0/rootTraceName", r#""get /cart""#),
            ("/traces/0/rootServiceName", r#""shop""#),
            ("/traces/1", ""),
        ],
    ),
    row(
        TEMPO,
        "/api/search?q={status=error}",
        &[
            ("/traces/0/startTimeUnixNano", r#""1700000000000000000""#),
            ("/traces/0/durationMs", "300"),
            ("/traces/1", ""),
        ],
    ),
    row(
        TEMPO,
        "/api/search?q={}&limit=1",
        &[("/traces/0/rootTraceName", r#""count""#), ("/traces/1", "")],
    ),
    row(
        TEMPO,
        r#"/api/search?tags=service.name=shop name="get /cart"&minDuration=100ms&maxDuration=1s&limit=20"#,
        &[("/traces/0/rootTraceName", r#""get /cart""#), ("/traces/1", "")],
    ),
    row(
        TEMPO,
        "/api/search/tags?start=1699999000&end=1700000060",
        &[("/tagNames/0", r#""http.request.method""#)],
    ),
    row(
        TEMPO,
        "/api/v2/search/tags?scope=resource",
        &[("/scopes", r#"[{"name":"resource","tags":["service.name"]}]"#)],
    ),
    row(TEMPO, "/api/search/tag/service.name/values", &[("/tagValues", r#"["shop","stock"]"#)]),
    row(
        TEMPO,
        "/api/v2/search/tag/resource.service.name/values",
        &[("/tagValues/0", r#"{"type":"string","value":"shop"}"#)],
    ),
    row(TEMPO, "/api/v2/search/tag/name/values", &[("/tagValues/0/value", r#""count""#)]),
    row(
        TEMPO,
        "/api/v2/search/tag/status/values?q={resource.service.name=\"shop\"}",
        &[("/tagValues/0", r#"{"type":"keyword","value":"error"}"#)],
    ),
    row(
        TEMPO,
        "/api/v2/search/tag/span.http.request.method/values",
        &[("/tagValues", r#"[{"type":"string","value":"GET"}]"#)],
    ),
];
