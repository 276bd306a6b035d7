// Trees for tests: from the fixture, or from a few lines of hand-made spans.

import { BASE, creation } from "./fixture.mjs";

const assets = new URL("../../crates/fixpoint-server/assets/", import.meta.url);

/** One of the page's modules. */
export const load = (name) => import(new URL(name, assets));

const { spansOf } = await load("otlp.mjs");
const { Spans } = await load("spans.mjs");
const { Tree } = await load("tree.mjs");

/** A tree of spans as `otlp.mjs` reads them. */
export function treeOf(spans) {
  const columns = new Spans();
  columns.base = BASE;
  for (const span of spans) columns.put(span);
  return new Tree(columns);
}

/** The tree of the fixture's creation. */
export function creationTree(options) {
  return treeOf(spansOf(creation(options).trace, BASE));
}

/** The id of the span that is called `letter` in a test. */
export const id = (letter) => letter.padStart(16, "0");

/**
 * A span by hand: `span("b", "a", 10, 20, {name, …})`; the parent is null for a root, an end of
 * null leaves it open.
 */
export function span(letter, parent, start, end, more = {}) {
  return { id: id(letter), parent: parent === null ? null : id(parent), name: letter, service: "", kind: "internal", start, end,
    failed: false, message: "", attributes: {}, events: [], links: [], ...more };
}

/** A call to AWS by hand. */
export function call(letter, parent, start, end, name, more = {}) {
  return span(letter, parent, start, end, { name, kind: "client", attributes: { "rpc.system": "aws-api" }, ...more });
}

/** The names of rows, each with two blanks a level; groups with their count. */
export function drawn(tree, rows) {
  return rows.map((number) => {
    const node = tree.node(number);
    return `${"  ".repeat(node.depth)}${node.group ? `${node.times} × ` : ""}${node.label}`;
  });
}
