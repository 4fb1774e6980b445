"""When the exchange falls silent, its last prices are greyed and say how old they are."""

import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Page, expect

from e2e.conftest import OpenPage
from e2e.steps import eventually, expect_live, fault, write
from scripts.running_app import RunningServer

pytestmark = pytest.mark.e2e

OLD_AFTER_MS = 21_000
STALE = re.compile(r"\bstale\b")
STALE_CHART = re.compile(r"\bcandle-chart-stale\b")
OLD = re.compile(r"\d+ (s|min) old")


def hold_a_position(page: Page) -> None:
    """Of BTC, by a model that buys once."""
    if page.request.get("/api/models").json():
        return
    model = {"name": "Patient", "trader": "buy_and_hold", "coins": ["BTC"], "enabled": False}
    made = write(page.request, "/api/models", model).json()
    cycle = write(page.request, f"/api/models/{made['id']}/execute", {}).json()
    assert cycle["success"], cycle


def newest_age_seconds(page: Page) -> float:
    """Of the newest price that the server knows."""
    age: float = page.request.get("/api/health").json()["prices"]["age_seconds"]
    return age


@contextmanager
def frozen(exchange: RunningServer) -> Iterator[None]:
    """The exchange answers nothing while the block runs."""
    os.kill(exchange.process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(exchange.process.pid, signal.SIGCONT)


def test_old_prices_are_greyed_until_new_ones_come(
    open_page: OpenPage, app_address: str, exchange: RunningServer, allowed_statuses: set[int]
):
    allowed_statuses.add(503)  # of order books, which are not shown when they are old
    page, charts = open_page(app_address), open_page(app_address)
    for each in (page, charts):
        each.clock.install()
    hold_a_position(page)
    page.goto("/")
    charts.goto("/charts?coin=BTC&interval=1m")
    for each in (page, charts):
        expect_live(each)
    row, metrics = page.get_by_test_id("positions-row"), page.get_by_test_id("metrics")
    candles, origin = charts.get_by_test_id("candle-chart"), charts.get_by_test_id("chart-origin")
    depth, note = charts.get_by_test_id("depth-origin"), charts.get_by_test_id("price-note")
    expect(row).not_to_have_class(STALE)
    expect(row).not_to_contain_text(" s old")
    expect(charts.get_by_test_id("depth-bid").first).to_be_visible()
    with frozen(exchange):
        # A few seconds long, what was heard last counts as fresh and is told again.
        eventually(page, lambda: newest_age_seconds(page) > 5)
        for each in (page, charts):
            each.clock.fast_forward(4 * OLD_AFTER_MS)
            expect(each.get_by_test_id("status-prices")).to_have_attribute("data-state", "error")
        expect(row).to_have_class(STALE)
        expect(row).to_contain_text(OLD)
        expect(metrics).to_have_class(STALE)
        expect(candles).to_have_class(STALE_CHART)
        expect(origin).to_contain_text("old")
        for place in (depth, note):
            expect(place).to_contain_text(OLD)
    expect(row).not_to_have_class(STALE)
    expect(row).not_to_contain_text(OLD)
    expect(metrics).not_to_have_class(STALE)
    expect(note).to_be_empty()
    expect(candles).not_to_have_class(STALE_CHART)
    for place in (origin, depth):
        expect(place).not_to_contain_text("old")


def test_a_page_shows_who_serves_when_the_first_source_is_out(
    open_page: OpenPage, app_address: str, exchange: RunningServer
):
    page = open_page(app_address)
    hold_a_position(page)
    page.goto("/")
    expect_live(page)
    prices, row = page.get_by_test_id("status-prices"), page.get_by_test_id("positions-row")
    expect(prices).to_contain_text("Binance")
    expect(row).not_to_contain_text("OKX")
    with fault(page, exchange.address, "binance", "down"):
        expect(prices).to_contain_text("OKX")
        expect(row).to_contain_text("OKX")
        expect(row).not_to_have_class(STALE)
        expect(prices).to_have_attribute("data-state", "warn")
        binance = page.get_by_test_id("status-source-binance")
        expect(binance).to_have_attribute("data-state", "error")
        expect(binance).to_have_attribute("title", re.compile("Binance: Down"))
        page.goto("/charts?coin=BTC&interval=1m")
        expect(page.get_by_test_id("chart-origin")).to_contain_text("OKX")
        expect(page.get_by_test_id("price-note")).to_have_text("OKX")
    expect(prices).to_contain_text("Binance")
    expect(prices).to_have_attribute("data-state", "ok")
    expect(page.get_by_test_id("price-note")).to_be_empty()
