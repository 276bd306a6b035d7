// One row of the waterfall: name on the left, bars on the right.
//
// The surprise: a row's elements are made once and filled many times, as rows come and go while
// one scrolls; so everything that `draw` sets, it must also unset.

import { el, fill } from "./dom.mjs";
import { duration, position } from "./scale.mjs";
import { errorText, planText, spansAt, waitText } from "./tree.mjs";

const MOST_BARS = 60;
const MOST_TICKS = 80;

/** The element of a row, with its parts at hand. */
export function makeRow() {
  const part = {
    caret: el("span", { class: "caret", "data-fold": true }),
    icon: el("span", { class: "icon", "aria-hidden": "true" }),
    label: el("span", { class: "label" }),
    note: el("span", { class: "note" }),
    errors: el("span", { class: "badge" }),
    name: el("div", { class: "name", role: "gridcell" }),
    text: el("span", { class: "bar-text" }),
    lane: el("div", { class: "lane", role: "gridcell" }),
  };
  part.name.append(part.caret, part.icon, part.label, part.note, part.errors);
  const row = el("div", { class: "row", role: "row" }, part.name, part.lane);
  row.parts = part;
  return row;
}

/** Fills a row. `seen` holds the view, now, and what is selected, folded and matched. */
export function drawRow(row, node, index, seen) {
  const { parts: part } = row;
  const { span } = node;
  const folded = node.rows.length > 0 && seen.folded(node);
  row.node = node;
  row.id = `row-${node.id}`;
  const failed = node.group ? node.errors > 0 : span.failed;
  row.className = `row ${node.category}${failed ? " failed" : ""}${node.span.end === null ? " open" : ""}`
    + `${node === seen.selected ? " selected" : ""}${seen.matched?.has(node) ? " matched" : ""}`
    + `${seen.dimmed(node) ? " dimmed" : ""}`;
  row.setAttribute("aria-rowindex", index + 1);
  row.setAttribute("aria-level", node.depth + 1);
  row.setAttribute("aria-selected", node === seen.selected);
  if (node.rows.length > 0) row.setAttribute("aria-expanded", !folded);
  else row.removeAttribute("aria-expanded");
  part.name.style.setProperty("--depth", Math.min(node.depth, 12));
  part.caret.textContent = node.rows.length === 0 ? "" : folded ? "▸" : "▾";
  drawName(part.label, span.name, node.category);
  part.note.textContent = noteOf(node, folded);
  part.errors.textContent = folded && node.errors > (failed ? 1 : 0) ? `${node.errors}✕` : "";
  part.errors.title = part.errors.textContent && `${node.errors} failed inside`;
  drawLane(part, node, folded, seen);
}

function drawName(label, name, category) {
  const dot = category === "aws" ? name.indexOf(".") : -1;
  if (dot < 0) fill(label, name);
  else fill(label, el("span", { class: "service" }, name.slice(0, dot + 1)), name.slice(dot + 1));
  label.title = name;
}

function noteOf(node, folded) {
  if (node.group) return `×${node.rows.length}`;
  const { attributes } = node.span;
  if (node.orphan && node.depth === 0) return "parent not stored";
  if (node.category === "create") return `#${attributes["fixpoint.iteration"]}`;
  if (node.category === "attempt") return `#${attributes["fixpoint.attempt"] ?? ""}`;
  if (node.category === "aws" && node.children.length > 1) return `${node.children.length} attempts`;
  return folded && node.category !== "aws" ? `${node.size - 1} inside` : "";
}

function drawLane(part, node, folded, seen) {
  const { view, now } = seen;
  const spans = node.group ? spansAt(node) : [node.span];
  const bars = [];
  const from = Math.min(...spans.map((s) => s.start));
  const to = Math.max(...spans.map((s) => s.end ?? now));
  if (spans.length > MOST_BARS) bars.push(barOf(from, to, view, "bar many"));
  else for (const span of spans) bars.push(barOf(span.start, span.end ?? now, view, span.failed ? "bar failed" : "bar"));
  const text = textOf(node, spans, from, to);
  part.text.textContent = text;
  place(part.text, position(from, view), position(to, view));
  fill(part.lane, bars, ticksOf(node, folded, seen), text ? part.text : null);
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

function textOf(node, spans, from, to) {
  if (node.group) {
    const busy = spans.reduce((sum, span) => sum + span.end - span.start, 0);
    return `${duration(to - from)}, ${duration(busy / spans.length)} each`;
  }
  const length = duration(to - from);
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

function ticksOf(node, folded, { view, logsBySpan }) {
  const marks = [];
  const stack = [node];
  while (stack.length > 0 && marks.length < MOST_TICKS) {
    const at = stack.pop();
    if (!at.group) {
      for (const line of logsBySpan.get(at.span.id) ?? []) {
        const x = position(line.at, view);
        if (x < 0 || x > 1 || marks.length >= MOST_TICKS) continue;
        const mark = el("b", { class: `tick ${line.level.toLowerCase()}`, title: `${line.level} ${line.message}` });
        mark.style.left = `${x * 100}%`;
        marks.push(mark);
      }
    }
    if (folded) stack.push(...at.rows);
  }
  return marks;
}
