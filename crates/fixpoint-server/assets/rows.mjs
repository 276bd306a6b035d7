// One row of the waterfall: name on the left, bars on the right.
//
// The surprise: a row's elements are made once and filled many times, as rows come and go while
// one scrolls; so everything that `draw` sets, it must also unset.

import { el, fill } from "./dom.mjs";
import { errorText, planText, waitText } from "./kinds.mjs";
import { marksOf } from "./marks.mjs";
import { duration, position } from "./scale.mjs";

const MOST_BARS = 60;

/** About as many as a lane is wide. */
const PIXELS = 1000;

/** The element of a row, with its parts at hand. */
export function makeRow() {
  const part = {
    caret: el("span", { class: "caret", "data-fold": true }),
    icon: el("span", { class: "icon", "aria-hidden": "true" }),
    times: el("span", { class: "times" }),
    label: el("span", { class: "label" }),
    note: el("span", { class: "note" }),
    marks: el("span", { class: "marks" }),
    errors: el("span", { class: "badge" }),
    name: el("div", { class: "name", role: "gridcell" }),
    text: el("span", { class: "bar-text" }),
    lane: el("div", { class: "lane", role: "gridcell" }),
  };
  part.name.append(part.caret, part.icon, part.times, part.label, part.note, part.marks, part.errors);
  const row = el("div", { class: "row", role: "row" }, part.name, part.lane);
  row.parts = part;
  return row;
}

/** Fills a row. `seen` holds the view, now, and what is selected, folded, matched and critical. */
export function drawRow(row, node, index, seen) {
  const { parts: part } = row;
  const folded = node.foldable && seen.folded(node.number);
  row.node = node;
  row.id = `row-${node.id}`;
  row.className = `row ${node.category}${!node.group && node.span.failed ? " failed" : ""}${!node.group && node.span.end === null ? " open" : ""}`
    + `${node === seen.selected ? " selected" : ""}${seen.isMatch(node) ? " matched" : ""}${seen.isDimmed(node, folded) ? " dimmed" : ""}`;
  row.setAttribute("aria-rowindex", index + 1);
  row.setAttribute("aria-level", node.depth + 1);
  row.setAttribute("aria-selected", node === seen.selected);
  if (node.foldable) row.setAttribute("aria-expanded", !folded);
  else row.removeAttribute("aria-expanded");
  part.name.style.setProperty("--depth", Math.min(node.depth, 12));
  part.caret.textContent = !node.foldable ? "" : folded ? "▸" : "▾";
  part.times.textContent = node.group ? `${node.times} ×` : "";
  drawName(part.label, node.label, node.category);
  const found = folded ? seen.matchesBelow(node) : 0;
  part.note.textContent = found > 0 ? `${found} found` : noteOf(node, folded);
  const marks = marksOf(node).filter((mark) => mark.kind !== "open");
  fill(part.marks, marks.map((mark) => el("span", { class: `mark ${mark.kind}`, title: mark.words }, mark.short)));
  // A span's own error is told by its colour; those inside are counted as long as they are hidden.
  const inside = node.errors - (!node.group && node.span.failed ? 1 : 0);
  part.errors.textContent = inside > 0 && (folded || node.group) ? `${inside} failed` : "";
  drawLane(part, node, folded, seen);
}

function drawName(label, name, category) {
  const dot = category === "aws" && !name.includes(",") ? name.indexOf(".") : -1;
  if (dot < 0) fill(label, name);
  else fill(label, el("span", { class: "service" }, name.slice(0, dot + 1)), name.slice(dot + 1));
  label.title = name;
}

function noteOf(node, folded) {
  if (node.group) return "";
  const { attributes } = node.span;
  if (node.category === "create") return `#${attributes["fixpoint.iteration"]}`;
  if (node.category === "attempt") return `#${attributes["fixpoint.attempt"] ?? ""}`;
  if (node.category === "aws") return node.size > 2 ? `${node.size - 1} attempts` : "";
  return folded ? `${node.size - 1} inside` : "";
}

function drawLane(part, node, folded, seen) {
  const { view, now } = seen;
  const { from, to } = node.reach(now);
  const bars = node.group ? barsOf(node, view) : [barOf(from, to, view, node.span.failed ? "bar failed" : "bar")];
  // Gaps and stretches of less than a pixel are not drawn: between polls they would be a row of dots.
  const pixel = (view.to - view.from) / PIXELS;
  const critical = seen.critical(node, folded, pixel).filter((piece) => piece.to - piece.from >= Math.min(pixel, (to - from) / 4))
    .map((piece) => barOf(piece.from, piece.to, view, "critical"));
  const ticks = seen.ticks(node, folded).map((tick) => {
    const mark = el("b", { class: `tick ${tick.level.toLowerCase()}`, title: tick.text });
    mark.style.left = `${position(tick.at, view) * 100}%`;
    return mark;
  });
  const text = textOf(node, from, to);
  part.text.textContent = text;
  place(part.text, position(from, view), position(to, view));
  fill(part.lane, bars, critical, ticks, text ? part.text : null);
}

// Each member of a group has its bar; of many, one bar for all and one for each that failed.
function barsOf(node, view) {
  const { tree, group } = node;
  const bar = (member, className) => barOf(tree.spans.start[tree.place[member]], tree.spans.end[tree.place[member]], view, className);
  if (group.count <= MOST_BARS) return Array.from(tree.below(node.number), (member) => bar(member, tree.errors[member] > 0 ? "bar failed" : "bar"));
  return [barOf(group.from, group.to, view, "bar many"), ...node.failedMembers.slice(0, MOST_BARS).map((member) => bar(member, "bar failed"))];
}

function barOf(from, to, view, className) {
  const left = Math.max(-0.01, position(from, view));
  const right = Math.min(1.01, position(to, view));
  if (right < 0 || left > 1) return null;
  const bar = el("i", { class: className });
  bar.style.left = `${left * 100}%`;
  bar.style.width = `max(2px, ${(right - left) * 100}%)`;
  return bar;
}

function textOf(node, from, to) {
  const length = duration(to - from);
  if (node.group) return `${length}, busy ${duration(node.group.busy)}, ${duration(node.group.busy / node.group.count)} each`;
  if (node.span.failed) return `${length} · ${errorText(node.span) || "failed"}`;
  const more = waitText(node.span) || planText(node.span);
  return more ? `${length} · ${more}` : length;
}

// Beside the bar where there is room, else on it.
function place(text, left, right) {
  text.className = "bar-text";
  const room = 1 - right;
  const style = { left: "", right: "", maxWidth: "" };
  if (right < 0 || left > 1) {
    text.textContent = left > 1 ? "›" : "‹";
    style[left > 1 ? "right" : "left"] = "2px";
  } else if (room > 0.3 || (room > 0.12 && text.textContent.length < 10)) {
    style.left = `calc(${Math.max(right, 0) * 100}% + 6px)`;
    style.maxWidth = `calc(${room * 100}% - 8px)`;
  } else if (left > 0.35) {
    style.right = `calc(${(1 - left) * 100}% + 6px)`;
    style.maxWidth = `calc(${left * 100}% - 8px)`;
  } else {
    text.className = "bar-text on-bar";
    style.left = `calc(${Math.max(left, 0) * 100}% + 6px)`;
    style.maxWidth = `calc(${(1 - Math.max(left, 0)) * 100}% - 12px)`;
  }
  Object.assign(text.style, style);
}
