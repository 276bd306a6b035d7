// The page's logic without a page: reading OTLP, the tree, rows, folding, time, addresses.
import assert from "node:assert/strict";
import { test } from "node:test";
import { BASE, creation } from "./fixture.mjs";

const assets = new URL("../../crates/fixpoint-server/assets/", import.meta.url);
const load = (name) => import(new URL(name, assets));
const { baseSecond, fromTimestamp, logsOf, relative, spansOf } = await load("otlp.mjs");
const { categoryOf, errorText, planText, waitText } = await load("kinds.mjs");
const { duration, extent, panned, tickLabel, ticks, zoomed } = await load("scale.mjs");
const address = await load("address.mjs");

const read = (options) => spansOf(creation(options).trace, BASE);
const span = (over) => ({ id: "a", parent: null, name: "x", kind: "internal", start: 0, end: 1, failed: false, message: "", attributes: {}, events: [], links: [], ...over });

test("times keep their nanoseconds", () => {
  assert.equal(relative("1763800001000000256", 1763800000), 1000.000256);
  assert.ok(Math.abs(fromTimestamp("2025-11-22T08:26:41.123456789Z", 1763800000) - 1123.456789) < 1e-6);
  assert.equal(fromTimestamp("2025-11-22T09:26:41+01:00", 1763800000), 1001e3 - 1e6);
});

test("a trace is read whole, and a span without end is open", () => {
  const { trace } = creation({ until: 9000 });
  assert.equal(baseSecond(trace), BASE);
  const spans = spansOf(trace, BASE);
  const run = spans.find((s) => s.name === "run clusters");
  assert.equal(run.end, null);
  assert.equal(run.attributes["fixpoint.generation"], 1);
  assert.equal(spans[0].service, "fixpoint");
  assert.equal(spans[0].kind, "server");
});

test("every kind of span is told from the others", () => {
  const found = new Set(read().map(categoryOf));
  assert.deepEqual([...found].sort(), ["attempt", "aws", "create", "http", "run", "step", "wait"]);
});

test("waits say what they wait for, and what was seen", () => {
  const attributes = { "fixpoint.wait.reason": "3 instances to be running", "fixpoint.wait.wanted": "3 of 3", "fixpoint.wait.seen": "1 of 3" };
  assert.equal(waitText(span({ end: null, attributes })), "waits for 3 instances to be running: seen 1 of 3, wanted 3 of 3");
  assert.equal(waitText(span({})), "");
  assert.equal(waitText(span({ attributes: { ...attributes, "fixpoint.wait.seen": "3 of 3" } })), "waited for 3 instances to be running: 3 of 3");
});

test("a failed call says its code, a failed step its message", () => {
  const failed = { message: "no", attributes: { "error.type": "AccessDenied" } };
  assert.equal(errorText(span({ ...failed, kind: "client" })), "AccessDenied: no");
  assert.equal(errorText(span(failed)), "no");
});

test("looks at the world say what they decided", () => {
  const decided = (steps, withheld = "") => planText(span({ attributes: { "fixpoint.iteration": 1, "fixpoint.steps": steps, "fixpoint.withheld": withheld } }));
  assert.equal(decided("a, b, a"), "chose a ×2, b");
  assert.equal(decided("", "grafana"), "no step now, some withheld");
  assert.equal(decided(""), "solved: no step left");
});

test("log lines keep their span, level and other fields", () => {
  const logs = logsOf(creation().logs, BASE);
  assert.ok(logs.every((line) => line.spanId && line.at >= 0));
  assert.equal(logs[0].fields.resource, "clusters/idg");
  assert.ok(logs.some((line) => line.level === "WARN"));
  assert.deepEqual(logsOf(undefined, BASE), []);
});

test("durations and ticks are round and short", () => {
  assert.deepEqual([0.34, 1.26, 12.3, 999, 1250, 61_000, 3_725_000].map(duration), ["340 µs", "1.3 ms", "12 ms", "999 ms", "1.25 s", "1 m 01 s", "1 h 02 m"]);
  const labels = (view, count) => ticks(view, 0, count).map((time) => tickLabel(time));
  assert.deepEqual(labels({ from: 0, to: 10_000 }, 5), ["0", "2 s", "4 s", "6 s", "8 s", "10 s"]);
  assert.deepEqual(labels({ from: 0, to: 300e3 }, 5), ["0", "1:00", "2:00", "3:00", "4:00", "5:00"]);
  assert.equal(ticks({ from: 100, to: 100.02 }, 0, 4).length, 5);
  const late = 11 * 3600e3 + 43 * 60e3 + 4e3;
  assert.deepEqual(ticks({ from: late, to: late + 300 }, 0, 3).map((time) => tickLabel(time, 100)), ["11:43:04.0", "11:43:04.1", "11:43:04.2", "11:43:04.3"]);
  assert.equal(tickLabel(61_250, 50), "1:01.25");
});

test("open spans reach to now, and zoom stays within the trace", () => {
  const whole = extent([span({ end: null })], 500);
  assert.deepEqual(whole, { from: 0, to: 500 });
  assert.deepEqual(zoomed(whole, whole, 0.5, 0), { from: 0, to: 250 });
  assert.deepEqual(zoomed({ from: 0, to: 250 }, whole, 9, 100), whole);
  assert.deepEqual(panned({ from: 400, to: 500 }, whole, 0.5), { from: 400, to: 500 });
});

test("an address brings back what it was made from, and ignores nonsense", () => {
  const state = { span: "00f1", detail: true, view: "logs", least: "WARN", query: "is:error x=y", only: true, zoom: { from: 1.5, to: 20 }, level: 2, toggled: new Set(["aa", "bb"]), whole: new Set(["cc"]), repeats: false, ticks: false, critical: true };
  const link = address.write(state, "?other=1");
  assert.deepEqual(address.read(link), state);
  assert.match(link, /other=1/);
  assert.equal(address.read(address.write({ ...state, level: address.ALL })).level, address.ALL);
  assert.equal(address.write(address.read("?zoom=9-1&level=x&view=y&log=LOUD&repeats=no&ticks=1"), ""), "");
});
