// What a span is to the eye, and what it says of itself in a line. Pure.
//
// Not for how it is drawn (`rows.mjs`). The surprise: a span's attributes decide, not its name
// alone, so that anybody's spans are told apart as ours are.

/** All there are; a category is known by its place here. */
export const CATEGORIES = ["other", "http", "run", "create", "wait", "step", "aws", "attempt"];

const [OTHER, HTTP, RUN, CREATE, WAIT, STEP, AWS, ATTEMPT] = CATEGORIES.keys();

/** Which category a span is of, by name, kind and what `attribute(name)` says. */
export function category(name, kind, attribute) {
  const has = (key) => attribute(key) !== undefined;
  if (name === "attempt" && (kind === "client" || has("fixpoint.attempt"))) return ATTEMPT;
  if (has("rpc.system") || has("rpc.system.name")) return AWS;
  if (kind === "server" || has("http.request.method")) return HTTP;
  if (name.startsWith("run ") || has("fixpoint.run.id")) return RUN;
  if (has("fixpoint.iteration")) return CREATE;
  // Any step may wait for what it made to be visible; that does not make it a wait.
  const key = attribute("fixpoint.step.key");
  if (has("fixpoint.wait.reason") && (key === undefined || String(key).startsWith("Wait"))) return WAIT;
  return key === undefined ? OTHER : STEP;
}

/** The category of a span's object, by name. */
export function categoryOf(span) {
  return CATEGORIES[category(span.name, span.kind, (key) => span.attributes[key])];
}

/** What a waiting span waits for, in a sentence; empty for other spans. */
export function waitText(span) {
  const reason = span.attributes["fixpoint.wait.reason"];
  const wanted = span.attributes["fixpoint.wait.wanted"];
  if (reason === undefined && wanted === undefined) return "";
  const seen = span.attributes["fixpoint.wait.seen"];
  const verb = span.end === null ? "waits for" : "waited for";
  const values = seen === wanted ? seen : [seen && `seen ${seen}`, wanted && `wanted ${wanted}`].filter(Boolean).join(", ");
  return `${verb} ${reason ?? wanted}${values ? `: ${values}` : ""}`;
}

/** What a `create` decided, in a line; empty for other spans and while it still looks. */
export function planText(span) {
  const { attributes } = span;
  if (attributes["fixpoint.iteration"] === undefined || attributes["fixpoint.steps"] === undefined) return "";
  const steps = counted(attributes["fixpoint.steps"].split(", ").filter(Boolean));
  const withheld = attributes["fixpoint.withheld"] ? ", others withheld" : "";
  return steps ? `chose ${steps}${withheld}` : withheld ? "no step now, some withheld" : "solved: no step left";
}

/** `a, b ×2`: names in order, each once. */
export function counted(names) {
  const times = new Map();
  for (const name of names) times.set(name, (times.get(name) ?? 0) + 1);
  return [...times].map(([name, n]) => (n > 1 ? `${name} ×${n}` : name)).join(", ");
}

/** Why a span failed, in a line; for a call, its error code first, as one searches for that. */
export function errorText(span) {
  const code = span.kind === "client" ? span.attributes["error.type"] : "";
  if (!code) return span.message;
  return span.message && !span.message.startsWith(code) ? `${code}: ${span.message}` : span.message || String(code);
}
