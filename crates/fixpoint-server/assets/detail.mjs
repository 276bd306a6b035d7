// The panel beside the waterfall: all that is known of one span.
//
// The surprise: it is drawn twice. What rows have is there at once; attributes, bodies, events and
// links come from the server a moment later.

import { copyButton, el, fill } from "./dom.mjs";
import { jsonBlock, pretty } from "./json.mjs";
import { errorText, waitText } from "./kinds.mjs";
import { logLineElement } from "./logs.mjs";
import { marksOf } from "./marks.mjs";
import { duration } from "./scale.mjs";

const BODIES = [["fixpoint.request", "Request"], ["fixpoint.response", "Response"]];
const MOST = 200;

/** Fills `panel` with what explorer `x` knows of `node`. `whole` is the span with all that it holds, or null. */
export function drawDetail(panel, node, x, whole) {
  const button = (label, run, title) => el("button", { type: "button", class: "quiet", onclick: run, title }, label);
  fill(panel,
    el("header", { class: `detail-head ${node.category}${node.failed ? " failed" : ""}` },
      el("nav", { class: "path", "aria-label": "Where this span is" },
        node.path.filter((up) => !up.group).reverse().map((up) => [button(up.label, () => x.select(up)), " › "])),
      el("h2", {}, el("span", { class: "icon", "aria-hidden": "true" }), node.group ? `${node.times} × ${node.label}` : node.label),
      el("div", { class: "detail-actions" },
        button("zoom", () => x.zoomToNode(node), "Zoom to this span (z)"),
        button("copy link", () => x.link(), "Copy a link to this span (y)"),
        button("✕", () => x.detail(false), "Close (Escape)"))),
    node.group ? groupBody(node, x) : spanBody(node, x, whole));
}

function groupBody(node, x) {
  const { group } = node;
  const numbers = [...x.tree.below(node.number)].slice(0, MOST);
  return el("div", { class: "detail-body" },
    node.errors > 0 && el("div", { class: "problem" }, el("p", { class: "problem-title" }, `${node.errors} failed`),
      el("ol", { class: "members" }, node.failedMembers.slice(0, MOST).map((number) => memberItem(x.tree.node(number), x)))),
    el("p", {}, group.period === 1 ? `${group.count} spans in a row with the same name.` : `${group.period} spans that take turns, ${node.times} times.`,
      " Press l to show each, f to open all repeats."),
    el("dl", { class: "facts" },
      fact("from first to last", duration(group.to - group.from)),
      fact("busy in all", duration(group.busy)),
      fact("each, on average", duration(group.busy / group.count)),
      criticalFact(node, x)),
    el("ol", { class: "members" }, numbers.map((number) => memberItem(x.tree.node(number), x))),
    group.count > numbers.length && el("p", { class: "hint" }, `The first ${numbers.length} of ${group.count} are listed.`));
}

function memberItem(member, x) {
  return el("li", { class: member.failed ? "failed" : "" },
    el("button", { type: "button", class: "quiet", onclick: () => x.select(member) },
      duration(member.span.end - member.span.start), member.span.failed && ` ${errorText(member.span)}`));
}

function spanBody(node, x, whole) {
  const span = whole ?? node.span;
  const { data, now } = x;
  const wait = waitText(span);
  const attributes = Object.entries(span.attributes).filter(([key]) => !BODIES.some(([body]) => body === key));
  return el("div", { class: "detail-body" },
    span.failed && el("div", { class: "problem" },
      el("p", { class: "problem-title" }, "Failed"), el("p", {}, errorText(span) || "no message was given")),
    marksOf(node).map(({ words, kind }) => el("p", { class: `mark-box ${kind}` }, words)),
    wait && el("p", { class: "wait-box" }, wait),
    el("dl", { class: "facts" },
      fact("state", span.end === null ? "open" : span.failed ? "error" : "ok"),
      fact("duration", `${duration((span.end ?? now) - span.start)}${span.end === null ? " so far" : ""}`),
      criticalFact(node, x),
      fact("start", el("time", { title: data.date(span.start).toISOString() },
        `${data.date(span.start).toISOString().slice(11, 23)} UTC`), ` (+${duration(span.start - x.tree.from)})`),
      span.service && fact("service", span.service),
      fact("span", el("code", {}, span.id), " ", copyButton(span.id)),
      span.attributes["aws.request_id"] && fact("request id",
        el("code", {}, span.attributes["aws.request_id"]), " ", copyButton(span.attributes["aws.request_id"]))),
    attempts(node, x),
    whole && BODIES.map(([key, title]) => span.attributes[key] !== undefined && body(title, String(span.attributes[key]))),
    attributes.length > 0 && section("Attributes", el("table", { class: "attributes" }, el("tbody", {},
      attributes.map(([key, value]) => el("tr", {}, el("th", { scope: "row" }, key), el("td", {}, textOf(value))))))),
    !whole && el("p", { class: "hint" }, "Reading the rest…"),
    whole?.events.length > 0 && section("Events", span.events.map((event) => el("div", { class: "event" },
      el("span", { class: "at" }, `+${duration(event.time - span.start)}`), " ", event.name,
      Object.entries(event.attributes).map(([key, value]) => el("div", { class: "fields" }, `${key}=${textOf(value)}`))))),
    logSection(node, x),
    whole?.links.length > 0 && section("Links", span.links.map((link) => el("p", {},
      el("a", { href: `/traces/${encodeURIComponent(link.traceId)}?span=${encodeURIComponent(link.spanId)}&detail=1` },
        el("code", {}, link.traceId))))));
}

function criticalFact(node, x) {
  if (!x.path) return null;
  const sum = (pieces) => pieces.reduce((total, { from, to }) => total + to - from, 0);
  const [first, end] = x.tree.range(node.number);
  const all = sum(x.path.within(first, end));
  const share = Math.round((all / (x.whole.to - x.whole.from)) * 100);
  return fact("critical path", all === 0 ? "not on it: making this shorter would not help"
    : `${duration(all)}, ${share} % of the trace`);
}

function attempts(node, x) {
  const tries = node.category === "aws" ? node.children.filter((child) => child.category === "attempt") : [];
  if (tries.length < 2) return null;
  return section("Attempts", el("ol", { class: "members" }, tries.map((child) => el("li", {},
    el("button", { type: "button", class: "quiet", onclick: () => x.select(child) },
      `${duration((child.span.end ?? child.span.start) - child.span.start)} ${errorText(child.span)}`)))));
}

function body(title, text) {
  return section([title, " ", copyButton(pretty(text), `Copy ${title.toLowerCase()}`)], jsonBlock(text));
}

function logSection(node, x) {
  const lines = x.ticksBelow(node).filter((tick) => tick.line !== null).map((tick) => tick.line).sort((a, b) => a.at - b.at);
  if (lines.length === 0) return null;
  const shown = lines.slice(0, MOST);
  return section(`Logs (${lines.length})`,
    el("div", { class: "log-lines" }, shown.map((line) => logLineElement(line, x.data, x.tree.from,
      line.spanId === node.id ? null : () => x.select(x.nodeOf(line.spanId))))),
    lines.length > shown.length && el("p", { class: "hint" }, `The first ${shown.length} are shown; all are in the log view.`));
}

function section(title, ...children) {
  return el("section", {}, el("h3", {}, title), children);
}

function fact(name, ...value) {
  return [el("dt", {}, name), el("dd", {}, value)];
}

function textOf(value) {
  return value !== null && typeof value === "object" ? JSON.stringify(value) : String(value);
}
