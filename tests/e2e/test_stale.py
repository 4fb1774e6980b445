"""When the exchange falls silent, its last prices are greyed and say how old they are."""

import os
import re
import signal

import pytest
from playwright.sync_api import expect

from e2e.conftest import OpenPage
from e2e.steps import expect_live
from scripts.running_app import RunningServer

pytestmark = pytest.mark.e2e

OLD_AFTER_MS = 31_000
STALE = re.compile(r"\bstale\b")


def test_old_prices_are_greyed_until_new_ones_come(
    open_page: OpenPage, app_address: str, exchange: RunningServer
):
    page = open_page(app_address)
    page.clock.install()
    model = {"name": "Patient", "trader": "buy_and_hold", "coins": ["BTC"], "enabled": False}
    made = page.request.post("/api/models", data=model).json()
    cycle = page.request.post(f"/api/models/{made['id']}/execute", data={}).json()
    assert cycle["success"], cycle

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
