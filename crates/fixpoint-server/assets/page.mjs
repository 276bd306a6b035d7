// Where every page starts.

import { errorBox } from "./api.mjs";
import { enableCopy, fill } from "./dom.mjs";
import { Explorer } from "./explorer.mjs";
import { enableForms } from "./forms.mjs";
import { buildFrame } from "./frame.mjs";
import { enableKeys } from "./keys.mjs";
import { enableLive } from "./live.mjs";
import { enableScatter } from "./scatter.mjs";
import { enableSearch } from "./search.mjs";
import { TraceData } from "./trace.mjs";
import { matcher } from "./tree.mjs";

enableCopy();
enableForms();
enableLive();
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
  const { span, query } = explorer.state;
  explorer.update();
  if (span) explorer.select(explorer.selected, { user: false });
  else if (query) explorer.select(data.tree.order.find(matcher(query)), { user: false });
  // What went wrong is what one came for.
  else if (data.open === 0) explorer.select(data.tree.failures.find((node) => node.category !== "run"), { detail: false, user: false });
}

// Elsewhere "/" leads to the search box, as it does within a trace.
addEventListener("keydown", (event) => {
  if (event.key === "/" && !root && !event.target.closest("input, textarea, select")) {
    event.preventDefault();
    const box = document.querySelector(".search input");
    box?.focus();
    box?.select();
  }
});
