// Reads OTLP JSON and log lines into plain objects. Pure: no DOM, no network, no clock.
//
// The one surprise: times are milliseconds as a float *relative to a base second*, because
// nanoseconds since 1970 do not fit into a double.

const KINDS = ["internal", "internal", "server", "client", "producer", "consumer"];

/** Milliseconds after `base` (whole seconds since 1970) of a decimal count of nanoseconds. */
export function relative(nanos, base) {
  const text = String(nanos);
  return (Number(text.slice(0, -9)) - base) * 1e3 + Number(text.slice(-9)) / 1e6;
}

/** The earliest whole second in an OTLP document, to be used as base; `undefined` if it is empty. */
export function baseSecond(document) {
  let base;
  for (const { span } of eachSpan(document)) {
    const second = Number(String(span.startTimeUnixNano).slice(0, -9));
    if (base === undefined || second < base) base = second;
  }
  return base;
}

/** All spans of an OTLP document. A span without end has `end: null`: it is still open. */
export function spansOf(document, base) {
  const spans = [];
  for (const { span, service } of eachSpan(document)) {
    const ended = span.endTimeUnixNano !== undefined && String(span.endTimeUnixNano) !== "0";
    spans.push({
      id: span.spanId,
      parent: span.parentSpanId || null,
      name: span.name,
      kind: typeof span.kind === "string" ? span.kind.replace("SPAN_KIND_", "").toLowerCase() : KINDS[span.kind ?? 0],
      start: relative(span.startTimeUnixNano, base),
      end: ended ? relative(span.endTimeUnixNano, base) : null,
      failed: isError(span.status),
      message: span.status?.message ?? "",
      attributes: attributesOf(span.attributes),
      events: (span.events ?? []).map((event) => ({
        time: relative(event.timeUnixNano, base),
        name: event.name,
        attributes: attributesOf(event.attributes),
      })),
      links: (span.links ?? []).map((link) => ({ traceId: link.traceId, spanId: link.spanId })),
      service,
    });
  }
  return spans;
}

/** Log lines of the API (`{logs: […]}` or a bare list), with `at` in relative milliseconds. */
export function logsOf(document, base) {
  const lines = Array.isArray(document) ? document : (document?.logs ?? []);
  return lines.map(({ time, level, message, trace_id: _trace, span_id: spanId, target, ...fields }) => ({
    at: fromTimestamp(time, base),
    time,
    level: String(level ?? "INFO").toUpperCase(),
    message: message ?? "",
    spanId: spanId ?? null,
    target: target ?? "",
    fields,
  }));
}

/** RFC 3339 with up to nine decimals to relative milliseconds; `Date.parse` alone keeps three. */
export function fromTimestamp(text, base) {
  const [, head, fraction = "", zone] = /^(.*?)(?:\.(\d+))?(Z|[+-]\d\d:?\d\d)?$/.exec(String(text));
  return Date.parse(head + (zone ?? "Z")) - base * 1e3 + Number(`0.${fraction || 0}`) * 1e3;
}

function* eachSpan(document) {
  for (const group of document?.resourceSpans ?? []) {
    const service = attributesOf(group.resource?.attributes)["service.name"] ?? "";
    for (const scope of group.scopeSpans ?? []) {
      for (const span of scope.spans ?? []) yield { span, service };
    }
  }
}

function isError(status) {
  return status?.code === 2 || status?.code === "STATUS_CODE_ERROR";
}

function attributesOf(list) {
  const attributes = {};
  for (const { key, value } of list ?? []) attributes[key] = valueOf(value);
  return attributes;
}

function valueOf(value) {
  if (!value) return null;
  if ("stringValue" in value) return value.stringValue;
  if ("intValue" in value) return Number.isSafeInteger(Number(value.intValue)) ? Number(value.intValue) : value.intValue;
  if ("doubleValue" in value) return value.doubleValue;
  if ("boolValue" in value) return value.boolValue;
  if ("arrayValue" in value) return (value.arrayValue.values ?? []).map(valueOf);
  if ("kvlistValue" in value) return attributesOf(value.kvlistValue.values);
  return value.bytesValue ?? null;
}
