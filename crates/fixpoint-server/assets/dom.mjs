// Makes DOM nodes. Not a framework: no state, no diffing. The one rule: text goes in as text
// nodes, never as markup, so nothing that a trace holds can become part of the page.

/** Makes an element: `el("a", {href, class, onclick, dataset: {…}}, "text", child, null, …)`. */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "dataset") Object.assign(node.dataset, value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  append(node, children);
  return node;
}

/** Replaces what is in `node`. */
export function fill(node, ...children) {
  node.textContent = "";
  append(node, children);
  return node;
}

function append(node, children) {
  for (const child of children.flat(Infinity)) {
    if (child !== undefined && child !== null && child !== false) node.append(child);
  }
}

/** A button that copies `text` and says so for a moment. */
export function copyButton(text, label = "Copy") {
  return el("button", { type: "button", class: "copy", "data-copy": text, "aria-label": `${label} ${text}` }, "copy");
}

/** Makes every `[data-copy]` button on the page work, also those made later. */
export function enableCopy() {
  document.addEventListener("click", async (event) => {
    const button = event.target.closest?.("[data-copy]");
    if (!button) return;
    event.preventDefault();
    await copy(button.dataset.copy);
    announce(`Copied ${button.dataset.copy}`);
    button.textContent = "copied";
    setTimeout(() => (button.textContent = "copy"), 1500);
  });
}

/** Puts `text` on the clipboard, also on plain-http pages where the clipboard API is missing. */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = el("textarea", { class: "offscreen", "aria-hidden": "true" });
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
}

/** Says something to screen readers, and shows it for a moment at the foot of the page. */
export function announce(text) {
  const toast = document.getElementById("toast");
  if (!toast) return;
  toast.textContent = text;
  toast.classList.add("shown");
  clearTimeout(announce.timer);
  announce.timer = setTimeout(() => toast.classList.remove("shown"), 2500);
}
