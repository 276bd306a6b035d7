"""OpenTelemetry's SDK for Python sends spans and log lines; what is read back equals what it sent.

FIXPOINT_URL, FIXPOINT_OTLP_GRPC and FIXPOINT_OTLP_HTTP say where a server listens. What was sent is
taken from a second exporter of the same SDK, which keeps records in memory: no expectation is
written by hand.
"""

import base64
import json
import os
import urllib.request

import pytest
from opentelemetry import trace
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.context import get_current
from opentelemetry.exporter.otlp.proto.grpc import _log_exporter as grpc_logs
from opentelemetry.exporter.otlp.proto.grpc import trace_exporter as grpc
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http import _log_exporter as http_logs
from opentelemetry.exporter.otlp.proto.http import trace_exporter as http
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import (
    Link,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
)

URL = os.environ["FIXPOINT_URL"]
GRPC = os.environ["FIXPOINT_OTLP_GRPC"]
HTTP = os.environ["FIXPOINT_OTLP_HTTP"]

EXPORTERS = {
    "grpc": lambda: grpc.OTLPSpanExporter(endpoint=GRPC, insecure=True),
    "http/protobuf": lambda: http.OTLPSpanExporter(f"{HTTP}/v1/traces"),
    "http/protobuf, gzip": lambda: http.OTLPSpanExporter(
        f"{HTTP}/v1/traces", compression=Compression.Gzip
    ),
}
LOG_EXPORTERS = {
    "grpc": lambda: grpc_logs.OTLPLogExporter(endpoint=GRPC, insecure=True),
    "http/protobuf": lambda: http_logs.OTLPLogExporter(f"{HTTP}/v1/logs"),
}
ATTRIBUTES = {
    "text": "Grüße, 世界 \U0001f30d",
    "empty": "",
    "yes": True,
    "no": False,
    "zero": 0,
    "largest": 2**63 - 1,
    "smallest": -(2**63),
    "fraction": 0.1,
    "huge": 1.5e300,
    "texts": ["a", "b"],
    "integers": [1, -2],
    "fractions": [0.5, 2.0],
    "booleans": [True, False],
    "none": [],
}


class Strict(SpanExporter):
    """An exporter whose failures are the test's."""

    def __init__(self, inner):
        self.inner = inner
        self.results = []

    def export(self, spans):
        self.results.append(self.inner.export(spans))
        return self.results[-1]

    def shutdown(self):
        self.inner.shutdown()


def value(it):
    """A value as OTLP's JSON has it."""
    if isinstance(it, bool):
        return {"boolValue": it}
    if isinstance(it, int):
        return {"intValue": str(it)}
    if isinstance(it, float):
        return {"doubleValue": it}
    if isinstance(it, bytes):
        return {"bytesValue": base64.b64encode(it).decode()}
    if isinstance(it, str):
        return {"stringValue": it}
    return {"arrayValue": {"values": [value(each) for each in it]}}


def values(attributes):
    return {key: value(it) for key, it in (attributes or {}).items()}


def sent_span(span):
    """A span of the SDK as plain data."""
    return {
        "id": f"{span.context.span_id:016x}",
        "parent": f"{span.parent.span_id:016x}" if span.parent else "",
        "state": span.context.trace_state.to_header(),
        "name": span.name,
        "kind": span.kind.value + 1,
        "start": str(span.start_time),
        "end": str(span.end_time),
        "status": (span.status.status_code.value, span.status.description or ""),
        "attributes": values(span.attributes),
        "events": [(e.name, str(e.timestamp), values(e.attributes)) for e in span.events],
        "links": [
            (f"{l.context.trace_id:032x}", f"{l.context.span_id:016x}", values(l.attributes))
            for l in span.links
        ],
        "dropped": (span.dropped_attributes, span.dropped_events, span.dropped_links),
        "scope": (span.instrumentation_scope.name, span.instrumentation_scope.version),
        "resource": values(span.resource.attributes),
    }


def keyed(pairs):
    return {pair["key"]: pair["value"] for pair in pairs or []}


def read_spans(data):
    """The spans of OTLP's JSON as plain data."""
    for group in data["resourceSpans"]:
        for scoped in group["scopeSpans"]:
            scope = scoped.get("scope", {})
            for span in scoped["spans"]:
                status = span.get("status", {})
                dropped = ("droppedAttributesCount", "droppedEventsCount", "droppedLinksCount")
                yield {
                    "id": span["spanId"],
                    "parent": span.get("parentSpanId", ""),
                    "state": span.get("traceState", ""),
                    "name": span["name"],
                    "kind": span["kind"],
                    "start": span["startTimeUnixNano"],
                    "end": span["endTimeUnixNano"],
                    "status": (status.get("code", 0), status.get("message", "")),
                    "attributes": keyed(span.get("attributes")),
                    "events": [
                        (e["name"], e["timeUnixNano"], keyed(e.get("attributes")))
                        for e in span.get("events", [])
                    ],
                    "links": [
                        (l["traceId"], l["spanId"], keyed(l.get("attributes")))
                        for l in span.get("links", [])
                    ],
                    "dropped": tuple(span.get(count, 0) for count in dropped),
                    "scope": (scope.get("name", ""), scope.get("version", "")),
                    "resource": keyed(group["resource"].get("attributes")),
                }


def get(path):
    with urllib.request.urlopen(f"{URL}{path}") as answer:
        return json.load(answer)


def work(tracer):
    """Makes spans of every shape with the tracer."""
    elsewhere = SpanContext(
        0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331, True, TraceFlags(1)
    )
    ids = RandomIdGenerator()
    caller = SpanContext(
        ids.generate_trace_id(),
        ids.generate_span_id(),
        is_remote=True,
        trace_flags=TraceFlags(1),
        trace_state=TraceState([("vendor", "value")]),
    )
    context = trace.set_span_in_context(trace.NonRecordingSpan(caller))
    links = [Link(elsewhere, {"why": "retried"})]
    with tracer.start_as_current_span(
        "checkout", context, SpanKind.SERVER, ATTRIBUTES, links
    ) as root:
        root.add_event("paid", ATTRIBUTES)
        for kind in SpanKind:
            tracer.start_span(f"of kind {kind.name}", kind=kind).end()
        with pytest.raises(ValueError), tracer.start_as_current_span("charge"):
            raise ValueError("card declined")
        with tracer.start_as_current_span("ship") as ship:
            ship.set_status(Status(StatusCode.OK))


@pytest.mark.parametrize("protocol", EXPORTERS)
def test_spans_arrive_as_they_were_sent(protocol):
    memory, exporter = InMemorySpanExporter(), Strict(EXPORTERS[protocol]())
    provider = TracerProvider(
        resource=Resource.create({"service.name": f"python {protocol}", **ATTRIBUTES})
    )
    for each in (exporter, memory):
        provider.add_span_processor(SimpleSpanProcessor(each))
    work(provider.get_tracer("shop", "1.2.3"))

    sent = memory.get_finished_spans()
    assert len(sent) == 8
    assert exporter.results == [SpanExportResult.SUCCESS] * 8
    read = list(read_spans(get(f"/v1/traces/{sent[0].context.trace_id:032x}")))
    by_id = lambda span: span["id"]
    assert sorted(read, key=by_id) == sorted(map(sent_span, sent), key=by_id)


@pytest.mark.parametrize("protocol", LOG_EXPORTERS)
def test_log_lines_arrive_in_their_trace(protocol):
    spans = TracerProvider()
    provider = LoggerProvider(resource=Resource.create({"service.name": f"python {protocol}"}))
    provider.add_log_record_processor(SimpleLogRecordProcessor(LOG_EXPORTERS[protocol]()))
    with spans.get_tracer("shop").start_as_current_span("checkout") as span:
        line = LogRecord(
            timestamp=1_700_000_000_123_456_789,
            context=get_current(),
            severity_number=SeverityNumber.WARN,
            severity_text="WARN",
            body="3 items are sold out",
            attributes={"items": 3},
        )
        provider.get_logger("shop.cart").emit(line)
    context = span.get_span_context()

    lines = get(f"/v1/logs?trace_id={context.trace_id:032x}")["logs"]
    assert len(lines) == 1
    wanted = {
        "message": "3 items are sold out",
        "level": "WARN",
        "target": "shop.cart",
        "time": "2023-11-14T22:13:20.123456789Z",
        "span_id": f"{context.span_id:016x}",
        "items": 3,
    }
    assert {name: lines[0].get(name) for name in wanted} == wanted
