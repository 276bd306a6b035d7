// What stands above the waterfall: the trace in figures, what failed, what is odd, and the axis.

import { el, fill } from "./dom.mjs";
import { CATEGORIES, errorText } from "./kinds.mjs";
import { marksOfTrace } from "./marks.mjs";
import { duration, position, tickLabel, ticks } from "./scale.mjs";

const MOST_FAILURES = 3;

/** Failures looked at to find which are the same. */
const MOST_READ = 500;

/** Draws figures, failures and marks; and the controls as the state is. */
export function drawSummary(x) {
  const { data, part, state, tree } = x;
  const count = (category) => tree.categories[CATEGORIES.indexOf(category)];
  const facts = [
    [duration(x.whole.to - x.whole.from), data.open > 0 ? "so far" : ""],
    count("aws") > 0 && [count("aws"), "AWS calls"],
    count("step") + count("wait") > 0 && [count("step") + count("wait"), "steps"],
    [tree.count, "spans"],
    data.open > 0 && [data.open, "open"],
  ].filter(Boolean);
  fill(part.summary, facts.map(([value, what]) => el("span", {}, el("b", {}, typeof value === "number" ? value.toLocaleString("en") : value), ` ${what}`)));
  part.logTab.textContent = `Logs ${data.logs.length.toLocaleString("en")}${data.logsTruncated ? "+" : ""}`;
  part.logTab.title = data.logsTruncated ? "There are more; these are the newest" : "";
  for (const [tab, view] of [[part.treeTab, "tree"], [part.logTab, "logs"]]) tab.setAttribute("aria-selected", state.view === view);
  x.root.dataset.find = state.query.trim() === "" ? "off" : "on";
  part.found.textContent = state.query.trim() === "" ? "" : foundText(x);
  for (const [button, on] of [[part.only, state.only], [part.repeats, state.repeats], [part.critical, state.critical], [part.ticks, state.ticks]]) {
    button.setAttribute("aria-pressed", on);
  }
  part.errors.hidden = tree.failures.length === 0;
  part.errors.textContent = `✕ ${tree.failures.length}`;
  part.empty.hidden = tree.count > 0;
  part.empty.textContent = "No span has been recorded yet.";
  drawFailures(x);
  const marks = marksOfTrace(tree);
  refill(part.marks, marks.map(({ words }) => words).join(), () => marks.map(({ kind, words, number }) => el("p", { class: `trace-mark ${kind}` }, words, " ",
    number >= 0 && el("button", { type: "button", class: "link", onclick: () => x.select(x.nodeOf(tree.node(number).id), { detail: true }) }, "show"))));
}

// Draws again only what changed: a button that is replaced while somebody presses it does nothing.
function refill(part, key, make) {
  if (part.key === key) return;
  part.key = key;
  fill(part, make());
}

/** Draws the times above the bars. */
export function drawAxis({ part: { axis, scroller }, view, whole }) {
  const count = Math.max(2, Math.floor(axis.clientWidth / 90));
  fill(axis, ticks(view, whole.from, count).map((time) => {
    const mark = el("span", {}, tickLabel(time - whole.from));
    mark.style.left = `${position(time, view) * 100}%`;
    if (position(time, view) > 0.94) mark.className = "last";
    return mark;
  }));
  scroller.style.setProperty("--ticks", count);
}

function foundText({ finder, matches, selected }) {
  if (!finder.found) return "looking…";
  const at = selected ? matches.indexOf(selected.number) : -1;
  return at < 0 ? `${matches.length.toLocaleString("en")} found` : `${at + 1} of ${matches.length.toLocaleString("en")}`;
}

// The same failure again and again is one line.
function drawFailures(x) {
  const { part, tree } = x;
  const kinds = new Map();
  for (const number of tree.failures.slice(0, MOST_READ)) {
    const node = tree.node(number);
    const text = `${errorText(node.span) || "failed"}${node.parent ? ` in ${node.parent.span.name}` : ""}`;
    const key = `${node.span.name} ${text}`;
    if (kinds.has(key)) kinds.get(key).times++;
    else kinds.set(key, { node, times: 1 });
  }
  const shown = [...kinds.values()].slice(0, MOST_FAILURES);
  const rest = tree.failures.length - shown.reduce((sum, { times }) => sum + times, 0);
  const key = `${shown.map(({ node, times }) => `${node.id} ${times}`)} ${rest}`;
  refill(part.failures, key, () => [shown.map(({ node, times }) => el("button",
    { type: "button", class: "failure", onclick: () => x.select(x.nodeOf(node.id), { detail: true }) },
    times > 1 && `${times} × `, el("b", {}, node.span.name), " ", errorText(node.span) || "failed",
    node.parent && el("span", { class: "where" }, ` in ${node.parent.span.name}`))),
  rest > 0 && el("span", { class: "hint" }, `and ${rest} more: press e`)]);
}
