// The whole trace in a strip: every span a line, errors on top, and a brush for the zoom.
//
// Drag to choose a part, drag the chosen part to move it, double-click for the whole.

import { CATEGORIES } from "./kinds.mjs";
import { position } from "./scale.mjs";

const EDGE = 6;
const MOST = 6000;

export class Minimap {
  #drag = null;

  constructor(canvas, { onZoom }) {
    this.canvas = canvas;
    this.onZoom = onZoom;
    this.whole = this.view = { from: 0, to: 1 };
    this.tree = null;
    canvas.addEventListener("pointerdown", (event) => this.#grab(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    canvas.addEventListener("pointerup", (event) => this.#drop(event));
    canvas.addEventListener("pointercancel", () => (this.#drag = null));
    canvas.addEventListener("dblclick", () => this.onZoom(null));
    new ResizeObserver(() => this.draw()).observe(canvas);
  }

  /** Shows `tree` over `whole`, with `view` marked. */
  show({ tree, whole, view, now }) {
    // While one scrolls, nothing here changes.
    const same = tree === this.tree && view.from === this.view.from && view.to === this.view.to && whole.to === this.whole.to;
    Object.assign(this, { tree, whole, view, now });
    if (!same) this.draw();
  }

  /** Draws; also after a change of size. */
  draw() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    if (width === 0 || !this.tree) return;
    const ratio = devicePixelRatio || 1;
    this.canvas.width = Math.round(width * ratio);
    this.canvas.height = Math.round(height * ratio);
    const pen = this.canvas.getContext("2d");
    pen.scale(ratio, ratio);
    const style = getComputedStyle(this.canvas);
    const colour = (name) => style.getPropertyValue(`--${name}`).trim();
    const inner = height - 8;
    const { tree } = this;
    const { spans, place } = tree;
    const count = Math.max(tree.count, 1);
    const thick = Math.max(1, Math.min(4, (inner / count) * 0.9));
    const bar = (n, fill, least) => {
      const end = spans.end[place[n]];
      const x = position(spans.start[place[n]], this.whole) * width;
      const to = position(Number.isNaN(end) ? this.now : end, this.whole) * width;
      pen.fillStyle = fill;
      pen.fillRect(x, 4 + (n / count) * inner, Math.max(least, to - x), least > 1 ? Math.max(2, thick) : thick);
    };
    const fills = CATEGORIES.map(colour);
    // With more spans than pixels, most lines would be drawn over: every n-th is enough.
    const stride = Math.max(1, Math.floor(count / MOST));
    for (let n = 0; n < tree.count; n += stride) bar(n, fills[spans.category[place[n]]], 1);
    const red = colour("error");
    for (const n of tree.failures) bar(n, red, 4);
    this.#brush(pen, width, height, colour);
  }

  #brush(pen, width, height, colour) {
    const left = position(this.view.from, this.whole) * width;
    const right = position(this.view.to, this.whole) * width;
    if (left <= 0.5 && right >= width - 0.5) return;
    pen.fillStyle = colour("veil");
    pen.fillRect(0, 0, left, height);
    pen.fillRect(right, 0, width - right, height);
    pen.fillStyle = colour("accent");
    pen.fillRect(left - 1, 0, 2, height);
    pen.fillRect(right - 1, 0, 2, height);
  }

  #time(event) {
    const box = this.canvas.getBoundingClientRect();
    const share = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
    return this.whole.from + share * (this.whole.to - this.whole.from);
  }

  #grab(event) {
    if (event.button !== 0) return;
    this.canvas.setPointerCapture(event.pointerId);
    const at = this.#time(event);
    const edge = ((this.whole.to - this.whole.from) / this.canvas.clientWidth) * EDGE;
    const { from, to } = this.view;
    const narrowed = from > this.whole.from || to < this.whole.to;
    if (narrowed && Math.abs(at - from) < edge) this.#drag = { anchor: to };
    else if (narrowed && Math.abs(at - to) < edge) this.#drag = { anchor: from };
    else if (narrowed && at > from && at < to) this.#drag = { move: at, from, to };
    else this.#drag = { anchor: at };
  }

  #move(event) {
    if (!this.#drag) return;
    const at = this.#time(event);
    const { anchor, move, from, to } = this.#drag;
    if (move !== undefined) this.onZoom({ from: from + at - move, to: to + at - move });
    else if (Math.abs(at - anchor) > 0) this.onZoom({ from: Math.min(at, anchor), to: Math.max(at, anchor) });
  }

  #drop() {
    this.#drag = null;
  }
}
