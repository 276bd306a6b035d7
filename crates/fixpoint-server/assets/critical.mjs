// The critical path: at each moment of the trace, the one span that everything was waiting for.
// To make the trace shorter, one of these stretches must become shorter.
//
// It is walked backwards. From the end of a span one goes to the child that ended last before
// that, and so on to the span's start; what no child covers is the span's own time. A child that
// was still at work when the next one on the path began held nobody up. Not recursive, and each
// child is sorted once: a wait with 20,000 polls costs what 20,000 other spans cost.
//
// The surprise: real traces do not nest. A child that outlives its parent (a request that started a
// run and was answered) is on the path to its own end; one that starts before its parent, by a
// clock that is wrong, counts from its parent's start. Open spans end now. Pure.

/**
 * The stretches of the path over `tree`, by time and without overlap: `{number, from, to}` as
 * columns, in milliseconds. Moments between two roots belong to none.
 */
export function criticalPath(tree, now) {
  const reach = reaches(tree, now);
  const path = { number: [], from: [], to: [] };
  const add = (number, from, until) => {
    if (number < 0) return;
    // After its end a span does nothing itself, whatever goes on below it.
    const to = Math.min(until, reach.own[number]);
    if (!(to > from)) return;
    path.number.push(number);
    path.from.push(from);
    path.to.push(to);
  };
  // The top stands for the whole trace, with the roots as its children.
  const frames = [frameOf(tree, reach, -1, -Infinity, Infinity)];
  while (frames.length > 0) {
    const frame = frames.at(-1);
    const next = nextChild(frame);
    if (!next) {
      add(frame.number, frame.from, frame.at);
      frames.pop();
      continue;
    }
    add(frame.number, next.end, frame.at);
    frame.at = next.start;
    frames.push(frameOf(tree, reach, next.number, next.start, next.end));
  }
  return { number: path.number.reverse(), from: path.from.reverse(), to: path.to.reverse() };
}

/** The stretches of a path by number, so that those of a row with all below it are a range. */
export class PathIndex {
  constructor(path) {
    const order = path.number.map((_, k) => k).sort((a, b) => path.number[a] - path.number[b] || a - b);
    this.numbers = order.map((k) => path.number[k]);
    this.pieces = order.map((k) => ({ from: path.from[k], to: path.to[k] }));
  }

  /** The stretches of the numbers from `first` up to `end`, by time; those no further apart than `gap` are joined. */
  within(first, end, gap = 0) {
    const low = lowerBound(this.numbers, first);
    const high = lowerBound(this.numbers, end);
    const joined = [];
    for (const { from, to } of this.pieces.slice(low, high).sort((a, b) => a.from - b.from)) {
      if (joined.length > 0 && joined.at(-1).to + gap >= from) joined.at(-1).to = Math.max(joined.at(-1).to, to);
      else joined.push({ from, to });
    }
    return joined;
  }
}

/** The first place in sorted `list` whose value is not below `value`. */
export function lowerBound(list, value) {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (list[middle] < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

// By number: where each span ends, and where the last of all below it does.
function reaches({ count, place, parent, spans }, now) {
  const own = new Float64Array(count);
  const all = new Float64Array(count).fill(-Infinity);
  for (let n = count - 1; n >= 0; n--) {
    const end = spans.end[place[n]];
    own[n] = Number.isNaN(end) ? Math.max(now, spans.start[place[n]]) : end;
    all[n] = Math.max(own[n], all[n]);
    if (parent[n] >= 0) all[parent[n]] = Math.max(all[parent[n]], all[n]);
  }
  return { own, all };
}

// A span being walked: its children by end, last first, and how far back one has come. A child
// is there twice if work below it outlived it: it may have held up somebody by either end.
function frameOf(tree, reach, number, from, to) {
  const children = [];
  const below = number < 0 ? tree.roots : tree.below(number);
  for (const child of below) {
    const start = Math.max(tree.spans.start[tree.place[child]], from);
    for (const end of new Set([reach.all[child], reach.own[child]])) {
      if (end > start && end <= to) children.push({ number: child, start, end });
    }
  }
  children.sort((a, b) => a.end - b.end || a.start - b.start);
  return { number, from, at: to, children };
}

function nextChild(frame) {
  while (frame.children.length > 0) {
    const child = frame.children.pop();
    if (child.end <= frame.at && child.start < frame.at) return child;
  }
  return null;
}
