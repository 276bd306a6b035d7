// Log lines and span events as ticks on the bars: which ticks a row shows. Pure.
//
// The surprise: ticks are kept in the order of the tree, so those of a folded row, with all that
// is below it, lie side by side, and a row with a hundred thousand spans below costs no more to
// draw than it has ticks.

import { LEVELS } from "./address.mjs";
import { lowerBound } from "./critical.mjs";

/** More would be a stripe. */
const MOST = 80;

export class Ticks {
  #numbers = [];
  #ticks = [];

  /** Orders the log lines and the events of `tree`'s spans. */
  constructor(tree, logs) {
    const ticks = [];
    for (const line of logs) {
      const place = line.spanId === null ? -1 : tree.spans.placeOf(line.spanId);
      if (place >= 0) ticks.push({ number: tree.number[place], at: line.at, level: line.level, text: `${line.level} ${line.message}`, line });
    }
    for (const place of tree.spans.withEvents) {
      for (const event of tree.spans.events(place)) ticks.push({ number: tree.number[place], at: event.time, level: "EVENT", text: event.name, line: null });
    }
    ticks.sort((a, b) => a.number - b.number || a.at - b.at);
    this.#ticks = ticks;
    this.#numbers = ticks.map((tick) => tick.number);
  }

  /** All ticks of the numbers from `first` up to `end`. */
  within(first, end) {
    return this.#ticks.slice(lowerBound(this.#numbers, first), lowerBound(this.#numbers, end));
  }

  /** Those to draw within `view`: if there are too many, the gravest, and one of those that would cover each other. */
  drawn(first, end, view) {
    const seen = new Map();
    const width = (view.to - view.from) / (4 * MOST);
    for (const tick of this.within(first, end)) {
      if (tick.at < view.from || tick.at > view.to) continue;
      const spot = Math.floor((tick.at - view.from) / width);
      const other = seen.get(spot);
      if (!other || gravity(tick) > gravity(other)) seen.set(spot, tick);
    }
    const ticks = [...seen.values()];
    return ticks.length <= MOST ? ticks : ticks.sort((a, b) => gravity(b) - gravity(a)).slice(0, MOST);
  }
}

function gravity({ level }) {
  return LEVELS.indexOf(level);
}
