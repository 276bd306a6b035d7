// Which rows of a tree are folded: the usual, or a number of levels, and what somebody folded or
// opened by hand. Pure. The surprise: a change is a new state for the address, never a list of
// what is folded; a subtree of 50,000 spans is opened by one id.

import { ALL } from "./address.mjs";

export class Folds {
  #toggled = new Set();
  #whole;

  /** Works out what `state` (`address.mjs`) says of `tree`. */
  constructor(tree, state) {
    this.tree = tree;
    this.state = state;
    for (const id of state.toggled) this.#toggled.add(tree.find(id));
    this.#whole = [...state.whole].map((id) => tree.find(id)).filter((number) => number >= 0).map((number) => tree.range(number));
  }

  /** Whether what is below the row of this number is hidden. */
  folded(number) {
    return this.usual(number) !== this.#toggled.has(number);
  }

  /** The same, had nobody folded or opened it by hand. */
  usual(number) {
    const { tree, state } = this;
    const [first] = tree.range(number);
    if (state.level === ALL || this.#whole.some(([from, to]) => first >= from && first < to)) return false;
    const group = number >= tree.count;
    if (state.level > 0 && tree.depth[first] - (group ? 1 : 0) >= state.level - 1) return true;
    return group ? state.repeats : tree.quiet[number] === 1;
  }

  /** The change that folds or opens a row. */
  toggle(node, folded) {
    const toggled = new Set(this.state.toggled);
    if (folded === this.usual(node.number)) toggled.delete(node.id);
    else toggled.add(node.id);
    return { toggled };
  }

  /** The change that opens a row with all below, or folds it and forgets what was opened below. */
  toggleAll(node, folded) {
    const [first, end] = this.tree.range(node.number);
    const inside = (id) => {
      const number = this.tree.find(id);
      if (number < 0) return false;
      const [from] = this.tree.range(number);
      return from >= first && from < end;
    };
    const toggled = new Set([...this.state.toggled].filter((id) => !inside(id)));
    const whole = new Set([...this.state.whole].filter((id) => !inside(id)));
    if (!folded) whole.add(node.id);
    const usual = new Folds(this.tree, { ...this.state, toggled, whole }).usual(node.number);
    if (folded && !usual) toggled.add(node.id);
    return { toggled, whole };
  }
}
