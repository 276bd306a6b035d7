// The view of one trace: waterfall, minimap, logs and details, and the state they share.
//
// State lives in the address (`address.mjs`); everything drawn follows from it and from the data.
// Keys are in `keys.mjs`. The surprise: rows, matches and the path are lists of numbers
// (`tree.mjs`); only what is in sight becomes an object.

import * as address from "./address.mjs";
import { errorBox } from "./api.mjs";
import { criticalPath, lowerBound, PathIndex } from "./critical.mjs";
import { drawDetail } from "./detail.mjs";
import { announce, copy, fill } from "./dom.mjs";
import { Finder } from "./finder.mjs";
import { Folds } from "./folds.mjs";
import { VirtualList } from "./list.mjs";
import { LogView } from "./logs.mjs";
import { Minimap } from "./minimap.mjs";
import { drawRow, makeRow } from "./rows.mjs";
import { panned, within, zoomed } from "./scale.mjs";
import { drawAxis, drawSummary } from "./summary.mjs";
import { visibleRows, withAncestors } from "./tree.mjs";

/** Milliseconds between two pictures of open spans. */
const LIVE_EVERY = 120;

/** Of a large trace that goes on, at most this share of the time goes into ordering it anew. */
const SHARE = 0.2;

/** Milliseconds that news of a trace wait at most, however busy the machine is. */
const PATIENCE = 500;

export class Explorer {
  rows = [];
  /** The critical path, if it is drawn. */
  path = null;
  #frame = 0;
  #dirty = true;
  #changed = false;
  #next = 0;
  #matched = null;
  #ticks = null;
  #selected = {};
  #pathOf = null;

  /** `drawn(row, node, explorer)` adds to rows, `detail` draws the panel, `summed(explorer)` what stands above. */
  constructor(root, data, { frame, drawn = () => {}, detail = drawDetail, summed = () => {} }) {
    this.root = root;
    this.draws = { detail, summed };
    this.data = data;
    this.state = address.read(location.search);
    // Rows are numbers of this tree, which is older than the data's until they are worked out anew.
    this.tree = data.tree;
    this.folds = new Folds(this.tree, this.state);
    this.finder = new Finder(data, { onFound: () => this.update(), onError: (error) => this.#show(error) });
    this.part = frame(root, this);
    this.list = new VirtualList(this.part.scroller, {
      make: makeRow,
      draw: (row, index) => {
        const node = this.tree.node(this.rows[index]);
        drawRow(row, node, index, this);
        drawn(row, node, this);
      },
    });
    this.logs = new LogView(this.part.logs, data, { onSelect: (id) => this.select(this.nodeOf(id), { detail: true }) });
    this.minimap = new Minimap(this.part.minimap, { onZoom: (view) => this.zoomTo(view) });
    this.part.scroller.addEventListener("click", (event) => this.#clicked(event));
    this.part.scroller.addEventListener("dblclick", (event) => {
      const node = event.target.closest(".row")?.node;
      if (node && !event.target.closest("[data-fold]")) this.zoomToNode(node);
    });
    data.onChange(({ state, error, detail }) => {
      if (state) root.dataset.stream = state;
      if (error) this.#show(error);
      if (detail) this.draw();
      else this.update();
    });
    // Open spans grow by themselves.
    setInterval(() => {
      if (!document.hidden && data.open > 0) this.draw();
    }, LIVE_EVERY);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.minimap.draw());
    addEventListener("popstate", () => {
      this.state = address.read(location.search);
      this.update();
    });
    this.part.find.value = this.state.query;
    this.part.level.value = this.state.least;
  }

  get selected() {
    const { tree, state: { span } } = this;
    if (this.#selected.tree !== tree || this.#selected.span !== span) this.#selected = { tree, span, node: this.nodeOf(span) };
    return this.#selected.node;
  }
  get failures() { return this.tree.failures; }
  get matches() { return this.finder.matches; }

  // What rows.mjs needs to know.
  folded = (number) => this.folds.folded(number);
  isMatch = (node) => this.#matched !== null && !node.group && this.#matched[node.number] === 1;
  isDimmed = (node, folded) => this.#matched !== null && !this.isMatch(node) && !((folded || node.group) && this.matchesBelow(node) > 0);
  matchesBelow(node) {
    if (this.#matched === null) return 0;
    const [first, end] = this.tree.range(node.number);
    return lowerBound(this.matches, end) - lowerBound(this.matches, first) - (this.isMatch(node) ? 1 : 0);
  }
  ticks(node, folded) {
    if (!this.state.ticks) return [];
    const [first, end] = folded ? this.tree.range(node.number) : [node.first, node.first + (node.group ? 0 : 1)];
    return this.#ticks.drawn(first, end, this.view);
  }
  ticksBelow(node) {
    return this.#ticks.within(...this.tree.range(node.number));
  }
  critical(node, folded, gap) {
    if (!this.path) return [];
    const [first, end] = folded || node.group ? this.tree.range(node.number) : [node.number, node.number + 1];
    return this.path.within(first, end, gap);
  }

  /** The node of a span or group with this id; null if it is not here. */
  nodeOf(id) {
    const number = id ? this.tree.find(id) : -1;
    return number < 0 ? null : this.tree.node(number);
  }

  /** Draws for the first time, and selects what one came for: what the address names, else what went wrong. */
  async begin({ first } = {}) {
    this.#order();
    this.draw();
    const { span, query } = this.state;
    if (span) return this.select(this.selected, { user: false });
    if (query) {
      await this.finder.settled;
      this.#order();
      return this.#selectNumber(this.matches[0]);
    }
    if (first) return this.#selectNumber(first());
    if (this.data.open === 0) this.#selectNumber(this.failures.find((number) => this.tree.node(number).category !== "run"));
  }

  /** Works out rows and matches anew, then draws. */
  update() {
    this.#dirty = true;
    this.draw();
  }

  /** Draws at the next frame. */
  draw() {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.#draw();
    });
  }

  /** Selects a node, opening what hides it. The page itself scrolls only if a `user` asked. */
  select(asked, { detail = this.state.detail, reveal = true, user = true } = {}) {
    if (this.#dirty) {
      this.#next = 0;
      this.#order();
    }
    const node = this.#ofNow(asked);
    if (!node) return;
    const above = node.path.filter((up) => this.folds.folded(up.number));
    for (const up of above) this.#set(this.folds.toggle(up, false));
    if (above.length > 0) {
      this.#dirty = true;
      this.#next = 0;
    }
    this.#set({ span: node.id, detail });
    this.#changed = true;
    this.#draw();
    const index = this.rows.indexOf(node.number);
    if (reveal && index >= 0) {
      this.list.reveal(index);
      if (user) this.#keepInSight(index);
    }
    if (index < 0) announce("The filter hides this span");
    this.part.scroller.setAttribute("aria-activedescendant", `row-${node.id}`);
  }

  /** Moves the selection by rows. */
  move(by) {
    if (this.rows.length === 0) return;
    const index = this.rows.indexOf(this.selected?.number);
    const next = index < 0 ? 0 : Math.min(this.rows.length - 1, Math.max(0, index + by));
    this.select(this.tree.node(this.rows[next]));
  }

  /** Folds or opens a node; with `all`, everything below it too. */
  fold(asked, folded, { all = false } = {}) {
    const node = this.#ofNow(asked);
    if (!node?.foldable) return;
    this.#set(all ? this.folds.toggleAll(node, folded) : this.folds.toggle(node, folded));
    this.update();
  }

  /** Shows `level` levels of the tree; 0 for the usual, `ALL` for all. */
  foldTo(level) {
    this.#set({ level, toggled: new Set(), whole: new Set() });
    this.update();
  }

  /** Folds or opens repeats, and with that all that was folded or opened of them by hand. */
  foldRepeats(repeats = !this.state.repeats) {
    const toggled = new Set([...this.state.toggled].filter((id) => !id.startsWith("group-")));
    this.#set({ repeats, toggled });
    announce(repeats ? "Repeats are folded" : "Repeats are open");
    this.update();
  }

  /** Selects the next (or, with -1, previous) of sorted `numbers` after the selected one. */
  step(numbers, by, what) {
    if (numbers.length === 0) return announce(`No ${what} in this trace`);
    const here = this.selected?.first ?? -1;
    const after = by > 0 ? numbers.findIndex((n) => n > here) : numbers.findLastIndex((n) => n < here);
    const index = after >= 0 ? after : by > 0 ? 0 : numbers.length - 1;
    announce(`${what} ${index + 1} of ${numbers.length}`);
    this.select(this.tree.node(numbers[index]));
  }

  /** Looks for `query`; `only` hides what does not match. */
  find(query, only = this.state.only) {
    this.#set({ query, only });
    if (this.part.find.value !== query) this.part.find.value = query;
    this.update();
  }

  /** Draws the critical path, or no longer. */
  showCritical(critical = !this.state.critical) {
    this.#set({ critical });
    announce(critical ? "The critical path is drawn" : "The critical path is hidden");
    this.update();
  }

  /** Shows log lines and events as ticks, or no longer. */
  showTicks(ticks = !this.state.ticks) {
    this.#set({ ticks });
    this.update();
  }

  /** Shows the part of time from `view.from` to `view.to`; null for the whole. */
  zoomTo(view) {
    this.#set({ zoom: view && { from: view.from - this.whole.from, to: view.to - this.whole.from } });
    this.draw();
  }

  /** Zooms so that a node's span fills most of the width. */
  zoomToNode(node) {
    if (!node) return;
    const { from, to } = node.reach(this.now);
    const margin = Math.max((to - from) * 0.08, 0.01);
    this.zoomTo(within({ from: from - margin, to: to + margin }, this.whole));
  }

  /** Zooms by a factor around the selected span, or the middle. */
  zoomBy(factor, centre) {
    const middle = (this.view.from + this.view.to) / 2;
    const at = centre ?? (this.selected ? Math.min(this.view.to, Math.max(this.view.from, this.selected.span.start)) : middle);
    const next = zoomed(this.view, this.whole, factor, at);
    this.zoomTo(next.to - next.from >= (this.whole.to - this.whole.from) * 0.999 ? null : next);
  }

  /** Moves the view by a share of its width. */
  pan(share) {
    this.zoomTo(panned(this.view, this.whole, share));
  }

  /** Changes between "tree" and "logs". */
  show(view) {
    this.#set({ view });
    this.update();
  }

  /** Leaves out log lines below `level`. */
  showLevel(level) {
    this.#set({ least: level });
    this.update();
  }

  /** Opens or closes the panel. */
  detail(open) {
    if (open && !this.selected && this.rows.length > 0) this.#set({ span: this.tree.node(this.rows[0]).id });
    this.#set({ detail: open });
    this.update();
    if (!open) this.part.scroller.focus({ preventScroll: true });
  }

  /** Copies a link to what is seen now. */
  async link() {
    await copy(location.href);
    announce("Link copied");
  }

  // What was drawn a while ago may know its nodes by the numbers of an older tree.
  #ofNow(node) {
    return node && node.tree !== this.tree ? this.nodeOf(node.id) : node;
  }

  #selectedRow() {
    return this.selected ? this.rows.indexOf(this.selected.number) : -1;
  }

  #selectNumber(number) {
    if (number !== undefined) this.select(this.tree.node(number), { user: false });
  }

  #show(error) {
    fill(this.part.notice, errorBox(error));
  }

  #set(change) {
    Object.assign(this.state, change);
    this.folds = new Folds(this.tree, this.state);
    history.replaceState(history.state, "", location.pathname + address.write(this.state, location.search) + location.hash);
  }

  #clicked(event) {
    const node = event.target.closest(".row")?.node;
    if (!node) return;
    if (event.target.closest("[data-fold]") && node.foldable) this.fold(node, !this.folded(node.number));
    else this.select(node, { detail: true, reveal: false });
  }

  #draw() {
    const { data, part, state } = this;
    const was = this.#dirty ? this.#selectedRow() : -1;
    if (this.#dirty) this.#order();
    const is = was < 0 ? -1 : this.#selectedRow();
    const moved = is < 0 ? 0 : is - was;
    const changed = this.#changed;
    this.#changed = false;
    this.now = data.now();
    const { tree } = this;
    this.whole = tree.count === 0 ? { from: 0, to: 1 }
      : { from: tree.from, to: Math.max(tree.from + 0.001, data.open > 0 ? this.now : tree.to) };
    this.view = state.zoom
      ? within({ from: this.whole.from + state.zoom.from, to: this.whole.from + state.zoom.to }, this.whole)
      : this.whole;
    this.#drawPath(changed);
    const logs = state.view === "logs";
    this.root.dataset.view = state.view;
    part.scroller.setAttribute("aria-rowcount", this.rows.length);
    if (!logs) this.list.setCount(this.rows.length, { follow: data.open > 0 && !this.selected, watched: was, moved });
    if (logs) this.logs.show({ level: state.least, query: state.query, selected: state.span, follow: data.open > 0 });
    if (changed) {
      drawSummary(this);
      this.draws.summed(this);
    }
    drawAxis(this);
    this.minimap.show({ tree, whole: this.whole, view: this.view, now: this.now });
    this.#drawDetail();
  }

  // The path changes with the trace, not with what is seen of it; open spans change it all the time.
  #drawPath(changed) {
    const { tree } = this;
    if (!this.state.critical) this.path = null;
    else if (!this.path || this.#pathOf !== tree || (changed && this.data.open > 0)) {
      this.path = new PathIndex(criticalPath(tree, this.now));
      this.#pathOf = tree;
    }
  }

  // Works out what is to be drawn, or sees to it that this is done when there is time.
  #order() {
    const began = performance.now();
    if (began < this.#next) {
      setTimeout(() => this.draw(), this.#next - began);
      return;
    }
    this.#dirty = false;
    this.#changed = true;
    const { data, state } = this;
    const tree = this.tree = data.tree;
    this.#ticks = data.ticks;
    this.folds = new Folds(tree, state);
    this.finder.look(state.query, tree);
    this.#matched = null;
    if (this.finder.found) {
      this.#matched = new Uint8Array(tree.count);
      for (const number of this.matches) this.#matched[number] = 1;
    }
    // Any fold, filter or new span may change the rows; a growing bar cannot.
    this.rows = visibleRows(tree, this.folded, state.only && this.#matched ? withAncestors(tree, this.matches) : null);
    if (data.open > 0) this.#next = began + Math.min((performance.now() - began) / SHARE, PATIENCE);
  }

  #keepInSight(index) {
    const { scroller } = this.part;
    const bottom = scroller.getBoundingClientRect().top + (index + 1) * this.list.rowHeight - scroller.scrollTop;
    if (bottom > innerHeight) this.root.scrollIntoView({ block: "start" });
  }

  #drawDetail() {
    const node = this.state.detail ? this.selected : null;
    const { detail } = this.part;
    this.root.dataset.detail = node ? "open" : "closed";
    detail.hidden = !node;
    if (!node) return;
    const whole = node.group ? null : this.data.detail(node.place);
    const key = `${node.id} ${node.span.end} ${node.size} ${this.data.logs.length} ${whole !== null} ${this.path !== null} ${JSON.stringify(node.span.attributes)}`;
    if (detail.key === key) return;
    const same = detail.node === node.id;
    const { scrollTop } = detail;
    detail.key = key;
    detail.node = node.id;
    this.draws.detail(detail, node, this, whole);
    detail.scrollTop = same ? scrollTop : 0;
  }
}
