// Finds siblings that repeat: a wait's four hundred `ELBv2.DescribeTargetHealth` are one row, a
// *group*, so that they do not bury what matters. A group says how many it holds and how many of
// them failed; nothing that failed is out of sight without a sign.
//
// The surprise: a group may repeat several calls in turn (A, B, A, B, …), as a loop that looks at
// two things does. Members lie side by side, so a group is a range of numbers like a subtree.

/** Calls repeated this often are a group; of spans with spans below it takes more, as each tells a story. */
const CALLS = 4;
const STORIES = 10;

/** The most calls that take turns. */
const PERIOD = 3;

/** Fills `tree.groups` and `tree.groupOf`. */
export function findGroups(tree) {
  for (let parent = -1; parent < tree.count; parent++) {
    const children = parent < 0 ? tree.roots : parent + tree.size[parent] > parent + CALLS ? [...tree.below(parent)] : [];
    for (let at = 0; at + CALLS <= children.length; ) {
      const { length, period } = repeatsAt(tree, children, at);
      if (length > 0) addGroup(tree, children.slice(at, at + length), period);
      at += Math.max(1, length);
    }
  }
}

function repeatsAt(tree, children, at) {
  for (let period = 1; period <= PERIOD && at + period <= children.length; period++) {
    let to = at;
    while (to < children.length && tree.open[children[to]] === 0 && (to < at + period || alike(tree, children[to], children[to - period]))) to++;
    const cycles = Math.floor((to - at) / period);
    const calls = children.slice(at, at + period).every((child) => tree.size[child] === 1 || tree.quiet[child]);
    if (cycles >= (calls ? CALLS : STORIES)) return { length: cycles * period, period };
  }
  return { length: 0, period: 0 };
}

function alike({ spans, place }, a, b) {
  const [one, other] = [place[a], place[b]];
  return spans.name[one] === spans.name[other] && spans.service[one] === spans.service[other]
    && spans.category[one] === spans.category[other];
}

function addGroup(tree, members, period) {
  const { spans, place } = tree;
  const last = members.at(-1);
  const group = { first: members[0], end: last + tree.size[last], count: members.length, period, size: 0, errors: 0, from: Infinity, to: -Infinity, busy: 0 };
  for (const member of members) {
    const at = place[member];
    tree.groupOf[member] = tree.groups.length;
    group.size += tree.size[member];
    group.errors += tree.errors[member];
    group.from = Math.min(group.from, spans.start[at]);
    group.to = Math.max(group.to, spans.end[at]);
    group.busy += spans.end[at] - spans.start[at];
  }
  tree.groups.push(group);
}
