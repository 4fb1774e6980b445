"""When the exchange falls silent, its last prices are greyed and say how old they are."""

import os
import re
import signal

import pytest
from playwright.sync_api import Page, expect

from e2e.conftest import OpenPage
from e2e.steps import expect_live, fault
from scripts.running_app import RunningServer

pytestmark = pytest.mark.e2e

OLD_AFTER_MS = 31_000
STALE = re.compile(r"\bstale\b")


def hold_a_position(page: Page) -> None:
    """Of BTC, by a model that buys once."""
    if page.request.get("/api/models").json():
        return
    model = {"name": "Patient", "trader": "buy_and_hold", "coins": ["BTC"], "enabled": False}
    made = page.request.post("/api/models", data=model).json()
    cycle = page.request.post(f"/api/models/{made['id']}/execute", data={}).json()
    assert cycle["success"], cycle


def test_old_prices_are_greyed_until_new_ones_come(
    open_page: OpenPage, app_address: str, exchange: RunningServer
):
    page = open_page(app_address)
    page.clock.install()
    hold_a_position(page)
    page.goto("/")
    expect_live(page)
    row, metrics = page.get_by_test_id("positions-row"), page.get_by_test_id("metrics")
    expect(row).not_to_have_class(STALE)
    expect(row).not_to_contain_text(" s old")
    os.kill(exchange.process.pid, signal.SIGSTOP)
    try:
        page.clock.fast_forward(OLD_AFTER_MS)
        expect(row).to_have_class(STALE)
        expect(row).to_contain_text(" s old")
        expect(metrics).to_have_class(STALE)
    finally:
        os.kill(exchange.process.pid, signal.SIGCONT)
    expect(row).not_to_have_class(STALE)
    expect(row).not_to_contain_text(" s old")
    expect(metrics).not_to_have_class(STALE)


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
