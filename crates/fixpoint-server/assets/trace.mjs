// One trace in the browser: read once, then kept up to date by the server's events.
//
// Not for drawing. The surprise: the same span comes many times, each time whole; the last counts.

import { call } from "./api.mjs";
import { baseSecond, logsOf, spansOf } from "./otlp.mjs";
import { follow } from "./stream.mjs";
import { buildTree } from "./tree.mjs";

/** Milliseconds without news after which a trace without open spans counts as ended. */
const QUIET = 20_000;

export class TraceData {
  spans = new Map();
  logs = [];
  logsBySpan = new Map();
  base;
  #id;
  #knownLines = new Set();
  #tree = null;
  #clockOffset = 0;
  #newest = 0;
  #listeners = new Set();
  #stop = () => {};
  #quietSince = Infinity;

  constructor(id) {
    this.#id = id;
  }

  /** Calls `listener({state, error})` after every change. */
  onChange(listener) {
    this.#listeners.add(listener);
  }

  /** Reads the trace. A trace that is not known yet is no error while `awaited`: a run may be about to start. */
  async load({ awaited = false } = {}) {
    const id = encodeURIComponent(this.#id);
    try {
      const [trace, logs] = await Promise.all([
        call("GET", `/v1/traces/${id}`),
        call("GET", `/v1/logs?trace_id=${id}`),
      ]);
      this.#setClock(trace.date);
      this.#addSpans(trace.body);
      this.#addLogs(logs.body);
    } catch (error) {
      if (!(awaited && error.status === 404)) throw error;
    }
    this.#changed();
  }

  /** Follows the trace until it has been quiet for a while; `forever` for runs that go on. */
  followEvents({ forever = () => false } = {}) {
    const settled = () => !forever() && this.open === 0 && performance.now() - this.#quietSince > QUIET;
    this.#quietSince = performance.now();
    this.#stop = follow(`/v1/traces/${encodeURIComponent(this.#id)}/events`, {
      on: {
        spans: (document) => { this.#addSpans(document); this.#changed(); },
        logs: (document) => { this.#addLogs(document); this.#changed(); },
        lagged: () => this.#reload(),
      },
      onGap: () => this.#reload(),
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
    this.#tree ??= buildTree(this.spans.values());
    return this.#tree;
  }

  /** How many spans are still open. */
  get open() {
    let open = 0;
    for (const span of this.spans.values()) if (span.end === null) open++;
    return open;
  }

  /** The present by the server's clock, in relative milliseconds; never before what was recorded. */
  now() {
    return Math.max(Date.now() + this.#clockOffset - this.base * 1e3, this.#newest);
  }

  /** The moment `ms` as a date. */
  date(ms) {
    return new Date(this.base * 1e3 + ms);
  }

  async #reload() {
    try {
      await this.load({ awaited: true });
    } catch (error) {
      this.#changed({ error });
    }
  }

  #addSpans(document) {
    this.base ??= baseSecond(document);
    if (this.base === undefined) return;
    for (const span of spansOf(document, this.base)) {
      this.spans.set(span.id, span);
      this.#newest = Math.max(this.#newest, span.start, span.end ?? 0);
    }
    this.#tree = null;
    this.#quietSince = performance.now();
  }

  #addLogs(document) {
    this.base ??= Math.floor(Date.now() / 1e3);
    let sorted = true;
    for (const line of logsOf(document, this.base)) {
      // The first reading and the events overlap.
      const key = `${line.time} ${line.spanId} ${line.message}`;
      if (this.#knownLines.has(key)) continue;
      this.#knownLines.add(key);
      sorted &&= this.logs.length === 0 || this.logs.at(-1).at <= line.at;
      this.logs.push(line);
      if (!this.logsBySpan.has(line.spanId)) this.logsBySpan.set(line.spanId, []);
      this.logsBySpan.get(line.spanId).push(line);
    }
    if (!sorted) this.logs.sort((a, b) => a.at - b.at);
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
