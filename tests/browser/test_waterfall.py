"""The waterfall in a real browser, over traces that are made up: odd ones and a large one.

Starts `tests/page/server.mjs`, which serves the page's modules, so it needs no server of ours; but
Node.js, Chromium and its driver, as `test_page.py` does.
"""

import pathlib
import subprocess
import urllib.parse

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from browsing import start_browser

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def base():
    server = subprocess.Popen(["node", "tests/page/server.mjs"], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    yield server.stdout.readline().strip()
    server.terminate()
    server.wait()


@pytest.fixture(scope="module")
def browser():
    browser = start_browser()
    yield browser
    browser.quit()


@pytest.fixture
def opened(base, browser):
    """Opens a trace, waits for its rows, and returns a `Page`."""
    def go(path):
        browser.get(f"{base}/traces/{path}")
        page = Page(browser)
        page.until(lambda: page.labels(), 60)
        return page
    return go


class Page:
    """What one sees of a trace, and the keys."""

    def __init__(self, browser):
        self.browser = browser

    def until(self, met, seconds=20):
        return WebDriverWait(self.browser, seconds, 0.05, ignored_exceptions=[Exception]).until(lambda _: met())

    def press(self, *keys):
        for key in keys:
            webdriver.ActionChains(self.browser).send_keys(key).perform()

    def text(self, selector):
        return self.browser.execute_script("return document.querySelector(arguments[0])?.innerText ?? ''", selector)

    def all(self, selector):
        return self.browser.find_elements(By.CSS_SELECTOR, selector)

    def labels(self):
        """The rows in sight from top to bottom, with their counts."""
        return self.browser.execute_script("""
            return [...document.querySelectorAll('[role=treegrid] .row:not([hidden])')]
              .sort((a, b) => a.ariaRowIndex - b.ariaRowIndex)
              .map((row) => [row.querySelector('.times').textContent, row.querySelector('.label').textContent].filter(Boolean).join(' '))""")

    def count(self):
        return int(self.all("[role=treegrid]")[0].get_attribute("aria-rowcount"))

    def selected(self):
        return self.text(".row.selected:not([hidden]) .label")

    def query(self):
        return urllib.parse.parse_qs(urllib.parse.urlsplit(self.browser.current_url).query)


def test_repeats_are_one_row_with_their_count_and_failures_and_open_to_all(opened):
    page = opened("odd")
    assert "14 × SELECT item" in page.labels()
    group = next(row for row in page.all(".row") if row.text.startswith("▸\n14 ×"))
    assert "1 failed" in group.text and "busy 84 ms" in group.text
    folded = page.count()
    page.press("f")
    page.until(lambda: page.count() == folded + 14)
    assert page.query()["repeats"] == ["open"]
    page.press("f")
    page.until(lambda: page.count() == folded)
    assert "repeats" not in page.query()


def test_the_next_error_is_shown_even_within_folded_repeats(opened):
    page = opened("odd")
    folded = page.count()
    page.press("e")
    page.until(lambda: page.selected() == "SELECT item")
    assert page.count() == folded + 14
    assert page.all(".row.selected.failed")


def test_what_is_odd_is_marked_and_explained(opened):
    page = opened("odd")
    told = page.text(".trace-marks")
    for words in ["not the whole trace: segment 7 could not be read", "names a parent that is not stored", "2 roots", "by up to 38 ms"]:
        assert words in told, told
    page.all(".trace-mark.orphan .link")[0].click()
    page.until(lambda: page.selected() == "send mail")
    page.until(lambda: "00000000000000ff, is not stored" in page.text(".detail .mark-box"))
    assert "1 open" in page.text(".summary")
    assert page.all(".row.open .bar")


def test_open_spans_of_an_old_trace_do_not_squeeze_the_others(opened):
    page = opened("odd")
    assert "358 ms" in page.text(".summary")


def test_words_in_attributes_are_found_and_stepped_through(opened):
    page = opened("creation")
    page.press("/")
    page.until(lambda: page.browser.switch_to.active_element.get_attribute("class") == "find")
    page.press("i-0f3a9c2be41d7a002")
    page.until(lambda: "1 found" in page.text(".found"))
    assert page.query()["find"] == ["i-0f3a9c2be41d7a002"]
    page.press(Keys.ENTER)
    page.until(lambda: page.selected() == "EC2.RunInstances")
    page.press(Keys.ESCAPE)
    page.until(lambda: "find" not in page.query())
    page.press("/", "rpc.method=describetargethealth")
    page.until(lambda: "14 found" in page.text(".found"))
    page.until(lambda: "14 found" in page.browser.execute_script("return [...document.querySelectorAll('.note')].map((note) => note.textContent)"))
    page.press(Keys.ENTER)
    page.until(lambda: "1 of 14" in page.text(".found"))
    page.browser.execute_script("document.querySelector('[role=treegrid]').focus()")
    page.press("n", "n", "N")
    page.until(lambda: "2 of 14" in page.text(".found"))
    page.press("o")
    page.until(lambda: page.count() == 4 + 14)


def test_words_of_log_lines_are_found(opened):
    page = opened("creation?find=throttled")
    page.until(lambda: page.selected() == "EC2.RunInstances")


def test_folds_by_keys_are_in_the_address_and_come_back(opened):
    page = opened("creation")
    usual = page.count()
    page.press("{")
    page.until(lambda: page.count() == 1)
    page.press("]")
    page.until(lambda: page.count() == 2)
    page.press("}")
    page.until(lambda: page.count() > 170)
    assert page.query()["level"] == ["all"]
    page.press("g", "]")
    page.until(lambda: page.count() == usual)
    page.press("j", "h")
    page.until(lambda: page.count() == 2)
    page.press("L")
    page.until(lambda: page.count() > 170)
    whole = page.browser.current_url
    page.press("H")
    page.until(lambda: page.count() == 2)
    page.browser.get("about:blank")
    page.browser.get(whole)
    page.until(lambda: page.count() > 170 and page.selected() == "run clusters")


def test_a_link_restores_selection_search_zoom_path_and_ticks(opened):
    page = opened("failed")
    page.until(lambda: page.selected() == "ELBv2.RegisterTargets")
    page.press("z", "c", "m", Keys.ENTER)
    page.until(lambda: {"zoom", "critical", "ticks", "detail", "span"} <= page.query().keys())
    link, axis = page.browser.current_url, page.text(".axis")
    page.browser.get("about:blank")
    page.browser.get(link)
    page.until(lambda: page.text(".detail h2") == "ELBv2.RegisterTargets")
    assert page.text(".axis") == axis
    assert page.all("i.critical") and not page.all("b.tick:not(#keys b)")
    page.until(lambda: "% of the trace" in page.text(".detail .facts"))
    page.until(lambda: "idg/6d0e" in page.text(".detail pre.json"))


def test_the_critical_path_is_drawn_and_hidden(opened):
    page = opened("creation")
    assert not page.all("i.critical")
    page.press("c")
    page.until(lambda: page.all("i.critical"))
    page.press("c")
    page.until(lambda: not page.all("i.critical"))


def test_log_lines_and_events_are_ticks_that_say_what_they_are(opened):
    page = opened("odd")
    page.until(lambda: page.all(".tick.warn"))
    titles = page.browser.execute_script("return [...document.querySelectorAll('.lane .tick')].map((tick) => tick.title)")
    assert "WARN slow query" in titles and "cache.miss" in titles, titles


def test_details_come_whole_when_they_are_looked_at(opened):
    page = opened("creation?find=EC2.CreateVpc")
    page.until(lambda: page.selected() == "EC2.CreateVpc")
    page.press(Keys.ENTER)
    page.until(lambda: "10.31.0.0/16" in page.text(".detail"))


def test_the_sheet_lists_the_keys_that_there_are(opened):
    page = opened("creation")
    page.press("?")
    page.until(lambda: page.all("#keys[open]"))
    listed = {key.text for key in page.all("#keys kbd")}
    table = page.browser.execute_async_script("""
        const [done] = arguments;
        import('/assets/keys.mjs').then(({ CHAPTERS }) =>
          done(CHAPTERS.flatMap(([, rows]) => rows.flatMap(([keys]) => keys.split(' ')))))""")
    assert listed == set(table)
    page.press(Keys.ESCAPE)
    page.until(lambda: not page.all("#keys[open]"))


def test_a_hundred_thousand_spans_open_scroll_and_are_found_by_few_elements(opened):
    page = opened("100000")
    page.until(lambda: "100,000 spans" in page.text(".summary"), 60)
    page.press("}")
    page.until(lambda: page.count() > 100_000)
    page.press("G")
    page.until(lambda: page.all(f".row.selected[aria-rowindex='{page.count()}']"))
    assert len(page.all("[role=treegrid] .row")) < 120
    page.press("g")
    page.until(lambda: page.selected() == "POST /v1/clusters")
    page.press("e")
    page.until(lambda: page.selected() == "ELBv2.RegisterTargets")


def test_scripts_raise_no_error(base, opened):
    page = opened("creation")
    page.browser.get_log("browser")
    page = opened("odd?critical=1&find=select&detail=1")
    page.browser.get(f"{base}/traces/failed?view=logs")
    page.until(lambda: page.all(".log-row"))
    severe = [entry["message"] for entry in page.browser.get_log("browser") if entry["level"] == "SEVERE" and "favicon" not in entry["message"]]
    assert severe == []
