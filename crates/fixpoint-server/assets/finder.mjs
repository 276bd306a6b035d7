// The search within a trace. Words are looked for by the server, which has the text; what a span
// is (`is:error`) is known here. The surprise: the answer comes later, and an older answer that
// comes after a newer question is nobody's.

import { CATEGORIES } from "./kinds.mjs";

/** Milliseconds of no typing before the server is asked. */
const PAUSE = 120;

export class Finder {
  /** Whether `matches` is the answer to the query, as far as it is known. */
  found = false;
  /** Resolves when the server has answered, or will not. */
  settled = Promise.resolve();
  #asked = "";
  #places = null;
  #numbers = [];
  #spans = 0;
  #timer = 0;

  constructor(data, { onFound, onError }) {
    this.data = data;
    this.onFound = onFound;
    this.onError = onError;
  }

  /** The numbers of the spans that match, in the tree's order. */
  get matches() {
    return this.#numbers;
  }

  /** Looks for `query` in `tree`; `onFound` is called when the answer of the server has come. */
  look(query, tree) {
    const { words, kinds } = parts(query);
    if (words !== this.#asked) {
      this.#places = null;
      this.#ask(words, this.#asked === "" ? 0 : PAUSE);
    } else if (words && !this.#timer && tree.spans.count !== this.#spans) {
      // New spans may match as well; the old answer serves until the new one comes.
      this.#ask(words, PAUSE);
    }
    this.#spans = tree.spans.count;
    this.found = words ? this.#places !== null : kinds.length > 0;
    if (!this.found) {
      this.#numbers = [];
      return;
    }
    const tests = kinds.map((kind) => isKind(tree, kind));
    const among = words ? this.#places.map((place) => tree.number[place]) : Array.from(tree.place.keys());
    this.#numbers = among.filter((number) => number !== undefined && tests.every((test) => test(number))).sort((a, b) => a - b);
  }

  #ask(words, pause) {
    this.#asked = words;
    clearTimeout(this.#timer);
    this.#timer = 0;
    if (words === "") return;
    this.settled = new Promise((settle) => {
      const timer = setTimeout(() => this.#answer(words, timer).then(settle), pause);
      this.#timer = timer;
    });
  }

  async #answer(words, timer) {
    let error = null;
    const places = await this.data.find(words).catch((problem) => (error = problem));
    if (timer !== this.#timer) return;
    this.#timer = 0;
    if (error) this.onError(error);
    else this.#places = places;
    this.onFound();
  }
}

/** A query's words for the server, and its `is:` words: `{words, kinds}`. */
export function parts(query) {
  const all = query.trim().split(/\s+/).filter(Boolean);
  const isWord = (word) => /^is:\w+$/i.test(word);
  return { words: all.filter((word) => !isWord(word)).join(" "), kinds: all.filter(isWord).map((word) => word.slice(3).toLowerCase()) };
}

/** The words that a comparison knows; its tree has the test for them. */
const OF_COMPARISONS = ["different", "missing", "extra", "failed", "recovered", "retried", "repeated", "reordered", "changed", "slower", "faster"];

/** A test for `is:error`, `is:open`, `is:retried` and every category. */
export function isKind(tree, kind) {
  const { place, size, spans } = tree;
  if (tree.is && OF_COMPARISONS.includes(kind)) return tree.is(kind);
  if (kind === "error") return (number) => spans.failed[place[number]] === 1;
  if (kind === "open") return (number) => Number.isNaN(spans.end[place[number]]);
  if (kind === "retried") return (number) => spans.category[place[number]] === CATEGORIES.indexOf("aws") && size[number] > 2;
  return (number) => CATEGORIES[spans.category[place[number]]] === kind;
}
