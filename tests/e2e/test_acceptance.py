"""The demo does what it is for: a minute after its start, seven models trade on moving candles.

First of the modules by its name, so that the demo has just been started.
"""

import time

import pytest
from playwright.sync_api import Page, expect

from e2e.conftest import Demo
from e2e.steps import column, eventually, expect_live, number

pytestmark = pytest.mark.e2e

FIRST_MINUTE = 60


def test_seven_models_have_traded_within_a_minute(page: Page, demo: Demo):
    page.goto("/")
    expect_live(page)
    expect(page.get_by_test_id("leaderboard-row")).to_have_count(7)

    def all_traded() -> bool:
        fees = [number(text) for text in column(page, "leaderboard", "Fees")]
        return len(fees) == 7 and min(fees) > 0

    eventually(page, all_traded, demo.started_at + FIRST_MINUTE - time.monotonic())


def test_the_last_candle_moves(page: Page):
    page.goto("/charts?coin=BTC&interval=1m")
    expect_live(page)
    legend, price = page.get_by_test_id("candle-legend"), page.get_by_test_id("charts-price")
    expect(legend).to_contain_text("C")
    expect(price).to_contain_text(".")
    first = legend.inner_text(), price.inner_text()
    eventually(page, lambda: legend.inner_text() != first[0] and price.inner_text() != first[1])
