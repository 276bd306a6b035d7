"""The page in a real browser: one user's way through it, from an empty form to a span's response.

Takes the address of a running `fixpoint dev` (with a time scale) from FIXPOINT_URL. Needs Chromium
and its driver; CHROMIUM and CHROMEDRIVER name them if they are not on the path. Tests build on each
other, in the order in which they stand here: creating a cluster takes a while.
"""

import json
import re
import time

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from browsing import (
    BASE, CONVERGE_SECONDS, NAME, api, calls_logged, faults, find, media, open_spans, press, resize, row_count, rows,
    text_of, until,
)


def test_a_cluster_created_from_the_page_is_seen_at_work(cluster):
    assert any(open_spans > 0 for open_spans, _ in cluster["watched"])
    assert len({summary for _, summary in cluster["watched"]}) > 3, cluster["watched"]


def test_the_page_says_when_the_run_has_converged(browser, converged):
    if browser.current_url.split("?")[0] != converged["run"]:
        browser.get(converged["run"])
    until(browser, lambda: browser.find_elements(By.CSS_SELECTOR, ".run-head .state.converged"), 20)
    until(browser, lambda: not browser.find_elements(By.CSS_SELECTOR, ".row.open"), 20)
    assert "solved: no step left" in text_of(browser, ".plan")
    assert not browser.find_elements(By.CSS_SELECTOR, "[data-run-goes-on]")


def test_a_span_shows_its_request_and_response(browser, converged):
    browser.get(f"{BASE}/traces/{converged['trace_id']}?find=EC2.RunInstances")
    until(browser, lambda: browser.find_elements(By.CSS_SELECTOR, ".row.selected.aws"), 20)
    find(browser, ".row.selected .label").click()
    panel = until(browser, lambda: find(browser, ".detail:not([hidden])"), 5)
    # Bodies are read when somebody looks.
    until(browser, lambda: len(panel.find_elements(By.CSS_SELECTOR, "pre.json")) == 2, 5)
    titles = text_of(browser, ".detail-body")
    assert "Request" in titles and "Response" in titles, titles
    response = panel.find_elements(By.CSS_SELECTOR, "pre.json")[1].get_attribute("textContent")
    assert re.search(r"i-[0-9a-f]{8,}", response), response[:300]
    assert "request id" in panel.text
    assert "detail=1" in browser.current_url and "span=" in browser.current_url


def test_a_link_shows_the_next_person_the_same(browser, converged):
    link = browser.current_url
    label = text_of(browser, ".detail h2")
    browser.get("about:blank")
    browser.get(link)
    until(browser, lambda: text_of(browser, ".detail h2") == label, 20)


def test_keys_move_fold_and_open(browser, converged):
    browser.get(f"{BASE}/traces/{converged['trace_id']}")
    until(browser, lambda: len(rows(browser)) > 5, 20)
    press(browser, "j")
    until(browser, lambda: browser.find_elements(By.CSS_SELECTOR, ".row.selected[aria-level='1']"), 5)
    count = row_count(browser)
    press(browser, "h")
    until(browser, lambda: row_count(browser) == 1, 5)
    press(browser, "l")
    until(browser, lambda: row_count(browser) == count, 5)
    press(browser, "j")
    press(browser, Keys.ENTER)
    until(browser, lambda: text_of(browser, ".detail h2") != "", 5)
    press(browser, "p")
    until(browser, lambda: browser.find_elements(By.CSS_SELECTOR, ".row.selected[aria-level='1']"), 5)
    press(browser, Keys.ESCAPE)
    until(browser, lambda: not find(browser, ".detail").is_displayed(), 5)
    press(browser, "?")
    until(browser, lambda: find(browser, "#keys").is_displayed(), 5)
    press(browser, Keys.ESCAPE)


def test_logs_of_the_trace_stand_in_order_and_lead_to_their_span(browser, converged):
    browser.get(f"{BASE}/traces/{converged['trace_id']}?view=logs")
    lines = until(browser, lambda: browser.find_elements(By.CSS_SELECTOR, ".log-row"), 20)
    times = [line.find_element(By.CSS_SELECTOR, ".at").get_attribute("title") for line in lines]
    shown = [moment for moment in times if moment]
    assert shown == sorted(shown)
    lines[0].click()
    until(browser, lambda: find(browser, ".detail").is_displayed(), 5)


def test_an_instance_is_found_by_its_id(browser, converged):
    status = json.dumps(api(f"/v1/clusters/{NAME}")["status"])
    instance = re.search(r"i-[0-9a-f]{8,}", status).group()
    browser.get(f"{BASE}/")
    box = find(browser, ".search input")
    box.send_keys(instance, Keys.ENTER)
    until(browser, lambda: "/traces/" in browser.current_url or "/search" in browser.current_url, 10)
    if "/search" in browser.current_url:
        find(browser, f".hits a[href*='{converged['trace_id']}']").click()
    until(browser, lambda: browser.find_elements(By.CSS_SELECTOR, ".row.selected.matched"), 20)
    assert converged["trace_id"] in browser.current_url


@pytest.mark.parametrize("what", ["trace", "run", "name", "request"])
def test_an_id_of_any_kind_leads_straight_to_its_place(browser, converged, what):
    spans = api(f"/v1/traces/{converged['trace_id']}")["resourceSpans"][0]["scopeSpans"][0]["spans"]
    attributes = [attribute for span in spans for attribute in span.get("attributes", [])]
    request = next(a["value"]["stringValue"] for a in attributes if a["key"] == "aws.request_id")
    query, place = {
        "trace": (converged["trace_id"], f"/traces/{converged['trace_id']}"),
        "run": (converged["id"], f"/runs/{converged['id']}"),
        "name": (NAME, f"/clusters/{NAME}"),
        "request": (request, f"/traces/{converged['trace_id']}"),
    }[what]
    browser.get(f"{BASE}/search?q={query}")
    assert place in browser.current_url


def test_the_resource_page_shows_ids_and_scales(browser, converged):
    browser.get(f"{BASE}/clusters/{NAME}")
    assert re.search(r"vpc-[0-9a-f]+", text_of(browser, "main"))
    find(browser, "form[data-method=PATCH] [data-step='1']").click()
    find(browser, "form[data-method=PATCH] [data-preview]").click()
    until(browser, lambda: "would start with" in text_of(browser, ".preview"), 30)
    assert api(f"/v1/clusters/{NAME}")["spec"]["nodes"] == 3


def test_calls_of_the_page_are_logged_with_their_trace_id(browser, converged):
    browser.get(f"{BASE}/")
    browser.get_log("browser")
    browser.get(f"{BASE}/traces/{converged['trace_id']}")
    until(browser, lambda: rows(browser), 20)
    calls = calls_logged(browser)
    assert any(path.startswith(f"{BASE}/v1/traces/") and status == "200" for _, path, _, status in calls), calls


def test_a_refused_change_shows_the_trace_id_and_the_field(browser, converged):
    browser.get(f"{BASE}/clusters/{NAME}")
    browser.get_log("browser")
    nodes = find(browser, "form[data-method=PATCH] [data-field=nodes]")
    nodes.clear()
    nodes.send_keys("100000")
    find(browser, "form[data-method=PATCH] .primary").click()
    problem = until(browser, lambda: find(browser, ".problem"), 10)
    trace_id = problem.find_element(By.CSS_SELECTOR, "a code").text
    assert re.fullmatch(r"[0-9a-f]{32}", trace_id)
    assert find(browser, "form[data-method=PATCH] .field-error:not(:empty)").text
    assert ("PATCH", f"{BASE}/v1/clusters/{NAME}", trace_id, "422") in calls_logged(browser)
    problem.find_element(By.CSS_SELECTOR, "a").click()
    until(browser, lambda: rows(browser), 20)
    assert f"/traces/{trace_id}" in browser.current_url


def test_a_page_that_is_not_there_says_so_with_its_trace(browser):
    browser.get(f"{BASE}/clusters/nothing-of-this-name")
    assert "404" in text_of(browser, "main")
    assert re.search(r"trace_id\s+[0-9a-f]{32}", text_of(browser, "main"))


def test_a_failed_run_opens_at_the_call_that_failed(browser, cluster):
    denied = {"kind": "error", "code": "AccessDenied", "status": 403}
    with faults({"operation": "ELBv2.RegisterTargets", "fault": denied}):
        made = api("/v1/clusters", "POST", {"name": f"{NAME}-denied", "nodes": 1})
        until(browser, lambda: api(f"/v1/runs/{made['run_id']}")["state"] == "failed", CONVERGE_SECONDS)
    browser.get(f"{BASE}/runs/{made['run_id']}")
    until(browser, lambda: "ELBv2.RegisterTargets" in text_of(browser, ".row.selected.failed .label"), 20)
    assert "AccessDenied" in text_of(browser, ".failure")
    assert made["trace_id"] in text_of(browser, ".run-head .problem")
    press(browser, Keys.ENTER)
    until(browser, lambda: "AccessDenied" in text_of(browser, ".detail .problem"), 5)


def test_dark_mode_is_dark(browser, converged):
    media(browser, "dark")
    try:
        browser.get(converged["run"])
        until(browser, lambda: rows(browser), 20)
        for selector in ["body", ".trace"]:
            colour = browser.execute_script(
                "return getComputedStyle(document.querySelector(arguments[0])).backgroundColor", selector)
            assert max(map(int, re.findall(r"\d+", colour)[:3])) < 60, (selector, colour)
    finally:
        media(browser, "light")


def test_nothing_is_wider_than_a_phone(browser, converged):
    resize(browser, 390, 844, mobile=True)
    try:
        trace = f"/traces/{converged['trace_id']}"
        for path in ["/", "/runs", f"/runs/{converged['id']}", f"/clusters/{NAME}", trace, f"{trace}?view=logs", "/search?q=nothing"]:
            browser.get(BASE + path)
            time.sleep(0.5)
            width = browser.execute_script("return document.documentElement.scrollWidth")
            assert width <= 390, (path, width)
    finally:
        resize(browser, 1366, 768)


def test_every_control_has_a_name_and_can_be_focused(browser, converged):
    for path in ["/", f"/runs/{converged['id']}", f"/clusters/{NAME}"]:
        browser.get(BASE + path)
        time.sleep(0.5)
        nameless = browser.execute_script("""
            return [...document.querySelectorAll("button, a[href], input, select, textarea")]
              .filter((each) => each.checkVisibility())
              .filter((each) => !each.textContent.trim() && !each.ariaLabel && !each.labels?.length && !each.title)
              .map((each) => each.outerHTML)""")
        assert nameless == [], (path, nameless)


def test_scripts_raise_no_error_and_break_no_policy(browser, converged):
    for path in ["/", "/runs", f"/runs/{converged['id']}", f"/clusters/{NAME}", f"/traces/{converged['trace_id']}"]:
        browser.get_log("browser")
        browser.get(BASE + path)
        time.sleep(1)
        severe = [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
        assert severe == [], (path, severe)


# What the tests above are written in.
