// All spans of a trace as columns: one typed array for each thing that a row needs, so that a
// hundred thousand of them are read, ordered and searched without an object each.
//
// Not for what one span holds beside that (requests, responses, events): that is read when
// somebody looks. Spans are numbered as they come; these numbers, *places*, never change. Pure.
// The surprise: `at(place)` makes the object that a row is drawn from anew each time; it is cheap
// for those in sight, and wrong for all.

import { category } from "./kinds.mjs";

const DIGITS = 16;
const FEW = 8;
const KINDS = ["internal", "internal", "server", "client", "producer", "consumer"];

/** The parent of a span that has none, and of one whose parent is not stored. */
export const ROOT = -1;
export const MISSING = -2;

/** The attributes that rows are drawn from; the server sends no others for all spans. */
export const ROW_ATTRIBUTES = [
  "rpc.system", "rpc.system.name", "http.request.method", "error.type", "fixpoint.run.id", "fixpoint.iteration",
  "fixpoint.step.key", "fixpoint.steps", "fixpoint.withheld", "fixpoint.wait.reason", "fixpoint.wait.wanted",
  "fixpoint.wait.seen", "fixpoint.attempt",
];

export class Spans {
  count = 0;
  /** Milliseconds after the base second; an open span's end is NaN. */
  start = new Float64Array(0);
  end = new Float64Array(0);
  /** The parent's place, or `ROOT`, or `MISSING`. */
  parent = new Int32Array(0);
  /** Which of `names` and `services`. */
  name = new Uint32Array(0);
  service = new Uint32Array(0);
  kind = new Uint8Array(0);
  failed = new Uint8Array(0);
  /** Which of `CATEGORIES` (`kinds.mjs`). */
  category = new Uint8Array(0);
  names = [];
  services = [];
  /** Whole seconds since 1970 that times count from; undefined while there is no span. */
  base;
  /** Why this is not the whole trace, if it is not. */
  partial = null;
  #ids = "";
  #places = null;
  #lookups = 0;
  #missing = new Map();
  #waiting = new Map();
  #messages = new Map();
  #attributes = new Map();
  #events = new Map();
  #texts = new Map();

  /** Reads the answer of `/v1/traces/{id}/rows`. */
  static read(answer) {
    const spans = new Spans();
    const count = answer.start.length;
    if (count === 0) return spans;
    spans.base = Number(answer.origin.slice(0, -9));
    const origin = Number(answer.origin.slice(-9)) / 1e6;
    spans.#grow(count);
    spans.count = count;
    spans.partial = answer.partial;
    spans.names = answer.names;
    spans.services = answer.services;
    spans.#ids = answer.ids;
    spans.parent.set(answer.parent);
    spans.name.set(answer.name);
    spans.service.set(answer.service);
    spans.kind.set(answer.kind);
    for (let i = 0; i < count; i++) {
      const start = answer.start[i];
      spans.start[i] = origin + start / 1e6;
      spans.end[i] = answer.duration[i] === null ? NaN : origin + (start + answer.duration[i]) / 1e6;
    }
    for (const [place, message] of answer.failed) {
      spans.failed[place] = 1;
      if (message) spans.#messages.set(place, message);
    }
    for (const [place, id] of answer.missing) spans.#wait(place, id);
    for (const [name, column] of Object.entries(answer.attributes)) {
      const { values, which } = spans.#column(name);
      values.push(...column.values);
      column.at.forEach((place, k) => (which[place] = column.value[k]));
    }
    for (const [place, time, name] of answer.events) spans.#event(place, { time: origin + time / 1e6, name });
    spans.#classify(0, count);
    return spans;
  }

  /** Adds a span as `otlp.mjs` reads it, or takes over what changed in it. Returns its place. */
  put(span) {
    const known = this.placeOf(span.id);
    const place = known < 0 ? this.#append(span.id) : known;
    this.start[place] = span.start;
    this.end[place] = span.end ?? NaN;
    this.kind[place] = Math.max(1, KINDS.indexOf(span.kind, 1));
    this.failed[place] = span.failed ? 1 : 0;
    this.name[place] = this.#text(this.names, span.name);
    this.service[place] = this.#text(this.services, span.service ?? "");
    if (span.message) this.#messages.set(place, span.message);
    const parent = span.parent === null ? ROOT : this.placeOf(span.parent);
    if (span.parent !== null && parent < 0) this.#wait(place, span.parent);
    this.parent[place] = span.parent !== null && parent < 0 ? MISSING : parent;
    for (const name of ROW_ATTRIBUTES) this.#setAttribute(place, name, span.attributes[name]);
    this.#events.delete(place);
    for (const event of span.events) this.#event(place, event);
    this.#classify(place, place + 1);
    return place;
  }

  /** The place of the span with this id; -1 if it is not here. */
  placeOf(id) {
    // A few ids are found faster in the text than an index of all is made.
    if (++this.#lookups > FEW) this.#index();
    if (this.#places) return this.#places.get(id) ?? -1;
    if (id.length !== DIGITS) return -1;
    let at = this.#ids.indexOf(id);
    while (at >= 0 && at % DIGITS !== 0) at = this.#ids.indexOf(id, at + 1);
    return at < 0 ? -1 : at / DIGITS;
  }

  /** The id of a span. */
  id(place) {
    return this.#ids.slice(place * DIGITS, (place + 1) * DIGITS);
  }

  /** The id of the parent that is not stored, if it is not. */
  missingParent(place) {
    return this.#missing.get(place) ?? null;
  }

  /** One of `ROW_ATTRIBUTES` of a span. */
  attribute(place, name) {
    const column = this.#attributes.get(name);
    return column === undefined || column.which[place] < 0 ? undefined : column.values[column.which[place]];
  }

  /** What happened within a span: `{time, name}`. */
  events(place) {
    return this.#events.get(place) ?? [];
  }

  /** The places of spans with events. */
  get withEvents() {
    return this.#events.keys();
  }

  /** What a row needs of a span, as one object. */
  at(place) {
    const attributes = {};
    for (const [name, { values, which }] of this.#attributes) {
      if (which[place] >= 0) attributes[name] = values[which[place]];
    }
    const end = this.end[place];
    return {
      id: this.id(place),
      name: this.names[this.name[place]],
      service: this.services[this.service[place]],
      kind: KINDS[this.kind[place]],
      start: this.start[place],
      end: Number.isNaN(end) ? null : end,
      failed: this.failed[place] === 1,
      message: this.#messages.get(place) ?? "",
      attributes,
    };
  }

  #append(id) {
    if (this.count === this.start.length) this.#grow(Math.max(64, 2 * this.count));
    this.#index();
    const place = this.count++;
    this.#ids += id.padEnd(DIGITS).slice(0, DIGITS);
    this.#places.set(id, place);
    for (const child of this.#waiting.get(id) ?? []) {
      this.parent[child] = place;
      this.#missing.delete(child);
    }
    this.#waiting.delete(id);
    return place;
  }

  #index() {
    if (this.#places) return;
    this.#places = new Map();
    for (let place = 0; place < this.count; place++) this.#places.set(this.id(place), place);
  }

  #wait(place, parent) {
    this.#missing.set(place, parent);
    if (!this.#waiting.has(parent)) this.#waiting.set(parent, []);
    this.#waiting.get(parent).push(place);
  }

  #event(place, { time, name }) {
    if (!this.#events.has(place)) this.#events.set(place, []);
    this.#events.get(place).push({ time, name });
  }

  #classify(from, to) {
    let place = from;
    const attribute = (name) => this.attribute(place, name);
    for (; place < to; place++) this.category[place] = category(this.names[this.name[place]], KINDS[this.kind[place]], attribute);
  }

  #column(name) {
    let column = this.#attributes.get(name);
    if (!column) {
      column = { values: [], known: null, which: new Int32Array(this.start.length).fill(-1) };
      this.#attributes.set(name, column);
    }
    return column;
  }

  #setAttribute(place, name, value) {
    if (value === undefined && !this.#attributes.has(name)) return;
    const column = this.#column(name);
    column.known ??= new Map(column.values.map((known, which) => [known, which]));
    if (value !== undefined && !column.known.has(value)) column.known.set(value, column.values.push(value) - 1);
    column.which[place] = value === undefined ? -1 : column.known.get(value);
  }

  #text(list, text) {
    if (!this.#texts.has(list)) this.#texts.set(list, new Map(list.map((known, which) => [known, which])));
    const known = this.#texts.get(list);
    if (!known.has(text)) known.set(text, list.push(text) - 1);
    return known.get(text);
  }

  #grow(room) {
    for (const column of ["start", "end", "parent", "name", "service", "kind", "failed", "category"]) {
      const wider = new this[column].constructor(room);
      wider.set(this[column]);
      this[column] = wider;
    }
    for (const column of this.#attributes.values()) {
      const wider = new Int32Array(room).fill(-1);
      wider.set(column.which);
      column.which = wider;
    }
  }
}
