// Time on a line: zoom, ticks, and durations as people read them. Pure.

/** The whole of a trace in time: `{from, to}`; spans that are open reach to `now`. */
export function extent(spans, now) {
  let from = Infinity;
  let to = -Infinity;
  for (const span of spans) {
    if (span.start < from) from = span.start;
    const end = span.end ?? Math.max(now, span.start);
    if (end > to) to = end;
  }
  if (from > to) return { from: 0, to: 1 };
  return { from, to: Math.max(to, from + 0.001) };
}

/** Where `time` is in the view, 0 at its left edge and 1 at its right. */
export function position(time, view) {
  return (time - view.from) / (view.to - view.from);
}

/** A view narrowed or widened around `centre`, kept within `whole`. */
export function zoomed(view, whole, factor, centre) {
  const width = Math.min((view.to - view.from) * factor, whole.to - whole.from);
  const smallest = 0.01;
  const share = position(centre, view);
  return within({ from: centre - Math.max(width, smallest) * share, to: centre + Math.max(width, smallest) * (1 - share) }, whole);
}

/** A view moved by a share of its width, kept within `whole`. */
export function panned(view, whole, share) {
  const by = (view.to - view.from) * share;
  return within({ from: view.from + by, to: view.to + by }, whole);
}

/** Moves a view so that it lies within `whole`, keeping its width if that is possible. */
export function within(view, whole) {
  const width = Math.min(view.to - view.from, whole.to - whole.from);
  const from = Math.min(Math.max(view.from, whole.from), whole.to - width);
  return { from, to: from + width };
}

/** Round moments within a view, about `count` of them. */
export function ticks(view, origin, count) {
  const raw = (view.to - view.from) / Math.max(count, 1);
  const step = roundStep(raw);
  const times = [];
  for (let k = Math.ceil((view.from - origin) / step); origin + k * step <= view.to; k++) times.push(origin + k * step);
  return times;
}

function roundStep(raw) {
  const minutes = [60e3, 120e3, 300e3, 600e3, 900e3, 1800e3, 3600e3, 7200e3, 21600e3, 43200e3, 86400e3];
  if (raw > 30e3) return minutes.find((step) => step >= raw) ?? Math.ceil(raw / 86400e3) * 86400e3;
  if (raw > 10e3) return raw > 15e3 ? 30e3 : 15e3;
  const power = 10 ** Math.floor(Math.log10(raw));
  return [1, 2, 5, 10].map((m) => m * power).find((step) => step >= raw * 0.999);
}

/** `340 µs`, `12.3 ms`, `1.25 s`, `2 m 05 s`, `1 h 02 m`. */
export function duration(ms) {
  if (ms < 0) return `-${duration(-ms)}`;
  if (ms === 0) return "0";
  if (ms < 1) return `${Math.max(1, Math.round(ms * 1e3))} µs`;
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  if (ms < 9_995) return `${(ms / 1e3).toFixed(2)} s`;
  if (ms < 59_950) return `${(ms / 1e3).toFixed(1)} s`;
  const seconds = Math.round(ms / 1e3);
  const two = (n) => String(n).padStart(2, "0");
  if (seconds < 3600) return `${Math.floor(seconds / 60)} m ${two(seconds % 60)} s`;
  return `${Math.floor(seconds / 3600)} h ${two(Math.floor((seconds % 3600) / 60))} m`;
}

/** The label of a tick: `0`, `250 ms`, `1.5 s`, `2:30`; with decimals if ticks are `step` milliseconds apart and need them. */
export function tickLabel(ms, step = 1e3) {
  if (Math.abs(ms) < 1e-9) return "0";
  if (ms < 1) return `${+(ms * 1e3).toFixed(1)} µs`;
  if (ms < 1e3) return `${+ms.toFixed(2)} ms`;
  if (ms < 60e3) return `${+(ms / 1e3).toFixed(3)} s`;
  const decimals = Math.max(0, Math.ceil(3 - Math.log10(step) - 1e-9));
  const parts = 10 ** decimals;
  const whole = Math.round((ms / 1e3) * parts);
  const seconds = Math.floor(whole / parts);
  const two = (n) => String(n).padStart(2, "0");
  const hours = Math.floor(seconds / 3600);
  const fraction = decimals > 0 ? `.${String(whole % parts).padStart(decimals, "0")}` : "";
  const tail = `${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}${fraction}`;
  return hours > 0 ? `${hours}:${tail}` : tail.replace(/^0/, "");
}
