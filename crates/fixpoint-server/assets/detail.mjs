// The panel beside the waterfall: all that is known of one span.

import { copyButton, el, fill } from "./dom.mjs";
import { jsonBlock, pretty } from "./json.mjs";
import { logLineElement } from "./logs.mjs";
import { duration } from "./scale.mjs";
import { ancestors, errorText, isAttempt, waitText } from "./tree.mjs";

const BODIES = [["fixpoint.request", "Request"], ["fixpoint.response", "Response"]];
const MOST_LOGS = 200;

/** Fills `panel` with what is known of `node`. `on` holds close, zoom, link and select. */
export function drawDetail(panel, node, data, on) {
  const { span } = node;
  const now = data.now();
  const button = (label, run, title) => el("button", { type: "button", class: "quiet", onclick: run, title }, label);
  fill(panel,
    el("header", { class: `detail-head ${node.category}${node.errors > 0 || span.failed ? " failed" : ""}` },
      el("nav", { class: "path", "aria-label": "Where this span is" },
        ancestors(node).reverse().map((up) => [button(up.span.name, () => on.select(up)), " › "])),
      el("h2", {}, el("span", { class: "icon", "aria-hidden": "true" }), node.group ? `${span.name} ×${node.rows.length}` : span.name),
      el("div", { class: "detail-actions" },
        button("zoom", on.zoom, "Zoom to this span (z)"),
        button("copy link", on.link, "Copy a link to this span (y)"),
        button("✕", on.close, "Close (Escape)"))),
    node.group ? groupBody(node, on) : spanBody(node, data, now, on));
}

function groupBody(node, on) {
  return el("div", { class: "detail-body" },
    el("p", {}, `${node.rows.length} calls in a row with the same name. Press l to show each.`),
    el("ol", { class: "members" }, node.rows.map((member) => el("li", {},
      el("button", { type: "button", class: "quiet", onclick: () => on.select(member) },
        `${duration(member.span.end - member.span.start)}`)))));
}

function spanBody(node, data, now, on) {
  const { span } = node;
  const wait = waitText(span);
  const root = data.tree.roots[0]?.span.start ?? span.start;
  const rest = Object.entries(span.attributes).filter(([key]) => !BODIES.some(([body]) => body === key));
  return el("div", { class: "detail-body" },
    span.failed && el("div", { class: "problem" },
      el("p", { class: "problem-title" }, "Failed"), el("p", {}, errorText(span) || "no message was given")),
    wait && el("p", { class: "wait-box" }, wait),
    el("dl", { class: "facts" },
      fact("state", span.end === null ? "open" : span.failed ? "error" : "ok"),
      fact("duration", `${duration((span.end ?? now) - span.start)}${span.end === null ? " so far" : ""}`),
      fact("start", el("time", { title: data.date(span.start).toISOString() },
        `${data.date(span.start).toISOString().slice(11, 23)} UTC`), ` (+${duration(span.start - root)})`),
      fact("span", el("code", {}, span.id), " ", copyButton(span.id)),
      span.attributes["aws.request_id"] && fact("request id",
        el("code", {}, span.attributes["aws.request_id"]), " ", copyButton(span.attributes["aws.request_id"]))),
    attempts(node, on),
    BODIES.map(([key, title]) => span.attributes[key] !== undefined && body(title, String(span.attributes[key]))),
    rest.length > 0 && section("Attributes", el("table", { class: "attributes" }, el("tbody", {},
      rest.map(([key, value]) => el("tr", {}, el("th", { scope: "row" }, key), el("td", {}, String(value))))))),
    span.events.length > 0 && section("Events", span.events.map((event) => el("div", { class: "event" },
      el("span", { class: "at" }, `+${duration(event.time - span.start)}`), " ", event.name,
      Object.entries(event.attributes).map(([key, value]) => el("div", { class: "fields" }, `${key}=${value}`))))),
    logSection(node, data, root, on),
    span.links.length > 0 && section("Links", span.links.map((link) => el("p", {},
      el("a", { href: `/traces/${encodeURIComponent(link.traceId)}?span=${encodeURIComponent(link.spanId)}&detail=1` },
        el("code", {}, link.traceId))))));
}

function attempts(node, on) {
  const tries = node.children.filter(isAttempt);
  if (tries.length < 2) return null;
  return section("Attempts", el("ol", { class: "members" }, tries.map((child) => el("li", {},
    el("button", { type: "button", class: "quiet", onclick: () => on.select(child) },
      `${duration((child.span.end ?? child.span.start) - child.span.start)} ${errorText(child.span)}`)))));
}

function body(title, text) {
  return section([title, " ", copyButton(pretty(text), `Copy ${title.toLowerCase()}`)], jsonBlock(text));
}

function logSection(node, data, root, on) {
  const own = [];
  const stack = [node];
  while (stack.length > 0) {
    const at = stack.pop();
    own.push(...(data.logsBySpan.get(at.span.id) ?? []));
    stack.push(...at.children);
  }
  if (own.length === 0) return null;
  own.sort((a, b) => a.at - b.at);
  const shown = own.slice(0, MOST_LOGS);
  return section(`Logs (${own.length})`,
    el("div", { class: "log-lines" }, shown.map((line) => logLineElement(line, data, root,
      line.spanId === node.span.id ? null : () => on.select(data.tree.nodes.get(line.spanId))))),
    own.length > shown.length && el("p", { class: "hint" }, `The first ${shown.length} are shown; all are in the log view.`));
}

function section(title, ...children) {
  return el("section", {}, el("h3", {}, title), children);
}

function fact(name, ...value) {
  return [el("dt", {}, name), el("dd", {}, value)];
}
