// The view of one trace: waterfall, minimap, logs and details, and the state they share.
//
// State lives in the address (`address.mjs`); everything drawn follows from it and from the data.
// Keys are in `keys.mjs`.

import * as address from "./address.mjs";
import { errorBox } from "./api.mjs";
import { announce, copy, el, fill } from "./dom.mjs";
import { drawDetail } from "./detail.mjs";
import { VirtualList } from "./list.mjs";
import { LogView } from "./logs.mjs";
import { Minimap } from "./minimap.mjs";
import { drawRow, makeRow } from "./rows.mjs";
import { duration, extent, panned, position, tickLabel, ticks, within, zoomed } from "./scale.mjs";
import { ancestors, errorText, foldedByDefault, matcher, visibleRows } from "./tree.mjs";

const LIVE_EVERY = 120;

export class Explorer {
  rows = [];
  matches = [];
  openCount = 0;
  #frame = 0;
  #dirty = true;
  #matched = null;

  constructor(root, data, { frame }) {
    this.root = root;
    this.data = data;
    this.state = address.read(location.search);
    this.part = frame(root, this);
    this.list = new VirtualList(this.part.scroller, {
      make: makeRow,
      draw: (row, index) => drawRow(row, this.rows[index], index, this),
    });
    this.logs = new LogView(this.part.logs, data, { onSelect: (id) => this.data.tree.nodes.has(id) && this.select(this.data.tree.nodes.get(id), { detail: true }) });
    this.minimap = new Minimap(this.part.minimap, { onZoom: (view) => this.zoomTo(view) });
    this.part.scroller.addEventListener("click", (event) => this.#clicked(event));
    this.part.scroller.addEventListener("dblclick", (event) => {
      const node = event.target.closest(".row")?.node;
      if (node && !event.target.closest("[data-fold]")) this.zoomToNode(node);
    });
    data.onChange(({ state, error }) => {
      if (state) root.dataset.stream = state;
      if (error) fill(this.part.notice, errorBox(error));
      this.update();
    });
    // Open spans grow by themselves.
    setInterval(() => {
      if (!document.hidden && this.openCount > 0) this.draw();
    }, LIVE_EVERY);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    addEventListener("popstate", () => {
      this.state = address.read(location.search);
      this.update();
    });
    this.part.find.value = this.state.query;
    this.part.level.value = this.state.least;
  }

  // What rows.mjs needs to know.
  folded = (node) => {
    const { level, toggled } = this.state;
    const usual = foldedByDefault(node) || (level > 0 && node.depth >= level - 1);
    return usual !== toggled.has(node.id);
  };
  dimmed = (node) => this.#matched !== null && !this.#matched.has(node);
  get matched() { return this.#matched; }
  get logsBySpan() { return this.data.logsBySpan; }
  get selected() { return this.data.tree.nodes.get(this.state.span) ?? null; }

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
  select(node, { detail = this.state.detail, reveal = true, user = true } = {}) {
    if (!node) return;
    const above = ancestors(node).flatMap((up) => [up.groupNode, up]).concat(node.groupNode);
    const folded = above.filter((up) => up && this.folded(up));
    folded.forEach((up) => this.#toggle(up));
    this.#dirty ||= folded.length > 0;
    this.#set({ span: node.id, detail });
    this.#draw();
    const index = this.rows.indexOf(node);
    if (reveal && index >= 0) {
      this.list.reveal(index);
      if (user) this.#keepInSight(index);
    }
    if (index < 0) announce("The filter hides this span");
    this.part.scroller.setAttribute("aria-activedescendant", `row-${node.id}`);
  }

  /** Moves the selection by rows. */
  move(by) {
    const index = this.rows.indexOf(this.selected);
    const next = index < 0 ? 0 : Math.min(this.rows.length - 1, Math.max(0, index + by));
    this.select(this.rows[next]);
  }

  /** Folds or opens a node. */
  fold(node, folded = !this.folded(node)) {
    if (!node || node.rows.length === 0 || this.folded(node) === folded) return;
    this.#toggle(node);
    this.#set({});
    this.update();
  }

  /** Shows `level` levels of the tree; 0 for the usual. */
  foldTo(level) {
    this.#set({ level: Math.max(0, level), toggled: new Set() });
    this.update();
  }

  /** Selects the next (or, with -1, previous) of `nodes` after the selected one. */
  step(nodes, by, what) {
    if (nodes.length === 0) return announce(`No ${what} in this trace`);
    const here = this.selected?.index ?? -1;
    const after = by > 0 ? nodes.find((node) => node.index > here) : nodes.findLast((node) => node.index < here);
    const node = after ?? (by > 0 ? nodes[0] : nodes.at(-1));
    announce(`${what} ${nodes.indexOf(node) + 1} of ${nodes.length}`);
    this.select(node);
  }

  /** Looks for `query`; `only` hides what does not match. */
  find(query, only = this.state.only) {
    this.#set({ query, only });
    this.part.find.value = query;
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
    const from = node.span.start;
    const to = node.group ? node.rows.at(-1).span.end : (node.span.end ?? this.now);
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
    if (open && !this.selected && this.rows.length > 0) this.#set({ span: this.rows[0].id });
    this.#set({ detail: open });
    this.update();
    if (!open) this.part.scroller.focus({ preventScroll: true });
  }

  /** Copies a link to what is seen now. */
  async link() {
    await copy(location.href);
    announce("Link copied");
  }

  #set(change) {
    Object.assign(this.state, change);
    history.replaceState(history.state, "", location.pathname + address.write(this.state, location.search) + location.hash);
  }

  #toggle(node) {
    if (!this.state.toggled.delete(node.id)) this.state.toggled.add(node.id);
  }

  #clicked(event) {
    const node = event.target.closest(".row")?.node;
    if (!node) return;
    if (event.target.closest("[data-fold]") && node.rows.length > 0) this.fold(node);
    else this.select(node, { detail: true, reveal: false });
  }

  #draw() {
    const { data, part, state } = this;
    this.now = data.now();
    if (this.#dirty || this.openCount > 0) this.whole = extent(data.spans.values(), this.now);
    this.view = state.zoom
      ? within({ from: this.whole.from + state.zoom.from, to: this.whole.from + state.zoom.to }, this.whole)
      : this.whole;
    const changed = this.#dirty || this.rows.length === 0;
    this.#dirty = false;
    const { tree } = data;
    if (changed) {
      const test = matcher(state.query);
      this.matches = test ? tree.order.filter(test) : [];
      this.#matched = test ? new Set(this.matches) : null;
      this.openCount = data.open;
      this.#drawSummary();
    }
    // Any fold, filter or new span may change the rows; a growing bar cannot.
    if (changed) this.rows = visibleRows(tree, this.folded, state.only && this.#matched ? this.matches : null);
    const logs = state.view === "logs";
    this.root.dataset.view = state.view;
    part.scroller.setAttribute("aria-rowcount", this.rows.length);
    if (!logs) this.list.setCount(this.rows.length, { follow: this.openCount > 0 && !this.selected });
    if (logs) this.logs.show({ level: state.least, query: state.query, selected: state.span, follow: this.openCount > 0 });
    this.#drawAxis();
    this.minimap.show({ order: tree.order, failures: tree.failures, whole: this.whole, view: this.view, now: this.now });
    this.#drawDetail(changed);
  }

  #keepInSight(index) {
    const { scroller } = this.part;
    const bottom = scroller.getBoundingClientRect().top + (index + 1) * this.list.rowHeight - scroller.scrollTop;
    if (bottom > innerHeight) this.root.scrollIntoView({ block: "start" });
  }

  #drawAxis() {
    const { axis } = this.part;
    const count = Math.max(2, Math.floor(axis.clientWidth / 90));
    fill(axis, ticks(this.view, this.whole.from, count).map((time) => {
      const mark = el("span", {}, tickLabel(time - this.whole.from));
      mark.style.left = `${position(time, this.view) * 100}%`;
      if (position(time, this.view) > 0.94) mark.className = "last";
      return mark;
    }));
    this.part.scroller.style.setProperty("--ticks", count);
  }

  #drawSummary() {
    const { data, part, state } = this;
    const { tree } = data;
    const count = (category) => tree.order.filter((node) => node.category === category).length;
    const facts = [
      [duration(this.whole.to - this.whole.from), this.openCount > 0 ? "so far" : ""],
      [count("aws"), "AWS calls"], [count("step") + count("wait"), "steps"], [tree.order.length, "spans"],
    ];
    fill(part.summary, facts.map(([value, what]) => el("span", {}, el("b", {}, String(value)), ` ${what}`)));
    part.logTab.textContent = `Logs ${data.logs.length}`;
    for (const [tab, view] of [[part.treeTab, "tree"], [part.logTab, "logs"]]) tab.setAttribute("aria-selected", state.view === view);
    part.found.textContent = state.query ? `${this.matches.length} found` : "";
    part.only.setAttribute("aria-pressed", state.only);
    part.errors.hidden = tree.failures.length === 0;
    part.errors.textContent = `✕ ${tree.failures.length}`;
    part.empty.hidden = tree.order.length > 0;
    fill(part.failures, tree.failures.slice(0, 3).map((node) => el("button",
      { type: "button", class: "failure", onclick: () => this.select(node, { detail: true }) },
      el("b", {}, node.span.name), " ", errorText(node.span) || "failed",
      node.parent && el("span", { class: "where" }, ` in ${node.parent.span.name}`))),
    tree.failures.length > 3 && el("span", { class: "hint" }, `and ${tree.failures.length - 3} more: press e`));
  }

  #drawDetail(changed) {
    const node = this.state.detail ? this.selected : null;
    const { detail } = this.part;
    this.root.dataset.detail = node ? "open" : "closed";
    detail.hidden = !node;
    const key = node && `${node.id} ${node.span.end} ${node.size} ${this.data.logs.length} ${JSON.stringify(node.span.attributes)}`;
    if (!node || (!changed && detail.key === key) || detail.key === key) return;
    const same = detail.node === node.id;
    const { scrollTop } = detail;
    detail.key = key;
    detail.node = node.id;
    drawDetail(detail, node, this.data, {
      close: () => this.detail(false),
      zoom: () => this.zoomToNode(node),
      link: () => this.link(),
      select: (other) => this.select(other),
    });
    detail.scrollTop = same ? scrollTop : 0;
  }
}
