"""Why, as one sees it: the panel of a trace, the mark of a run that goes on unusually, a comparison that goes on.

Needs a running `fixpoint dev`, as `test_page.py` does.
"""

import json
import re
import time
import urllib.request

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from browsing import BASE, CONVERGE_SECONDS, api, faults, find, press, text_of, until

NUMBER = int(time.time()) % 100000
SLOW = {"kind": "slow", "factor": 100000}


def made(name):
    return api("/v1/clusters", "POST", {"name": f"{name}-{NUMBER}", "nodes": 1})


def converged(name):
    """The run of a cluster that converged, once one has: a busy machine may need to try again."""
    runs = api(f"/v1/runs?resource=clusters/{name}&state=converged")["items"]
    return runs[0] if runs else None


def state(run):
    return api(f"/v1/runs/{run}")["state"]


@pytest.fixture(scope="module")
def good(browser):
    """Runs that converged, enough to know what is usual."""
    names = [made(f"usual-{n}")["name"] for n in range(6)]
    return [until(browser, lambda: converged(name), CONVERGE_SECONDS) for name in names]


def upload(number, failed):
    """A trace of a shop in which the card is charged, or not; its id."""
    trace, second = f"{NUMBER:08x}{number:024x}", 1_000_000_000
    start = int(time.time()) * second - (100 - number) * second
    def span(at, name, parent=None, failed=False):
        return {"traceId": trace, "spanId": f"{at:016x}", "parentSpanId": f"{parent:016x}" if parent else "", "name": name, "kind": 1,
                "startTimeUnixNano": str(start + at * 1_000_000), "endTimeUnixNano": str(start + (9_000_000 if parent is None else at * 1_000_000 + 900_000)),
                "status": {"code": 2, "message": "no money"} if failed else {}}
    spans = [span(1, "checkout", failed=failed), span(2, "read cart", 1), span(3, "charge card", 1), span(4, "send mail", 1)]
    if failed:
        del spans[2]
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": f"shop-{NUMBER}"}}]}
    body = json.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": spans}]}]}).encode()
    request = urllib.request.Request(f"{BASE}/v1/traces", body, {"content-type": "application/json"}, method="POST")
    urllib.request.urlopen(request, timeout=10).close()
    return trace


def test_a_foreign_trace_that_failed_begins_with_why_and_others_offer_it(browser):
    usual = [upload(number, failed=False) for number in range(20)]
    failed = upload(20, failed=True)
    browser.get(f"{BASE}/traces/{failed}")
    until(browser, lambda: "20 good traces" in text_of(browser, ".why-panel"), 20)
    assert "charge card" in text_of(browser, ".why-sentence")
    assert "no money" in find(browser, ".why-panel .follows").get_attribute("textContent")
    find(browser, ".why-sentence .see, .why-panel .see").click()
    until(browser, lambda: browser.find_elements(By.CSS_SELECTOR, ".row.selected"), 5)
    assert "span=" in browser.current_url and "why" not in browser.current_url

    browser.get(f"{BASE}/traces/{usual[-1]}")
    until(browser, lambda: browser.find_elements(By.CSS_SELECTOR, ".row"), 20)
    assert not browser.find_elements(By.CSS_SELECTOR, ".why-panel")
    find(browser, ".ask-why").click()
    until(browser, lambda: "Nothing differs" in text_of(browser, ".why-panel"), 20)


def test_a_run_that_goes_on_unusually_is_marked_in_the_list_before_it_fails(browser, good):
    with faults({"operation": "ELBv2.RegisterTargets", "where": {"TargetGroupArn": f"*late-{NUMBER}*"}, "fault": SLOW}):
        run = made("late")["run_id"]
        browser.get(f"{BASE}/runs")
        def marks():
            return browser.find_elements(By.XPATH, f"//tr[.//a[contains(@href, '{run}')]]//*[contains(@class, 'unusual')]")
        # The list draws itself anew; nobody has to load it again.
        until(browser, lambda: "RegisterTargets" in marks()[0].get_attribute("title"), CONVERGE_SECONDS)
        assert state(run) in ("running", "waiting"), "it is marked before it fails"
        browser.get(f"{BASE}/runs/{run}")
        assert "RegisterTargets" in text_of(browser, ".unusual-line")
        # It becomes what its page says first, without being loaded again.
        until(browser, lambda: "What went wrong first" in text_of(browser, ".why-panel"), CONVERGE_SECONDS)
        until(browser, lambda: "RegisterTargets" in text_of(browser, ".why-sentence"), 20)
        assert state(run) == "failed"
        assert not browser.find_elements(By.CSS_SELECTOR, ".unusual-line")


def test_a_comparison_follows_a_run_that_goes_on(browser, good):
    # Slow enough to be looked at, and no call so slow that it is given up.
    with faults(*({"operation": calls, "fault": {"kind": "slow", "factor": 50}} for calls in ["EC2.*", "ELBv2.*"])):
        run = made("followed")
        until(browser, lambda: state(run["run_id"]) != "pending", 20)
        browser.get(f"{BASE}/traces/{good[0]['trace_id']}/diff/{run['trace_id']}")
        until(browser, lambda: "This page follows it" in text_of(browser, ".overview"), 20)
        until(browser, lambda: find(browser, "#compared").get_attribute("data-stream") == "live", 10)
        # A call that is still to come is looked at, and stays in sight when it has come.
        find(browser, "input.find").send_keys("ELBv2.RegisterTargets")
        until(browser, lambda: re.match("[1-9]", text_of(browser, ".found")), 20)
        find(browser, "input.find").send_keys(Keys.ENTER)
        until(browser, lambda: "RegisterTargets" in text_of(browser, ".row.ghost.selected .label"), 10)
        before = text_of(browser, ".sides")
    until(browser, lambda: state(run["run_id"]) == "converged", CONVERGE_SECONDS)
    until(browser, lambda: "RegisterTargets" in text_of(browser, ".row.selected:not(.ghost) .label"), 20)
    until(browser, lambda: "goes on" not in text_of(browser, ".overview"), 20)
    until(browser, lambda: text_of(browser, ".sides") != before, 20)
    until(browser, lambda: "converged" in text_of(browser, "[data-side=b]"), 20)
    until(browser, lambda: find(browser, "#compared").get_attribute("data-stream") == "ended", 20)
    press(browser, "n")
