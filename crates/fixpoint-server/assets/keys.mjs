// What each key does in a trace, and the sheet that says so. One table serves both.

import { el } from "./dom.mjs";

const KEYS = [
  ["j ↓", "next row", (x) => x.move(1)],
  ["k ↑", "previous row", (x) => x.move(-1)],
  ["l →", "open a row; then its first child", (x) => opened(x)],
  ["h ←", "fold a row; then its parent", (x) => closed(x)],
  ["p", "parent", (x) => x.select(x.selected?.groupNode ?? x.selected?.parent)],
  ["e", "next error", (x) => x.step(x.data.tree.failures, 1, "error")],
  ["E", "previous error", (x) => x.step(x.data.tree.failures, -1, "error")],
  ["/", "find in this trace", (x) => x.part.find.focus()],
  ["n", "next match", (x) => x.step(x.matches, 1, "match")],
  ["N", "previous match", (x) => x.step(x.matches, -1, "match")],
  ["o", "only matches", (x) => x.find(x.state.query, !x.state.only)],
  ["Enter", "details of the span", (x) => x.detail(true)],
  ["Escape", "close details; then clear the search", (x) => (x.state.detail ? x.detail(false) : x.find("", false))],
  ["z", "zoom to the span", (x) => x.zoomToNode(x.selected)],
  ["+", "zoom in", (x) => x.zoomBy(0.5)],
  ["-", "zoom out", (x) => x.zoomBy(2)],
  ["0", "the whole trace", (x) => x.zoomTo(null)],
  [", .", "earlier, later", (x, key) => x.pan(key === "," ? -0.25 : 0.25)],
  ["[ ]", "fold, open a level", (x, key) => x.foldTo(key === "[" ? Math.max(1, (x.state.level || 6) - 1) : x.state.level && (x.state.level + 1) % 7)],
  ["t", "waterfall or logs", (x) => x.show(x.state.view === "tree" ? "logs" : "tree")],
  ["g", "first row", (x) => x.select(x.rows[0])],
  ["G", "last row", (x) => x.select(x.rows.at(-1))],
  ["y", "copy a link to what you see", (x) => x.link()],
  ["?", "this sheet", () => sheet().showModal()],
];

const ALIASES = { ArrowDown: "↓", ArrowUp: "↑", ArrowRight: "→", ArrowLeft: "←", "=": "+" };

/** Makes the keys work for an explorer. */
export function enableKeys(explorer) {
  const run = new Map(KEYS.flatMap(([keys, , action]) => keys.split(" ").map((key) => [key, action])));
  const { scroller } = explorer.part;
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (event.target.closest("input, textarea, select, [contenteditable]")) return;
    const key = ALIASES[event.key] ?? event.key;
    // Arrows scroll the page and Enter presses buttons, unless the waterfall has the focus.
    const inGrid = scroller.contains(event.target);
    if ((event.key.startsWith("Arrow") || event.key === "Enter") && !inGrid && event.target !== document.body) return;
    if (event.key === "PageDown" && inGrid) explorer.move(explorer.list.pageSize);
    else if (event.key === "PageUp" && inGrid) explorer.move(-explorer.list.pageSize);
    else if (run.has(key)) run.get(key)(explorer, key);
    else return;
    event.preventDefault();
  });
}

/** Shows the sheet of keys. */
export function showHelp() {
  sheet().showModal();
}

function opened(x) {
  const node = x.selected;
  if (!node) return x.move(1);
  if (node.rows.length > 0 && x.folded(node)) x.fold(node, false);
  else if (node.rows.length > 0) x.select(node.rows[0]);
}

function closed(x) {
  const node = x.selected;
  if (!node) return;
  if (node.rows.length > 0 && !x.folded(node)) x.fold(node, true);
  else x.select(node.groupNode ?? node.parent);
}

function sheet() {
  const known = document.getElementById("keys");
  if (known) return known;
  const kinds = [["http", "HTTP request"], ["run", "run"], ["create", "create: the plan looks and decides"], ["step", "step"],
    ["wait", "waiting step"], ["aws", "AWS call"], ["attempt", "attempt of a call"]];
  const dialog = el("dialog", { id: "keys", "aria-labelledby": "keys-title" },
    el("h2", { id: "keys-title" }, "Keys"),
    el("dl", { class: "keys" }, KEYS.map(([keys, what]) => el("div", {},
      el("dt", {}, keys.split(" ").map((key) => el("kbd", {}, key))), el("dd", {}, what)))),
    el("h3", {}, "What the marks mean"),
    el("ul", { class: "legend" }, kinds.map(([name, what]) => el("li", { class: name },
      el("span", { class: "icon", "aria-hidden": "true" }), " ", what))),
    el("p", { class: "hint" }, "Find words, ids, key=value, or is:error, is:aws, is:step, is:wait, is:open, is:retried."),
    el("form", { method: "dialog" }, el("button", { class: "primary" }, "Close")));
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  document.body.append(dialog);
  return dialog;
}
