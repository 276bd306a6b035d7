// One span, or one group of repeats, of a tree, as an object: for those in sight and the one that
// is selected. All others are numbers (`tree.mjs`). Pure.

import { CATEGORIES } from "./kinds.mjs";

export class Node {
  #span = null;
  #failed = null;

  constructor(tree, number) {
    this.tree = tree;
    this.number = number;
    /** The group, if it is one; then `first` is its first member. */
    this.group = tree.group(number);
    this.first = this.group ? this.group.first : number;
    this.place = tree.place[this.first];
  }

  /** The span's id, or one made from the first member's. */
  get id() {
    return this.group ? `group-${this.span.id}` : this.span.id;
  }

  /** What a row needs of the span; of a group, its first member's. */
  get span() {
    this.#span ??= this.tree.spans.at(this.place);
    return this.#span;
  }

  get category() {
    return CATEGORIES[this.tree.spans.category[this.place]];
  }

  /** The span's name; of a group, the names that take turns. */
  get label() {
    if (!this.group || this.group.period === 1) return this.span.name;
    return [...this.members].slice(0, this.group.period).map((member) => member.span.name).join(", ");
  }

  /** How often a group repeats. */
  get times() {
    return this.group.count / this.group.period;
  }

  get depth() {
    return this.tree.depth[this.first] - (this.group ? 1 : 0);
  }

  /** How many spans it stands for, itself included; how many failed, how many are open. */
  get size() {
    return this.group ? this.group.size : this.tree.size[this.number];
  }

  get errors() {
    return this.group ? this.group.errors : this.tree.errors[this.number];
  }

  get open() {
    return this.group ? 0 : this.tree.open[this.number];
  }

  /** Start and end in milliseconds; `now` ends a span that is open. */
  reach(now) {
    return this.group ? { from: this.group.from, to: this.group.to } : { from: this.span.start, to: this.span.end ?? Math.max(now, this.span.start) };
  }

  get failed() {
    return this.group ? this.group.errors > 0 : this.span.failed;
  }

  get foldable() {
    return this.tree.foldable(this.number);
  }

  /** The span above, groups left out; null at the top. */
  get parent() {
    return this.#at(this.tree.parent[this.first]);
  }

  /** The row above, which may be a group's; null at the top. */
  get above() {
    return this.#at(this.tree.above(this.number));
  }

  /** All rows above, nearest first. */
  get path() {
    const path = [];
    for (let up = this.above; up; up = up.above) path.push(up);
    return path;
  }

  /** The spans below a span. */
  get children() {
    return this.group ? [] : this.members;
  }

  /** The members of a group, or the children of a span. */
  get members() {
    return Array.from(this.tree.below(this.number), (number) => this.tree.node(number));
  }

  /** The first row below. */
  get firstBelow() {
    if (!this.foldable) return null;
    if (this.group) return this.tree.node(this.first);
    const group = this.tree.groupOf[this.number + 1];
    return this.tree.node(group < 0 ? this.number + 1 : this.tree.count + group);
  }

  /** The members that failed, or have failures below. */
  get failedMembers() {
    this.#failed ??= this.errors === 0 ? [] : Array.from(this.tree.below(this.number)).filter((member) => this.tree.errors[member] > 0);
    return this.#failed;
  }

  #at(number) {
    return number < 0 ? null : this.tree.node(number);
  }
}
