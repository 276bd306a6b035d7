// The search box and the filters: completion, filters that keep what stands in the box, and keys
// that move through tables.
//
// Not for what a query means: the server reads it. The surprise: without this module the page does
// all the same things, a little less comfortably.

import { call } from "./api.mjs";
import { offers, taken, wanted } from "./complete.mjs";
import { el, fill } from "./dom.mjs";

/** Milliseconds for which names and values are taken as known. */
const FRESH = 60_000;

/** Makes boxes, filters and tables of the page work. */
export function enableSearch() {
  for (const box of document.querySelectorAll("input[data-query]")) new Completion(box);
  for (const field of document.querySelectorAll("[data-filter]")) enableFilter(field);
  addEventListener("keydown", moveRows);
}

class Completion {
  #found = [];
  #place = null;
  #at = -1;
  #asked = 0;

  constructor(box) {
    this.box = box;
    const id = `offers-${box.closest("main") ? "main" : "top"}`;
    this.list = el("ul", { id, class: "offers", role: "listbox", "aria-label": "What can stand here", hidden: true });
    box.after(this.list);
    for (const [name, value] of Object.entries({ role: "combobox", "aria-autocomplete": "list", "aria-controls": id, "aria-expanded": "false" })) box.setAttribute(name, value);
    box.addEventListener("input", () => this.#ask());
    box.addEventListener("click", () => this.#ask());
    box.addEventListener("blur", () => this.#close());
    box.addEventListener("keydown", (event) => this.#key(event));
    this.list.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      const item = event.target.closest("li");
      if (item) this.#take(Number(item.dataset.index));
    });
  }

  async #ask() {
    const asked = ++this.#asked;
    const { value, selectionStart, selectionEnd } = this.box;
    if (selectionStart !== selectionEnd) return this.#close();
    const place = wanted(value, selectionStart);
    const found = await offers(place, sources);
    // Somebody who types is faster than an answer.
    if (asked !== this.#asked || document.activeElement !== this.box) return;
    this.#place = place;
    this.#found = found;
    this.#at = -1;
    this.#draw();
  }

  #draw() {
    const items = this.#found.map(({ text, about }, index) =>
      el("li", { id: `${this.list.id}-${index}`, role: "option", "aria-selected": String(index === this.#at), dataset: { index } },
        el("code", {}, text), about && el("span", { class: "about" }, about)));
    fill(this.list, items);
    this.list.hidden = items.length === 0;
    this.box.setAttribute("aria-expanded", String(items.length > 0));
    if (this.#at >= 0) {
      this.box.setAttribute("aria-activedescendant", `${this.list.id}-${this.#at}`);
      items[this.#at].scrollIntoView({ block: "nearest" });
    } else this.box.removeAttribute("aria-activedescendant");
  }

  #key(event) {
    const { length } = this.#found;
    const open = !this.list.hidden;
    if (event.key === "ArrowDown" && !open) this.#ask();
    else if (event.key === "ArrowDown" && open) this.#at = (this.#at + 2) % (length + 1) - 1;
    else if (event.key === "ArrowUp" && open) this.#at = (this.#at + 1 + length) % (length + 1) - 1;
    else if (event.key === "Escape" && open) return event.preventDefault(), this.#close();
    // Enter asks, unless something was chosen; Tab takes the first.
    else if (event.key === "Enter" && open && this.#at >= 0) return event.preventDefault(), this.#take(this.#at);
    else if (event.key === "Tab" && open && !event.shiftKey && this.#place.word !== "") return event.preventDefault(), this.#take(Math.max(this.#at, 0));
    else if (event.key === "Escape") return this.box.blur();
    else return;
    event.preventDefault();
    this.#draw();
  }

  #take(index) {
    const { text, cursor } = taken(this.box.value, this.#place, this.#found[index]);
    this.box.value = text;
    this.box.setSelectionRange(cursor, cursor);
    this.#ask();
  }

  #close() {
    this.#asked++;
    this.#found = [];
    this.#at = -1;
    this.#draw();
  }
}

// A filter edits the text as it stands in the box, also if that has not been asked yet.
function enableFilter(field) {
  const { form } = field;
  const list = field.list;
  form.addEventListener("submit", () => {
    const box = document.querySelector(".ask-form [name=q]");
    if (box) form.elements.q.value = box.value;
  });
  field.addEventListener("change", () => form.requestSubmit());
  if (!list) return;
  field.addEventListener("focus", async () => {
    const service = document.getElementById("filter-service").value;
    const names = await (list.id === "services" ? sources.services() : sources.operations(service));
    fill(list, names.map((value) => el("option", { value })));
  });
}

const known = new Map();

function ask(path, read) {
  const last = known.get(path);
  if (last && performance.now() - last.at < FRESH) return last.names;
  // Without names the language itself is still offered.
  const names = call("GET", path, { quiet: true, headers: { "x-fixpoint-refresh": "1" } }).then(({ body }) => read(body), () => []);
  known.set(path, { at: performance.now(), names });
  return names;
}

const unique = (names) => [...new Set(names)].filter(Boolean);

const sources = {
  services: () => ask("/v1/services", (body) => body.items.map((item) => item.service).filter(Boolean)),
  operations: (service) => ask(`/v1/operations${service ? `?service=${encodeURIComponent(service)}` : ""}`, (body) => unique(body.items.map((item) => item.name))),
  attributes: () => ask("/v1/attributes", (body) => body.items),
  values: (name) => ask(`/v1/attributes?name=${encodeURIComponent(name)}`, (body) => body.items),
};

// j and k move through the links of a table's rows; Enter is the link's own.
function moveRows(event) {
  const step = { j: 1, k: -1 }[event.key];
  if (!step || event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select, dialog, .trace")) return;
  const links = [...document.querySelectorAll("[data-rows] tbody .row-link")];
  if (links.length === 0) return;
  const at = links.findIndex((link) => link.closest("tr").contains(document.activeElement));
  const next = at < 0 ? (step > 0 ? 0 : links.length - 1) : Math.min(Math.max(at + step, 0), links.length - 1);
  links[next].focus();
  links[next].scrollIntoView({ block: "nearest" });
  event.preventDefault();
}
