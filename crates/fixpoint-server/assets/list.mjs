// A list that draws only the rows in sight, so that 100,000 rows scroll like ten. Rows are all of
// one height, and their elements are used again: `make()` builds one, `draw(element, index)` fills it.

const MARGIN = 8;

export class VirtualList {
  #count = 0;
  #shown = new Map();
  #spare = [];
  #frame = 0;
  #following = true;

  constructor(scroller, { make, draw }) {
    this.scroller = scroller;
    this.make = make;
    this.draw = draw;
    this.sizer = document.createElement("div");
    this.sizer.className = "sizer";
    this.sizer.setAttribute("role", "presentation");
    scroller.append(this.sizer);
    scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    // A changing list scrolls as well; only these are somebody's wish to look elsewhere.
    for (const wish of ["wheel", "pointerdown", "touchmove"]) {
      scroller.addEventListener(wish, () => (this.#following = false), { passive: true });
    }
    new ResizeObserver(() => this.redraw()).observe(scroller);
  }

  /**
   * Sets how many rows there are and draws. With `follow`, the end stays in sight until somebody
   * scrolls away. If the row `watched` was in sight and has `moved` by some rows, it stays where it was.
   */
  setCount(count, { follow = false, watched = -1, moved = 0 } = {}) {
    const { scrollTop, clientHeight } = this.scroller;
    const inSight = watched >= 0 && (watched + 1) * this.rowHeight > scrollTop && watched * this.rowHeight < scrollTop + clientHeight;
    this.#count = count;
    this.redraw();
    if (inSight && moved !== 0) {
      this.scroller.scrollTop = scrollTop + moved * this.rowHeight;
      this.#place(false);
    }
    if (follow && this.#following) {
      this.scroller.scrollTop = this.scroller.scrollHeight;
      this.#place(false);
    }
  }

  /** Draws every row in sight anew. */
  redraw() {
    this.rowHeight = parseFloat(getComputedStyle(this.scroller).getPropertyValue("--row")) || 26;
    this.sizer.style.height = `${this.#count * this.rowHeight}px`;
    this.#place(true);
  }

  /** Scrolls so that the row is in sight: a step if it is near, else with a few rows above it. */
  reveal(index) {
    const { rowHeight } = this;
    const top = index * rowHeight;
    const { scrollTop, clientHeight } = this.scroller;
    const above = scrollTop + rowHeight - top;
    const below = top - (scrollTop + clientHeight - 2 * rowHeight);
    if (Math.max(above, below) > 3 * rowHeight) this.scroller.scrollTop = top - 5 * rowHeight;
    else if (above > 0) this.scroller.scrollTop -= above;
    else if (below > 0) this.scroller.scrollTop += below;
    this.#place(false);
  }

  /** How many rows fit. */
  get pageSize() {
    return Math.max(1, Math.floor(this.scroller.clientHeight / this.rowHeight) - 1);
  }

  #scrolled() {
    const { scrollTop, clientHeight, scrollHeight } = this.scroller;
    this.#following ||= scrollTop + clientHeight >= scrollHeight - 2;
    if (this.#frame) return;
    this.#frame = requestAnimationFrame(() => {
      this.#frame = 0;
      this.#place(false);
    });
  }

  #place(all) {
    const { scrollTop, clientHeight } = this.scroller;
    const first = Math.max(0, Math.floor(scrollTop / this.rowHeight) - MARGIN);
    const last = Math.min(this.#count, Math.ceil((scrollTop + clientHeight) / this.rowHeight) + MARGIN);
    for (const [index, element] of this.#shown) {
      if (index >= first && index < last) continue;
      this.#shown.delete(index);
      element.hidden = true;
      this.#spare.push(element);
    }
    for (let index = first; index < last; index++) {
      let element = this.#shown.get(index);
      const fresh = !element;
      if (fresh) {
        element = this.#spare.pop() ?? this.sizer.appendChild(this.make());
        element.hidden = false;
        element.style.transform = `translateY(${index * this.rowHeight}px)`;
        this.#shown.set(index, element);
      } else if (all) element.style.transform = `translateY(${index * this.rowHeight}px)`;
      if (fresh || all) this.draw(element, index);
    }
  }
}
