// The road that a trace takes into the page: the search, the stream of changes, the clock.
import assert from "node:assert/strict";
import { test } from "node:test";
import { matchesAnswer, rowsAnswer, spanAnswer } from "./answer.mjs";
import { BASE, TRACE, creation, odd } from "./fixture.mjs";
import { load } from "./trees.mjs";

globalThis.document = Object.assign(new EventTarget(), { baseURI: "http://page.test/", hidden: false });
for (const level of ["info", "debug"]) console[level] = () => {};

const { Finder } = await load("finder.mjs");
const { follow } = await load("stream.mjs");
const { TraceData } = await load("trace.mjs");

const soon = (met) => new Promise((resolve, reject) => {
  const began = Date.now();
  const look = () => (met() ? resolve() : Date.now() - began > 5000 ? reject(new Error("it did not come")) : setTimeout(look, 5));
  look();
});

/** Stands for the server, with a trace of the fixture; counts what it is asked. */
function serve({ trace, logs, partial }) {
  const asked = [];
  globalThis.fetch = async (url) => {
    const { pathname, searchParams } = new URL(url);
    asked.push(pathname);
    const part = pathname.split("/")[4];
    const body = pathname === "/v1/logs" ? { ...logs, truncated: false } : part === "rows" ? rowsAnswer(trace, { partial })
      : part === "spans" ? spanAnswer(trace, pathname.split("/")[5]) : matchesAnswer(trace, logs.logs, searchParams.get("q"));
    return new Response(JSON.stringify(body));
  };
  return asked;
}

class FakeSource extends EventTarget {
  static CLOSED = 2;
  static all = [];
  readyState = 0;
  constructor() {
    super();
    FakeSource.all.push(this);
  }
  close() {
    this.readyState = 2;
  }
  say(name, data) {
    this.dispatchEvent(Object.assign(new Event(name), { data: JSON.stringify(data) }));
  }
}
globalThis.EventSource = FakeSource;

test("rows come first; a span's details when they are looked at, and once", async () => {
  const asked = serve(creation());
  const data = new TraceData(TRACE);
  const told = [];
  data.onChange(({ detail }) => detail && told.push(detail));
  await data.load();
  await soon(() => data.logs.length > 0);
  assert.equal(asked.filter((path) => path.includes("/spans/")).length, 0);
  const place = data.tree.place.find((at) => data.spans.names[data.spans.name[at]] === "EC2.CreateVpc");
  assert.equal(data.detail(place), null);
  assert.equal(data.detail(place), null);
  await soon(() => told.length > 0);
  assert.equal(asked.filter((path) => path.includes("/spans/")).length, 1);
  assert.match(data.detail(place).attributes["fixpoint.request"], /10\.31\.0\.0/);
});

test("changes are taken over, and what was missed before the stream opened is read again", async (t) => {
  t.mock.method(globalThis, "setInterval", () => 0);
  const asked = serve(creation({ until: 9000 }));
  const data = new TraceData(TRACE);
  await data.load();
  const open = data.open;
  assert.ok(open > 0);
  data.followEvents();
  const source = FakeSource.all.at(-1);
  source.onopen();
  await soon(() => asked.filter((path) => path.endsWith("/rows")).length === 2);
  source.say("spans", creation().trace);
  assert.equal(data.open, 0);
  assert.equal(data.tree.count, creation().trace.resourceSpans[0].scopeSpans[0].spans.length);
});

test("an open span reaches to now, unless its trace has long been silent", async () => {
  serve(odd());
  const data = new TraceData(TRACE);
  await data.load();
  assert.equal(data.spans.partial, "segment 7 could not be read");
  assert.equal(data.now(), data.tree.to, "the fixture's year is over");
  const fresh = new TraceData(TRACE);
  const { trace } = creation({ until: 9000 });
  const shift = BigInt(Math.floor(Date.now() / 1e3) - BASE - 20) * 1_000_000_000n;
  for (const span of trace.resourceSpans[0].scopeSpans[0].spans) {
    for (const key of ["startTimeUnixNano", "endTimeUnixNano"]) if (span[key]) span[key] = String(BigInt(span[key]) + shift);
  }
  serve({ trace, logs: { logs: [] } });
  await fresh.load();
  assert.ok(fresh.now() > fresh.tree.to + 5000);
});

test("the answer to an older question is nobody's", async () => {
  const answers = [];
  let found = 0;
  const tree = { count: 3, number: [0, 1, 2], place: new Int32Array([0, 1, 2]), size: [3, 1, 1], spans: { count: 3, failed: [0, 0, 1] } };
  const finder = new Finder({ find: (words) => new Promise((resolve) => answers.push({ words, resolve })) }, { onFound: () => found++, onError: assert.fail });
  finder.look("a", tree);
  await soon(() => answers.length === 1);
  finder.look("ab", tree);
  await soon(() => answers.length === 2);
  answers[1].resolve([2, 0]);
  await soon(() => found === 1);
  answers[0].resolve([1]);
  await new Promise((resolve) => setTimeout(resolve, 10));
  finder.look("ab", tree);
  assert.deepEqual([finder.found, finder.matches, found], [true, [0, 2], 1]);
  finder.look("ab is:error", tree);
  assert.deepEqual([finder.matches, answers.length], [[2], 2], "what a span is needs no server");
  finder.look("", tree);
  assert.deepEqual([finder.found, finder.matches], [false, []]);
});

test("a stream that was refused is asked for again", async () => {
  const opened = [];
  const before = FakeSource.all.length;
  const stop = follow("/events", { on: {}, onOpen: (first) => opened.push(first) });
  const refused = FakeSource.all.at(-1);
  refused.readyState = FakeSource.CLOSED;
  refused.onerror();
  await soon(() => FakeSource.all.length === before + 2);
  FakeSource.all.at(-1).onopen();
  FakeSource.all.at(-1).onopen();
  assert.deepEqual(opened, [true, false]);
  stop();
  assert.equal(FakeSource.all.at(-1).readyState, FakeSource.CLOSED);
});
