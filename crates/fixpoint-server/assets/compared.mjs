// Two traces and what differs between them, as one set of spans that the waterfall can draw. Pure.
//
// Not for reading (`compare.mjs`) or drawing (`differences.mjs`). The surprise: a call that is
// missing becomes a span, a *ghost*: it stands where it would have been and takes as long as it
// did in the other trace. All times are those of `b`, the trace looked at.

import { Spans } from "./spans.mjs";

const DIGITS = 16;

/** The kinds of difference, in the order in which a reader wants them, and their signs. */
export const SIGNS = {
  missing: "−", failed: "✕", extra: "+", retried: "↻", repeated: "×", changed: "≠", reordered: "⇅", slower: "▸", faster: "◂", recovered: "✓",
};

/**
 * Puts the answers of `/rows` for both traces together by the rows of a comparison. Returns
 * `{spans, of, ghosts, differences}`: `of[place]` are the ids in both traces, `differences` the
 * list of those of each place that has any.
 */
export function together(a, b, comparison) {
  const sides = { a: columns(a), b: columns(b) };
  const { rows } = comparison;
  const differences = byRow(comparison.differences);
  const texts = { names: new Texts(), services: new Texts() };
  const answer = {
    origin: b.start.length > 0 ? b.origin : a.origin, partial: b.partial ?? a.partial, ids: "", parent: [], missing: [],
    name: [], service: [], kind: [], start: [], duration: [], failed: [], attributes: {}, events: [],
  };
  for (const name of new Set([...Object.keys(a.attributes), ...Object.keys(b.attributes)])) answer.attributes[name] = { values: [], at: [], value: [] };
  const of = [];
  const ghosts = new Set();
  // How much later a span of `a` would have started in `b`, by row.
  const shifts = shiftsOf(rows, sides);
  rows.forEach((row, place) => {
    const side = row.b !== undefined ? sides.b : sides.a;
    const at = side.placeOf.get(row.b ?? row.a);
    const ghost = row.b === undefined;
    if (ghost) ghosts.add(place);
    of.push({ a: row.a ?? null, b: row.b ?? null });
    answer.ids += row.b ?? row.a;
    answer.parent.push(row.parent ?? -1);
    // What differs stands alone: names that are not the same object are not repeats.
    answer.name.push(texts.names.of(side.names[side.name[at]], differences.has(place) || ghost ? place : ""));
    answer.service.push(texts.services.of(side.services[side.service[at]], ""));
    answer.kind.push(side.kind[at]);
    answer.start.push(side.start[at] + (ghost ? shifts[place] : 0));
    // An open span of the trace to go by has no end that could be shown in the other's time.
    answer.duration.push(ghost ? side.duration[at] ?? 0 : side.duration[at]);
    if (side.messages.has(at)) answer.failed.push([place, side.messages.get(at)]);
    for (const [name, value] of side.attributesOf(at)) {
      const column = answer.attributes[name];
      column.at.push(place);
      column.value.push(column.values.push(value) - 1);
    }
    for (const [time, name] of side.eventsOf.get(at) ?? []) answer.events.push([place, time + (ghost ? shifts[place] : 0), name]);
  });
  answer.names = texts.names.list;
  answer.services = texts.services.list;
  return { spans: Spans.read(answer), of, ghosts, differences };
}

// The differences of each row, those of a group at each of its rows.
function byRow(list) {
  const rows = new Map();
  list.forEach((difference, number) => {
    for (const row of difference.rows) {
      if (!rows.has(row)) rows.set(row, []);
      rows.get(row).push({ ...difference, number });
    }
  });
  return rows;
}

// A ghost starts as long after its elder sibling ended, or else after its parent began, as it did
// in its own trace. Times within a trace count from its own origin, so no clock matters.
function shiftsOf(rows, { a, b }) {
  const shifts = new Array(rows.length).fill(0);
  // By parent row: the pairs of children before the next one.
  const before = new Map();
  rows.forEach((row, place) => {
    const parent = row.parent ?? -1;
    const up = parent < 0 ? null : rows[parent];
    const at = row.a === undefined ? -1 : a.placeOf.get(row.a);
    if (row.b === undefined) {
      if (up && up.b === undefined) shifts[place] = shifts[parent];
      else {
        const anchor = anchorOf(before.get(parent), up, { a, b }, a.start[at]);
        shifts[place] = anchor ? anchor.b - anchor.a : 0;
      }
    } else if (row.a !== undefined) {
      if (!before.has(parent)) before.set(parent, []);
      before.get(parent).push({ a, b, at, other: b.placeOf.get(row.b) });
    }
  });
  return shifts;
}

function anchorOf(siblings, up, { a, b }, start) {
  const elder = siblings?.findLast(({ at }) => a.start[at] <= start);
  if (elder) {
    const { at, other } = elder;
    const ended = (side, place) => side.start[place] + (side.duration[place] ?? 0);
    // One that it overlapped says when it began, not when it could begin.
    return ended(a, at) <= start ? { a: ended(a, at), b: ended(b, other) } : { a: a.start[at], b: b.start[other] };
  }
  if (up?.a !== undefined && up?.b !== undefined) return { a: a.start[a.placeOf.get(up.a)], b: b.start[b.placeOf.get(up.b)] };
  return null;
}

// An answer of `/rows`, with what is asked of single places.
function columns(answer) {
  const placeOf = new Map();
  for (let place = 0; place < answer.start.length; place++) placeOf.set(answer.ids.slice(place * DIGITS, (place + 1) * DIGITS), place);
  const attributes = Object.entries(answer.attributes).map(([name, { values, at, value }]) => [name, values, new Map(at.map((place, k) => [place, value[k]]))]);
  const eventsOf = new Map();
  for (const [place, time, name] of answer.events) {
    if (!eventsOf.has(place)) eventsOf.set(place, []);
    eventsOf.get(place).push([time, name]);
  }
  return {
    ...answer, placeOf, eventsOf, messages: new Map(answer.failed),
    *attributesOf(place) {
      for (const [name, values, which] of attributes) if (which.has(place)) yield [name, values[which.get(place)]];
    },
  };
}

// Texts, each once, or once for each `of`.
class Texts {
  list = [];
  #known = new Map();

  of(text, apart) {
    const key = `${apart}\n${text}`;
    if (!this.#known.has(key)) this.#known.set(key, this.list.push(text) - 1);
    return this.#known.get(key);
  }
}

/** A difference in a few words, for a row: `missing`, `1 → 3 tries`, `3 changes`. */
export function short({ kind, times, changes = [], wrapper, own_nanos: own }) {
  if (times) return `${times.a} → ${times.b}${kind === "retried" ? " tries" : " times"}`;
  if (kind === "changed") return changes.length === 1 ? `${changes[0].part} changed` : `${changes.length} changes`;
  if (kind === "slower" || kind === "faster") return own.a > 0 && own.b > 0 ? `${kind} ×${factor(own)}` : kind;
  if (kind === "reordered") return "other order";
  return wrapper ? `${kind} wrapper` : kind;
}

function factor({ a, b }) {
  const times = Math.max(a, b) / Math.min(a, b);
  return times < 10 ? times.toFixed(1) : Math.round(times);
}

/** What a kind of difference means, in a sentence. */
export const MEANINGS = {
  missing: "In A only: B did not do this.",
  extra: "In B only: A did not do this.",
  failed: "It went well in A, and failed in B.",
  recovered: "It failed in A, and went well in B.",
  retried: "The same call, tried another number of times, since it failed.",
  repeated: "The same call, made another number of times.",
  reordered: "It stands in another order, though one waited for the other in both.",
  changed: "It asked, was answered, said or logged something else.",
  slower: "By itself, without what it called, it took more than twice as long.",
  faster: "By itself, without what it called, it took less than half as long.",
};
