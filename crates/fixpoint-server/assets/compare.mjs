// Two traces, read from the server and put together, as the waterfall's explorer wants its data.
//
// The surprise: nothing is followed. A comparison is of two moments; one of a run that goes on
// says so, and the page asks for it anew when it is loaded again.

import { call } from "./api.mjs";
import { together } from "./compared.mjs";
import { spansOf } from "./otlp.mjs";
import { ROW_ATTRIBUTES, Spans } from "./spans.mjs";
import { Ticks } from "./ticks.mjs";
import { Tree } from "./tree.mjs";

export class ComparedData {
  spans = new Spans();
  logs = [];
  logsTruncated = false;
  open = 0;
  /** The server's answer. */
  comparison = null;
  #a;
  #b;
  #both = null;
  #tree = null;
  #ticks = null;
  #details = new Map();
  #listeners = new Set();

  constructor(a, b) {
    this.#a = a;
    this.#b = b;
  }

  onChange(listener) {
    this.#listeners.add(listener);
  }

  async load() {
    const rows = (id) => call("GET", `${path(id)}/rows?attributes=${ROW_ATTRIBUTES.join(",")}`);
    const diff = call("GET", `${path(this.#a)}/diff/${encodeURIComponent(this.#b)}?rows=true`);
    const [a, b, { body }] = await Promise.all([rows(this.#a), rows(this.#b), diff]);
    this.comparison = body;
    this.#both = together(a.body, b.body, body);
    this.spans = this.#both.spans;
    this.#tree = this.#ticks = null;
    this.#changed();
  }

  get tree() {
    this.#tree ??= this.#grow();
    return this.#tree;
  }

  get ticks() {
    this.#ticks ??= new Ticks(this.tree, this.logs);
    return this.#ticks;
  }

  /** The numbers of the rows where a difference is told, in order. */
  get stops() {
    return this.tree.stops ?? [];
  }

  /** What differs at a place. */
  differences(place) {
    return this.#both?.differences.get(place) ?? [];
  }

  /** Whether a place is a span of the other trace alone. */
  isGhost(place) {
    return this.#both?.ghosts.has(place) ?? false;
  }

  /** The ids of a place in both traces. */
  of(place) {
    return this.#both.of[place];
  }

  detail(place) {
    const id = this.spans.id(place);
    if (!this.#details.has(id)) {
      this.#details.set(id, null);
      this.#read(id, place);
    }
    return this.#details.get(id);
  }

  async find(query) {
    const asked = [this.#a, this.#b].map((id) => call("GET", `${path(id)}/matches?q=${encodeURIComponent(query)}`, { quiet: true }));
    const [a, b] = await Promise.all(asked);
    const found = new Set([...a.body.spans, ...b.body.spans]);
    return Array.from({ length: this.spans.count }, (_, place) => place).filter((place) => {
      const of = this.of(place);
      return found.has(of.a) || found.has(of.b);
    });
  }

  now() {
    return Math.max(this.tree.to, 0);
  }

  date(ms) {
    return new Date((this.spans.base ?? 0) * 1e3 + ms);
  }

  // What leads to a difference is open, and counts how many are below.
  #grow() {
    const tree = new Tree(this.spans);
    const told = new Int32Array(tree.count);
    tree.stops = [];
    for (let number = 0; number < tree.count; number++) {
      const place = tree.place[number];
      const here = this.differences(place);
      if (here.length === 0) continue;
      told[number] = here.length;
      if (here.some((difference) => difference.rows[0] === place)) tree.stops.push(number);
    }
    for (let number = tree.count - 1; number >= 0; number--) {
      const up = tree.parent[number];
      if (told[number] === 0 || up < 0) continue;
      told[up] += told[number];
      tree.quiet[up] = 0;
    }
    tree.told = told;
    tree.is = (kind) => {
      const test = kind === "different" ? () => true : (difference) => difference.kind === kind;
      return (number) => this.differences(tree.place[number]).some(test);
    };
    return tree;
  }

  async #read(id, place) {
    try {
      const trace = this.isGhost(place) ? this.#a : this.#b;
      const { body } = await call("GET", `${path(trace)}/spans/${id}`, { quiet: true });
      const [whole] = spansOf(body, this.spans.base);
      // A ghost stands at another time than the span that it is of.
      const { start, end } = this.spans.at(place);
      this.#details.set(id, { ...whole, start, end, events: whole.events.map((event) => ({ ...event, time: event.time - whole.start + start })) });
      this.#changed({ detail: id });
    } catch (error) {
      this.#details.delete(id);
      this.#changed({ error });
    }
  }

  #changed(change = {}) {
    for (const listener of this.#listeners) listener(change);
  }
}

function path(id) {
  return `/v1/traces/${encodeURIComponent(id)}`;
}
