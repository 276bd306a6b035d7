// Two traces put together: ghosts, where they stand, and what differs.
import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./trees.mjs";

const { short, together } = await load("compared.mjs");
const { Tree } = await load("tree.mjs");

const id = (n) => String(n).padStart(16, "0");
const MS = 1e6;

/** An answer of `/rows`: spans as `[id, parent's place, name, start, duration]`, in milliseconds. */
function answer(spans, origin = "1763800000000000000") {
  const names = [...new Set(spans.map(([, , name]) => name))];
  return {
    origin, partial: null, names, services: ["shop"], ids: spans.map(([n]) => id(n)).join(""), parent: spans.map(([, parent]) => parent), missing: [],
    name: spans.map(([, , name]) => names.indexOf(name)), service: spans.map(() => 0), kind: spans.map(() => 1),
    start: spans.map(([, , , start]) => start * MS), duration: spans.map(([, , , , took]) => took * MS), failed: [], attributes: {}, events: [],
  };
}

const a = answer([[1, -1, "run", 0, 100], [2, 0, "x", 10, 20], [3, 0, "y", 40, 30], [4, 2, "z", 45, 5]]);
const b = answer([[11, -1, "run", 0, 200], [12, 0, "x", 50, 40]], "1763900000000000000");
const missing = { kind: "missing", rows: [2], name: "y" };
const comparison = {
  differences: [missing],
  rows: [{ a: id(1), b: id(11) }, { a: id(2), b: id(12), parent: 0 }, { a: id(3), parent: 0 }, { a: id(4), parent: 2 }],
};

test("a ghost stands as long after its elder sibling as it did, with all below it", () => {
  const { spans, ghosts, of, differences } = together(a, b, comparison);
  assert.deepEqual([...ghosts], [2, 3]);
  assert.deepEqual(of[1], { a: id(2), b: id(12) });
  // `x` ended at 90 here; `y` began 10 after it, and `z` 5 after that.
  assert.deepEqual([spans.start[2], spans.end[2]], [100, 130]);
  assert.deepEqual([spans.start[3], spans.end[3]], [105, 110]);
  assert.equal(differences.get(2)[0].kind, "missing");
});

test("both make one tree", () => {
  const tree = new Tree(together(a, b, comparison).spans);
  assert.deepEqual(Array.from(tree.place, (place) => tree.spans.names[tree.spans.name[place]]), ["run", "x", "y", "z"]);
  assert.deepEqual([...tree.depth], [0, 1, 1, 2]);
});

test("what differs is no part of a group of repeats", () => {
  const calls = (gone) => [[1, -1, "run", 0, 100], ...[1, 2, 3, 4, 5, 6, 7, 8, 9].filter((n) => n !== gone).map((n) => [n + 1, 0, "call", n * 10, 5])];
  const [good, bad] = [answer(calls()), answer(calls(5))];
  const rows = calls().map(([n, parent]) => ({ a: id(n), ...(n === 6 ? {} : { b: id(n) }), ...(parent < 0 ? {} : { parent }) }));
  const tree = new Tree(together(good, bad, { rows, differences: [{ kind: "missing", rows: [5] }] }).spans);
  assert.deepEqual(tree.groups.map((group) => group.count), [4, 4]);
  assert.equal(tree.groupOf[5], -1);
});

test("a difference in a few words", () => {
  assert.equal(short({ kind: "retried", times: { a: 1, b: 3 } }), "1 → 3 tries");
  assert.equal(short({ kind: "slower", own_nanos: { a: 10, b: 40 } }), "slower ×4.0");
  assert.equal(short({ kind: "changed", changes: [{ part: "response" }] }), "response changed");
  assert.equal(short({ kind: "missing", wrapper: true }), "missing wrapper");
});
