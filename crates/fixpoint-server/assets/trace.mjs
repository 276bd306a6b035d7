// One trace in the browser: what every row needs is read at once, the rest when it is looked at;
// then the server's events keep it up to date.
//
// Not for drawing. The surprise: the same span comes many times, each time whole; the last counts.

import { call } from "./api.mjs";
import { baseSecond, logsOf, spansOf } from "./otlp.mjs";
import { ROW_ATTRIBUTES, Spans } from "./spans.mjs";
import { follow } from "./stream.mjs";
import { Ticks } from "./ticks.mjs";
import { Tree } from "./tree.mjs";

/** Milliseconds without news after which a trace without open spans counts as ended. */
const QUIET = 20_000;

/** Milliseconds after which open spans may count as lost. A step that works longer still polls or logs. */
const SILENCE = 3_600_000;

/** More log lines than this are not read; the view says so. */
const MOST_LOGS = 10_000;

export class TraceData {
  spans = new Spans();
  logs = [];
  /** Whether there are older log lines than those here. */
  logsTruncated = false;
  #id;
  #knownLines = new Set();
  #tree = null;
  #ticks = null;
  #details = new Map();
  #loading = 0;
  #meanwhile = [];
  #clockOffset = 0;
  #newest = 0;
  #listeners = new Set();
  #stop = () => {};
  #quietSince = Infinity;

  constructor(id) {
    this.#id = id;
  }

  /** Calls `listener({state, error, detail})` after every change; `detail` is the id of a span now known whole. */
  onChange(listener) {
    this.#listeners.add(listener);
  }

  /**
   * Reads what every row needs; log lines follow by themselves. A trace that is not known yet is no
   * error while `awaited`: a run may be about to start.
   */
  async load({ awaited = false } = {}) {
    this.#loading++;
    try {
      const { body, date } = await call("GET", `${this.#path}/rows?attributes=${ROW_ATTRIBUTES.join(",")}`);
      this.#setClock(date);
      this.#take(Spans.read(body));
      // The answer may be older than what the stream has told since it was asked for.
      for (const document of this.#meanwhile) this.#put(document);
      this.#newest = Math.max(this.tree.to, 0);
    } catch (error) {
      if (!(awaited && error.status === 404)) throw error;
    } finally {
      if (--this.#loading === 0) this.#meanwhile = [];
    }
    this.#changed();
    this.#loadLogs();
  }

  /** Follows the trace until it has been quiet for a while; `forever` for runs that go on. */
  followEvents({ forever = () => false } = {}) {
    const goesOn = () => forever() || this.open > 0;
    const settled = () => !goesOn() && performance.now() - this.#quietSince > QUIET;
    this.#quietSince = performance.now();
    this.#stop = follow(`${this.#path}/events?from=now`, {
      on: {
        spans: (document) => { this.#addSpans(document); this.#changed(); },
        logs: (document) => { this.#addLogs(document); this.#changed(); },
        lagged: () => this.#reload(),
      },
      // What changed between the reading and the stream was told to nobody.
      onOpen: (first) => (!first || goesOn()) && this.#reload(),
      onState: (state) => this.#changed({ state }),
    });
    const timer = setInterval(() => {
      if (!settled()) return;
      clearInterval(timer);
      this.#stop();
      this.#changed({ state: "ended" });
    }, 5_000);
  }

  /** The tree of all spans, built when it is asked for. */
  get tree() {
    this.#tree ??= new Tree(this.spans);
    return this.#tree;
  }

  /** The log lines and events of the tree, as ticks. */
  get ticks() {
    this.#ticks ??= new Ticks(this.tree, this.logs);
    return this.#ticks;
  }

  /** How many spans are still open. */
  get open() {
    const { roots, open } = this.tree;
    return roots.reduce((sum, root) => sum + open[root], 0);
  }

  /** All that is known of the span at a place, or null until it has been read; then listeners hear of it. */
  detail(place) {
    const id = this.spans.id(place);
    if (!this.#details.has(id)) {
      this.#details.set(id, null);
      this.#readDetail(id);
    }
    return this.#details.get(id);
  }

  /** The places of the spans in which all words of `query` occur. */
  async find(query) {
    const { body } = await call("GET", `${this.#path}/matches?q=${encodeURIComponent(query)}`, { quiet: true });
    return body.spans.map((id) => this.spans.placeOf(id)).filter((place) => place >= 0);
  }

  /**
   * The present by the server's clock, in relative milliseconds; never before what was recorded.
   * For a trace that has long been silent it is the last moment of which anything is known: a span
   * whose end was lost last year must not make all others too small to see.
   */
  now() {
    const now = Date.now() + this.#clockOffset - (this.spans.base ?? 0) * 1e3;
    const silent = now - this.#newest > Math.max(SILENCE, 10 * (this.#newest - this.tree.from));
    return silent ? this.#newest : Math.max(now, this.#newest);
  }

  /** The moment `ms` as a date. */
  date(ms) {
    return new Date((this.spans.base ?? 0) * 1e3 + ms);
  }

  get #path() {
    return `/v1/traces/${encodeURIComponent(this.#id)}`;
  }

  async #readDetail(id) {
    try {
      const { body } = await call("GET", `${this.#path}/spans/${id}`, { quiet: true });
      this.#details.set(id, spansOf(body, this.spans.base)[0]);
      this.#changed({ detail: id });
    } catch (error) {
      this.#details.delete(id);
      this.#changed({ error });
    }
  }

  async #loadLogs() {
    try {
      const { body } = await call("GET", `/v1/logs?trace_id=${encodeURIComponent(this.#id)}&limit=${MOST_LOGS}`, { quiet: true });
      this.logsTruncated = body.truncated;
      this.#addLogs(body);
      this.#changed();
    } catch (error) {
      this.#changed({ error });
    }
  }

  async #reload() {
    try {
      await this.load({ awaited: true });
    } catch (error) {
      this.#changed({ error });
    }
  }

  #take(spans) {
    // Times of log lines count from the same second as those of spans.
    if (spans.base !== this.spans.base) {
      this.logs = [];
      this.#knownLines.clear();
    }
    this.spans = spans;
    this.#details.clear();
    this.#tree = this.#ticks = null;
  }

  #addSpans(document) {
    if (this.#loading > 0) this.#meanwhile.push(document);
    this.#put(document);
    this.#quietSince = performance.now();
  }

  #put(document) {
    this.spans.base ??= baseSecond(document);
    if (this.spans.base === undefined) return;
    for (const span of spansOf(document, this.spans.base)) {
      this.spans.put(span);
      this.#details.set(span.id, span);
      this.#newest = Math.max(this.#newest, span.start, span.end ?? 0);
    }
    this.#tree = this.#ticks = null;
  }

  #addLogs(document) {
    this.spans.base ??= Math.floor(Date.now() / 1e3);
    let sorted = true;
    for (const line of logsOf(document, this.spans.base)) {
      // The first reading and the events overlap.
      const key = `${line.time} ${line.spanId} ${line.message}`;
      if (this.#knownLines.has(key)) continue;
      this.#knownLines.add(key);
      sorted &&= this.logs.length === 0 || this.logs.at(-1).at <= line.at;
      this.logs.push(line);
    }
    if (!sorted) this.logs.sort((a, b) => a.at - b.at);
    this.#ticks = null;
  }

  // Only a clock that is clearly off is corrected: the header counts whole seconds.
  #setClock(date) {
    const offset = date ? Date.parse(date) - Date.now() : 0;
    this.#clockOffset = Math.abs(offset) > 2_000 ? offset : 0;
  }

  #changed(change = {}) {
    for (const listener of this.#listeners) listener(change);
  }
}
