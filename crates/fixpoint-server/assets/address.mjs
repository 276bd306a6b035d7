// What the user sees of a trace, as query parameters, so that a link shows the next person the
// same. Pure. The surprise: folds are stored as *differences* from the default, to keep links short.

/** Levels of log lines, from fine to grave. */
export const LEVELS = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR"];

/** The `level` that folds nothing. */
export const ALL = -1;

const EMPTY = {
  span: "", detail: false, view: "tree", least: "TRACE", query: "", only: false, zoom: null,
  // Levels to show, 0 for the usual; rows folded or opened by hand; rows opened with all below.
  level: 0, toggled: new Set(), whole: new Set(),
  // Whether repeated siblings are folded, ticks shown, and the critical path drawn.
  repeats: true, ticks: true, critical: false,
};

/** Reads the state from `location.search`. Anything malformed counts as absent. */
export function read(search) {
  const params = new URLSearchParams(search);
  const zoom = /^(-?[\d.]+)-([\d.]+)$/.exec(params.get("zoom") ?? "");
  const level = Number(params.get("level"));
  const ids = (name) => new Set((params.get(name) ?? "").split(",").filter(Boolean));
  return {
    span: params.get("span") ?? EMPTY.span,
    detail: params.get("detail") === "1",
    view: params.get("view") === "logs" ? "logs" : "tree",
    least: LEVELS.includes(params.get("log")) ? params.get("log") : EMPTY.least,
    query: params.get("find") ?? EMPTY.query,
    only: params.get("only") === "1",
    zoom: zoom && Number(zoom[1]) < Number(zoom[2]) ? { from: Number(zoom[1]), to: Number(zoom[2]) } : null,
    level: params.get("level") === "all" ? ALL : Number.isInteger(level) && level > 0 ? level : 0,
    toggled: ids("fold"),
    whole: ids("whole"),
    repeats: params.get("repeats") !== "open",
    ticks: params.get("ticks") !== "off",
    critical: params.get("critical") === "1",
  };
}

/** Writes the state as a query string, keeping parameters that are not ours. */
export function write(state, search = "") {
  const params = new URLSearchParams(search);
  const put = (name, value) => (value ? params.set(name, value) : params.delete(name));
  const round = (ms) => String(+ms.toFixed(3));
  put("span", state.span);
  put("detail", state.detail ? "1" : "");
  put("view", state.view === "tree" ? "" : state.view);
  put("log", state.least === EMPTY.least ? "" : state.least);
  put("find", state.query);
  put("only", state.only ? "1" : "");
  // Relative to the trace's start, in milliseconds.
  put("zoom", state.zoom ? `${round(state.zoom.from)}-${round(state.zoom.to)}` : "");
  put("level", state.level === ALL ? "all" : state.level ? String(state.level) : "");
  put("fold", [...state.toggled].join(","));
  put("whole", [...state.whole].join(","));
  put("repeats", state.repeats ? "" : "open");
  put("ticks", state.ticks ? "" : "off");
  put("critical", state.critical ? "1" : "");
  const text = params.toString().replaceAll("%2C", ",");
  return text ? `?${text}` : "";
}
