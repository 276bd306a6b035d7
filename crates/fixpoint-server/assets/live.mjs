// Keeps the server-rendered parts of a page fresh: asks for the page again and takes over every
// `[data-live]` region that changed. The templates stay the only place where they are drawn.

import { call } from "./api.mjs";
import { duration } from "./scale.mjs";
import { follow } from "./stream.mjs";

const LEAST_GAP = 700;

/** Starts what the page asks for: `data-follow` (the events of runs) or `data-refresh` (seconds). */
export function enableLive({ onUpdate = () => {} } = {}) {
  tick();
  setInterval(tick, 1000);
  remember(document);
  const { follow: paths, refresh } = document.body.dataset;
  const again = throttled(async () => {
    await refreshRegions();
    onUpdate();
  });
  if (paths) {
    for (const path of paths.split(" ")) {
      const stop = follow(path, { on: { run: (run) => {
        again();
        if (run?.ended_at) setTimeout(() => { again(); stop(); }, 1500);
      } }, onOpen: (first) => first || again() });
    }
  } else if (refresh) {
    setInterval(() => document.hidden || again(), Number(refresh) * 1000);
    document.addEventListener("visibilitychange", () => document.hidden || again());
  }
}

/** Takes over the regions of the page as the server now draws it. */
export async function refreshRegions() {
  let text;
  try {
    ({ body: text } = await call("GET", location.pathname + location.search, { as: "text", quiet: true, headers: { accept: "text/html", "x-fixpoint-refresh": "1" } }));
  } catch (error) {
    // No longer signed in: the page itself leads to where one can.
    if (error.status === 401) location.reload();
    // The next refresh will tell; an error box that comes and goes would only disturb.
    return;
  }
  const fresh = new DOMParser().parseFromString(text, "text/html");
  for (const region of document.querySelectorAll("[data-live]")) {
    const next = fresh.querySelector(`[data-live="${CSS.escape(region.dataset.live)}"]`);
    if (!next || next.innerHTML === region.drawn || isInUse(region)) continue;
    const drawn = next.innerHTML;
    const opened = new Map([...region.querySelectorAll("details[id]")].map((details) => [details.id, details.open]));
    const focus = region.contains(document.activeElement) ? pathTo(document.activeElement) : null;
    region.replaceChildren(...next.childNodes);
    region.drawn = drawn;
    for (const details of region.querySelectorAll("details[id]")) {
      if (opened.has(details.id)) details.open = opened.get(details.id);
    }
    if (focus) document.querySelector(focus)?.focus();
  }
  document.title = fresh.title;
  tick();
}

// Nobody should lose what they are typing, selecting or pressing.
function isInUse(region) {
  const selection = getSelection();
  return region.matches(":active") || region.contains(document.activeElement?.closest("input, select, textarea"))
    || (!selection.isCollapsed && selection.containsNode(region, true));
}

function pathTo(node) {
  if (node.id) return `#${CSS.escape(node.id)}`;
  const details = node.matches("summary") ? node.closest("details[id]") : null;
  return details && `#${CSS.escape(details.id)} > summary`;
}

function remember(root) {
  for (const region of root.querySelectorAll("[data-live]")) region.drawn = region.innerHTML;
}

// Durations of what goes on, and how long ago things were.
function tick() {
  for (const node of document.querySelectorAll("[data-since]")) {
    node.textContent = duration(Math.max(0, Math.floor((Date.now() - Date.parse(node.dataset.since)) / 1e3)) * 1e3);
  }
}

function throttled(run) {
  let last = -Infinity;
  let timer = 0;
  return () => {
    if (timer) return;
    timer = setTimeout(async () => {
      last = performance.now();
      await run();
      timer = 0;
    }, Math.max(0, last + LEAST_GAP - performance.now()));
  };
}
