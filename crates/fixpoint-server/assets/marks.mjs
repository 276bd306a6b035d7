// What is odd about a span or a trace, in words: so that nobody has to know how traces go wrong
// to read one that did. Pure.

import { duration } from "./scale.mjs";

/** Clocks of one machine differ by less; smaller differences say nothing. Milliseconds. */
const SKEW = 0.001;

/** What is odd about a node: `{kind, short, words}` each. */
export function marksOf(node) {
  const marks = [];
  if (node.group) return marks;
  const { tree, place, span } = node;
  const missing = tree.spans.missingParent(place);
  if (missing !== null) {
    marks.push({ kind: "orphan", short: "parent missing",
      words: `Its parent, span ${missing}, is not stored: it was dropped, has not arrived yet, or was recorded elsewhere. So this span stands at the top.` });
  } else if (tree.parent[node.number] < 0 && tree.spans.parent[place] !== -1) {
    marks.push({ kind: "orphan", short: "parents in a circle",
      words: "This span and others are each other's parents, which cannot be. It is shown at the top." });
  }
  const early = earlyBy(tree, node.number);
  if (early > SKEW) {
    marks.push({ kind: "skew", short: `starts ${duration(early)} early`,
      words: `It starts ${duration(early)} before its parent, which cannot be: the clocks of the two machines differ by at least that. Times are shown as they came.` });
  }
  if (span.end === null) {
    marks.push({ kind: "open", short: "open",
      words: "It has not ended: it is still at work, or what worked on it died before it could say so." });
  }
  return marks;
}

/** What is odd about the whole trace, a sentence each: `{kind, words, number}`; `number` is a span to look at. */
export function marksOfTrace(tree) {
  const marks = [];
  const { partial } = tree.spans;
  if (partial) marks.push({ kind: "partial", words: `This is not the whole trace: ${partial}.`, number: -1 });
  const orphans = tree.orphans.length;
  if (orphans > 0) {
    marks.push({ kind: "orphan", number: tree.orphans[0],
      words: `${orphans === 1 ? "1 span names a parent" : `${orphans} spans name parents`} that ${orphans === 1 ? "is" : "are"} not stored; ${orphans === 1 ? "it stands" : "they stand"} at the top.` });
  }
  const roots = tree.roots.length - orphans;
  if (roots > 1) marks.push({ kind: "roots", number: tree.roots[1], words: `${roots} roots: several callers used the same trace id.` });
  let early = { number: -1, by: SKEW };
  let skewed = 0;
  for (let n = 0; n < tree.count; n++) {
    const by = earlyBy(tree, n);
    if (by > SKEW) skewed++;
    if (by > early.by) early = { number: n, by };
  }
  if (skewed > 0) {
    marks.push({ kind: "skew", number: early.number,
      words: `${skewed === 1 ? "1 span starts before its parent" : `${skewed} spans start before their parents`}, by up to ${duration(early.by)}: clocks differ.` });
  }
  return marks;
}

function earlyBy({ spans, place, parent }, number) {
  return parent[number] < 0 ? 0 : spans.start[place[parent[number]]] - spans.start[place[number]];
}
