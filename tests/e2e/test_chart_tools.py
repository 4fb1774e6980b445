"""What one does with a chart: indicators, comparing, scales, pictures, keys, any screen, any state."""

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import FloatRect, JSHandle, Locator, Page, expect

from e2e.conftest import Demo, OpenPage
from e2e.steps import ONE_FRAME, eventually, expect_live, number

pytestmark = pytest.mark.e2e

CHART = """async (plot) => {
  const files = document.querySelector('link[rel=icon]').href.replace('favicon.svg', '');
  const { candleChartOn } = await import(`${files}js/candle-chart.js`);
  return candleChartOn(plot);
}"""
#: From the same closes, as the strategies compute them and as the chart does.
INDICATORS = """async () => {
  const files = document.querySelector('link[rel=icon]').href.replace('favicon.svg', '');
  const names = 'sma_20,ema_50,bollinger_20,rsi_14,macd';
  const bars = await (await fetch(`/api/klines/BTC?interval=4h&limit=1000&indicators=${names}`)).json();
  const closes = Float64Array.from(bars, ({ close }) => close);
  const { simpleAverage, exponentialAverage, bollingerBands, relativeStrength, macd } =
    await import(`${files}js/indicators.js`);
  const { lower, middle, upper } = bollingerBands(closes, 20, 2);
  const { line, signal, histogram } = macd(closes, 12, 26, 9);
  const computed = {
    sma_20: simpleAverage(closes, 20), ema_50: exponentialAverage(closes, 50),
    rsi_14: relativeStrength(closes, 14),
    bollinger_20_lower: lower, bollinger_20_middle: middle, bollinger_20_upper: upper,
    macd: line, macd_signal: signal, macd_histogram: histogram,
  };
  return Object.entries(computed).map(([name, values]) =>
    [name, [...values.slice(-200)], bars.slice(-200).map(({ indicators }) => indicators[name])]);
}"""
#: A random walk of so many hours, as long as the chart's window may be.
SHOW_BARS = """(chart, count) => {
  let close = 20_000;
  const bars = Array.from({ length: count }, (_, index) => {
    const open = close;
    close *= 1 + 0.004 * Math.sin(index * 12.9898) * Math.cos(index / 37);
    const [low, high] = [Math.min(open, close) * 0.999, Math.max(open, close) * 1.001];
    return { timestamp: 1_500_000_000_000 + index * 3_600_000, open, high, low, close, volume: 10 + index % 7 };
  });
  chart.setBars(bars, 'latest');
}"""
#: Moves the view by some bars a frame for so long; how many frames that took.
PAN = """(chart, milliseconds) => new Promise((done) => {
  const until = performance.now() + milliseconds;
  let frames = 0;
  const step = () => {
    if (performance.now() > until) return done(frames);
    frames += 1;
    chart.viewport.pan(frames % 400 < 200 ? -3 : 3);
    requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
})"""
PNG = b"\x89PNG\r\n\x1a\n"
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


@pytest.fixture
def charts(page: Page) -> Page:
    page.goto("/charts?coin=BTC&interval=1h")
    expect_candles(page)
    return page


def expect_candles(page: Page) -> None:
    expect_live(page)
    expect(page.get_by_test_id("candle-legend")).to_contain_text("Vol")


def chart_on(page: Page) -> JSHandle:
    return page.get_by_test_id("candle-plot").evaluate_handle(CHART)


def box(node: Locator) -> FloatRect:
    found = node.bounding_box()
    assert found is not None
    return found


def test_indicators_are_added_changed_and_removed(charts: Page):
    legend = charts.get_by_test_id("candle-legend")
    for kind in ("ema", "bollinger", "rsi", "macd"):
        charts.get_by_test_id("indicator-add").select_option(kind)
    expect(charts).to_have_url(
        re.compile("indicators=sma20,sma50,ema20,bollinger20-2,rsi14,macd12-26-9")
    )
    assert chart_on(charts).evaluate("(chart) => chart.chart.panes().length") == 4
    expect(legend).to_contain_text(re.compile(r"Bollinger 20 2 [\d,]+\.\d+\s+[\d,]+\.\d+"))
    charts.get_by_role("button", name="SMA 20").click()
    length = charts.get_by_role("dialog", name="Simple moving average").get_by_label("Bars")
    length.fill("10")
    length.press("Enter")
    expect(legend).to_contain_text(re.compile(r"SMA 10 [\d,]+\.\d"))
    length.fill("0")
    length.press("Enter")
    expect(length).to_have_value("10")
    length.press("Escape")
    for name in ("SMA 50", "RSI 14"):
        charts.get_by_role("button", name=name).click()
        charts.get_by_role("button", name="Remove").click()
    expect(legend).not_to_contain_text("SMA 50")
    expect(charts).to_have_url(re.compile("indicators=sma10,ema20,bollinger20-2,macd12-26-9"))
    assert chart_on(charts).evaluate("(chart) => chart.chart.panes().length") == 3


def test_indicators_are_those_of_the_strategies(charts: Page):
    for name, drawn, told in charts.evaluate(INDICATORS):
        assert drawn == pytest.approx(told, rel=1e-9, abs=1e-6), name


def test_coins_are_compared_in_percent(charts: Page):
    add = charts.get_by_test_id("compare-add")
    legend = charts.get_by_test_id("candle-legend")
    for coin in ("ETH", "SOL", "DOGE", "XRP"):
        add.select_option(coin)
        expect(legend).to_contain_text(re.compile(rf"{coin} [+-]?[\d.]+%"))
    expect(add).to_be_disabled()
    expect(charts.get_by_test_id("scale-percent")).to_have_attribute("aria-pressed", "true")
    expect(charts.get_by_test_id("scale-log")).to_be_disabled()
    before = legend.inner_text()
    eventually(charts, lambda: gain(legend, "ETH") != gain_in(before, "ETH"), what="a newer price")
    for coin in ("ETH", "SOL", "DOGE", "XRP"):
        charts.get_by_test_id(f"compared-{coin}").click()
    expect(charts.get_by_test_id("scale-linear")).to_have_attribute("aria-pressed", "true")
    expect(charts).not_to_have_url(re.compile("compare"))


def gain(legend: Locator, coin: str) -> float:
    return gain_in(legend.inner_text(), coin)


def gain_in(text: str, coin: str) -> float:
    return number(text.split(coin, 1)[1])


def test_keys_do_what_the_buttons_do(charts: Page):
    plot = charts.get_by_test_id("candle-plot")
    plot.focus()
    charts.keyboard.type("15m")
    expect(charts).to_have_url(re.compile("interval=15m"))
    charts.keyboard.press("l")
    expect(charts.get_by_test_id("scale-log")).to_have_attribute("aria-pressed", "true")
    expect(charts).to_have_url(re.compile("scale=log"))
    charts.keyboard.press("l")
    expect(charts.get_by_test_id("scale-linear")).to_have_attribute("aria-pressed", "true")
    charts.keyboard.press("PageUp")
    expect(charts.get_by_test_id("to-latest")).to_be_visible()
    charts.keyboard.press("r")
    expect(charts.get_by_test_id("to-latest")).to_be_hidden()
    width = box(plot)["width"]
    charts.keyboard.press("f")
    expect(charts.get_by_test_id("full-screen")).to_have_attribute("aria-pressed", "true")
    eventually(charts, lambda: box(plot)["width"] > width)
    charts.keyboard.press("f")
    expect(charts.get_by_test_id("full-screen")).to_have_attribute("aria-pressed", "false")
    charts.keyboard.press("?")
    expect(charts.get_by_test_id("keys-dialog")).to_contain_text("full screen")
    charts.get_by_role("button", name="Done").click()
    expect(charts.get_by_test_id("keys-dialog")).to_have_count(0)


def test_a_picture_is_saved(charts: Page, tmp_path: Path):
    with charts.expect_download() as saved:
        charts.get_by_test_id("save-picture").click()
    assert re.fullmatch(r"BTC-1h-\d{4}-\d\d-\d\d-\d\d-\d\d\.png", saved.value.suggested_filename)
    file = tmp_path / "chart.png"
    saved.value.save_as(file)
    picture = file.read_bytes()
    assert picture.startswith(PNG)
    width, height = (int.from_bytes(picture[at : at + 4], "big") for at in (16, 20))
    plot = box(charts.get_by_test_id("candle-plot"))
    assert (width, height) > (plot["width"] - 1, plot["height"])


def test_the_chart_is_told_in_words_and_by_keyboard(charts: Page):
    plot = charts.get_by_test_id("candle-plot")
    words = charts.get_by_test_id("chart-in-words")
    expect(words).to_contain_text(re.compile(r"\d+ candles from .* in view: lowest [\d,.]+"))
    assert plot.get_attribute("aria-describedby") == words.get_attribute("id")
    charts.get_by_text("The last candles as a table").click()
    expect(charts.get_by_test_id("last-bars-row")).to_have_count(50)
    expect(charts.get_by_test_id("chart-trades-row")).to_have_count(1)
    charts.get_by_test_id("go-to-trade").click()
    plot.focus()
    story = charts.get_by_test_id("marker-tooltip")

    def reached() -> bool:
        charts.keyboard.press("ArrowLeft")
        return story.is_visible()

    eventually(charts, reached, what="the bar of the trade")
    expect(story).to_contain_text("Open long")
    expect(charts.locator(".candle-chart [aria-live]")).to_contain_text("Open long")
    charts.keyboard.press("Escape")
    expect(story).to_be_hidden()


def test_colours_and_zone_follow_the_display_settings(charts: Page):
    colours = "(chart) => { const { upColor, downColor } = chart.candles.options(); return [upColor, downColor]; }"
    up, down = chart_on(charts).evaluate(colours)
    charts.get_by_test_id("display-settings").click()
    charts.get_by_test_id("updown-red-up").click()
    assert chart_on(charts).evaluate(colours) == [down, up]
    charts.get_by_test_id("zone-utc").click()
    first = "(chart) => new Date(chart.bars.at(-1).timestamp).toISOString().slice(0, 10)"
    expect(charts.get_by_test_id("candle-legend")).to_contain_text(chart_on(charts).evaluate(first))


def test_a_finger_moves_the_chart_of_a_phone_and_scrolls_the_page(open_page: OpenPage, demo: Demo):
    page = open_page(demo.address, **PHONE)
    page.goto("/charts?coin=PEPE&interval=1h&indicators=sma20,bollinger20-2,rsi14")
    expect_candles(page)
    plot, legend = (
        box(page.get_by_test_id("candle-plot")),
        box(page.get_by_test_id("candle-legend")),
    )
    assert legend["y"] + legend["height"] <= plot["y"]
    assert legend["width"] <= 390
    touch = page.context.new_cdp_session(page)
    swipe(touch, (plot["x"] + 60, plot["y"] + 100), (plot["x"] + 260, plot["y"] + 100))
    expect(page.get_by_test_id("to-latest")).to_be_visible()
    swipe(touch, (plot["x"] + 100, plot["y"] + 300), (plot["x"] + 100, plot["y"] + 60))
    eventually(page, lambda: page.evaluate("scrollY") > 100, what="a scrolled page")


def swipe(touch: Any, start: tuple[float, float], end: tuple[float, float]) -> None:
    """A finger on the screen, from a point to another."""
    steps = 10
    for step in range(steps + 1):
        x, y = (a + (b - a) * step / steps for a, b in zip(start, end, strict=True))
        kind = "touchMove" if step else "touchStart"
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]})
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def test_candles_that_cannot_be_had_are_asked_for_again(page: Page, allowed_statuses: set[int]):
    allowed_statuses.add(503)
    failed = {"error": "No source has it.", "code": "source_failed"}
    page.route("**/api/klines/**", lambda route: route.fulfill(status=503, json=failed))
    page.goto("/charts?coin=BTC&interval=1h")
    expect(page.get_by_test_id("load-error")).to_contain_text("No source has it.")
    page.unroute("**/api/klines/**")
    page.get_by_role("button", name="Try again").click()
    expect_candles(page)
    page.route("**/api/klines/**", lambda route: route.fulfill(json=[]))
    page.get_by_test_id("interval-1d").click()
    expect(page.get_by_test_id("chart-message")).to_contain_text(
        "There are no candles of BTC at 1d"
    )


def test_ten_thousand_bars_are_drawn_and_moved_in_time(charts: Page):
    chart, processor = chart_on(charts), charts.context.new_cdp_session(charts)
    processor.send("Performance.enable")
    before = worked_ms(processor)
    chart.evaluate(SHOW_BARS, 10_000)
    charts.evaluate(ONE_FRAME)
    assert worked_ms(processor) - before < 300
    before = worked_ms(processor)
    frames = chart.evaluate(PAN, 1_000)
    assert (worked_ms(processor) - before) / frames < 1000 / 60


def worked_ms(processor: Any) -> float:
    """How long the page's thread has worked: it does not grow with what else the machine does."""
    metrics = processor.send("Performance.getMetrics")["metrics"]
    return next(1000 * each["value"] for each in metrics if each["name"] == "ThreadTime")
