// Two traces, read from the server and put together, as the waterfall's explorer wants its data.
//
// The surprise: one of a run that goes on is asked for anew as a whole, not span by span. One more
// span may change what all others are paired with.

import { call } from "./api.mjs";
import { together } from "./compared.mjs";
import { spansOf } from "./otlp.mjs";
import { ROW_ATTRIBUTES, Spans } from "./spans.mjs";
import { follow } from "./stream.mjs";
import { Ticks } from "./ticks.mjs";
import { Tree } from "./tree.mjs";

/** Milliseconds between two comparisons at least, */
const LEAST_GAP = 1_000;

/** and at most this share of the time goes into them: large traces are compared less often. */
const SHARE = 0.2;

/** Milliseconds for which one still listens to a trace that goes on no longer: its last spans may be on their way. */
const QUIET = 5_000;

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
  /** The ids of spans whose details may no longer be all there is to know. */
  #stale = new Set();
  #stops = new Map();
  #news = false;
  #waiting = 0;
  #loading = false;
  #next = 0;
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
    for (const [id, whole] of this.#details) if (whole && whole.end === null) this.#stale.add(id);
    this.#changed();
  }

  /**
   * Compares anew when there is news of a trace that goes on: one of which `goesOn(side)` says so,
   * or that has open spans. Ends by itself when neither does.
   */
  followEvents({ goesOn = () => false } = {}) {
    const lasts = (side) => goesOn(side) || (this.comparison?.[side].open ?? 0) > 0;
    const again = () => this.#loadSoon();
    for (const [side, id] of [["a", this.#a], ["b", this.#b]]) {
      if (!lasts(side)) continue;
      this.#stops.set(side, follow(`${path(id)}/events?from=now`, {
        // What changed between the reading and the stream was told to nobody.
        on: { spans: again, logs: again, lagged: again }, onOpen: again, onState: (state) => this.#changed({ state }),
      }));
    }
    if (this.#stops.size === 0) return;
    let quietSince = Infinity;
    const timer = setInterval(() => {
      if (lasts("a") || lasts("b")) quietSince = Infinity;
      else quietSince = Math.min(quietSince, performance.now());
      if (performance.now() - quietSince < QUIET) return;
      clearInterval(timer);
      for (const stop of this.#stops.values()) stop();
      this.#stops.clear();
      again();
      this.#changed({ state: "ended" });
    }, 1_000);
  }

  /** Whether it is kept up to date. */
  get following() {
    return this.#stops.size > 0;
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
    if (!this.#details.has(id) || this.#stale.delete(id)) {
      this.#details.set(id, this.#details.get(id) ?? null);
      this.#read(id, place);
    }
    const whole = this.#details.get(id);
    if (!whole) return whole;
    // A ghost stands at another time than the span that it is of.
    const { start, end } = this.spans.at(place);
    return { ...whole, start, end, events: whole.events.map((event) => ({ ...event, time: event.time - whole.start + start })) };
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
    // Who looks at a call that was missing goes on looking at it when it has come.
    const find = (id) => Tree.prototype.find.call(tree, id);
    tree.find = (id) => {
      const number = find(id);
      return number >= 0 ? number : find(this.#both?.of.find((ids) => ids.a === id)?.b ?? "");
    };
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
      this.#details.set(id, spansOf(body, this.spans.base)[0]);
      this.#changed({ detail: id });
    } catch (error) {
      this.#details.delete(id);
      this.#changed({ error });
    }
  }

  // Compares anew, not too often, and once more after news that came meanwhile.
  #loadSoon() {
    this.#news = true;
    if (this.#waiting || this.#loading) return;
    this.#waiting = setTimeout(() => this.#loadAgain(), Math.max(0, this.#next - performance.now()));
  }

  async #loadAgain() {
    [this.#waiting, this.#news, this.#loading] = [0, false, true];
    const began = performance.now();
    try {
      await this.load();
    } catch (error) {
      // A run is known before its first span is stored.
      if (error.status !== 404) this.#changed({ error });
    }
    this.#loading = false;
    this.#next = performance.now() + Math.max(LEAST_GAP, (performance.now() - began) / SHARE);
    if (this.#news) this.#loadSoon();
  }

  #changed(change = {}) {
    for (const listener of this.#listeners) listener(change);
  }
}

function path(id) {
  return `/v1/traces/${encodeURIComponent(id)}`;
}
