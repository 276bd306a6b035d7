// Serves the page's modules and traces that are made up: the odd and the large ones, which no run
// of the sandbox gives. For the tests in a browser and for `bench/waterfall`.
//
//   node tests/page/server.mjs [--port N]
//
// `/traces/{name}` is a page: `creation`, `failed`, `odd`, or a number of spans. Prints its address.
// Not for the server's answers, which are tested where they are made; here they are as `answer.mjs` makes them.

import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { matchesAnswer, rowsAnswer, spanAnswer } from "./answer.mjs";
import { creation, odd, provisioning } from "./fixture.mjs";

const ASSETS = new URL("../../crates/fixpoint-server/assets/", import.meta.url);
const TYPES = { mjs: "text/javascript", css: "text/css", svg: "image/svg+xml" };
const made = new Map();

function traceOf(name) {
  if (!made.has(name)) {
    const trace = name === "creation" ? creation() : name === "failed" ? creation({ fail: true }) : name === "odd" ? odd() : provisioning(Number(name));
    made.set(name, { ...trace, rows: JSON.stringify(rowsAnswer(trace.trace, trace)) });
  }
  return made.get(name);
}

function page(name) {
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>${name}</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">
<link rel="stylesheet" href="/assets/app.css"><link rel="stylesheet" href="/assets/trace.css">
<script type="module" src="/assets/page.mjs"></script></head><body><main id="main">
<div class="run-head"><div class="title-line"><h1>Trace ${name}</h1></div></div>
<section id="trace" class="trace" data-trace="${name}" aria-label="Trace"></section></main>
<div id="toast" class="toast" role="status"></div></body></html>`;
}

async function answer(url) {
  const [, first, ...rest] = url.pathname.split("/");
  if (first === "assets") return [TYPES[rest[0].split(".").at(-1)], await readFile(new URL(rest[0], ASSETS))];
  if (first === "traces" && /^(creation|failed|odd|\d+)$/.test(rest[0])) return ["text/html; charset=utf-8", page(rest[0])];
  if (url.pathname === "/v1/logs") {
    const logs = traceOf(url.searchParams.get("trace_id")).logs.logs;
    return ["application/json", JSON.stringify({ logs, truncated: false })];
  }
  const [what, name, part, id] = rest;
  if (first !== "v1" || what !== "traces") return null;
  const { rows, trace, logs } = traceOf(name);
  if (part === "rows") return ["application/json", rows];
  if (part === "spans") return ["application/json", JSON.stringify(spanAnswer(trace, id))];
  if (part === "matches") return ["application/json", JSON.stringify(matchesAnswer(trace, logs.logs, url.searchParams.get("q")))];
  // Nothing changes here.
  return part === "events" ? ["text/event-stream", null] : null;
}

const server = createServer(async (request, response) => {
  const found = await answer(new URL(request.url, "http://localhost")).catch(() => null);
  if (!found) return response.writeHead(404).end("{}");
  response.writeHead(200, { "content-type": found[0], "x-trace-id": "0".repeat(31) + "1" });
  if (found[1] === null) response.flushHeaders();
  else response.end(found[1]);
});
const port = process.argv.indexOf("--port");
server.listen(port < 0 ? 0 : Number(process.argv[port + 1]), "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}`));
