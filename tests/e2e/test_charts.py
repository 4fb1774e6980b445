"""The Charts page: every interval, history, trades on the candles, and a state in its address."""

import re
import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from playwright.sync_api import Page, Response, expect

from e2e.steps import eventually, expect_drawn, expect_live, hover_marker, number

pytestmark = pytest.mark.e2e

INTERVALS = ["1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "12h", "1d", "1w"]
MINUTE_MS = 60_000
FIRST_PAGE_BARS = 500
POLL_SECONDS = 5.0  # how often live-bars.js looks where the stream is silent


@pytest.fixture
def charts(page: Page) -> Page:
    page.goto("/charts?coin=BTC&interval=1m")
    expect_live(page)
    expect(page.get_by_test_id("candle-legend")).to_contain_text("Vol")
    return page


@pytest.mark.parametrize("coin", ["BTC", "PEPE"])
def test_every_interval_shows_candles(charts: Page, coin: str):
    choose_coin(charts, coin)
    group = charts.get_by_role("group", name="Interval")
    assert [text.strip() for text in group.get_by_role("button").all_inner_texts()] == INTERVALS
    for interval in reversed(INTERVALS):
        asked = re.compile(rf"/api/klines/{coin}\?interval={interval}&limit={FIRST_PAGE_BARS}")
        with charts.expect_response(asked) as answer:
            group.get_by_role("button", name=interval, exact=True).click()
        bars = answer.value.json()
        assert len(bars) > 50, interval
        expect(charts.get_by_test_id("chart-message")).to_be_hidden()
        expect_open(charts, bars[-1]["open"])
    expect_drawn(charts, charts.get_by_test_id("candle-plot").locator("canvas").first)


def choose_coin(page: Page, coin: str) -> None:
    field = page.get_by_role("combobox", name="Coin")
    field.click()
    field.fill(coin.lower())
    page.get_by_role("option", name=coin).first.click()
    expect(field).to_have_value(coin)
    expect(page).to_have_url(re.compile(f"coin={coin}"))


def expect_open(page: Page, price: float) -> None:
    """The legend shows a bar that opened at this price."""
    legend = page.get_by_test_id("candle-legend")

    def is_shown() -> bool:
        return number(legend.inner_text().split("O", 1)[1]) == pytest.approx(price)

    eventually(page, is_shown)


def test_a_coin_is_chosen_by_keyboard(charts: Page):
    field = charts.get_by_role("combobox", name="Coin")
    field.focus()
    charts.keyboard.type("ethe")
    charts.keyboard.press("Enter")
    expect(field).to_have_value("ETH")
    expect(charts).to_have_url(re.compile("coin=ETH"))
    expect(charts).to_have_title(re.compile("^ETH 1m"))


def test_scrolling_back_loads_history_without_gaps(charts: Page):
    loaded: dict[int, Any] = {}

    def keep(answer: Response) -> None:
        if "/api/klines/BTC" in answer.url and "interval=1m" in answer.url:
            loaded.update({bar["timestamp"]: bar for bar in answer.json()})

    charts.on("response", keep)
    charts.reload()
    expect(charts.get_by_test_id("candle-legend")).to_contain_text("Vol")
    charts.get_by_test_id("candle-plot").focus()

    def scrolled_far() -> bool:
        charts.keyboard.press("PageUp")
        return len(loaded) > 5 * FIRST_PAGE_BARS

    eventually(charts, scrolled_far)
    times = sorted(loaded)
    assert {after - before for before, after in pairwise(times)} == {MINUTE_MS}
    charts.get_by_test_id("to-latest").click()
    expect(charts.get_by_test_id("to-latest")).to_be_hidden()


def test_dragging_moves_the_view(charts: Page):
    box = charts.get_by_test_id("candle-plot").bounding_box()
    assert box is not None
    expect(charts.get_by_test_id("to-latest")).to_be_hidden()
    charts.mouse.move(box["x"] + 300, box["y"] + 200)
    charts.mouse.down()
    charts.mouse.move(box["x"] + 900, box["y"] + 200, steps=5)
    charts.mouse.up()
    expect(charts.get_by_test_id("to-latest")).to_be_visible()


def test_trades_stand_on_the_candles_and_say_why(charts: Page):
    charts.get_by_test_id("interval-1h").click()  # long bars, as a new one moves the view
    expect(charts).to_have_title(re.compile("BTC 1h"))
    expect(charts.get_by_role("button", name="Buy and hold")).to_have_attribute(
        "aria-pressed", "true"
    )
    rows = charts.get_by_test_id("chart-trades-row")
    expect(rows).to_have_count(1)
    rows.get_by_test_id("go-to-trade").click()
    said = hover_marker(charts, "Open long")
    assert "Buy and hold" in said
    assert re.search(r"[\d.]+ BTC @ [\d,.]+", said)
    assert rows.locator("td").last.inner_text() in said


def test_models_are_switched_on_and_off(charts: Page):
    chosen = charts.get_by_role("button", name="Buy and hold")
    chosen.click()
    expect(chosen).to_have_attribute("aria-pressed", "false")
    expect(charts.get_by_test_id("empty-state")).to_contain_text("Choose a model")
    charts.get_by_test_id("chart-model-4").click()
    charts.get_by_test_id("chart-model-1").click()
    expect(charts).to_have_url(re.compile("models=4,1"))
    expect(charts.get_by_test_id("chart-trades-row").first).to_be_visible()


def test_the_address_brings_everything_back(charts: Page):
    choose_coin(charts, "SOL")
    charts.get_by_test_id("interval-15m").click()
    charts.get_by_test_id("indicator-add").select_option("ema")
    charts.get_by_test_id("compare-add").select_option("ETH")
    charts.get_by_test_id("chart-model-2").click()
    charts.reload()
    expect_live(charts)
    expect(charts.get_by_test_id("coin-combobox").locator("visible=true")).to_have_value("SOL")
    expect(charts.get_by_test_id("interval-15m")).to_have_attribute("aria-pressed", "true")
    expect(charts.get_by_test_id("chart-model-1")).to_have_attribute("aria-pressed", "true")
    expect(charts.get_by_test_id("chart-model-2")).to_have_attribute("aria-pressed", "true")
    expect(charts.get_by_test_id("candle-legend")).to_contain_text("EMA 20")
    expect(charts.get_by_test_id("candle-legend")).to_contain_text(re.compile(r"ETH [+-][\d.]+%"))
    expect(charts.get_by_test_id("scale-percent")).to_have_attribute("aria-pressed", "true")


def shown_bar(page: Page) -> datetime:
    """When the bar opened that the legend shows."""
    text = page.locator(".candle-legend").inner_text()[: len("2026-11-24, 16:00")]
    return datetime.strptime(text, "%Y-%m-%d, %H:%M").replace(tzinfo=UTC)


def test_the_stream_moves_the_last_bar_and_appends_the_next(charts: Page):
    first = shown_bar(charts)
    # The first bars of the stream come after the page has caught up by REST.
    eventually(charts, lambda: shown_bar(charts) > first, what="a bar of the stream")
    asked: list[str] = []
    charts.on("request", lambda request: "/api/klines" in request.url and asked.append(request.url))

    def moves_for_longer_than_a_poll_waits() -> bool:
        """Bars of the stream alone; not so where a busy machine lost some, and they are fetched."""
        asked.clear()
        closes, started, begun = set(), shown_bar(charts), time.monotonic()
        while not asked and time.monotonic() - begun < POLL_SECONDS + 1:
            closes.add(number(charts.locator(".candle-legend").inner_text().split("C", 1)[1]))
            charts.wait_for_timeout(50)
        moved = shown_bar(charts) - started >= timedelta(minutes=2) and len(closes) > 2
        return moved and not asked

    eventually(charts, moves_for_longer_than_a_poll_waits, seconds=60)
    expect(charts.get_by_test_id("chart-origin")).to_contain_text("Binance")


def test_what_was_missed_while_the_stream_was_away_is_fetched(
    charts: Page, allowed_statuses: set[int]
):
    allowed_statuses.add(503)
    charts.route("**/api/stream*", lambda route: route.fulfill(status=503, body="away"))
    charts.get_by_test_id("interval-3m").click()  # another series: the stream is opened anew
    charts.get_by_test_id("interval-1m").click()
    expect(charts.get_by_test_id("status-stream")).to_have_attribute("data-state", "error")
    left = shown_bar(charts)
    with charts.expect_response("**/api/stream*"):
        pass  # once more in vain
    charts.unroute("**/api/stream*")
    expect(charts.get_by_test_id("status-stream")).to_have_attribute("data-state", "ok")
    eventually(charts, lambda: shown_bar(charts) - left >= timedelta(minutes=3))
    charts.get_by_test_id("candle-plot").focus()
    times = []
    for _ in range(6):
        charts.keyboard.press("ArrowLeft")
        times.append(shown_bar(charts))
    assert {later - earlier for later, earlier in pairwise(times)} == {timedelta(minutes=1)}


def test_the_order_book_stands_beside_the_candles(charts: Page):
    best_ask = charts.get_by_test_id("depth-ask").last
    best_bid = charts.get_by_test_id("depth-bid").first
    expect(best_bid).to_be_visible()
    assert number(best_bid.inner_text()) < number(best_ask.inner_text())
    expect(charts.get_by_test_id("depth-spread")).to_contain_text("%")
    expect(charts.get_by_test_id("depth-origin")).to_have_text("Binance")
    before = best_bid.inner_text()
    eventually(charts, lambda: best_bid.inner_text() != before, what="a newer order book")
    choose_coin(charts, "DOGE")
    eventually(charts, lambda: number(best_bid.inner_text()) < 100, what="the other coin's")
