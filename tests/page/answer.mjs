// Answers as the server gives them, made from OTLP JSON: the columns of `/rows`, and the search.
// `crates/fixpoint-server/src/http/rows.rs` is the real one.

/** The answer of `/v1/traces/{id}/rows` with every attribute of `names`, or all that are no bodies. */
export function rowsAnswer(trace, { partial = null } = {}) {
  const spans = spansOf(trace).sort((a, b) => (a.start < b.start ? -1 : a.start > b.start ? 1 : 0));
  const origin = spans.length > 0 ? spans[0].start : 0n;
  const places = new Map(spans.map(({ span }, place) => [span.spanId, place]));
  const answer = { origin: String(origin), partial, names: [], services: [], ids: "", parent: [], missing: [], name: [], service: [], kind: [],
    start: [], duration: [], failed: [], attributes: {}, events: [] };
  const dictionary = (list, known = new Map()) => (text) => {
    if (!known.has(text)) known.set(text, list.push(text) - 1);
    return known.get(text);
  };
  const [name, service, values] = [dictionary(answer.names), dictionary(answer.services), {}];
  spans.forEach(({ span, of, start }, place) => {
    answer.ids += span.spanId;
    const parent = span.parentSpanId ? places.get(span.parentSpanId) ?? -2 : -1;
    answer.parent.push(parent);
    if (parent === -2) answer.missing.push([place, span.parentSpanId]);
    answer.name.push(name(span.name));
    answer.service.push(service(of));
    answer.kind.push(span.kind);
    answer.start.push(Number(start - origin));
    answer.duration.push(span.endTimeUnixNano ? Math.max(0, Number(BigInt(span.endTimeUnixNano) - start)) : null);
    if (span.status?.code === 2) answer.failed.push([place, span.status.message ?? ""]);
    for (const { key, value } of span.attributes ?? []) {
      if (!WANTED.has(key)) continue;
      const column = (answer.attributes[key] ??= { values: [], at: [], value: [] });
      values[key] ??= dictionary(column.values);
      column.at.push(place);
      column.value.push(values[key](plain(value)));
    }
    for (const event of span.events ?? []) answer.events.push([place, Number(BigInt(event.timeUnixNano) - origin), event.name]);
  });
  return answer;
}

/** The answer of `/v1/traces/{id}/matches`. */
export function matchesAnswer(trace, logs, query) {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean).map((word) => /^([^=]+)=(.*)$/.exec(word) ?? [word, null, word]);
  const holds = ({ span, of }) => words.every(([, key, text]) => {
    const own = (span.attributes ?? []).filter((attribute) => key === null || attribute.key.toLowerCase() === key);
    const others = key === null ? [span.name, span.spanId, of, span.status?.message ?? "", ...own.map((a) => a.key),
      ...logs.filter((line) => line.span_id === span.spanId).map((line) => line.message)] : [];
    return [...others, ...own.map((a) => String(plain(a.value)))].some((held) => held.toLowerCase().includes(text));
  });
  return { spans: spansOf(trace).filter(holds).map(({ span }) => span.spanId) };
}

/** OTLP JSON with the one span, for `/v1/traces/{id}/spans/{span_id}`; undefined if there is none. */
export function spanAnswer(trace, id) {
  for (const group of trace.resourceSpans) {
    const span = group.scopeSpans[0].spans.find((each) => each.spanId === id);
    if (span) return { resourceSpans: [{ ...group, scopeSpans: [{ spans: [span] }] }] };
  }
  return undefined;
}

const { ROW_ATTRIBUTES } = await import(new URL("../../crates/fixpoint-server/assets/spans.mjs", import.meta.url));
const WANTED = new Set(ROW_ATTRIBUTES);

function spansOf(trace) {
  return trace.resourceSpans.flatMap((group) => {
    const of = group.resource.attributes.find(({ key }) => key === "service.name")?.value.stringValue ?? "";
    return group.scopeSpans.flatMap(({ spans }) => spans.map((span) => ({ span, of, start: BigInt(span.startTimeUnixNano) })));
  });
}

function plain(value) {
  return value.stringValue ?? value.boolValue ?? Number(value.intValue);
}
