"""The dashboard, clicked through while seven models trade."""

import os
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from e2e.conftest import Demo, OpenPage
from e2e.steps import column, eventually, expect_drawn, expect_live, number

pytestmark = pytest.mark.e2e


@pytest.fixture
def dashboard(page: Page) -> Page:
    page.goto("/")
    expect_live(page)
    return page


def test_values_change_without_a_reload(dashboard: Page):
    loads = []
    dashboard.on("load", lambda: loads.append("again"))
    value = dashboard.get_by_test_id("metric-total_value")
    first = value.inner_text()
    assert number(first) == pytest.approx(70_000, rel=0.05)  # seven models
    eventually(dashboard, lambda: value.inner_text() != first)
    clock = dashboard.get_by_test_id("market-time")
    shown = clock.inner_text()
    eventually(dashboard, lambda: clock.inner_text() != shown)
    assert loads == []


def test_charts_are_drawn(dashboard: Page):
    expect_drawn(dashboard, dashboard.get_by_test_id("account-value-chart").locator("canvas"))
    expect_drawn(dashboard, dashboard.get_by_test_id("distribution-chart").locator("canvas"))


def test_the_latest_decisions_of_all_models_say_why_and_open(dashboard: Page):
    eventually(dashboard, lambda: len(set(column(dashboard, "decisions", "Model"))) > 2)
    assert any(len(text) > 10 for text in column(dashboard, "decisions", "Justification"))
    row = dashboard.get_by_test_id("decisions-row").filter(has_text="LLM with advice").first
    row.get_by_test_id("open-details").click()
    opened = dashboard.get_by_test_id("decision-dialog")
    expect(opened.get_by_test_id("call-answer")).to_be_visible()
    opened.get_by_test_id("decision-close").click()
    dashboard.get_by_label("Model", exact=True).select_option("Random monkey")
    eventually(dashboard, lambda: set(column(dashboard, "decisions", "Model")) == {"Random monkey"})


def test_coins_that_are_held_have_bars_of_their_profit(dashboard: Page):
    expect_drawn(dashboard, dashboard.get_by_test_id("performance-chart").locator("canvas"))


def test_one_model_is_picked_and_stays_in_the_address(dashboard: Page):
    expect(dashboard.get_by_test_id("model-link")).to_be_hidden()
    dashboard.get_by_label("Model", exact=True).select_option("Random monkey")
    expect(dashboard).to_have_url(re.compile(r"\?model=4$"))
    value = dashboard.get_by_test_id("metric-total_value")
    eventually(dashboard, lambda: number(value.inner_text()) < 11_000)
    eventually(dashboard, lambda: set(column(dashboard, "trades", "Model")) == {"Random monkey"})
    dashboard.reload()
    expect_live(dashboard)
    expect(dashboard.get_by_test_id("model-picker")).to_have_value("4")
    eventually(dashboard, lambda: number(value.inner_text()) < 11_000)
    dashboard.get_by_test_id("model-link").click()
    expect(dashboard.get_by_test_id("model-name")).to_have_text("Random monkey")


def test_the_window_is_chosen(dashboard: Page):
    expect(dashboard.get_by_test_id("window-1d")).to_have_attribute("aria-pressed", "true")
    for window in ("1w", "1m", "all"):
        with dashboard.expect_response(re.compile(f"chart-data.*window={window}")):
            dashboard.get_by_test_id(f"window-{window}").click()
        expect(dashboard.get_by_test_id(f"window-{window}")).to_have_attribute(
            "aria-pressed", "true"
        )
        expect(dashboard).to_have_url(re.compile(f"window={window}"))
    dashboard.reload()
    expect(dashboard.get_by_test_id("window-all")).to_have_attribute("aria-pressed", "true")


def test_tables_sort_both_ways(dashboard: Page):
    table = dashboard.get_by_test_id("leaderboard")
    heading = table.get_by_role("columnheader", name="Return")
    heading.get_by_role("button").click()
    expect(heading).to_have_attribute("aria-sort", "descending")
    returns = [number(text) for text in column(dashboard, "leaderboard", "Return")]
    assert len(returns) == 7
    assert returns == sorted(returns, reverse=True)
    heading.get_by_role("button").click()
    expect(heading).to_have_attribute("aria-sort", "ascending")
    returns = [number(text) for text in column(dashboard, "leaderboard", "Return")]
    assert returns == sorted(returns)
    expect(dashboard).to_have_url(re.compile("leaderboard=return"))


def test_rows_are_filtered_and_exported_as_csv(dashboard: Page):
    dashboard.get_by_test_id("filter-trades").fill("monkey")
    rows = dashboard.get_by_test_id("trades-row").filter(visible=True)
    expect(rows.first).to_be_visible()
    with dashboard.expect_download() as download:
        dashboard.get_by_test_id("export-trades").click()
    assert download.value.suggested_filename == "trades.csv"
    header, *lines = Path(download.value.path()).read_text("utf-8-sig").splitlines()
    assert header == "Time,Model,Coin,Action,Quantity,Price,Fee,P&L,Reason,Justification"
    assert lines
    for line in lines:
        assert re.match(r"\d{4}-\d\d-\d\dT[\d:.]+Z,Random monkey,[A-Z]+,", line)


def test_each_number_leads_to_where_it_comes_from(page: Page, open_page: OpenPage, demo: Demo):
    """Leaderboard → model → position → trade → decision; a sent address opens the same."""
    page.goto("/")
    expect_live(page)
    page.get_by_test_id("metrics").get_by_role("link", name="Total value").click()
    expect(page).to_have_url(re.compile("#leaderboard-title$"))
    page.get_by_test_id("leaderboard").get_by_role("link", name="Buy and hold").click()
    expect(page.get_by_test_id("model-name")).to_have_text("Buy and hold")
    expect_live(page)
    entry = page.get_by_test_id("entry-link").first
    price = entry.inner_text()
    entry.click()
    opened = page.get_by_test_id("decision-dialog")
    expect(opened.get_by_test_id("trade-figures")).to_contain_text(f"× {price} = $")
    expect(opened.get_by_test_id("trader-story")).to_contain_text("never sells")
    expect(page.locator("tr.row-marked").first).to_be_visible()
    opened.get_by_test_id("trade-decision").click()
    expect(opened.get_by_test_id("decision-parsed").first).to_be_visible()
    expect(page).to_have_url(re.compile(r"\?decision=\d+$"))
    address = page.url
    page.go_back()
    expect(opened.get_by_test_id("trade-figures")).to_be_visible()
    page.keyboard.press("Escape")
    expect(opened).to_have_count(0)
    expect(page).to_have_url(re.compile(r"/models/\d+$"))

    other = open_page(demo.address, locale="zh-CN")
    other.goto(address)
    expect(other.get_by_test_id("decision-dialog").get_by_text("买入持有").first).to_be_visible()


def test_the_first_visit_is_shown_around_once(open_page: OpenPage, demo: Demo):
    page = open_page(demo.address, locale="zh-CN")
    page.goto("/")
    expect_live(page)
    expect(page.get_by_test_id("tour-invitation")).to_have_count(0)  # a program drives it
    page.add_init_script("Object.defineProperty(navigator, 'webdriver', { get: () => false });")
    page.reload()
    page.get_by_test_id("tour-start").click()
    tour = page.get_by_test_id("tour")
    expect(tour).to_be_focused()
    shown = [tour.locator("h2").inner_text()]
    while page.get_by_test_id("tour-next").inner_text() != "完成":
        page.keyboard.press("ArrowRight")
        expect(page.locator(".tour-place")).to_be_in_viewport()
        shown.append(tour.locator("h2").inner_text())
    assert len(set(shown)) == 8
    assert "谁领先" in shown
    page.keyboard.press("Escape")
    expect(tour).to_have_count(0)
    page.reload()
    expect_live(page)
    expect(page.get_by_test_id("tour-invitation")).to_have_count(0)
    page.goto("/settings")
    page.get_by_test_id("start-tour").click()
    expect(tour).to_be_visible()
    expect(page).to_have_url(re.compile("/$"))


def test_the_readme_picture(open_page: OpenPage, demo, pictures: Path):
    """Written where UPDATE_PICTURES is set; drawn in any case."""
    page = open_page(demo.address, viewport={"width": 1440, "height": 900})
    page.goto("/")
    expect_live(page)
    expect_drawn(page, page.get_by_test_id("account-value-chart").locator("canvas"))
    picture = page.screenshot(animations="disabled")
    assert len(picture) > 20_000
    if os.environ.get("UPDATE_PICTURES"):
        (pictures / "dashboard.png").write_bytes(picture)
