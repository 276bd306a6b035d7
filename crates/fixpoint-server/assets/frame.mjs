// The frame of a trace's view: toolbar, minimap, waterfall, logs, details; and the wiring of its
// controls. What is in them is drawn by `explorer.mjs`.

import { el, fill } from "./dom.mjs";
import { showHelp } from "./keys.mjs";

/** Builds the frame in `root` and returns its parts. */
export function buildFrame(root, explorer) {
  const tool = (label, title, run, more = {}) => el("button", { type: "button", class: "tool", title, "aria-label": title, onclick: run, ...more }, label);
  const tab = (label, view) => el("button", { type: "button", role: "tab", class: "tab", onclick: () => explorer.show(view) }, label);
  const part = {
    treeTab: tab("Waterfall", "tree"),
    logTab: tab("Logs", "logs"),
    summary: el("div", { class: "summary" }),
    find: el("input", { type: "search", class: "find", placeholder: "find in trace", "aria-label": "Find in this trace", spellcheck: "false", autocomplete: "off" }),
    found: el("span", { class: "found", role: "status" }),
    only: tool("only", "Show only what matches (o)", () => explorer.find(explorer.state.query, !explorer.state.only), { class: "tool of-find" }),
    errors: tool("✕", "Next error (e)", () => explorer.step(explorer.failures, 1, "error"), { class: "tool errors" }),
    repeats: tool("repeats", "Fold what repeats (f)", () => explorer.foldRepeats(), { class: "tool wide" }),
    critical: tool("critical path", "Draw what the trace waited for (c)", () => explorer.showCritical(), { class: "tool wide" }),
    ticks: tool("ticks", "Log lines and events as ticks (m)", () => explorer.showTicks(), { class: "tool wide" }),
    marks: el("div", { class: "trace-marks" }),
    failures: el("div", { class: "failures" }),
    notice: el("div", {}),
    minimap: el("canvas", { class: "minimap", role: "img", "aria-label": "Overview of the trace; drag to zoom" }),
    axis: el("div", { class: "axis", "aria-hidden": "true" }),
    splitter: el("div", { class: "splitter", role: "separator", "aria-orientation": "vertical", title: "Drag to make room for names" }),
    scroller: el("div", { class: "scroller", role: "treegrid", tabindex: "0", "aria-label": "Waterfall" }),
    logs: el("div", { class: "scroller log-list", role: "list", tabindex: "0", "aria-label": "Log lines" }),
    detail: el("aside", { class: "detail", "aria-label": "Span details", hidden: true }),
    empty: el("p", { class: "empty" }, "Reading the trace…"),
  };
  const level = part.level = el("select", { class: "level-choice", "aria-label": "Least log level", onchange: () => explorer.showLevel(level.value) },
    [["TRACE", "all levels"], ["INFO", "info and up"], ["WARN", "warnings"], ["ERROR", "errors"]].map(([value, text]) => el("option", { value }, text)));
  fill(root,
    part.notice, part.failures, part.marks,
    el("div", { class: "toolbar" },
      el("div", { role: "tablist", class: "tabs", "aria-label": "View" }, part.treeTab, part.logTab),
      part.summary,
      el("div", { class: "tools" },
        level, part.repeats, part.critical, part.ticks, part.found, part.find,
        tool("↑", "Previous match (N)", () => explorer.step(explorer.matches, -1, "match"), { class: "tool of-find" }),
        tool("↓", "Next match (n)", () => explorer.step(explorer.matches, 1, "match"), { class: "tool of-find" }),
        part.only, part.errors,
        tool("whole", "Show the whole trace (0)", () => explorer.zoomTo(null), { class: "tool wide" }),
        tool("?", "Keys and marks (?)", showHelp))),
    el("div", { class: "panes" },
      el("div", { class: "pane" },
        el("div", { class: "map-row" }, el("div", { class: "name" }, el("span", { class: "live-mark" })), part.minimap),
        el("div", { class: "axis-row" }, el("div", { class: "name" }, "Step or call"), part.splitter, part.axis),
        part.empty, part.scroller, part.logs),
      part.detail));

  part.find.addEventListener("input", () => explorer.find(part.find.value));
  part.find.addEventListener("keydown", (event) => {
    if (event.key === "Enter") explorer.step(explorer.matches, event.shiftKey ? -1 : 1, "match");
    else if (event.key === "Escape") {
      explorer.find("", false);
      part.scroller.focus();
    } else return;
    event.preventDefault();
  });
  part.scroller.addEventListener("wheel", (event) => wheel(event, part, explorer), { passive: false });
  split(part.splitter, root);
  return part;
}

// With Ctrl the wheel zooms where the pointer is; sideways it pans.
function wheel(event, part, explorer) {
  const box = part.axis.getBoundingClientRect();
  const share = (event.clientX - box.left) / box.width;
  if (event.ctrlKey && share >= 0) {
    event.preventDefault();
    const { from, to } = explorer.view;
    explorer.zoomBy(event.deltaY > 0 ? 1.25 : 0.8, from + share * (to - from));
  } else if (Math.abs(event.deltaX) > Math.abs(event.deltaY) && explorer.state.zoom) {
    event.preventDefault();
    explorer.pan(event.deltaX / box.width);
  }
}

function split(splitter, root) {
  splitter.addEventListener("pointerdown", (event) => {
    splitter.setPointerCapture(event.pointerId);
    const box = root.querySelector(".pane").getBoundingClientRect();
    const move = (at) => root.style.setProperty("--names", `${Math.min(box.width * 0.7, Math.max(140, at.clientX - box.left))}px`);
    splitter.addEventListener("pointermove", move);
    splitter.addEventListener("lostpointercapture", () => splitter.removeEventListener("pointermove", move), { once: true });
  });
}
