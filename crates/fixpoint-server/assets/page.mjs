// Where every page starts.

import { errorBox } from "./api.mjs";
import { ComparedData } from "./compare.mjs";
import { COMPARE_CHAPTERS, drawComparedDetail, drawDifference, drawOverview, firstDifference } from "./differences.mjs";
import { enableCopy, fill } from "./dom.mjs";
import { Explorer } from "./explorer.mjs";
import { enableForms } from "./forms.mjs";
import { buildFrame } from "./frame.mjs";
import { enableKeys } from "./keys.mjs";
import { enableLive } from "./live.mjs";
import { enableScatter } from "./scatter.mjs";
import { enableSearch } from "./search.mjs";
import { TraceData } from "./trace.mjs";
import { askWhereWanted, enableWhy } from "./why.mjs";

enableCopy();
enableForms();
enableLive({ onUpdate: askWhereWanted });
enableWhy();
enableSearch();
enableScatter();

const root = document.getElementById("trace");
if (root) {
  const data = new TraceData(root.dataset.trace);
  const explorer = new Explorer(root, data, { frame: buildFrame });
  const goesOn = () => document.querySelector("[data-run-goes-on]") !== null;
  enableKeys(explorer);
  try {
    await data.load({ awaited: goesOn() });
    data.followEvents({ forever: goesOn });
  } catch (error) {
    fill(explorer.part.notice, errorBox(error));
  }
  await explorer.begin();
  // What is said of a span leads to it, which needs no other page.
  addEventListener("click", (event) => {
    const link = event.target.closest?.("a.see");
    const node = link && explorer.nodeOf(new URL(link.href).searchParams.get("span"));
    if (!node || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    root.scrollIntoView({ block: "start" });
    explorer.select(node, { detail: true });
  });
}

const compared = document.getElementById("compared");
if (compared) {
  const data = new ComparedData(compared.dataset.a, compared.dataset.b);
  const overview = document.getElementById("overview");
  const explorer = new Explorer(compared, data, {
    frame: buildFrame, drawn: drawDifference, detail: drawComparedDetail, summed: (x) => drawOverview(overview, x),
  });
  enableKeys(explorer, COMPARE_CHAPTERS);
  const goesOn = (side) => document.querySelector(`[data-side=${side}][data-run-goes-on]`) !== null;
  try {
    await data.load();
  } catch (error) {
    // A run is known before its first span is stored.
    if (!(error.status === 404 && (goesOn("a") || goesOn("b")))) fill(explorer.part.notice, errorBox(error));
  }
  data.followEvents({ goesOn });
  await explorer.begin({ first: () => firstDifference(data) });
}

// Elsewhere "/" leads to the search box, as it does within a trace.
addEventListener("keydown", (event) => {
  if (event.key === "/" && !root && !compared && !event.target.closest("input, textarea, select")) {
    event.preventDefault();
    const box = document.querySelector(".search input");
    box?.focus();
    box?.select();
  }
});
