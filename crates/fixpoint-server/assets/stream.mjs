// Server-sent events, kept open only while somebody looks: browsers allow six connections to a
// server, and a few forgotten tabs would use them up. After every gap the caller reads afresh.

/** Milliseconds before a stream that was refused is asked for again. */
const AGAIN = 1_000;

/**
 * Follows `path`. `on` maps event names to handlers of parsed data; `onOpen(first)` runs each time the
 * stream opens, for the first time or again after it was lost; `onState` hears "live" | "lost" | "paused". Returns a stop.
 */
export function follow(path, { on, onOpen = () => {}, onState = () => {} }) {
  let source = null;
  let opened = false;
  let stopped = false;

  const open = () => {
    if (source || stopped) return;
    source = new EventSource(path);
    console.debug(`GET ${new URL(path, document.baseURI).href} (events)`);
    source.onopen = () => {
      onState("live");
      onOpen(!opened);
      opened = true;
    };
    source.onerror = () => {
      onState(stopped ? "paused" : "lost");
      // The browser tries again by itself, but not after an answer that is no stream: a proxy's
      // error, or a trace of which nothing is stored yet.
      if (source?.readyState === EventSource.CLOSED) setTimeout(reopen, AGAIN);
    };
    for (const [name, handler] of Object.entries(on)) {
      source.addEventListener(name, (event) => handler(parse(event.data)));
    }
  };
  const close = () => {
    source?.close();
    source = null;
  };
  const reopen = () => {
    if (source?.readyState !== EventSource.CLOSED) return;
    close();
    if (!document.hidden) open();
  };
  const look = () => {
    if (document.hidden) {
      close();
      onState("paused");
    } else open();
  };
  document.addEventListener("visibilitychange", look);
  look();
  return () => {
    stopped = true;
    document.removeEventListener("visibilitychange", look);
    close();
  };
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
