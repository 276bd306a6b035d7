"""What the browser's tests are written in: a browser, the server's API, and words for what one sees.

Takes the address of a running `fixpoint dev` (with a time scale) from FIXPOINT_URL. Needs Chromium
and its driver; CHROMIUM and CHROMEDRIVER name them if they are not on the path.
"""

import contextlib
import json
import os
import re
import shutil
import time
import urllib.request

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

BASE = os.environ["FIXPOINT_URL"].rstrip("/")
CONVERGE_SECONDS = 240
NAME = f"page-{int(time.time()) % 100000}"

# What the scripts log for each of their calls: method, address, trace id, status.
CALL = re.compile(r"(GET|POST|PATCH|DELETE) (http://\S+) trace_id:([0-9a-f]{32}) (\d{3})")


def start_browser():
    """A browser of its own, without a window, that keeps what scripts log."""
    options = webdriver.ChromeOptions()
    options.binary_location = os.environ.get("CHROMIUM") or shutil.which("chromium") or ""
    for flag in [
        "headless=new", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run",
        "disable-background-networking", "disable-component-update", "disable-sync",
        "window-size=1366,768",
    ]:
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = os.environ.get("CHROMEDRIVER") or shutil.which("chromedriver")
    browser = webdriver.Chrome(options=options, service=Service(driver))
    resize(browser, 1366, 768)
    return browser


def find(browser, selector):
    return browser.find_element(By.CSS_SELECTOR, selector)


def text_of(browser, selector):
    return browser.execute_script(
        "return document.querySelector(arguments[0])?.innerText ?? ''", selector)


@contextlib.contextmanager
def faults(*rules):
    """What the sandbox does wrong, every time, as long as the block lasts."""
    api("/dev/faults", "PUT", {"rules": [{"every": True, **rule} for rule in rules]})
    try:
        yield
    finally:
        api("/dev/faults", "PUT", {"rules": []})


def open_spans(browser):
    time.sleep(0.1)
    return browser.execute_script("return document.querySelectorAll('.row.open .bar').length")


def rows(browser):
    return browser.find_elements(By.CSS_SELECTOR, "[role=treegrid] .row:not([hidden])")


def row_count(browser):
    return int(find(browser, "[role=treegrid]").get_attribute("aria-rowcount"))


def press(browser, key):
    webdriver.ActionChains(browser).send_keys(key).perform()


def until(browser, met, seconds):
    ignored = [Exception]
    return WebDriverWait(browser, seconds, 0.1, ignored_exceptions=ignored).until(lambda _: met())


def api(path, method="GET", body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(BASE + path, data, {"content-type": "application/json"}, method=method)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def calls_logged(browser):
    return [CALL.search(entry["message"]).groups() for entry in browser.get_log("browser") if CALL.search(entry["message"])]


def media(browser, scheme):
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def resize(browser, width, height, mobile=False):
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
