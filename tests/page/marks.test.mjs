// What is odd about a trace, and log lines and events as ticks; the sheet of keys.
import assert from "node:assert/strict";
import { test } from "node:test";
import { call, id, load, span, treeOf } from "./trees.mjs";

const { marksOf, marksOfTrace } = await load("marks.mjs");
const { Ticks } = await load("ticks.mjs");
const { CHAPTERS } = await load("keys.mjs");

const kinds = (marks) => marks.map((mark) => mark.kind);

test("a trace in order has no marks", () => {
  const tree = treeOf([span("a", null, 0, 10), span("b", "a", 0, 5)]);
  assert.deepEqual([...marksOfTrace(tree), ...marksOf(tree.node(0)), ...marksOf(tree.node(1))], []);
});

test("a missing parent, a wrong clock and an open end are told in words", () => {
  const tree = treeOf([span("a", null, 10, 20), span("b", "a", 3, 15), span("o", "gone", 12, null)]);
  const [skew] = marksOf(tree.node(1));
  assert.deepEqual([skew.kind, skew.short], ["skew", "starts 7.0 ms early"]);
  const marks = marksOf(tree.node(2));
  assert.deepEqual(kinds(marks), ["orphan", "open"]);
  assert.ok(marks[0].words.includes(id("gone")), marks[0].words);
});

test("the trace says how many spans are odd, and leads to the worst", () => {
  const tree = treeOf([span("a", null, 10, 20), span("b", "a", 9, 15), span("c", "a", 2, 15), span("d", null, 11, 12), span("o", "gone", 12, 13)]);
  tree.spans.partial = "one file could not be read";
  const marks = marksOfTrace(tree);
  assert.deepEqual(kinds(marks), ["partial", "orphan", "roots", "skew"]);
  assert.match(marks[0].words, /not the whole trace: one file could not be read/);
  assert.match(marks[1].words, /^1 span names a parent/);
  assert.match(marks[2].words, /^2 roots/);
  assert.match(marks[3].words, /^2 spans start before their parents, by up to 8\.0 ms/);
  assert.equal(tree.node(marks[3].number).label, "c");
});

test("spans that are each other's parents say so", () => {
  const tree = treeOf([span("a", "b", 0, 1), span("b", "a", 0, 1)]);
  assert.match(marksOf(tree.node(0))[0].words, /each other's parents/);
});

test("ticks of a row are its own, and with all below when it is folded", () => {
  const tree = treeOf([span("a", null, 0, 100), call("b", "a", 10, 20, "EC2.RunInstances", { events: [{ time: 12, name: "throttled" }] }), span("c", "a", 30, 40)]);
  const line = (letter, at, level) => ({ spanId: letter && id(letter), at, level, message: `${letter} ${at}` });
  const ticks = new Ticks(tree, [line("a", 1, "INFO"), line("c", 31, "ERROR"), line("zz", 5, "INFO"), line(null, 6, "INFO")]);
  const texts = (first, end) => ticks.within(first, end).map((tick) => tick.text);
  assert.deepEqual(texts(0, 1), ["INFO a 1"]);
  assert.deepEqual(texts(0, 3), ["INFO a 1", "throttled", "ERROR c 31"]);
  assert.deepEqual(ticks.drawn(0, 3, { from: 5, to: 50 }).map((tick) => tick.text), ["throttled", "ERROR c 31"]);
});

test("of too many ticks the gravest are drawn", () => {
  const tree = treeOf([span("a", null, 0, 1000)]);
  const lines = Array.from({ length: 5000 }, (_, k) => ({ spanId: id("a"), at: k / 5, level: k % 500 === 7 ? "ERROR" : "INFO", message: "" }));
  const drawn = new Ticks(tree, lines).drawn(0, 1, { from: 0, to: 1000 });
  assert.ok(drawn.length <= 80);
  assert.equal(drawn.filter((tick) => tick.level === "ERROR").length, 10);
});

test("no key does two things", () => {
  const keys = CHAPTERS.flatMap(([, rows]) => rows.flatMap(([names]) => names.split(" ")));
  assert.equal(new Set(keys).size, keys.length);
  for (const key of "jklhepnN/cfy?EoHLm") assert.ok(keys.includes(key), key);
});
