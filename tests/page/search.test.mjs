// What the search page knows without a page: what can stand at the cursor, and what a rectangle in
// the scatter stands for.
import assert from "node:assert/strict";
import { test } from "node:test";

const assets = new URL("../../crates/fixpoint-server/assets/", import.meta.url);
const load = (name) => import(new URL(name, assets));
const { lengthText, offers, quoted, taken, tokens, wanted } = await load("complete.mjs");
const { address, selected } = await load("scatter.mjs");

const sources = {
  services: async () => ["api", "fixpoint", "odd \"one\""],
  operations: async (service) => (service === "api" ? ["GET /"] : ["ELBv2.RegisterTargets", "ELBv2.DescribeTargetGroups", "GET /", "run clusters"]),
  attributes: async () => ["aws.request_id", "fixpoint.run.id", "customer name", "zone"],
  values: async (name) => (name === "zone" ? ["a", "b"] : []),
};

// The cursor is where the bar is.
const at = (marked) => {
  const cursor = marked.indexOf("|");
  assert.ok(cursor >= 0, marked);
  return wanted(marked.replace("|", ""), cursor);
};
const offered = async (marked) => (await offers(at(marked), sources)).map((offer) => offer.text);
const accept = async (marked, text) => {
  const place = at(marked);
  const offer = (await offers(place, sources)).find((it) => it.text === text);
  assert.ok(offer, `${marked}: ${text} is not offered`);
  const { text: whole, cursor } = taken(marked.replace("|", ""), place, offer);
  return `${whole.slice(0, cursor)}|${whole.slice(cursor)}`;
};

test("a query is cut into words, texts, operators and parentheses", () => {
  const texts = (text) => tokens(text).map((token) => token.text);
  assert.deepEqual(texts(`service="a b" and missing(x)>=1.5s`), ["service", "=", `"a b"`, "and", "missing", "(", "x", ")", ">=", "1.5s"]);
  assert.deepEqual(texts("`customer name` !~ \"say \\\"hi\\\"\""), ["`customer name`", "!~", `"say \\"hi\\""`]);
  assert.deepEqual(texts(`name = "not closed`), ["name", "=", `"not closed`]);
  assert.deepEqual(tokens("  a").map(({ from, to }) => [from, to]), [[2, 3]]);
});

test("what is wanted follows from what stands before", () => {
  for (const [marked, want] of [
    ["|", "condition"],
    ["serv|", "condition"],
    ["service |", "op"],
    ["service = |", "value"],
    ["service = ap|", "value"],
    ["service = api |", "join"],
    ["service = api and |", "condition"],
    ["service = api and error |", "join"],
    ["zone exists |", "join"],
    ["zone = |", "value"],
    ["missing(|", "condition"],
    ["missing(\"x\"|", "join"],
    ["missing(\"x\") |", "join"],
    ["missing(\"x\") after |", "condition"],
    ["missing(\"x\") after \"y\" |", "join"],
    ["has(name = |", "value"],
    ["error or |", "condition"],
    ["trace.open |", "join"],
    ["\"run clusters\" |", "join"],
    ["serv| = api", "condition"],
  ]) assert.equal(at(marked).want, want, marked);
});

test("fields and the language come first, names of spans within parentheses", async () => {
  assert.deepEqual((await offered("|")).slice(0, 5), ["error", "open", "missing(", "has(", "service"]);
  assert.deepEqual((await offered("missing(|")).slice(0, 2), [`"ELBv2.RegisterTargets"`, `"ELBv2.DescribeTargetGroups"`]);
  assert.deepEqual(await offered("missing(elb|"), [`"ELBv2.RegisterTargets"`, `"ELBv2.DescribeTargetGroups"`]);
  assert.equal((await offered("missing(x) after |"))[0], `"ELBv2.RegisterTargets"`);
});

test("what was typed narrows down, beginnings first", async () => {
  assert.deepEqual(await offered("dur|"), ["duration", "trace.duration"]);
  assert.deepEqual(await offered("run|"), [`"run clusters"`, "fixpoint.run.id"]);
  assert.deepEqual(await offered("zone = b|"), [`"b"`]);
  assert.deepEqual(await offered("error|"), ["error", "trace.errors"]);
  assert.deepEqual(await offered("kind = client|"), [], "a word that is whole needs nothing");
});

test("values are those of the field, and names those of the service", async () => {
  assert.deepEqual(await offered("service = |"), [`"api"`, `"fixpoint"`, `"odd \\"one\\""`]);
  assert.deepEqual(await offered("service = api and name = |"), [`"GET /"`]);
  assert.deepEqual(await offered("kind = |"), ["server", "client", "internal", "producer", "consumer"]);
  assert.deepEqual(await offered("log ~ |"), []);
});

test("after belongs to missing, and or not into parentheses", async () => {
  assert.deepEqual(await offered("missing(\"x\") |"), ["and", "or", "after"]);
  assert.deepEqual(await offered("has(\"x\") |"), ["and", "or"]);
  assert.deepEqual(await offered("missing(\"x\" |"), ["and", ")"]);
});

test("what is taken up stands in place of what was typed", async () => {
  assert.equal(await accept("serv|", "service"), "service |");
  assert.equal(await accept("error and dur| > 1s", "duration"), "error and duration |> 1s");
  assert.equal(await accept("miss|", "missing("), "missing(|");
  assert.equal(await accept("service = ap|i and error", `"api"`), `service = "api" |and error`);
  assert.equal(await accept("name = \"ELBv2.R|", `"ELBv2.RegisterTargets"`), `name = "ELBv2.RegisterTargets" |`);
  assert.equal(await accept("missing(elb|", `"ELBv2.RegisterTargets"`), `missing("ELBv2.RegisterTargets"|`);
  assert.equal(await accept(`missing("x"|`, ")"), `missing("x") |`);
  assert.equal(await accept(`missing("x"|`, "and"), `missing("x" and |`);
  assert.equal(await accept("cust|", "`customer name`"), "`customer name` |");
});

test("texts and lengths are written as the language reads them", () => {
  assert.equal(quoted("a \"b\" \\"), `"a \\"b\\" \\\\"`);
  for (const [nanos, text] of [[1, "1ns"], [1500, "1.5us"], [1234567, "1.23ms"], [5e9, "5s"], [90e9, "1.5m"], [7.2e12, "2h"], [0.4e12, "6.67m"]]) assert.equal(lengthText(nanos), text);
});

test("a rectangle is a while and a range of durations", () => {
  const scale = { from: 1_000_000, to: 2_000_000, least: 6, most: 9 };
  const both = selected({ left: 0.25, right: 0.5, top: 1 / 3, bottom: 2 / 3 }, scale);
  assert.deepEqual([both.from, both.to], [1_250_000, 1_500_000]);
  assert.deepEqual([lengthText(both.min), lengthText(both.max)], ["10ms", "100ms"]);
  const time = selected({ left: 0, right: 1, top: 0, bottom: 1 }, scale);
  assert.deepEqual([time.min, time.max], [null, null]);
});

test("a selection goes into the address beside what is asked for", () => {
  const params = (search, selection) => Object.fromEntries(new URLSearchParams(address(search, selection).split("?")[1]));
  const from = Date.UTC(2026, 4, 4, 3);
  assert.deepEqual(params("?q=error&since=1h&page_token=x", { from, to: from + 60_000, min: null, max: null }),
    { q: "error", since: "1h", from: "2026-05-04T03:00:00.000Z", to: "2026-05-04T03:01:00.000Z" });
  assert.deepEqual(params("", { from, to: from + 1, min: 1e6, max: 2e9 }),
    { from: "2026-05-04T03:00:00.000Z", to: "2026-05-04T03:00:00.001Z", min: "1ms", max: "2s" });
});
