// The page's logic without a page: reading OTLP, the tree, rows, folding, time, addresses.
import assert from "node:assert/strict";
import { test } from "node:test";
import { BASE, creation, large } from "./fixture.mjs";

const assets = new URL("../../crates/fixpoint-server/assets/", import.meta.url);
const load = (name) => import(new URL(name, assets));
const { baseSecond, fromTimestamp, logsOf, relative, spansOf } = await load("otlp.mjs");
const { ancestors, buildTree, categoryOf, errorText, foldedByDefault, isAttempt, matcher, planText, visibleRows, waitText } = await load("tree.mjs");
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

test("the tree has one root and knows depth, errors and what is open", () => {
  const tree = buildTree(read({ fail: true }));
  assert.equal(tree.roots.length, 1);
  assert.equal(tree.roots[0].span.name, "POST /v1/clusters");
  assert.ok(tree.roots[0].errors === 3);
  assert.equal(tree.order.length, read({ fail: true }).length);
});

test("failures name the deepest error and leave out attempts that were tried again", () => {
  const failures = buildTree(read({ fail: true })).failures;
  assert.deepEqual(failures.map((node) => node.span.name), ["ELBv2.RegisterTargets"]);
  assert.equal(ancestors(failures[0])[0].span.name, "register_cluster_node_to_lb");
  const good = buildTree(read());
  assert.equal(good.failures.length + good.roots[0].errors, 0);
  assert.ok(good.order.some((node) => isAttempt(node) && node.span.failed));
});

test("long series of equal calls are one row until they are opened", () => {
  const tree = buildTree(read());
  const rows = visibleRows(tree, foldedByDefault);
  const group = rows.find((row) => row.group && row.span.name === "EC2.DescribeInstances");
  assert.equal(group.rows.length, 9);
  const opened = visibleRows(tree, (node) => node !== group && foldedByDefault(node));
  assert.equal(opened.length, rows.length + 9);
  assert.equal(opened[opened.indexOf(group) + 1].depth, group.depth + 1);
});

test("folding a node hides all below it", () => {
  const tree = buildTree(read());
  const run = tree.order.find((node) => node.category === "run");
  assert.equal(visibleRows(tree, (node) => node === run).length, 2);
});

test("a filter shows the matches with their ancestors, even when folded", () => {
  const tree = buildTree(read());
  const match = matcher("i-0f3a9c2be41d7a002");
  const rows = visibleRows(tree, () => true, tree.order.filter(match));
  assert.deepEqual(rows.map((row) => row.span.name), ["POST /v1/clusters", "run clusters", "create_instances", "EC2.RunInstances"]);
  assert.equal(tree.order.filter(matcher("is:wait")).length, 2);
  assert.equal(tree.order.filter(matcher("rpc.method=runinstances is:aws")).length, 2);
  assert.equal(matcher("   "), null);
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

test("broken traces are shown, not refused", () => {
  const orphan = buildTree([span({ id: "a", parent: "gone" })]);
  assert.equal(orphan.roots[0].orphan, true);
  const cycle = buildTree([span({ id: "a", parent: "b" }), span({ id: "b", parent: "a" }), span({ id: "c", parent: "c" })]);
  assert.equal(cycle.order.length + cycle.roots.length > 3, true);
  assert.equal(new Set(visibleRows(cycle, () => false)).size, 3);
  const deep = buildTree(Array.from({ length: 50_000 }, (_, i) => span({ id: `s${i}`, parent: i ? `s${i - 1}` : null })));
  assert.equal(deep.order.at(-1).depth, 49_999);
});

test("a hundred thousand spans become rows in well under two seconds", () => {
  const spans = spansOf(large(100_000).trace, BASE);
  const started = performance.now();
  const tree = buildTree(spans);
  const rows = visibleRows(tree, foldedByDefault);
  assert.ok(rows.length > 90_000);
  assert.equal(tree.failures.length > 50, true);
  assert.ok(performance.now() - started < 2000, `${performance.now() - started} ms`);
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
  assert.deepEqual(ticks({ from: 0, to: 10_000 }, 0, 5).map(tickLabel), ["0", "2 s", "4 s", "6 s", "8 s", "10 s"]);
  assert.deepEqual(ticks({ from: 0, to: 300e3 }, 0, 5).map(tickLabel), ["0", "1:00", "2:00", "3:00", "4:00", "5:00"]);
  assert.equal(ticks({ from: 100, to: 100.02 }, 0, 4).length, 5);
});

test("open spans reach to now, and zoom stays within the trace", () => {
  const whole = extent([span({ end: null })], 500);
  assert.deepEqual(whole, { from: 0, to: 500 });
  assert.deepEqual(zoomed(whole, whole, 0.5, 0), { from: 0, to: 250 });
  assert.deepEqual(zoomed({ from: 0, to: 250 }, whole, 9, 100), whole);
  assert.deepEqual(panned({ from: 400, to: 500 }, whole, 0.5), { from: 400, to: 500 });
});

test("an address brings back what it was made from, and ignores nonsense", () => {
  const state = { span: "00f1", detail: true, view: "logs", least: "WARN", query: "is:error x=y", only: true, zoom: { from: 1.5, to: 20 }, level: 2, toggled: new Set(["aa", "bb"]) };
  const link = address.write(state, "?other=1");
  assert.deepEqual(address.read(link), state);
  assert.match(link, /other=1/);
  assert.equal(address.write(address.read("?zoom=9-1&level=x&view=y&log=LOUD"), ""), "");
});
