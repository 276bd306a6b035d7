"""The pages of traces and operations in a real browser: asking, narrowing down, and going on.

The browser and its cluster are those of `test_page.py`.
"""

import time
import urllib.parse

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from browsing import BASE, find, press, resize, text_of, until

CREATE = 'root = "POST /v1/clusters" and name = "create"'


def traces(browser, **params):
    browser.get(f"{BASE}/traces?{urllib.parse.urlencode(params)}")
    return until(browser, lambda: browser.find_elements(By.CSS_SELECTOR, "[data-rows] tbody tr"), 30)


def asked(browser):
    return urllib.parse.parse_qs(urllib.parse.urlparse(browser.current_url).query)


def box(browser):
    return find(browser, ".ask-form [name=q]")


def test_a_trace_is_a_row_a_picture_and_a_dot(browser, converged):
    rows = traces(browser, q=CREATE)
    row = find(browser, f"[data-trace-row='{converged['trace_id']}']")
    assert "POST /v1/clusters" in row.text
    assert len(row.find_elements(By.CSS_SELECTOR, ".shape rect")) > 3
    assert len(browser.find_elements(By.CSS_SELECTOR, "[data-dot]")) == len(rows)
    row.find_element(By.CSS_SELECTOR, ".row-link").click()
    until(browser, lambda: converged["trace_id"] in browser.current_url, 10)


def test_the_box_completes_what_is_typed(browser, converged):
    traces(browser)
    press(browser, "/")
    box(browser).send_keys("miss")
    until(browser, lambda: "missing(" in text_of(browser, ".offers"), 10)
    box(browser).send_keys(Keys.TAB, "RegisterTar")
    until(browser, lambda: "ELBv2.RegisterTargets" in text_of(browser, ".offers"), 10)
    box(browser).send_keys(Keys.ARROW_DOWN, Keys.ENTER)
    assert box(browser).get_attribute("value") == 'missing("ELBv2.RegisterTargets"'
    box(browser).send_keys(') and "ELBv2.CreateTargetGroup"', Keys.ENTER)
    until(browser, lambda: "missing" in asked(browser).get("q", [""])[0], 20)


def test_filters_edit_the_text_also_where_it_has_not_been_asked_yet(browser, converged):
    traces(browser, since="6h")
    box(browser).send_keys('"create"')
    field = find(browser, "#filter-min")
    field.send_keys("1ms", Keys.ENTER)
    until(browser, lambda: asked(browser).get("q") == ['name = "create" and trace.duration >= 1ms'], 20)
    assert asked(browser)["since"] == ["6h"]
    assert box(browser).get_attribute("value") == asked(browser)["q"][0]
    find(browser, ".toggle").click()
    until(browser, lambda: asked(browser)["q"][0].endswith("trace.errors > 0"), 20)
    find(browser, ".toggle[aria-current]").click()
    until(browser, lambda: "trace.errors" not in asked(browser)["q"][0], 20)


def test_a_rectangle_in_the_picture_narrows_the_search_down(browser, converged):
    traces(browser, q=CREATE)
    plot = find(browser, ".plot")
    width, height = plot.size["width"], plot.size["height"]
    drag = webdriver.ActionChains(browser).move_to_element_with_offset(plot, -width // 2 + 4, -height // 2 + 4)
    drag.click_and_hold().move_by_offset(width - 8, height // 2).release().perform()
    until(browser, lambda: "since" in asked(browser) and "until" in asked(browser), 20)
    assert "trace.duration >= " in asked(browser)["q"][0] and "trace.duration <= " in asked(browser)["q"][0]


def test_a_mistake_keeps_the_text_and_says_where(browser):
    browser.get(f"{BASE}/traces")
    box(browser).send_keys("kind = serer", Keys.ENTER)
    until(browser, lambda: "^^^^^" in text_of(browser, "#mistake pre"), 20)
    assert "server" in text_of(browser, "#mistake")
    assert box(browser).get_attribute("value") == "kind = serer"


def test_nothing_found_leads_on(browser, converged):
    browser.get(f"{BASE}/traces?q=create+and+trace.spans+>+999999")
    until(browser, lambda: "No trace matches" in text_of(browser, "main"), 20)
    find(browser, ".ways li:nth-child(2) a").click()
    until(browser, lambda: browser.find_elements(By.CSS_SELECTOR, "[data-rows] tbody tr"), 20)


def test_keys_move_through_rows_and_open_them(browser, converged):
    traces(browser, q=CREATE)
    press(browser, "j")
    first = browser.switch_to.active_element.get_attribute("id")
    press(browser, "j")
    press(browser, "k")
    assert first.startswith("t-") and browser.switch_to.active_element.get_attribute("id") == first
    press(browser, Keys.ENTER)
    until(browser, lambda: f"/traces/{first[2:]}" in browser.current_url, 20)


def test_operations_lead_to_their_traces(browser, converged):
    browser.get(f"{BASE}/operations?since=6h&sort=name")
    row = until(browser, lambda: browser.find_elements(By.XPATH, "//tr[.//a[text()='EC2.RunInstances']]")[0], 30)
    assert row.find_elements(By.CSS_SELECTOR, ".histogram rect:not(.reach)")
    row.find_element(By.LINK_TEXT, "EC2.RunInstances").click()
    until(browser, lambda: find(browser, f"[data-trace-row='{converged['trace_id']}']"), 30)


@pytest.mark.parametrize("path", ["/traces", "/traces?q=kind+%3D+serer", "/operations"])
def test_the_pages_fit_a_phone_and_break_no_policy(browser, converged, path):
    resize(browser, 390, 844, mobile=True)
    try:
        browser.get_log("browser")
        browser.get(BASE + path)
        time.sleep(1)
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 390
        severe = [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
        # That a query is refused is told by its status.
        assert [message for message in severe if "400" not in message] == []
    finally:
        resize(browser, 1366, 768)


def test_every_control_has_a_name(browser, converged):
    for path in ["/traces", "/operations"]:
        browser.get(BASE + path)
        time.sleep(0.5)
        nameless = browser.execute_script("""
            return [...document.querySelectorAll("button, a[href], input:not([type=hidden]), select")]
              .filter((each) => each.checkVisibility() && !each.closest(".plot, .histogram"))
              .filter((each) => !each.textContent.trim() && !each.ariaLabel && !each.labels?.length && !each.title)
              .map((each) => each.outerHTML)""")
        assert nameless == [], (path, nameless)
