// The log lines of a trace, in the order in which they were written.

import { LEVELS } from "./address.mjs";
import { el, fill } from "./dom.mjs";
import { VirtualList } from "./list.mjs";
import { duration } from "./scale.mjs";

/** One line in full, as the detail panel shows it. `go`, if given, leads to the line's span. */
export function logLineElement(line, data, origin, go) {
  return el("div", { class: `log-line ${line.level.toLowerCase()}` },
    el("time", { class: "at", datetime: line.time, title: line.time }, `+${duration(line.at - origin)}`),
    el("span", { class: "level" }, line.level),
    el("span", { class: "message" }, line.message, " ",
      el("span", { class: "fields" }, fieldText(line)),
      go && el("button", { type: "button", class: "quiet", onclick: go },
        nameOf(data, line) || line.spanId)));
}

/** All lines, drawn as they come into sight. */
export class LogView {
  #lines = [];

  constructor(scroller, data, { onSelect }) {
    this.data = data;
    this.list = new VirtualList(scroller, {
      make: () => makeLine(),
      draw: (row, index) => this.#draw(row, this.#lines[index], index),
    });
    scroller.addEventListener("click", (event) => {
      const line = event.target.closest(".log-row")?.line;
      if (line) onSelect(line.spanId);
    });
  }

  /** Shows the lines of at least `level` that hold every word of `query`; returns how many. */
  show({ level, query, selected, follow }) {
    const least = LEVELS.indexOf(level);
    const words = query.toLowerCase().split(/\s+/).filter((word) => word && !word.startsWith("is:"));
    this.origin = this.data.tree.count > 0 ? this.data.tree.from : 0;
    this.selected = selected;
    this.#lines = this.data.logs.filter((line) => LEVELS.indexOf(line.level) >= least
      && words.every((word) => this.#text(line).includes(word)));
    this.list.setCount(this.#lines.length, { follow });
    return this.#lines.length;
  }

  #text(line) {
    line.text ??= `${line.level} ${line.message} ${fieldText(line)} ${line.target} ${line.spanId}`.toLowerCase();
    return `${line.text} ${nameOf(this.data, line)}`;
  }

  #draw(row, line, index) {
    const { parts: part } = row;
    row.line = line;
    row.className = `log-row ${line.level.toLowerCase()}${line.spanId && line.spanId === this.selected ? " selected" : ""}`;
    row.setAttribute("aria-posinset", index + 1);
    row.setAttribute("aria-setsize", this.#lines.length);
    part.at.textContent = `+${duration(line.at - this.origin)}`;
    part.at.title = line.time;
    part.level.textContent = line.level;
    part.span.textContent = nameOf(this.data, line);
    fill(part.message, line.message, " ", el("span", { class: "fields" }, fieldText(line)));
    part.message.title = `${line.message} ${fieldText(line)}`;
  }
}

function makeLine() {
  const part = {
    at: el("span", { class: "at" }),
    level: el("span", { class: "level" }),
    span: el("span", { class: "span-name" }),
    message: el("span", { class: "message" }),
  };
  const row = el("div", { class: "log-row", role: "listitem" }, part.at, part.level, part.span, part.message);
  row.parts = part;
  return row;
}

function nameOf({ spans }, line) {
  const place = line.spanId === null ? -1 : spans.placeOf(line.spanId);
  return place < 0 ? "" : spans.names[spans.name[place]];
}

function fieldText(line) {
  line.fieldText ??= Object.entries(line.fields)
    .map(([key, value]) => `${key}=${typeof value === "string" ? value : JSON.stringify(value)}`).join(" ");
  return line.fieldText;
}
