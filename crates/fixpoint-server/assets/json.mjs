// JSON for reading: indented, coloured, built from text nodes. Text that is no JSON stays text.

import { el } from "./dom.mjs";

const LIMIT = 200_000;

/** A block that shows `text`, pretty-printed if it is JSON. */
export function jsonBlock(text) {
  const value = parsed(text);
  const pre = el("pre", { class: "json", tabindex: "0" });
  if (value === undefined) pre.textContent = String(text);
  else if (text.length > LIMIT) pre.textContent = JSON.stringify(value, null, 2);
  else write(pre, value, "");
  return pre;
}

/** The same as plain text, for copying. */
export function pretty(text) {
  const value = parsed(text);
  return value === undefined ? String(text) : JSON.stringify(value, null, 2);
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function write(into, value, indent) {
  if (value === null || typeof value !== "object") {
    const kind = value === null ? "null" : typeof value;
    into.append(el("span", { class: `json-${kind}` }, JSON.stringify(value)));
    return;
  }
  const list = Array.isArray(value);
  const entries = Object.entries(value);
  const [open, close] = list ? "[]" : "{}";
  if (entries.length === 0) {
    into.append(open + close);
    return;
  }
  into.append(open);
  entries.forEach(([key, inner], i) => {
    into.append(`${i ? "," : ""}\n${indent}  `);
    if (!list) into.append(el("span", { class: "json-key" }, JSON.stringify(key)), ": ");
    write(into, inner, `${indent}  `);
  });
  into.append(`\n${indent}${close}`);
}
