// OpenTelemetry's SDK for JavaScript sends spans by each of its protocols; what is read back equals
// what it sent.
//
//   FIXPOINT_URL, FIXPOINT_OTLP_GRPC, FIXPOINT_OTLP_HTTP   where a server listens
//   FIXPOINT_MODULES                                       the folder of node_modules
//
// Not here: log lines, which the SDK for Python sends. The surprise: what was sent is taken from a
// second exporter of the same SDK, which keeps spans in memory. No expectation is written by hand.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { test } from "node:test";

const { FIXPOINT_URL, FIXPOINT_OTLP_GRPC, FIXPOINT_OTLP_HTTP, FIXPOINT_MODULES } = process.env;
const require = createRequire(`${FIXPOINT_MODULES}/any.js`);
const api = require("@opentelemetry/api");
const { resourceFromAttributes } = require("@opentelemetry/resources");
const { BatchSpanProcessor, InMemorySpanExporter, NodeTracerProvider, SimpleSpanProcessor } =
  require("@opentelemetry/sdk-trace-node");

const exporters = {
  grpc: () => {
    const { OTLPTraceExporter } = require("@opentelemetry/exporter-trace-otlp-grpc");
    return new OTLPTraceExporter({ url: FIXPOINT_OTLP_GRPC, compression: "gzip" });
  },
  "http/protobuf": () => {
    const { OTLPTraceExporter } = require("@opentelemetry/exporter-trace-otlp-proto");
    return new OTLPTraceExporter({ url: `${FIXPOINT_OTLP_HTTP}/v1/traces`, compression: "gzip" });
  },
  "http/json": () => {
    const { OTLPTraceExporter } = require("@opentelemetry/exporter-trace-otlp-http");
    return new OTLPTraceExporter({ url: `${FIXPOINT_OTLP_HTTP}/v1/traces` });
  },
};

const attributes = {
  text: "Grüße, 世界 \u{1F30D}",
  empty: "",
  yes: true,
  no: false,
  zero: 0,
  largest: Number.MAX_SAFE_INTEGER,
  smallest: -Number.MAX_SAFE_INTEGER,
  fraction: 0.1,
  huge: 1.5e300,
  texts: ["a", "b"],
  numbers: [1, 2.5],
  booleans: [true, false],
  none: [],
};

/** Makes spans of every shape with the tracer. */
function work(tracer) {
  const elsewhere = {
    traceId: "0af7651916cd43dd8448eb211c80319c",
    spanId: "b7ad6b7169203331",
    traceFlags: 1,
  };
  const links = [{ context: elsewhere, attributes: { why: "retried" } }];
  const root = tracer.startSpan("checkout", { kind: api.SpanKind.SERVER, attributes, links });
  const context = api.trace.setSpan(api.context.active(), root);
  // An enum of TypeScript holds its names by number, too.
  for (const kind of Object.values(api.SpanKind).filter(Number.isInteger)) {
    tracer.startSpan(`of kind ${api.SpanKind[kind]}`, { kind }, context).end();
  }
  const failed = tracer.startSpan("charge", {}, context);
  failed.addEvent("declined", { code: 51 });
  failed.recordException(new Error("card declined"));
  failed.setStatus({ code: api.SpanStatusCode.ERROR, message: "card declined" });
  failed.end();
  const fine = tracer.startSpan("ship", {}, context);
  fine.setStatus({ code: api.SpanStatusCode.OK });
  fine.end();
  root.end();
}

const sorted = (object) => Object.fromEntries(Object.entries(object).sort());

/** A span of the SDK as plain data. */
function sentSpan(span) {
  const nanos = ([seconds, nanos]) => String(BigInt(seconds) * 1_000_000_000n + BigInt(nanos));
  return {
    trace: span.spanContext().traceId,
    id: span.spanContext().spanId,
    parent: span.parentSpanContext?.spanId ?? "",
    name: span.name,
    kind: span.kind + 1,
    start: nanos(span.startTime),
    end: nanos(span.endTime),
    status: { code: span.status.code, message: span.status.message ?? "" },
    attributes: sorted(span.attributes),
    events: span.events.map((event) => ({
      name: event.name,
      time: nanos(event.time),
      attributes: sorted(event.attributes ?? {}),
    })),
    links: span.links.map((link) => ({
      trace: link.context.traceId,
      id: link.context.spanId,
      attributes: sorted(link.attributes ?? {}),
    })),
    scope: span.instrumentationScope.name,
    version: span.instrumentationScope.version,
    resource: sorted(span.resource.attributes),
  };
}

/** A value of OTLP's JSON as JavaScript has it. */
function plain(value) {
  if ("arrayValue" in value) return (value.arrayValue.values ?? []).map(plain);
  if ("intValue" in value) return Number(value.intValue);
  return Object.values(value)[0];
}

const keyed = (pairs = []) => sorted(Object.fromEntries(pairs.map((p) => [p.key, plain(p.value)])));

/** The spans of OTLP's JSON as plain data. */
function* readSpans(data) {
  for (const { resource, scopeSpans } of data.resourceSpans) {
    for (const { scope, spans } of scopeSpans) {
      for (const span of spans) {
        yield {
          trace: span.traceId,
          id: span.spanId,
          parent: span.parentSpanId ?? "",
          name: span.name,
          kind: span.kind,
          start: span.startTimeUnixNano,
          end: span.endTimeUnixNano,
          status: { code: span.status?.code ?? 0, message: span.status?.message ?? "" },
          attributes: keyed(span.attributes),
          events: (span.events ?? []).map((event) => ({
            name: event.name,
            time: event.timeUnixNano,
            attributes: keyed(event.attributes),
          })),
          links: (span.links ?? []).map((link) => ({
            trace: link.traceId,
            id: link.spanId,
            attributes: keyed(link.attributes),
          })),
          scope: scope?.name,
          version: scope?.version,
          resource: keyed(resource.attributes),
        };
      }
    }
  }
}

const byId = (spans) => [...spans].sort((a, b) => (a.id < b.id ? -1 : 1));

for (const [protocol, exporter] of Object.entries(exporters)) {
  test(`spans sent by ${protocol} arrive as they were sent`, async () => {
    const memory = new InMemorySpanExporter();
    const provider = new NodeTracerProvider({
      resource: resourceFromAttributes({ "service.name": `javascript ${protocol}`, ...attributes }),
      spanProcessors: [new BatchSpanProcessor(exporter()), new SimpleSpanProcessor(memory)],
    });
    work(provider.getTracer("shop", "1.2.3"));
    await provider.forceFlush();
    const sent = memory.getFinishedSpans().map(sentSpan);
    assert.equal(sent.length, 8);

    const answer = await fetch(`${FIXPOINT_URL}/v1/traces/${sent[0].trace}`);
    assert.equal(answer.status, 200);
    const read = [...readSpans(await answer.json())];
    assert.deepEqual(byId(read), byId(sent));
    await provider.shutdown();
  });
}
