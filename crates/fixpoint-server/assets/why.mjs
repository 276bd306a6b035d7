// The answer to why, asked for beside the page: at once where something went wrong, else when
// somebody wants to know.
//
// Not for drawing it: the panel is taken from the page of the answer, so that it is drawn in one
// place. The surprise: it is asked for once. A run that goes on is asked about again by pressing
// again.

import { call, errorBox } from "./api.mjs";
import { el } from "./dom.mjs";

/** Asks wherever the page wants an answer at once, and listens for those who ask. */
export function enableWhy() {
  askWhereWanted();
  document.addEventListener("click", (event) => {
    const link = event.target.closest(".ask-why");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    ask(link.closest("[data-why]"));
  });
}

/** Asks where the page has a place for an answer that nobody has asked for yet. */
export function askWhereWanted() {
  for (const place of document.querySelectorAll("[data-why]:not([data-asked])")) if (place.querySelector(".asking")) ask(place);
}

async function ask(place) {
  place.dataset.asked = "";
  const old = place.querySelector(".why-panel, .problem");
  const waiting = old ?? place.appendChild(el("section", { class: "why-panel asking" }, el("p", { class: "why-wait" }, "Comparing with good ones…")));
  waiting.setAttribute("aria-busy", "true");
  let answer;
  try {
    const { body } = await call("GET", place.dataset.why, { as: "text", quiet: true });
    answer = new DOMParser().parseFromString(body, "text/html").querySelector(".why-panel");
  } catch (error) {
    answer = errorBox(error);
  }
  waiting.replaceWith(answer);
}
