"""A page that stays open for days: what it is told is shown, and not kept for ever."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from e2e.steps import eventually, expect_live

pytestmark = pytest.mark.e2e

KEEP_THE_STREAM = """
window.EventSource = class extends EventSource {
  constructor(address) {
    super(address);
    window.told = {};
    window.stream = this;
    for (const topic of ['price', 'trade', 'account_value', 'cycle', 'health'])
      this.addEventListener(topic, (event) => { window.told[topic] ??= event.data; });
  }
};
"""
# Tells the page again what the server has told it, at later and later times.
LIVE_ON = """async (events) => {
  const { stream, told } = window;
  const topics = Object.keys(told);
  let time = Date.parse(JSON.parse(told.account_value).timestamp);
  for (let number = 0; number < events; number += 1) {
    const topic = topics[number % topics.length];
    time += 65_000;
    const later = new Date(time).toISOString();
    const data = told[topic].replace(/"timestamp":"[^"]*"/g, `"timestamp":"${later}"`);
    stream.dispatchEvent(new MessageEvent(topic, { data, lastEventId: `later-${time}` }));
    if (number % 250 === 0) await new Promise(requestAnimationFrame);
  }
}"""
EVENTS = 4_000
MOST_NODES, MOST_MEGABYTES = 6_000, 12


def size_of(page: Page) -> tuple[int, float]:
    """Nodes of the document, and megabytes of the heap after a collection."""
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    used = session.send("Runtime.getHeapUsage")["usedSize"] / 1e6
    nodes = page.evaluate("document.getElementsByTagName('*').length")
    session.detach()
    return nodes, used


@pytest.mark.parametrize("path", ["/", "/charts?coin=BTC&interval=1m"])
def test_three_days_of_events_leave_a_page_as_large_as_it_was(page: Page, path: str):
    page.add_init_script(KEEP_THE_STREAM)
    page.goto(path)
    expect_live(page)
    eventually(page, lambda: page.evaluate("'account_value' in told && 'price' in told"))
    page.evaluate(LIVE_ON, EVENTS // 10)  # what is kept within bounds has filled up
    _, megabytes = size_of(page)
    page.evaluate(LIVE_ON, EVENTS)
    nodes, later_megabytes = size_of(page)
    assert nodes < MOST_NODES
    assert later_megabytes - megabytes < MOST_MEGABYTES
    expect_live(page)  # and it goes on
