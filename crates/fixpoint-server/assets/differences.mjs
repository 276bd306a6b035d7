// How a comparison looks: what differs, told above the waterfall, on its rows and in its details.
//
// Not for what differs (`compared.mjs`, and the server). The surprise: the waterfall is that of any
// trace; this adds signs to its rows and a section to its panel, and takes nothing away.

import { MEANINGS, short, SIGNS } from "./compared.mjs";
import { drawDetail } from "./detail.mjs";
import { el, fill } from "./dom.mjs";
import { jsonBlock } from "./json.mjs";
import { CHAPTERS } from "./keys.mjs";
import { duration, position } from "./scale.mjs";

/** Lines above the waterfall; the rest is a key away. */
const MOST = 4;

/** More of one span's changes are read better in the API's answer. */
const MOST_CHANGES = 60;

const OTHER_KEYS = new Set(["n", "N", "p"]);

/** The keys of a comparison: those of a waterfall, with `n` and `p` for the differences. */
export const COMPARE_CHAPTERS = [
  ["Differences", [
    ["n", "next difference", (x) => x.step(x.data.stops, 1, "difference")],
    ["p", "previous difference", (x) => x.step(x.data.stops, -1, "difference")],
    ["d", "only what differs, or all", (x) => onlyDifferences(x)],
    ["s", "swap the two traces", () => document.querySelector("[data-swap]")?.click()],
  ]],
  ...CHAPTERS.map(([title, rows]) => [title, rows.filter(([keys]) => !OTHER_KEYS.has(keys))]),
];

function onlyDifferences(x, kind = "different") {
  const query = `is:${kind}`;
  const on = x.state.query === query && x.state.only;
  x.find(on ? "" : query, !on);
}

/** Fills `part` with what differs, in numbers and in a few lines. */
export function drawOverview(part, x) {
  const { comparison } = x.data;
  if (!comparison) return;
  const { counts, differences, renamed = [], a, b } = comparison;
  const chips = Object.keys(SIGNS).filter((kind) => counts[kind] > 0).map((kind) => el("button",
    { type: "button", class: `chip ${kind}`, title: `${MEANINGS[kind]} Press to see only these.`, onclick: () => onlyDifferences(x, kind) },
    el("span", { "aria-hidden": "true" }, SIGNS[kind]), ` ${counts[kind]} ${kind}`));
  const told = differences.filter((difference) => !difference.follows).sort((one, other) => rank(one) - rank(other));
  const lines = told.slice(0, MOST).map((difference) => el("button", { type: "button", class: `difference ${difference.kind}`,
    onclick: () => x.select(x.tree.node(x.tree.number[difference.rows[0]]), { detail: true }) },
  el("span", { class: "sign", "aria-hidden": "true" }, SIGNS[difference.kind]), el("b", {}, difference.name), ` ${short(difference)}`,
  difference.path.length > 0 && el("span", { class: "where" }, ` in ${difference.path.at(-1)}`)));
  const open = [a, b].some((side) => side.open > 0);
  fill(part,
    comparison.same
      ? el("p", { class: "same" }, "Nothing differs: the same calls, in the same order, with the same answers, in about the same time.")
      : el("div", { class: "chips-row" }, chips,
        el("span", { class: "step-keys" },
          el("button", { type: "button", class: "tool", title: "Previous difference (p)", onclick: () => x.step(x.data.stops, -1, "difference") }, "↑ previous"),
          el("button", { type: "button", class: "tool", title: "Next difference (n)", onclick: () => x.step(x.data.stops, 1, "difference") }, "↓ next"),
          el("button", { type: "button", class: "tool", title: "Only what differs, or all (d)", onclick: () => onlyDifferences(x) }, "only these"))),
    lines,
    told.length > lines.length && el("p", { class: "hint" }, `and ${told.length - lines.length} more: press n or pick a kind`),
    renamed.length > 0 && el("p", { class: "hint" }, "No differences, only other names: ", renamed.map((name) => `${name.a} → ${name.b}`).join(", ")),
    open && el("p", { class: "hint" }, x.data.following
      ? "It still goes on: what is missing may still come. This page follows it."
      : "It still goes on: what is missing may still come. Load the page again to compare anew."));
}

// What explains most comes first; a span that only wraps others explains nothing.
function rank({ kind, wrapper }) {
  return Object.keys(SIGNS).indexOf(kind) + (wrapper ? Object.keys(SIGNS).length : 0);
}

/** The number of the row of the difference that explains most; undefined if nothing differs. */
export function firstDifference({ comparison, tree }) {
  const told = (comparison?.differences ?? []).filter((difference) => !difference.follows);
  const first = told.reduce((best, one) => (best && rank(best) <= rank(one) ? best : one), null);
  return first ? tree.number[first.rows[0]] : undefined;
}

/** Adds to a drawn row what differs there. Everything it sets, it also unsets. */
export function drawDifference(row, node, x) {
  const { data, tree, view } = x;
  const here = node.group ? [] : data.differences(node.place);
  const ghost = data.isGhost(node.place) && !node.group;
  row.classList.toggle("ghost", ghost);
  row.classList.toggle("extra", !ghost && !node.group && data.of(node.place).a === null);
  row.classList.toggle("differs", here.length > 0);
  const { marks, lane } = row.parts;
  for (const difference of here) marks.append(el("span", { class: `told-mark ${difference.kind}`, title: MEANINGS[difference.kind] },
    el("span", { "aria-hidden": "true" }, `${SIGNS[difference.kind]} `), short(difference)));
  const hidden = node.foldable && x.folded(node.number) ? (tree.told?.[node.number] ?? 0) - here.length : 0;
  if (hidden > 0) marks.append(el("span", { class: "told-mark" }, `${hidden} inside`));
  const own = here.find((difference) => difference.own_nanos)?.own_nanos;
  if (own && own.b > own.a) {
    // How far the bar would have come with the time that it took in the other trace.
    const usual = node.span.end - (own.b - own.a) / 1e6;
    const line = el("i", { class: "usual", title: `in A it would have ended here: ${duration((own.b - own.a) / 1e6)} earlier` });
    line.style.left = `${position(usual, view) * 100}%`;
    lane.append(line);
  }
}

/** The panel of a span, with what differs first. */
export function drawComparedDetail(panel, node, x, whole) {
  drawDetail(panel, node, x, whole);
  const body = panel.querySelector(".detail-body");
  if (node.group || !body) return;
  const { a, b } = x.data.of(node.place);
  const sides = x.data.comparison;
  const link = (side, id, name) => id && el("a", { href: `/traces/${sides[side].trace_id}?span=${id}&detail=1` }, `${name} alone`);
  body.prepend(el("section", { class: "compared" },
    x.data.isGhost(node.place) && el("p", { class: "ghost-note" }, `It is not in B. It is drawn where it would have been, as long as it took in A: ${duration(node.span.end - node.span.start)}.`),
    x.data.differences(node.place).map((difference) => el("div", { class: `told ${difference.kind}` },
      el("h3", {}, el("span", { class: "sign", "aria-hidden": "true" }, SIGNS[difference.kind]), ` ${difference.kind}`),
      el("p", {}, MEANINGS[difference.kind], difference.follows && " It follows from what is below it.",
        difference.spans > 1 && ` ${difference.spans} spans in all.`, difference.wrapper && " Only itself: what is below it is in both."),
      difference.times && el("p", { class: "both" }, `A ${difference.times.a} times, B ${difference.times.b} times`),
      difference.own_nanos && el("p", { class: "both" }, `A ${duration(difference.own_nanos.a / 1e6)}, B ${duration(difference.own_nanos.b / 1e6)} by itself`),
      (difference.changes ?? []).slice(0, MOST_CHANGES).map(changeElement))),
    el("p", { class: "hint" }, [link("a", a, "A"), link("b", b, "B")].filter(Boolean).flatMap((one, k) => (k > 0 ? [" · ", one] : [one])))));
}

function changeElement({ part, path, a, b }) {
  const line = (sign, what, value) => el("div", { class: `change-line ${what}` }, el("span", { class: "sign" }, sign),
    value === undefined ? el("span", { class: "quiet-text" }, "nothing") : jsonBlock(typeof value === "string" ? value : JSON.stringify(value)));
  return el("div", { class: "change" },
    el("h4", {}, part === "attribute" ? "" : `${part} `, el("code", {}, path ?? "")),
    line("A", "removed", a), line("B", "added", b));
}
