// The tree, its rows, repeats and folds.
import assert from "node:assert/strict";
import { test } from "node:test";
import { rowsAnswer } from "./answer.mjs";
import { BASE, TRACE, creation, large } from "./fixture.mjs";
import { call, creationTree, drawn, id, load, span, treeOf } from "./trees.mjs";

const { Folds } = await load("folds.mjs");
const { Spans } = await load("spans.mjs");
const { Tree, visibleRows, withAncestors } = await load("tree.mjs");
const { isKind, parts } = await load("finder.mjs");
const { spansOf } = await load("otlp.mjs");
const address = await load("address.mjs");

const state = (search = "") => address.read(search);
const rowsOf = (tree, search) => {
  const folds = new Folds(tree, state(search));
  return visibleRows(tree, (number) => folds.folded(number));
};
const numberOf = (tree, name) => tree.place.findIndex((place) => tree.spans.names[tree.spans.name[place]] === name);

test("the tree has one root and knows depth, errors and what is open", () => {
  const tree = creationTree({ fail: true });
  assert.deepEqual(tree.roots, [0]);
  assert.equal(tree.node(0).label, "POST /v1/clusters");
  assert.equal(tree.errors[0], 3);
  assert.equal(tree.size[0], tree.count);
  assert.equal(creationTree({ until: 9000 }).open[0] > 0, true);
});

test("columns read from the server make the same tree as spans put in one by one", () => {
  const { trace } = creation({ fail: true });
  const read = new Tree(Spans.read(rowsAnswer(trace)));
  const put = creationTree({ fail: true });
  assert.deepEqual(drawn(read, rowsOf(read, "?level=all")), drawn(put, rowsOf(put, "?level=all")));
  for (const number of [0, 5, read.count - 1]) {
    const [one, other] = [read.node(number).span, put.node(number).span];
    assert.ok(Math.abs(one.start - other.start) < 1e-6 && Math.abs((one.end ?? 0) - (other.end ?? 0)) < 1e-6);
    assert.deepEqual({ ...one, start: 0, end: 0 }, { ...other, start: 0, end: 0 });
  }
});

test("a span that changes keeps its place, and one whose parent comes late moves below it", () => {
  const spans = new Spans();
  spans.base = BASE;
  spans.put(span("b", "a", 5, null, { attributes: { "fixpoint.wait.seen": "1" } }));
  assert.deepEqual(new Tree(spans).orphans, [0]);
  spans.put(span("b", "a", 5, 9, { failed: true, message: "no", attributes: { "fixpoint.wait.seen": "2" } }));
  spans.put(span("a", null, 0, 10));
  const tree = new Tree(spans);
  assert.equal(spans.count, 2);
  assert.deepEqual(tree.orphans, []);
  assert.deepEqual(drawn(tree, rowsOf(tree)), ["a", "  b"]);
  assert.deepEqual([tree.node(1).span.end, tree.node(1).span.message, tree.node(1).span.attributes["fixpoint.wait.seen"]], [9, "no", "2"]);
});

test("failures name the deepest error and leave out attempts that were tried again", () => {
  const tree = creationTree({ fail: true });
  assert.deepEqual(tree.failures.map((number) => tree.node(number).label), ["ELBv2.RegisterTargets"]);
  assert.equal(tree.node(tree.failures[0]).parent.label, "register_cluster_node_to_lb");
  const good = creationTree();
  assert.equal(good.failures.length + good.errors[0], 0);
  assert.ok([...good.place.keys()].some((number) => good.isAttempt(number) && good.node(number).failed));
});

test("repeated calls are one row until they are opened", () => {
  const tree = creationTree();
  const rows = rowsOf(tree);
  const group = rows.map((number) => tree.node(number)).find((node) => node.group && node.label === "EC2.DescribeInstances");
  assert.equal(group.times, 9);
  const opened = rowsOf(tree, `?fold=${group.id}`);
  assert.equal(opened.length, rows.length + 9);
  assert.equal(tree.node(opened[opened.indexOf(group.number) + 1]).depth, group.depth + 1);
  assert.equal(rowsOf(tree, "?repeats=open").length, rows.length + 9 + 14);
});

test("a group that holds a failure is one row, counts it, and is opened on the way to it", () => {
  const polls = Array.from({ length: 412 }, (_, k) => call(`c${k}`, "w", k * 10, k * 10 + 4, "ELBv2.DescribeTargetHealth", { failed: k === 200 }));
  const tree = treeOf([span("w", null, 0, 5000), ...polls]);
  assert.deepEqual(drawn(tree, rowsOf(tree)), ["w", "  412 × ELBv2.DescribeTargetHealth"]);
  const group = tree.node(tree.count);
  assert.deepEqual([group.errors, group.failed, group.group.busy, group.reach(0)], [1, true, 412 * 4, { from: 0, to: 4114 }]);
  const failed = tree.node(tree.failures[0]);
  assert.equal(failed.above, group);
  assert.deepEqual(group.failedMembers, [failed.number]);
});

test("calls that take turns are one group", () => {
  const polls = Array.from({ length: 20 }, (_, k) => call(`c${k}`, "w", k * 10, k * 10 + 4, k % 2 ? "ELBv2.DescribeTargetHealth" : "EC2.DescribeInstances"));
  const tree = treeOf([span("w", null, 0, 500), ...polls]);
  assert.deepEqual(drawn(tree, rowsOf(tree)), ["w", "  10 × EC2.DescribeInstances, ELBv2.DescribeTargetHealth"]);
});

test("few repeats, open ones, and steps with a story of their own are not folded together", () => {
  const names = (spans) => { const tree = treeOf([span("w", null, 0, 500), ...spans]); return drawn(tree, rowsOf(tree)).length; };
  const three = [0, 1, 2].map((k) => call(`c${k}`, "w", k, k + 1, "EC2.DescribeVpcs"));
  assert.equal(names(three), 4);
  assert.equal(names([...three, call("c3", "w", 3, null, "EC2.DescribeVpcs")]), 5);
  const steps = [0, 1, 2, 3, 4].flatMap((k) => [span(`s${k}`, "w", k * 10, k * 10 + 9, { name: "create_volume" }), span(`t${k}`, `s${k}`, k * 10, k * 10 + 5, { name: "inner" })]);
  assert.equal(names(steps), 11);
});

test("folding a node hides all below it; levels, all and subtrees are folded and opened", () => {
  const tree = creationTree();
  const run = tree.node(numberOf(tree, "run clusters"));
  assert.equal(rowsOf(tree, `?fold=${run.id}`).length, 2);
  assert.equal(rowsOf(tree, "?level=1").length, 1);
  assert.equal(rowsOf(tree, "?level=2").length, 2);
  const all = rowsOf(tree, "?level=all");
  assert.equal(all.length, tree.count + tree.groups.length);
  const step = tree.node(numberOf(tree, "create_load_balancer"));
  const before = rowsOf(tree).length;
  const opened = new Folds(tree, state()).toggleAll(step, false);
  const link = address.write({ ...state(), ...opened });
  assert.equal(rowsOf(tree, link).length, before + 4, "four calls show their attempts");
  const folded = new Folds(tree, state(link)).toggleAll(step, true);
  assert.deepEqual([...folded.whole], []);
  assert.equal(rowsOf(tree, address.write({ ...state(), ...folded })).length, before - 4);
});

test("a filter shows the matches with what is above them, even when folded", () => {
  const tree = creationTree();
  const number = numberOf(tree, "EC2.RunInstances");
  const rows = visibleRows(tree, () => true, withAncestors(tree, [number]));
  assert.deepEqual(drawn(tree, rows).map((row) => row.trim()), ["POST /v1/clusters", "run clusters", "create_instances", "EC2.RunInstances"]);
  const member = tree.groups[0].first + tree.size[tree.groups[0].first];
  const grouped = visibleRows(tree, () => true, withAncestors(tree, [member]));
  assert.equal(grouped.filter((row) => row >= tree.count).length, 1);
  assert.equal(grouped.at(-1), member);
});

test("words go to the server, what a span is is known here", () => {
  assert.deepEqual(parts("  vpc-1 is:AWS key=value  is:error"), { words: "vpc-1 key=value", kinds: ["aws", "error"] });
  const tree = creationTree({ fail: true });
  const count = (kind) => [...tree.place.keys()].filter(isKind(tree, kind)).length;
  assert.deepEqual([count("wait"), count("retried"), count("open"), count("none")], [1, 1, 0, 0]);
  assert.ok(count("error") >= 4);
});

test("broken traces are shown, not refused", () => {
  const orphan = treeOf([span("a", "gone", 0, 1)]);
  assert.deepEqual([orphan.orphans, orphan.spans.missingParent(0)], [[0], id("gone")]);
  const cycle = treeOf([span("a", "b", 0, 1), span("b", "a", 0, 1), span("c", "c", 0, 1)]);
  assert.equal(cycle.count, 3);
  assert.equal(new Set(rowsOf(cycle)).size, 3);
  assert.deepEqual(cycle.roots.length, 2);
  const deep = treeOf(Array.from({ length: 50_000 }, (_, i) => span(`s${i}`, i ? `s${i - 1}` : null, i, i + 1)));
  assert.equal(deep.depth.at(-1), 49_999);
});

test("a hundred thousand spans are a few numbers each", () => {
  const spans = Spans.read(rowsAnswer(large(100_000).trace));
  const tree = new Tree(spans);
  assert.equal(tree.count, 100_000);
  assert.equal(rowsOf(tree, "?level=all").length, 100_000 + tree.groups.length);
  assert.ok(rowsOf(tree).length < 10, "ten thousand volumes are one group");
  assert.equal(tree.failures.length > 50, true);
  assert.equal(spans.placeOf(spans.id(99_999)), 99_999);
});
