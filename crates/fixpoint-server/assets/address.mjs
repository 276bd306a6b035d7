// What the user sees of a trace, as query parameters, so that a link shows the next person the
// same. Pure. The surprise: folds are stored as *differences* from the default, to keep links short.

/** Levels of log lines, from fine to grave. */
export const LEVELS = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR"];

const EMPTY = { span: "", detail: false, view: "tree", least: "TRACE", query: "", only: false, zoom: null, level: 0, toggled: new Set() };

/** Reads the state from `location.search`. Anything malformed counts as absent. */
export function read(search) {
  const params = new URLSearchParams(search);
  const zoom = /^(-?[\d.]+)-([\d.]+)$/.exec(params.get("zoom") ?? "");
  const level = Number(params.get("level"));
  return {
    span: params.get("span") ?? EMPTY.span,
    detail: params.get("detail") === "1",
    view: params.get("view") === "logs" ? "logs" : "tree",
    least: LEVELS.includes(params.get("log")) ? params.get("log") : EMPTY.least,
    query: params.get("find") ?? EMPTY.query,
    only: params.get("only") === "1",
    zoom: zoom && Number(zoom[1]) < Number(zoom[2]) ? { from: Number(zoom[1]), to: Number(zoom[2]) } : null,
    level: Number.isInteger(level) && level > 0 ? level : 0,
    toggled: new Set((params.get("fold") ?? "").split(",").filter(Boolean)),
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
  put("level", state.level ? String(state.level) : "");
  put("fold", [...state.toggled].join(","));
  const text = params.toString().replaceAll("%2C", ",");
  return text ? `?${text}` : "";
}
