// The scatter's hands: a label at the pointer, a trace's row and dot lit together, and a rectangle
// that narrows the search down.
//
// Not for drawing, which the server does. The surprise: the picture is drawn anew every few
// seconds, so everything here listens to the document and not to the dots.

import { lengthText } from "./complete.mjs";
import { el } from "./dom.mjs";

/** A drag shorter than this, in pixels, is a click. */
const CLICK = 5;

/** Makes every `[data-scatter]` on the page work. */
export function enableScatter() {
  document.addEventListener("pointerover", (event) => {
    const trace = event.target.closest?.("[data-dot]")?.dataset.dot ?? event.target.closest?.("[data-trace-row]")?.dataset.traceRow;
    light(trace);
    tell(event.target.closest?.("[data-dot]"));
  });
  document.addEventListener("focusin", (event) => light(event.target.closest?.("[data-trace-row]")?.dataset.traceRow));
  document.addEventListener("dragstart", (event) => event.target.closest?.(".plot") && event.preventDefault());
  document.addEventListener("pointerdown", (event) => {
    const plot = event.target.closest?.(".plot");
    if (plot && event.button === 0) new Selection(plot, event);
  });
}

/**
 * What a rectangle stands for: `{from, to}` in milliseconds since 1970 and `{min, max}` in
 * nanoseconds. Shares run from left to right and from top to bottom. One as high as the picture
 * says nothing of durations, and gets none.
 */
export function selected({ left, right, top, bottom }, { from, to, least, most }) {
  const time = (share) => Math.round(from + share * (to - from));
  const nanos = (share) => 10 ** (most - share * (most - least));
  const all = bottom - top > 0.9;
  return { from: time(left), to: time(right), min: all ? null : nanos(bottom), max: all ? null : nanos(top) };
}

/** The address of a selection, from the page's own. The server puts the durations into the query. */
export function address(search, { from, to, min, max }) {
  const params = new URLSearchParams(search);
  params.delete("page_token");
  params.set("from", new Date(from).toISOString());
  params.set("to", new Date(to).toISOString());
  if (min !== null) {
    params.set("min", lengthText(min));
    params.set("max", lengthText(max));
  }
  return `/traces?${params}`;
}

class Selection {
  #box = null;

  constructor(plot, event) {
    this.plot = plot;
    this.start = event;
    this.bounds = plot.getBoundingClientRect();
    const move = (event) => this.#move(event);
    const end = (event) => {
      removeEventListener("pointermove", move);
      removeEventListener("pointerup", end);
      removeEventListener("keydown", escape);
      this.#end(event);
    };
    const escape = (event) => event.key === "Escape" && end({ cancelled: true });
    addEventListener("pointermove", move);
    addEventListener("pointerup", end);
    addEventListener("keydown", escape);
  }

  #shares(event) {
    const { left, top, width, height } = this.bounds;
    const share = (at, from, size) => Math.min(Math.max((at - from) / size, 0), 1);
    const xs = [this.start, event].map((it) => share(it.clientX, left, width)).sort((a, b) => a - b);
    let ys = [this.start, event].map((it) => share(it.clientY, top, height)).sort((a, b) => a - b);
    // A drag along the time is about time alone.
    if (Math.abs(event.clientY - this.start.clientY) < 3 * CLICK) ys = [0, 1];
    return { left: xs[0], right: xs[1], top: ys[0], bottom: ys[1] };
  }

  #move(event) {
    if (!this.#box && Math.hypot(event.clientX - this.start.clientX, event.clientY - this.start.clientY) < CLICK) return;
    this.#box ??= this.plot.appendChild(document.createElementNS("http://www.w3.org/2000/svg", "rect"));
    const { left, right, top, bottom } = this.#shares(event);
    const places = { class: "brush", x: left, y: top, width: right - left, height: bottom - top };
    for (const [name, value] of Object.entries(places)) this.#box.setAttribute(name, typeof value === "number" ? `${value * 100}%` : value);
    tell(null);
  }

  #end(event) {
    if (!this.#box) return;
    this.#box.remove();
    if (event.cancelled) return;
    // The click that follows would open a trace.
    addEventListener("click", (click) => click.preventDefault(), { capture: true, once: true });
    const { from, to, least, most } = this.plot.closest("[data-scatter]").dataset;
    const scale = { from: Number(from), to: Number(to), least: Number(least), most: Number(most) };
    location.href = address(location.search, selected(this.#shares(event), scale));
  }
}

function light(trace) {
  for (const lit of document.querySelectorAll(".lit")) lit.classList.remove("lit");
  if (!trace) return;
  const id = CSS.escape(trace);
  for (const node of document.querySelectorAll(`[data-dot="${id}"], [data-trace-row="${id}"]`)) node.classList.add("lit");
}

// The browser's own label comes late; its text moves into ours.
function tell(dot) {
  let tip = document.getElementById("tip");
  if (!dot) {
    if (tip) tip.hidden = true;
    return;
  }
  const title = dot.querySelector("title");
  if (title) {
    dot.dataset.tip = title.textContent;
    title.remove();
  }
  if (!tip) document.body.append(tip = el("div", { id: "tip", class: "tip", role: "tooltip" }));
  tip.textContent = dot.dataset.tip;
  tip.hidden = false;
  const { left, right, top } = dot.getBoundingClientRect();
  const { width, height } = tip.getBoundingClientRect();
  tip.style.left = `${right + width + 12 > innerWidth ? left - width - 8 : right + 8}px`;
  tip.style.top = `${Math.max(4, top - height / 2)}px`;
}
