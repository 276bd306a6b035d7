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
  groupAmong(tree, tree.roots);
  for (let parent = 0; parent < tree.count; parent++) {
    if (tree.size[parent] <= CALLS) continue;
    const children = [];
    const end = parent + tree.size[parent];
    for (let child = parent + 1; child < end; child += tree.size[child]) children.push(child);
    groupAmong(tree, children);
  }
}

function groupAmong(tree, siblings) {
  for (let at = 0; at + CALLS <= siblings.length; ) {
    const { length, period } = repeatsAt(tree, siblings, at);
    if (length > 0) addGroup(tree, siblings.slice(at, at + length), period);
    at += Math.max(1, length);
  }
}

function repeatsAt(tree, siblings, at) {
  for (let period = 1; period <= PERIOD; period++) {
    let to = at;
    while (to < siblings.length && tree.open[siblings[to]] === 0 && (to < at + period || alike(tree, siblings[to], siblings[to - period]))) to++;
    const cycles = Math.floor((to - at) / period);
    if (cycles < CALLS) continue;
    const calls = siblings.slice(at, at + period).every((sibling) => tree.size[sibling] === 1 || tree.quiet[sibling]);
    if (calls || cycles >= STORIES) return { length: cycles * period, period };
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
