// The critical path, with traces drawn by hand and the exact stretches that are expected.
import assert from "node:assert/strict";
import { test } from "node:test";
import { large } from "./fixture.mjs";
import { rowsAnswer } from "./answer.mjs";
import { call, load, span, treeOf } from "./trees.mjs";

const { PathIndex, criticalPath } = await load("critical.mjs");
const { Spans } = await load("spans.mjs");
const { Tree } = await load("tree.mjs");

/** The path as `name from-to`, by time. */
function path(spans, now = 1000) {
  const tree = treeOf(spans);
  const { number, from, to } = criticalPath(tree, now);
  return number.map((n, k) => `${tree.node(n).label} ${from[k]}-${to[k]}`);
}

test("a span alone is its own path", () => {
  assert.deepEqual(path([span("a", null, 0, 10)]), ["a 0-10"]);
});

test("children in sequence are on the path, and the gaps are the parent's", () => {
  assert.deepEqual(path([span("a", null, 0, 100), span("b", "a", 10, 30), span("c", "a", 40, 90)]),
    ["a 0-10", "b 10-30", "a 30-40", "c 40-90", "a 90-100"]);
});

test("children that touch leave no gap", () => {
  assert.deepEqual(path([span("a", null, 0, 20), span("b", "a", 0, 10), span("c", "a", 10, 20)]), ["b 0-10", "c 10-20"]);
});

test("of children at the same time, the one that ends last counts", () => {
  assert.deepEqual(path([span("a", null, 0, 100), span("b", "a", 10, 60), span("c", "a", 20, 90)]), ["a 0-20", "c 20-90", "a 90-100"]);
});

test("a child still at work when the next on the path began held nobody up; one that had ended did", () => {
  assert.deepEqual(path([span("a", null, 0, 100), span("b", "a", 5, 55), span("c", "a", 50, 100), span("d", "a", 10, 40)]),
    ["a 0-10", "d 10-40", "a 40-50", "c 50-100"]);
});

test("the path goes down to the deepest span at work", () => {
  assert.deepEqual(path([span("a", null, 0, 50), span("b", "a", 10, 40), span("c", "b", 15, 30), span("d", "c", 20, 25)]),
    ["a 0-10", "b 10-15", "c 15-20", "d 20-25", "c 25-30", "b 30-40", "a 40-50"]);
});

test("a wait with many polls in sequence has each poll on the path, and its own pauses", () => {
  const polls = Array.from({ length: 20_000 }, (_, k) => call(`p${k}`, "w", k * 10 + 5, k * 10 + 10, "ELBv2.DescribeTargetHealth"));
  const stretches = path([span("w", null, 0, 200_000), ...polls]);
  assert.equal(stretches.length, 40_000);
  assert.deepEqual(stretches.slice(0, 3), ["w 0-5", "ELBv2.DescribeTargetHealth 5-10", "w 10-15"]);
  assert.equal(stretches.at(-1), "ELBv2.DescribeTargetHealth 199995-200000");
});

test("an open span ends now", () => {
  assert.deepEqual(path([span("a", null, 0, null), span("b", "a", 10, null)], 70), ["a 0-10", "b 10-70"]);
});

test("work that outlives the request that started it is on the path to its own end", () => {
  assert.deepEqual(path([span("post", null, 0, 14), span("run", "post", 12, 600), span("step", "run", 100, 500)]),
    ["post 0-12", "run 12-100", "step 100-500", "run 500-600"]);
  assert.deepEqual(path([span("post", null, 0, 14), span("run", "post", 30, 60)]), ["post 0-14", "run 30-60"],
    "between the answer and the run nothing was at work");
});

test("a child that is outlived by work below it holds up by its own end", () => {
  assert.deepEqual(path([span("a", null, 0, 100), span("b", "a", 10, 50), span("late", "b", 20, 90), span("c", "a", 60, 100)]),
    ["a 0-10", "b 10-50", "a 50-60", "c 60-100"]);
});

test("by clocks that differ, a child counts from its parent's start, and one wholly before it not at all", () => {
  assert.deepEqual(path([span("a", null, 100, 200), span("b", "a", 90, 150)]), ["b 100-150", "a 150-200"]);
  assert.deepEqual(path([span("a", null, 100, 200), span("b", "a", 80, 95)]), ["a 100-200"]);
});

test("several roots share one path, and moments between them belong to none", () => {
  assert.deepEqual(path([span("a", null, 0, 30), span("b", null, 50, 80), span("c", null, 10, 20)]), ["a 0-30", "b 50-80"]);
});

test("spans of no length and of the same moment end the walk all the same", () => {
  assert.deepEqual(path([span("a", null, 0, 10), span("b", "a", 5, 5), span("c", "a", 5, 5), span("d", "a", 5, 10)]), ["a 0-5", "d 5-10"]);
});

test("a chain of 50,000 spans is walked", () => {
  const chain = Array.from({ length: 50_000 }, (_, k) => span(`s${k}`, k ? `s${k - 1}` : null, k, 100_000));
  assert.equal(path(chain).length, 50_000);
});

test("no moment is counted twice, and a run without gaps is covered from end to end", () => {
  const tree = new Tree(Spans.read(rowsAnswer(large(20_000).trace)));
  const { from, to } = criticalPath(tree, 0);
  for (let k = 1; k < from.length; k++) assert.ok(from[k] >= to[k - 1], `stretch ${k}`);
  assert.ok(Math.abs(to.reduce((sum, end, k) => sum + end - from[k], 0) - (tree.to - tree.from)) < 1e-3);
});

test("what a folded row has of the path is what all below it have, joined where it touches", () => {
  const tree = treeOf([span("a", null, 0, 100), span("b", "a", 10, 60), span("c", "b", 20, 50), span("d", "a", 70, 100)]);
  const index = new PathIndex(criticalPath(tree, 0));
  assert.deepEqual(index.within(0, 4), [{ from: 0, to: 100 }]);
  assert.deepEqual(index.within(1, 3), [{ from: 10, to: 60 }]);
  assert.deepEqual(index.within(1, 2), [{ from: 10, to: 20 }, { from: 50, to: 60 }]);
  assert.deepEqual(index.within(0, 1, 60), [{ from: 0, to: 70 }], "with a gap that is too small to see");
  assert.deepEqual(index.within(1, 3), [{ from: 10, to: 60 }], "asking changes nothing");
});
