// The tree of a trace: who is whose child, which rows can be seen. Pure.
//
// Not for what a span is called (`kinds.mjs`) or how it is drawn. The surprise: spans are numbered
// anew as one meets them walking the tree, parents first, so that everything below a span is the
// range of numbers after it. To fold is to skip a range; nothing here recurses or makes an object
// for each span, and a chain of 50,000 spans does not overflow the stack.

import { CATEGORIES } from "./kinds.mjs";
import { findGroups } from "./repeats.mjs";
import { Node } from "./node.mjs";

const CREATE = CATEGORIES.indexOf("create");
const ATTEMPT = CATEGORIES.indexOf("attempt");

export class Tree {
  #nodes = new Map();

  /** Orders `spans` (`spans.mjs`) into a tree, children by start. */
  constructor(spans) {
    const { count } = spans;
    const column = () => new Int32Array(count);
    this.spans = spans;
    this.count = count;
    /** By number: the place in `spans`, the parent's number or -1, the level of its row. */
    this.place = column();
    this.parent = column().fill(-1);
    this.depth = column();
    /** By number, with all below: how many spans, how many failed, how many are open. */
    this.size = column().fill(1);
    this.errors = column();
    this.open = column();
    /** By number: 1 if the row is folded unless somebody asks otherwise. */
    this.quiet = new Uint8Array(count);
    /** By place: the number. */
    this.number = column().fill(-1);
    /** The numbers of spans without a parent here, and of those whose parent should be here. */
    this.roots = [];
    this.orphans = [];
    /** Repeated siblings (`repeats.mjs`). Group `g` has the number `count + g`. */
    this.groups = [];
    /** By number: the group that the span is a member of, or -1. */
    this.groupOf = column().fill(-1);
    this.#walk();
    this.#sum();
    findGroups(this);
    this.#level();
  }

  /** What can be asked of the span, or group, of this number; made when it is first asked for. */
  node(number) {
    if (!this.#nodes.has(number)) this.#nodes.set(number, new Node(this, number));
    return this.#nodes.get(number);
  }

  /** The number of the span, or group, with this id; -1 if it is not here. */
  find(id) {
    const [, member] = /^group-(.*)$/.exec(id) ?? [];
    const place = this.spans.placeOf(member ?? id);
    if (place < 0) return -1;
    const number = this.number[place];
    if (member === undefined) return number;
    const group = this.groupOf[number];
    return group >= 0 && this.groups[group].first === number ? this.count + group : -1;
  }

  /** The children of a span, or the members of a group. */
  *below(number) {
    const group = this.group(number);
    const end = group ? group.end : number + this.size[number];
    for (let at = group ? group.first : number + 1; at < end; at += this.size[at]) yield at;
  }

  /** The group of this number; null for that of a span. */
  group(number) {
    return number < this.count ? null : this.groups[number - this.count];
  }

  /** The row that a row is below: a group, a span, or -1 at the top. */
  above(number) {
    if (number >= this.count) return this.parent[this.group(number).first];
    return this.groupOf[number] < 0 ? this.parent[number] : this.count + this.groupOf[number];
  }

  /** The range of numbers that a row stands for: `[first, end]`. */
  range(number) {
    const group = this.group(number);
    return group ? [group.first, group.end] : [number, number + this.size[number]];
  }

  /** Whether there is anything to fold below a row. */
  foldable(number) {
    return number >= this.count || this.size[number] > 1;
  }

  // Numbers every span, parents first.
  #walk() {
    const { spans, count, place, number } = this;
    const order = byStart(spans);
    const { list, from } = childLists(spans, order);
    const stack = [];
    let next = 0;
    const walk = (root) => {
      stack.push(root);
      while (stack.length > 0) {
        const at = stack.pop();
        // Only where spans are each other's parents does one come by twice.
        if (number[at] >= 0) continue;
        number[at] = next;
        place[next++] = at;
        for (let k = from[at + 1] - 1; k >= from[at]; k--) stack.push(list[k]);
      }
    };
    const start = (at, orphan) => {
      this.roots.push(next);
      if (orphan) this.orphans.push(next);
      walk(at);
    };
    for (const at of order) if (isRoot(spans, at)) start(at, spans.parent[at] !== -1);
    // Spans that are each other's parents hang on no root; such data is broken, but must be shown.
    for (let k = 0; k < count && next < count; k++) if (number[order[k]] < 0) start(order[k], true);
    const roots = new Set(this.roots);
    for (let n = 0; n < count; n++) if (!roots.has(n)) this.parent[n] = number[spans.parent[place[n]]];
  }

  // Counts, from the leaves up; finds where errors began, and when the trace is.
  #sum() {
    const { spans, count, place, parent, size, errors, open, quiet } = this;
    /** How many spans there are of each category. */
    this.categories = new Uint32Array(CATEGORIES.length);
    this.from = Infinity;
    this.to = -Infinity;
    for (let n = count - 1; n >= 0; n--) {
      const at = place[n];
      if (Number.isNaN(spans.end[at])) open[n]++;
      if (spans.failed[at] && !this.isAttempt(n)) errors[n]++;
      this.categories[spans.category[at]]++;
      this.from = Math.min(this.from, spans.start[at]);
      this.to = Math.max(this.to, Number.isNaN(spans.end[at]) ? spans.start[at] : spans.end[at]);
      if (parent[n] < 0) continue;
      size[parent[n]] += size[n];
      errors[parent[n]] += errors[n];
      open[parent[n]] += open[n];
    }
    /** The failed spans without a failed span below: where an error began. */
    this.failures = [];
    for (let n = 0; n < count; n++) {
      if (errors[n] === 1 && spans.failed[place[n]] && !this.isAttempt(n)) this.failures.push(n);
      // A look at the world that went well says what came of it in its row, and a call's attempts
      // say little more than the call.
      quiet[n] = spans.category[place[n]] === CREATE ? Number(errors[n] + open[n] === 0) : Number(size[n] > 1 && this.#onlyAttempts(n));
    }
  }

  /** True for one try of a call. What became of the call is said by the call's own span. */
  isAttempt(number) {
    return this.parent[number] >= 0 && this.spans.category[this.place[number]] === ATTEMPT;
  }

  #onlyAttempts(number) {
    const end = number + this.size[number];
    for (let child = number + 1; child < end; child += this.size[child]) if (!this.isAttempt(child)) return false;
    return true;
  }

  #level() {
    for (let n = 0; n < this.count; n++) {
      const up = this.parent[n];
      this.depth[n] = (up < 0 ? 0 : this.depth[up] + 1) + (this.groupOf[n] < 0 ? 0 : 1);
    }
  }
}

/**
 * The numbers of the rows to show, in order. `folded(number)` says whether what is below is
 * hidden. `kept`, if given, has a 1 for each number to show; folds do not count then, as a filter
 * opens what hides a match.
 */
export function visibleRows(tree, folded, kept = null) {
  const { count, groupOf, groups, size } = tree;
  const rows = [];
  const told = new Uint8Array(groups.length);
  for (let n = 0; n < count; ) {
    if (kept && !kept[n]) {
      n += size[n];
      continue;
    }
    const g = groupOf[n];
    // The first member that is shown brings its group's row along.
    if (g >= 0 && !told[g]) {
      told[g] = 1;
      rows.push(count + g);
      if (!kept && folded(count + g)) {
        n = groups[g].end;
        continue;
      }
    }
    rows.push(n);
    n += size[n] > 1 && !kept && folded(n) ? size[n] : 1;
  }
  return rows;
}

/** Marks `numbers` and everything above them with a 1, for `visibleRows`. */
export function withAncestors(tree, numbers) {
  const kept = new Uint8Array(tree.count);
  for (const number of numbers) {
    // The walk stops where another has been, so each is visited once however deep the tree.
    for (let n = number; n >= 0 && !kept[n]; n = tree.parent[n]) kept[n] = 1;
  }
  return kept;
}

function isRoot(spans, place) {
  return spans.parent[place] < 0 || spans.parent[place] === place;
}

// Places by start. Answers of the server have that order already.
function byStart({ count, start }) {
  const order = new Uint32Array(count).map((_, place) => place);
  for (let k = 1; k < count; k++) if (start[k] < start[k - 1]) return order.sort((a, b) => start[a] - start[b] || a - b);
  return order;
}

// The children of each place: those of `p` are `list[from[p]]` up to `list[from[p + 1] - 1]`.
function childLists(spans, order) {
  const { count, parent } = spans;
  const from = new Uint32Array(count + 1);
  for (let p = 0; p < count; p++) if (!isRoot(spans, p)) from[parent[p] + 1]++;
  for (let p = 0; p < count; p++) from[p + 1] += from[p];
  const next = from.slice();
  const list = new Uint32Array(from[count]);
  for (const place of order) if (!isRoot(spans, place)) list[next[parent[place]]++] = place;
  return { list, from };
}
