// What each key does in a trace, and the sheet that says so. One table serves both.

import { ALL } from "./address.mjs";
import { el } from "./dom.mjs";

const NAMES = { ArrowDown: "↓", ArrowUp: "↑", ArrowRight: "→", ArrowLeft: "←", "=": "+" };

/** Every key there is: `[keys, what it does, how]`, by chapter. */
export const CHAPTERS = [
  ["Move", [
    ["j ↓", "next row", (x) => x.move(1)],
    ["k ↑", "previous row", (x) => x.move(-1)],
    ["PageDown", "a page down", (x) => x.move(x.list.pageSize)],
    ["PageUp", "a page up", (x) => x.move(-x.list.pageSize)],
    ["g", "first row", (x) => x.select(x.tree.node(x.rows[0]))],
    ["G", "last row", (x) => x.select(x.tree.node(x.rows.at(-1)))],
    ["p", "parent", (x) => x.select(x.selected?.above)],
    ["e", "next error", (x) => x.step(x.failures, 1, "error")],
    ["E", "previous error", (x) => x.step(x.failures, -1, "error")],
  ]],
  ["Find", [
    ["/", "find in this trace", (x) => x.part.find.focus()],
    ["n", "next match", (x) => x.step(x.matches, 1, "match")],
    ["N", "previous match", (x) => x.step(x.matches, -1, "match")],
    ["o", "only matches", (x) => x.find(x.state.query, !x.state.only)],
  ]],
  ["Fold", [
    ["l →", "open a row; then its first child", (x) => opened(x)],
    ["h ←", "fold a row; then its parent", (x) => closed(x)],
    ["L", "open a row with all below", (x) => x.fold(x.selected, false, { all: true })],
    ["H", "fold a row with all below", (x) => x.fold(x.selected, true, { all: true })],
    ["[", "show a level less", (x) => x.foldTo(levelBelow(x.state.level))],
    ["]", "show a level more; then as usual", (x) => x.foldTo(levelAbove(x.state.level))],
    ["{", "fold all", (x) => x.foldTo(1)],
    ["}", "open all", (x) => x.foldTo(ALL)],
    ["f", "fold or open all repeats", (x) => x.foldRepeats()],
  ]],
  ["Time", [
    ["c", "critical path", (x) => x.showCritical()],
    ["z", "zoom to the span", (x) => x.zoomToNode(x.selected)],
    ["+", "zoom in", (x) => x.zoomBy(0.5)],
    ["-", "zoom out", (x) => x.zoomBy(2)],
    ["0", "the whole trace", (x) => x.zoomTo(null)],
    [",", "earlier", (x) => x.pan(-0.25)],
    [".", "later", (x) => x.pan(0.25)],
  ]],
  ["Look", [
    ["Enter", "details of the span", (x) => x.detail(true)],
    ["Escape", "close details; then clear the search", (x) => (x.state.detail ? x.detail(false) : x.find("", false))],
    ["t", "waterfall or logs", (x) => x.show(x.state.view === "tree" ? "logs" : "tree")],
    ["m", "log lines and events as ticks, or not", (x) => x.showTicks()],
    ["y", "copy a link to what you see", (x) => x.link()],
    ["?", "this sheet", () => showHelp()],
  ]],
];

const LEGEND = [
  ["http", "HTTP request"], ["run", "run"], ["create", "create: the plan looks and decides"], ["step", "step"],
  ["wait", "waiting step"], ["aws", "AWS call"], ["attempt", "attempt of a call"], ["other", "any other span"],
];

let inUse = CHAPTERS;

/** Makes the keys work for an explorer. */
export function enableKeys(explorer, chapters = CHAPTERS) {
  inUse = chapters;
  const run = new Map(chapters.flatMap(([, rows]) => rows.flatMap(([keys, , action]) => keys.split(" ").map((key) => [key, action]))));
  const { scroller } = explorer.part;
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (event.target.closest("input, textarea, select, [contenteditable]")) return;
    const action = run.get(NAMES[event.key] ?? event.key);
    // Arrows scroll the page and Enter presses buttons, unless the waterfall has the focus.
    const inGrid = scroller.contains(event.target);
    if (/^(Arrow|Enter|Page)/.test(event.key) && !inGrid && event.target !== document.body) return;
    if (!action) return;
    action(explorer);
    event.preventDefault();
  });
}

/** Shows the sheet of keys. */
export function showHelp() {
  (document.getElementById("keys") ?? sheet()).showModal();
}

function opened(x) {
  const node = x.selected;
  if (!node) return x.move(1);
  if (node.foldable && x.folded(node.number)) x.fold(node, false);
  else x.select(node.firstBelow);
}

function closed(x) {
  const node = x.selected;
  if (node?.foldable && !x.folded(node.number)) x.fold(node, true);
  else x.select(node?.above);
}

/** Levels that a trace as usual seldom has more of. */
const DEEP = 6;

function levelBelow(level) {
  return Math.max(1, (level > 0 ? level : DEEP) - 1);
}

function levelAbove(level) {
  return level > 0 && level < DEEP ? level + 1 : 0;
}

function sheet() {
  const dialog = el("dialog", { id: "keys", "aria-labelledby": "keys-title" },
    el("h2", { id: "keys-title", tabindex: "-1", autofocus: true }, "Keys"),
    el("div", { class: "chapters" }, inUse.map(([chapter, rows]) => el("section", {},
      el("h3", {}, chapter),
      el("dl", { class: "keys" }, rows.map(([keys, what]) => el("div", {},
        el("dt", {}, keys.split(" ").map((key) => el("kbd", {}, key))), el("dd", {}, what))))))),
    el("h3", {}, "What the signs mean"),
    el("ul", { class: "legend" }, LEGEND.map(([name, what]) => el("li", { class: name },
      el("span", { class: "icon", "aria-hidden": "true" }), what)),
      el("li", {}, el("i", { class: "critical" }), "critical path: what was waited for"),
      el("li", {}, ["", "warn", "error"].map((level) => el("b", { class: `tick ${level}` })), "log lines: info, warning, error"),
      el("li", {}, el("b", { class: "tick event" }), "event of a span")),
    el("p", { class: "hint" }, "Find words in names, services, ids, attributes and log lines, key=value in one attribute, "
      + "or is:error, is:open, is:retried, is:aws, is:step, is:wait, is:create, is:http, is:other."),
    el("form", { method: "dialog" }, el("button", { class: "primary" }, "Close")));
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  document.body.append(dialog);
  return dialog;
}
