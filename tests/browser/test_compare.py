"""Two traces compared, as one sees it: the ghost, the keys, the address.

Needs a running `fixpoint dev`, as `test_page.py` does.
"""

import time

import pytest
from selenium.webdriver.common.by import By

from browsing import BASE, CONVERGE_SECONDS, api, faults, find, press, text_of, until


@pytest.fixture(scope="module")
def two(browser):
    """The traces of a good cluster and of one whose nodes are never registered."""
    number = int(time.time()) % 100000
    def made(name):
        return api("/v1/clusters", "POST", {"name": name, "nodes": 1})["run_id"]
    def ended(run):
        until(browser, lambda: api(f"/v1/runs/{run}")["state"] not in ("pending", "running", "waiting"), CONVERGE_SECONDS)
        return api(f"/v1/runs/{run}")["trace_id"]
    good = ended(made(f"good-{number}"))
    with faults({"operation": "ELBv2.DescribeTargetGroups", "where": {"LoadBalancerArn": f"*bad-{number}*"},
                 "fault": {"kind": "empty_page"}}):
        bad = ended(made(f"bad-{number}"))
    return good, bad


@pytest.fixture
def page(browser, two):
    browser.get(f"{BASE}/traces/{two[0]}/diff/{two[1]}")
    until(browser, lambda: browser.find_elements(By.CSS_SELECTOR, ".difference"), 20)
    return browser


def test_the_missing_call_is_a_ghost_and_the_first_to_be_seen(page):
    assert "ELBv2.RegisterTargets" in text_of(page, ".difference.missing")
    until(page, lambda: "RegisterTargets" in text_of(page, ".row.ghost.selected .label"), 5)
    assert find(page, ".row.ghost.selected .bar").value_of_css_property("border-top-style") == "dashed"


def test_keys_go_from_difference_to_difference_and_the_address_follows(page):
    press(page, "n")
    here = page.current_url
    press(page, "n")
    until(page, lambda: page.current_url != here, 5)
    press(page, "p")
    until(page, lambda: page.current_url == here, 5)
    press(page, "d")
    until(page, lambda: "only=1" in page.current_url and "is%3Adifferent" in page.current_url, 5)


def test_the_sheet_of_keys_tells_those_of_a_comparison(page):
    press(page, "?")
    until(page, lambda: "next difference" in text_of(page, "#keys"), 5)


def test_swapping_makes_what_was_missing_extra(page, two):
    press(page, "s")
    until(page, lambda: f"/traces/{two[1]}/diff/{two[0]}" in page.current_url, 10)
    until(page, lambda: "extra" in text_of(page, ".chips-row"), 20)


def test_a_run_leads_to_its_comparison(page, two):
    page.get(f"{BASE}/traces/{two[1]}")
    find(page, ".compare-good").click()
    until(page, lambda: f"/diff/{two[1]}" in page.current_url, 10)
