// Forms that speak JSON to the API: create, change, delete, and what operators do to runs, where each
// button has an address of its own. The server says what is wrong; here its words are put beside
// the fields they are about.

import { ApiError, call, errorBox } from "./api.mjs";
import { el, fill } from "./dom.mjs";

/** Makes every form on the page work that has an address of the API, or a button that has one. */
export function enableForms() {
  document.addEventListener("submit", (event) => {
    const form = event.target.closest("form");
    const api = event.submitter?.dataset.api ?? form?.dataset.api;
    if (!api) return;
    event.preventDefault();
    submit(form, api, { preview: event.submitter?.dataset.preview !== undefined });
  });
  document.addEventListener("click", (event) => {
    const opener = event.target.closest("[data-dialog]");
    if (opener) document.getElementById(opener.dataset.dialog)?.showModal();
    const closer = event.target.closest("[data-close]");
    if (closer) closer.closest("dialog")?.close();
    const stepper = event.target.closest("[data-step]");
    if (stepper) bump(stepper);
  });
}

/** The JSON that a form stands for: what was filled in, or with `changed`, what differs. */
export function readForm(form, { changed = false } = {}) {
  const body = {};
  for (const control of form.querySelectorAll("[data-field]")) {
    const value = valueOf(control);
    const known = control.dataset.value === undefined ? undefined : JSON.parse(control.dataset.value);
    if (changed ? same(value, known) : value === undefined) continue;
    body[control.dataset.field] = value === undefined ? null : value;
  }
  return body;
}

async function submit(form, api, { preview }) {
  const { method } = form.dataset;
  const changed = method === "PATCH";
  const outcome = form.querySelector("[data-outcome]");
  const buttons = form.querySelectorAll("button[type=submit]");
  const enable = (on) => buttons.forEach((button) => (button.disabled = !on));
  clearErrors(form);
  fill(outcome);
  try {
    const body = method === "DELETE" ? undefined : readForm(form, { changed });
    if (changed && Object.keys(body).length === 0) {
      outcome.textContent = "Nothing has been changed.";
      return;
    }
    enable(false);
    const headers = form.dataset.match ? { "if-match": form.dataset.match } : {};
    if (preview) {
      const { body: plan } = await call(method, `${api}?dry_run=true`, { body, headers });
      fill(outcome, previewOf(plan));
      return enable(true);
    }
    if (method === "POST") headers["idempotency-key"] = key(form, body);
    const answer = await call(method, api, { body, headers });
    // Where nothing had to run, a form that says where to go then is not led to an older run.
    const run = answer.location ?? (form.dataset.then ? undefined : answer.body?.run_id);
    location.href = run ? `/runs/${encodeURIComponent(String(run).split("/").pop())}` : (form.dataset.then ?? location.href);
  } catch (error) {
    const problem = error instanceof ApiError ? error : new ApiError(0, { title: "This form could not be read", detail: error.message });
    showFieldErrors(form, problem.problem.errors ?? []);
    fill(outcome, errorBox(problem));
    enable(true);
  }
}

function previewOf({ plan, steps = [], withheld = [], trace_id: traceId }) {
  return el("div", { class: "preview", role: "status" },
    el("p", {}, el("b", {}, steps.length > 0 ? `${plan} would start with` : `${plan}: nothing to do`)),
    el("ol", {}, steps.map((step) => el("li", {}, el("code", {}, step.key)))),
    withheld.map(({ what, why }) => el("p", {}, el("b", {}, what), `: ${why}`)),
    el("p", { class: "trace-ref" }, "Nothing was changed. ", el("a", { href: `/traces/${encodeURIComponent(traceId)}` }, "What it looked at")));
}

// The same body sent twice, say by a double click, must not make two resources.
function key(form, body) {
  const text = JSON.stringify(body);
  if (form.sent?.text !== text) form.sent = { text, key: Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, "0")).join("") };
  return form.sent.key;
}

function valueOf(control) {
  const { kind } = control.dataset;
  if (kind === "choices") return [...control.querySelectorAll("input:checked")].map((box) => box.value);
  if (kind === "flag") return control.checked;
  const text = control.value.trim();
  if (text === "") return undefined;
  if (kind === "number") return Number(text);
  if (kind === "list") return text.split(",").map((word) => word.trim()).filter(Boolean);
  if (kind === "json") return JSON.parse(text);
  return text;
}

function same(a, b) {
  const canonical = (value) => JSON.stringify(Array.isArray(value) ? [...value].sort() : (value ?? null));
  return canonical(a) === canonical(b);
}

function showFieldErrors(form, errors) {
  for (const { pointer, detail } of errors) {
    const field = String(pointer ?? "").replace(/^\/(spec\/)?/, "").split("/")[0];
    const control = [...form.querySelectorAll("[data-field]")].find((each) => each.dataset.field === field);
    const note = control?.closest(".field")?.querySelector(".field-error");
    if (!note) continue;
    note.textContent = detail;
    control.setAttribute("aria-invalid", "true");
  }
  form.querySelector("[aria-invalid=true]")?.focus();
}

function clearErrors(form) {
  for (const note of form.querySelectorAll(".field-error")) note.textContent = "";
  for (const control of form.querySelectorAll("[aria-invalid]")) control.removeAttribute("aria-invalid");
}

function bump(button) {
  const input = button.parentElement.querySelector("input");
  input.value ||= input.placeholder;
  if (button.dataset.step === "1") input.stepUp();
  else input.stepDown();
}
