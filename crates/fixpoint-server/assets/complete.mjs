// What can stand at the cursor of a query, and what it would become. Pure: names and values come
// from `sources`, which answers promises.
//
// Not the parser, which is the server's and has the last word. The surprise: a list is offered
// also where nothing has been typed yet; it shows what the language can do.

/** Fields, with what they are about. */
const FIELDS = [
  ["service", "who did it"],
  ["name", "the span's name, also called operation"],
  ["kind", "server, client, internal, producer, consumer"],
  ["status", "error, ok, unset, open"],
  ["status.message", "why it failed"],
  ["duration", "of the span"],
  ["scope", "the library or module"],
  ["root", "the name of the trace's first span"],
  ["trace.duration", "of the whole trace"],
  ["trace.spans", "how many"],
  ["trace.errors", "how many spans failed"],
  ["trace.open", "a span has not ended"],
  ["log", "the text of a log line"],
];

const SHORT = [
  ["error", "a span that failed"],
  ["open", "a trace that goes on"],
  ["missing(", "there is no such span"],
  ["has(", "there is such a span as well"],
];

const OPS = [
  ["=", "is"], ["!=", "is another"], ["~", "contains"], ["!~", "does not contain"],
  [">", "more"], [">=", "at least"], ["<", "less"], ["<=", "at most"],
  ["exists", "there is one"], ["missing", "there is none"],
];

const FIXED = {
  kind: ["server", "client", "internal", "producer", "consumer"],
  status: ["error", "ok", "unset", "open"],
  duration: ["100ms", "1s", "10s", "1m"],
  "trace.duration": ["1s", "10s", "1m", "10m"],
  "trace.spans": ["100", "1000"],
  "trace.errors": ["0"],
  "trace.open": ["true", "false"],
};

const MOST = 12;
const TOKEN = /"(?:[^"\\]|\\.)*"?|`(?:[^`\\]|\\.)*`?|!=|!~|<=|>=|[=<>~()]|[^\s"`()=!<>~]+|./gsu;

/** The tokens of a query: `{text, from, to}`. */
export function tokens(text) {
  return [...text.matchAll(TOKEN)]
    .filter((match) => match[0].trim() !== "")
    .map((match) => ({ text: match[0], from: match.index, to: match.index + match[0].length }));
}

/**
 * What is wanted at the cursor: `{want, field, word, from, to, inside, service}`. `want` is
 * "condition", "op", "value" or "join"; the text from `from` to `to` is what has been typed of it.
 */
export function wanted(text, cursor) {
  const all = tokens(text);
  const current = all.find((token) => token.from < cursor && cursor <= token.to && !isPunctuation(token, cursor));
  const before = all.filter((token) => token.to <= (current?.from ?? cursor));
  const typed = current ? { word: text.slice(current.from, cursor), from: current.from, to: current.to } : { word: "", from: cursor, to: cursor };
  let want = "condition";
  let field = "";
  let after = false;
  let inside = "";
  let previous = "";
  for (const [index, { text: token }] of before.entries()) {
    const lower = token.toLowerCase();
    if (token === "(") {
      inside = previous;
      want = "condition";
    } else if (token === ")") {
      after = inside === "missing";
      inside = "";
      want = "join";
    } else if (want === "join") {
      if (lower === "and" || lower === "or" || lower === "after") want = "condition";
    } else if (want === "op" && isOp(lower)) {
      want = lower === "exists" || lower === "missing" ? "join" : "value";
    } else if (want === "value") {
      want = "join";
      after = false;
    } else if (isCompared(before, index, current)) {
      want = "op";
      field = unquoted(token);
    } else {
      want = lower === "has" || lower === "missing" ? "condition" : "join";
      after = false;
    }
    previous = lower;
  }
  return { want, field, inside, after: want === "join" && after, named: previous === "after" || inside !== "", service: serviceOf(before), ...typed };
}

/**
 * What to offer: `[{text, about}]`, each standing for the text from `from` to `to`. `sources` has
 * `services()`, `operations(service)`, `attributes()` and `values(name)`.
 */
export async function offers(place, sources) {
  const { want, field, after } = place;
  const pairs = (list) => list.map(([text, about]) => ({ text, about }));
  let found = [];
  if (want === "join") {
    found = pairs([["and", place.inside ? "of the same span" : "both hold"], ...(place.inside ? [] : [["or", "either holds"]]), ...(after ? [["after", "this span"]] : [])]);
    if (place.inside) found.push({ text: ")", about: "end" });
  } else if (want === "op") {
    found = pairs(OPS);
  } else if (want === "value") {
    const values = FIXED[field] ?? await valuesOf(field, place, sources);
    found = values.map((value) => ({ text: FIXED[field] ? value : quoted(value), about: "" }));
  } else {
    const [operations, attributes] = await Promise.all([sources.operations(place.service), sources.attributes()]);
    const names = operations.map((name) => ({ text: quoted(name), about: "operation" }));
    const fields = [...pairs(SHORT), ...pairs(FIELDS), ...attributes.map((name) => ({ text: plain(name), about: "attribute" }))];
    found = place.named ? [...names, ...fields] : [...fields, ...names];
  }
  return matching(found, place.word).slice(0, MOST);
}

/** The text with an offer taken up, and where the cursor is then: where the next word begins. */
export function taken(text, place, offer) {
  const rest = text.slice(place.to);
  const start = text.slice(0, place.from);
  const joins = place.want === "join" && offer.text !== ")" && /\S$/.test(start);
  // What is typed next in parentheses may be the closing one.
  const whole = offer.text.endsWith("(") || (place.inside && /[")]$/.test(offer.text) && offer.text !== ")");
  const spaced = rest.startsWith(" ");
  const before = `${start}${joins ? " " : ""}${offer.text}${whole || spaced ? "" : " "}`;
  return { text: before + rest, cursor: before.length + (spaced && !whole ? 1 : 0) };
}

/** A text as a query writes it. */
export function quoted(text) {
  return `"${text.replace(/["\\]/g, "\\$&").replaceAll("\n", "\\n")}"`;
}

/** A length of time in nanoseconds as a query writes it, with three digits. */
export function lengthText(nanos) {
  const units = [["h", 3.6e12], ["m", 6e10], ["s", 1e9], ["ms", 1e6], ["us", 1e3]];
  const [unit, size] = units.find(([, least]) => nanos >= least) ?? ["ns", 1];
  return `${+(nanos / size).toPrecision(3)}${unit}`;
}

async function valuesOf(field, place, sources) {
  if (field === "service") return sources.services();
  if (field === "name") return sources.operations(place.service);
  if (field === "root") return sources.operations("");
  return field === "log" || field === "scope" || field === "status.message" ? [] : sources.values(field);
}

// What begins like the word comes first, then what holds it; a word that is whole offers nothing.
function matching(found, word) {
  const bare = word.replace(/^["`]/, "").toLowerCase();
  const text = (offer) => offer.text.replace(/^["`]/, "").toLowerCase();
  const begins = found.filter((offer) => text(offer).startsWith(bare));
  const holds = found.filter((offer) => bare !== "" && !text(offer).startsWith(bare) && text(offer).includes(bare));
  const rest = [...begins, ...holds];
  return rest.length === 1 && rest[0].text === word ? [] : rest;
}

function isPunctuation(token, cursor) {
  const closed = /^(".*"|`.*`)$/s.test(token.text) && token.text.length > 1 && cursor === token.to;
  return closed || /^[()]$/.test(token.text);
}

function isOp(token) {
  return OPS.some(([op]) => op === token);
}

// A word is a field if it is one of ours, if an operator follows, or if it is written as a name.
function isCompared(before, index, current) {
  const token = before[index].text;
  const next = (before[index + 1] ?? current)?.text.toLowerCase();
  if (token.startsWith("`") || FIELDS.some(([name]) => name === token.toLowerCase() && name !== "trace.open")) return true;
  return next !== undefined && isOp(next) && !(next === "missing" && before[index + 2]?.text === "(");
}

function serviceOf(before) {
  const at = before.findIndex((token, index) => token.text.toLowerCase() === "service" && before[index + 1]?.text === "=");
  const value = at >= 0 ? before[at + 2]?.text : undefined;
  return value === undefined ? "" : unquoted(value);
}

function unquoted(token) {
  return /^["`]/.test(token) ? token.replace(/^["`]|["`]$/g, "").replace(/\\(.)/g, "$1") : token;
}

function plain(name) {
  return /^[\w.-]+$/.test(name) && name.includes(".") ? name : `\`${name.replace(/[`\\]/g, "\\$&")}\``;
}
