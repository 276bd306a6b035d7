// The one door to the server: every call goes through here, is logged in the console with its
// trace id, and fails with an error that holds that id. Not for event streams (`stream.mjs`).

import { copyButton, el } from "./dom.mjs";

/** The server said no, or could not be reached. `problem` is RFC 9457's object. */
export class ApiError extends Error {
  constructor(status, problem) {
    super(problem.detail || problem.title || `the server answered ${status}`);
    this.status = status;
    this.problem = problem;
    this.traceId = problem.trace_id || "";
  }
}

/** Calls the API and returns `{status, body, location, traceId, date}`; throws `ApiError`. */
export async function call(method, path, { body, headers = {}, as = "json", quiet = false } = {}) {
  const url = new URL(path, document.baseURI).href;
  const started = performance.now();
  let response;
  try {
    response = await fetch(url, {
      method,
      headers: body === undefined ? headers : { "content-type": contentType(method), ...headers },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (cause) {
    console.error(logLine(method, url, "", 0));
    throw new ApiError(0, { title: "The server cannot be reached", detail: `${method} ${url}: ${cause.message}` });
  }
  const traceId = response.headers.get("x-trace-id") ?? "";
  const level = response.ok ? (quiet ? "debug" : "info") : "error";
  console[level](logLine(method, url, traceId, response.status), `${Math.round(performance.now() - started)} ms`);
  if (!response.ok) throw new ApiError(response.status, await problemOf(response, traceId));
  return {
    status: response.status,
    body: await (as === "text" ? response.text() : response.status === 204 ? undefined : response.json()),
    location: response.headers.get("location"),
    date: response.headers.get("date"),
    traceId,
  };
}

/** `PATCH http://…/v1/clusters/idg trace_id:d572… 422`. */
export function logLine(method, url, traceId, status) {
  return `${method} ${url} trace_id:${traceId || "-"} ${status || "unreachable"}`;
}

function contentType(method) {
  return method === "PATCH" ? "application/merge-patch+json" : "application/json";
}

async function problemOf(response, traceId) {
  const text = await response.text();
  try {
    return { trace_id: traceId, ...JSON.parse(text) };
  } catch {
    return { title: response.statusText, status: response.status, detail: text.slice(0, 500), trace_id: traceId };
  }
}

/** The box that shows an error: what, why, what to do, and the trace that tells more. */
export function errorBox(error) {
  const problem = error.problem ?? { title: error.message };
  return el("div", { class: "problem", role: "alert" },
    el("p", { class: "problem-title" }, `${error.status ? `${error.status} ` : ""}${problem.title ?? "Error"}`),
    problem.detail && problem.detail !== problem.title && el("p", {}, problem.detail),
    problem.errors?.length > 0 && el("ul", {}, problem.errors.map((field) =>
      el("li", {}, el("code", {}, field.pointer || "/"), " ", field.detail))),
    problem.hint && el("p", { class: "hint" }, problem.hint),
    error.status === 401 && el("p", {}, el("a", { href: "/sign-in" }, "Sign in")),
    error.traceId && el("p", { class: "trace-ref" }, "trace_id ",
      el("a", { href: `/traces/${encodeURIComponent(error.traceId)}` }, el("code", {}, error.traceId)),
      " ", copyButton(error.traceId)));
}
