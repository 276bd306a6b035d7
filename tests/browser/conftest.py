"""What all of the browser's tests share: one browser, and one cluster that was created in it."""

import pytest

from browsing import BASE, CONVERGE_SECONDS, NAME, api, faults, find, open_spans, start_browser, text_of, until


@pytest.fixture(scope="session")
def browser():
    browser = start_browser()
    yield browser
    browser.quit()


@pytest.fixture(scope="session")
def cluster(browser):
    """A cluster created through the form; the browser is left on its run's page, which is watched
    for a while. The cloud is slow until then: else a fast machine is done before one can look."""
    with faults({"operation": "ELBv2.DescribeLoadBalancers", "fault": {"kind": "slow", "factor": 60}},
                {"operation": "EC2.DescribeInstances", "fault": {"kind": "slow", "factor": 60}}):
        browser.get(f"{BASE}/")
        find(browser, "[data-dialog=new-clusters]").click()
        find(browser, "dialog[open] #POST-name").send_keys(NAME)
        nodes = find(browser, "dialog[open] [data-field=nodes]")
        nodes.send_keys("3")
        find(browser, "dialog[open] input[value=grafana]").click()
        find(browser, "dialog[open] .primary").click()
        until(browser, lambda: "/runs/" in browser.current_url, 10)
        watched = {(open_spans(browser), text_of(browser, ".summary")) for _ in range(40)}
    return {"run": browser.current_url, "id": browser.current_url.rsplit("/", 1)[1], "watched": watched}


@pytest.fixture(scope="session")
def converged(browser, cluster):
    until(browser, lambda: api(f"/v1/runs/{cluster['id']}")["state"] == "converged", CONVERGE_SECONDS)
    return {**cluster, **api(f"/v1/runs/{cluster['id']}")}
