"""How fast the waterfall of a large trace opens and scrolls, in headless Chromium.

    python bench/waterfall/measure.py [--spans 100000] [--times 5]      a page of its own server
    python bench/waterfall/measure.py --url http://127.0.0.1:8080/traces/ID   of a running one

To put a large trace into a running server: `node bench/waterfall/otlp.mjs 10000 | curl --json @- URL`,
where URL takes OTLP; a hundred thousand spans are more than one request may hold, and go in parts. Needs Chromium, its driver, Node.js and selenium (`tests/requirements.txt`).
Prints medians over the times the page was opened. What it says of painting is when the browser had
the frame ready; how long a screen takes after that it cannot know. "Work" is processor time of the
page's main thread, which other programs on the machine do not change.
"""

import argparse
import os
import pathlib
import shutil
import statistics
import subprocess

from selenium import webdriver
from selenium.webdriver.chrome.service import Service

ROOT = pathlib.Path(__file__).resolve().parents[2]

# Notes when the first frame with rows has been handed to the compositor.
WATCH = """
  const watch = () => {
    const drawn = document.querySelector('[role=treegrid] .row:not([hidden])');
    if (!drawn) return requestAnimationFrame(watch);
    const channel = new MessageChannel();
    channel.port1.onmessage = () => (window.firstPaint = performance.now());
    requestAnimationFrame(() => channel.port2.postMessage(0));
  };
  requestAnimationFrame(watch);
  new PerformanceObserver((list) => list.getEntries().forEach((entry) => {
    if (/\\/rows\\?/.test(entry.name)) window.answered ??= { at: entry.responseEnd, bytes: entry.decodedBodySize };
  })).observe({ type: 'resource', buffered: true });
"""

FRAMES = 240

# Scrolls a fixed way each frame and returns the time between frames.
SCROLL = """
  const [frames, pixels, done] = arguments;
  const scroller = document.querySelector('[role=treegrid]');
  scroller.scrollTop = 0;
  const times = [];
  let last = 0;
  const step = (now) => {
    if (last) times.push(now - last);
    last = now;
    scroller.scrollTop += pixels;
    if (times.length < frames) requestAnimationFrame(step);
    else done(times);
  };
  requestAnimationFrame(step);
"""

# The time from a key to the frame that shows what it did.
KEY = """
  const [key, done] = arguments;
  const began = performance.now();
  document.body.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }));
  requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - began)));
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spans", type=int, default=100_000)
    parser.add_argument("--url")
    parser.add_argument("--times", type=int, default=5)
    args = parser.parse_args()
    server = None
    url = args.url
    if url is None:
        server = subprocess.Popen(["node", "tests/page/server.mjs"], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        url = f"{server.stdout.readline().strip()}/traces/{args.spans}"
    try:
        runs = [measured(url) for _ in range(args.times)]
    finally:
        if server:
            server.terminate()
    print(f"{url}: {runs[0]['spans']} spans, {runs[0]['bytes'] / 1e6:.1f} MB of rows")
    for name in runs[0]:
        if name in ("spans", "bytes"):
            continue
        values = [run[name] for run in runs]
        print(f"{name:42} {statistics.median(values):8.1f} ms   ({min(values):.1f} to {max(values):.1f})")


def measured(url):
    browser = chromium()
    try:
        browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": WATCH})
        browser.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})
        browser.set_script_timeout(120)
        browser.get(url)
        browser.execute_async_script(
            "const [done] = arguments; const wait = () => window.firstPaint && window.answered ? setTimeout(done, 1500) : setTimeout(wait, 20); wait()")
        result = browser.execute_script(
            "return { 'answer to first paint': firstPaint - answered.at, bytes: answered.bytes,"
            " spans: document.querySelector('.summary').innerText.match(/([\\d,]+)\\s+spans/)[1] }")
        result["work, from the page's start until it rests"] = work(browser)
        scrolled(browser, result, "as usual")
        for name, key in [("open all", "}"), ("critical path", "c")]:
            pressed(browser, result, name, key)
        scrolled(browser, result, "all open")
        pressed(browser, result, "fold all", "{")
        return result
    finally:
        browser.quit()


def scrolled(browser, result, name):
    before = work(browser)
    times = sorted(browser.execute_async_script(SCROLL, FRAMES, 600))
    result[f"scroll {name}: frame p50"] = times[len(times) // 2]
    result[f"scroll {name}: frame p99"] = times[int(len(times) * 0.99)]
    result[f"scroll {name}: work a frame"] = (work(browser) - before) / FRAMES


def pressed(browser, result, name, key):
    before = work(browser)
    result[name] = browser.execute_async_script(KEY, key)
    result[f"{name}: work"] = work(browser) - before


def work(browser):
    metrics = browser.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
    return 1000 * next(metric["value"] for metric in metrics if metric["name"] == "TaskDuration")


def chromium():
    options = webdriver.ChromeOptions()
    options.binary_location = os.environ.get("CHROMIUM") or shutil.which("chromium") or ""
    for flag in ["headless=new", "no-sandbox", "disable-gpu", "no-first-run", "window-size=1366,768"]:
        options.add_argument(f"--{flag}")
    driver = os.environ.get("CHROMEDRIVER") or shutil.which("chromedriver")
    return webdriver.Chrome(options=options, service=Service(driver))


if __name__ == "__main__":
    main()
