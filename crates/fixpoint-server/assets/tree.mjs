// The tree of a trace: who is whose child, what a span is, which rows can be seen. Pure.
//
// The surprise: long series of equal siblings (a wait's polls) become one row of their own, a
// *group*, so that four hundred `ELBv2.DescribeTargetHealth` do not bury the one that failed.
// Nothing here recurses: a chain of 50,000 spans must not overflow the stack.

const GROUP_FROM = 4;

/** What a span is to the eye: http, run, create, wait, step, aws, attempt or other. */
export function categoryOf(span) {
  const has = (key) => span.attributes[key] !== undefined;
  if (span.name === "attempt" && (has("fixpoint.attempt") || span.kind === "client")) return "attempt";
  if (has("rpc.system") || has("rpc.system.name")) return "aws";
  if (span.kind === "server" || has("http.request.method")) return "http";
  if (has("fixpoint.run.id") || span.name.startsWith("run ")) return "run";
  if (has("fixpoint.iteration")) return "create";
  // Any step may wait for what it made to be visible; that does not make it a wait.
  const key = span.attributes["fixpoint.step.key"];
  if (has("fixpoint.wait.reason") && (key === undefined || key.startsWith("Wait"))) return "wait";
  if (key !== undefined) return "step";
  return "other";
}

/** What a waiting span waits for, in a sentence; empty for other spans. */
export function waitText(span) {
  const reason = span.attributes["fixpoint.wait.reason"];
  const wanted = span.attributes["fixpoint.wait.wanted"];
  if (reason === undefined && wanted === undefined) return "";
  const seen = span.attributes["fixpoint.wait.seen"];
  const verb = span.end === null ? "waits for" : "waited for";
  const values = seen === wanted ? seen : [seen && `seen ${seen}`, wanted && `wanted ${wanted}`].filter(Boolean).join(", ");
  return `${verb} ${reason ?? wanted}${values ? `: ${values}` : ""}`;
}

/** What a `create` decided, in a line; empty for other spans and while it still looks. */
export function planText(span) {
  const { attributes } = span;
  if (attributes["fixpoint.iteration"] === undefined || attributes["fixpoint.steps"] === undefined) return "";
  const steps = counted(attributes["fixpoint.steps"].split(", ").filter(Boolean));
  const withheld = attributes["fixpoint.withheld"] ? ", others withheld" : "";
  return steps ? `chose ${steps}${withheld}` : withheld ? "no step now, some withheld" : "solved: no step left";
}

/** `a, b ×2`: names in order, each once. */
export function counted(names) {
  const times = new Map();
  for (const name of names) times.set(name, (times.get(name) ?? 0) + 1);
  return [...times].map(([name, n]) => (n > 1 ? `${name} ×${n}` : name)).join(", ");
}

/** Why a span failed, in a line; for a call, its error code first, as one searches for that. */
export function errorText(span) {
  const code = span.kind === "client" ? span.attributes["error.type"] : "";
  if (!code) return span.message;
  return span.message && !span.message.startsWith(code) ? `${code}: ${span.message}` : span.message || String(code);
}

/**
 * Builds the tree, children by start: `{roots, nodes: Map id → node, order, failures}`. `failures`
 * are the failed spans without a failed span below: where an error began.
 */
export function buildTree(spans) {
  const nodes = new Map();
  for (const span of spans) nodes.set(span.id, newNode(span.id, span));
  const roots = [];
  for (const node of nodes.values()) {
    const parent = node.span.parent === node.id ? undefined : nodes.get(node.span.parent);
    node.parent = parent ?? null;
    node.orphan = node.span.parent !== null && !parent;
    (parent ? parent.children : roots).push(node);
  }
  breakCycles(nodes, roots);
  const byStart = (a, b) => a.span.start - b.span.start;
  roots.sort(byStart);
  const order = preorder(roots, (node) => node.children.sort(byStart));
  order.forEach((node, index) => {
    node.index = index;
    node.depth = node.parent ? node.parent.depth + 1 : 0;
  });
  for (let i = order.length - 1; i >= 0; i--) sumUp(order[i]);
  for (const node of order) groupRepeats(node, nodes);
  const failures = order.filter((node) => node.errors === 1 && node.span.failed && !isAttempt(node));
  return { roots, nodes, failures, order };
}

/**
 * Folded unless somebody asks otherwise: groups; calls, whose attempts say little more; and looks
 * at the world that went well, as what came of them is told in their row.
 */
export function foldedByDefault(node) {
  if (node.group) return true;
  if (node.category === "create") return node.errors === 0 && node.open === 0;
  return node.children.length > 0 && node.children.every(isAttempt);
}

/** True for one try of a call. What became of the call is said by the call's own span. */
export function isAttempt(node) {
  return node.category === "attempt" && node.parent !== null;
}

/**
 * The rows to show, in order. `folded(node)` says whether the children of a node are hidden.
 * `matches`, if given, keeps only these nodes and their ancestors.
 */
export function visibleRows(tree, folded, matches = null) {
  const kept = matches && withAncestors(matches);
  const rows = [];
  const stack = [...tree.roots].reverse();
  while (stack.length > 0) {
    const node = stack.pop();
    if (kept && !kept.has(node)) continue;
    rows.push(node);
    if (node.rows.length === 0) continue;
    // A filter opens what hides a match, else there would be nothing to see.
    if (kept ? node.rows.some((child) => kept.has(child)) : !folded(node)) {
      for (let i = node.rows.length - 1; i >= 0; i--) stack.push(node.rows[i]);
    }
  }
  return rows;
}

/** The spans of a node: its own, or all of a group. */
export function spansAt(node) {
  return node.group ? node.rows.map((child) => child.span) : [node.span];
}

/**
 * A test for a query: words that must all occur, in any of name, ids, message, attributes;
 * `is:error|open|aws|step|wait|create|http|attempt`; `key=value` for one attribute.
 */
export function matcher(query) {
  const tests = query.trim().toLowerCase().split(/\s+/).filter(Boolean).map((word) => {
    const is = /^is:(\w+)$/.exec(word);
    if (is) return (node) => isKind(node, is[1]);
    const pair = /^([\w.-]+)=(.*)$/.exec(word);
    if (pair) return (node) => attributeHas(node.span.attributes, pair[1], pair[2]);
    return (node) => haystack(node.span).includes(word);
  });
  return tests.length === 0 ? null : (node) => !node.group && tests.every((test) => test(node));
}

/** All ancestors of a node, nearest first; groups are left out. */
export function ancestors(node) {
  const path = [];
  for (let up = node.parent; up; up = up.parent) path.push(up);
  return path;
}

function newNode(id, span) {
  return { id, span, parent: null, children: [], rows: [], index: 0, depth: 0, errors: 0, open: 0, size: 1,
    category: categoryOf(span), orphan: false, group: false, groupNode: null };
}

// Spans that are each other's parent hang on no root; such data is broken, but must be shown.
function breakCycles(nodes, roots) {
  const seen = new Set(preorder(roots, (node) => node.children));
  if (seen.size === nodes.size) return;
  for (const node of nodes.values()) {
    if (seen.has(node)) continue;
    node.parent.children.splice(node.parent.children.indexOf(node), 1);
    node.parent = null;
    node.orphan = true;
    roots.push(node);
    for (const reached of preorder([node], (n) => n.children)) seen.add(reached);
  }
}

function preorder(roots, childrenOf) {
  const order = [];
  const stack = [...roots].reverse();
  while (stack.length > 0) {
    const node = stack.pop();
    order.push(node);
    const children = childrenOf(node);
    for (let i = children.length - 1; i >= 0; i--) stack.push(children[i]);
  }
  return order;
}

function sumUp(node) {
  node.errors = node.span.failed && !isAttempt(node) ? 1 : 0;
  node.open = node.span.end === null ? 1 : 0;
  node.size = 1;
  for (const child of node.children) {
    node.errors += child.errors;
    node.open += child.open;
    node.size += child.size;
  }
}

function groupRepeats(node, nodes) {
  node.rows = [];
  for (let from = 0; from < node.children.length; ) {
    const first = node.children[from];
    let to = from + 1;
    while (to < node.children.length && alike(first, node.children[to])) to++;
    const run = node.children.slice(from, to);
    if (run.length < GROUP_FROM) node.rows.push(...run);
    else node.rows.push(newGroup(node, run, nodes));
    from = to;
  }
}

function alike(a, b) {
  return a.category === "aws" && b.category === "aws" && a.span.name === b.span.name
    && a.span.failed === b.span.failed && b.span.end !== null && a.span.end !== null;
}

function newGroup(parent, members, nodes) {
  const group = { ...newNode(`group-${members[0].id}`, members[0].span), group: true, parent,
    index: members[0].index, depth: parent.depth + 1 };
  group.rows = members;
  group.size = group.errors = 0;
  for (const member of members) {
    group.size += member.size;
    group.errors += member.errors;
    member.groupNode = group;
    member.depth = group.depth + 1;
    for (const child of member.children) child.depth = member.depth + 1;
  }
  nodes.set(group.id, group);
  return group;
}

function withAncestors(matches) {
  const kept = new Set();
  for (const match of matches) {
    for (let node = match; node && !kept.has(node); node = node.groupNode ?? node.parent) kept.add(node);
    // The walk above stops at known nodes, so each node is visited once however deep the tree.
  }
  return kept;
}

function isKind(node, word) {
  if (word === "error") return node.span.failed;
  if (word === "open") return node.span.end === null;
  if (word === "retried") return node.category === "aws" && node.children.length > 1;
  return node.category === word;
}

function attributeHas(attributes, key, value) {
  for (const [name, actual] of Object.entries(attributes)) {
    if (name.toLowerCase() === key && String(actual).toLowerCase().includes(value)) return true;
  }
  return false;
}

const haystacks = new WeakMap();

function haystack(span) {
  let text = haystacks.get(span);
  if (text === undefined) {
    text = `${span.name} ${span.id} ${span.message} ${JSON.stringify(span.attributes)}`.toLowerCase();
    haystacks.set(span, text);
  }
  return text;
}
