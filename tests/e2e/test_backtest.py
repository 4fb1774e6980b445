"""The Backtest page and a backtest's result: asked for, watched, read, cancelled, deleted."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from e2e.conftest import OpenPage, watch
from e2e.steps import column, eventually, expect_drawn, expect_live, hover_marker, write

pytestmark = pytest.mark.e2e


@pytest.fixture
def backtest(open_page: OpenPage, app_address: str) -> Page:
    page = open_page(app_address)
    page.goto("/backtest")
    expect_live(page)
    return page


def fill(page: Page, **answers: str) -> None:
    """Answer fields by their names."""
    for name, value in answers.items():
        control = page.get_by_test_id(f"field-{name}")
        if name in ("trader", "interval"):
            control.select_option(value)
        else:
            control.fill(value)


def run(page: Page) -> None:
    page.get_by_role("button", name="Run backtest").click()


def queued(page: Page) -> Locator:
    return page.get_by_test_id("backtest-queue-row")


def open_finished(page: Page) -> None:
    page.get_by_test_id("open-finished").click()
    expect(page.get_by_test_id("backtest-report")).to_be_visible()


def test_a_run_is_asked_for_watched_and_read(backtest: Page):
    fill(backtest, trader="random", interval="5m", start_date="2024-01-01", end_date="2024-12-31")
    fill(backtest, **{"params.enter_chance": "0.5", "params.close_chance": "0.5"})
    run(backtest)
    percent = backtest.get_by_test_id("backtest-percent")
    eventually(backtest, lambda: percent.is_visible() and percent.inner_text() != "0 %")
    expect(backtest.get_by_test_id("backtest-progress")).to_be_visible()
    open_finished(backtest)
    expect(backtest.get_by_test_id("run-name")).to_have_text("Random (monkey)")
    cards = backtest.get_by_test_id("backtest-metrics").locator(".metric-value")
    expect(cards).to_have_count(20)
    for text in cards.all_inner_texts():
        assert re.search(r"\d", text), text
    expect_drawn(backtest, backtest.get_by_test_id("equity-chart").locator("canvas"))
    expect_drawn(backtest, backtest.get_by_test_id("drawdown-chart").locator("canvas"))
    expect_drawn(backtest, backtest.get_by_test_id("price-chart").locator("canvas").first)
    config = backtest.get_by_test_id("backtest-config")
    expect(config).to_contain_text("2024-01-01")


@pytest.fixture
def result(backtest: Page) -> Page:
    """The page of a run with some trades."""
    answer = write(
        backtest.request,
        "/api/backtest/run",
        {
            "trader": "ma_cross", "params": {"fast": 5, "slow": 15}, "coins": ["ETH"],
            "start_date": "2024-02-01", "end_date": "2024-03-31", "wait": True,
        },
    ).json()  # fmt: skip
    backtest.goto(f"/backtest/{answer['id']}")
    expect_live(backtest)
    expect(backtest.get_by_test_id("backtest-trades-row").nth(5)).to_be_visible()
    return backtest


def test_trades_of_the_list_are_shown_on_the_chart_and_back(result: Page):
    rows = result.get_by_test_id("backtest-trades-row")
    third = rows.nth(2)
    third.get_by_test_id("go-to-trade").click()
    expect(third).to_have_attribute("aria-current", "")
    result.get_by_test_id("next-trade").click()
    expect(rows.nth(3)).to_have_attribute("aria-current", "")
    expect(third).not_to_have_attribute("aria-current", "")
    for _ in range(3):
        result.get_by_test_id("previous-trade").click()
    expect(rows.first).to_have_attribute("aria-current", "")
    expect(result.get_by_test_id("previous-trade")).to_be_disabled()


def test_a_marker_of_the_chart_tells_its_trade(result: Page):
    brief = one_bar_trade(result)
    row = result.get_by_test_id("backtest-trades-row").nth(brief)
    row.get_by_test_id("go-to-trade").click()
    expect(row).to_have_attribute("aria-current", "")
    number = row.locator("td").first.inner_text()
    said = hover_marker(result, f"#{number} Long")
    assert "ETH" in said
    assert row.locator("td").nth(3).inner_text() in said  # its entry time


def one_bar_trade(page: Page) -> int:
    """The place of the trade that was held for the fewest hours: it is in the chart's middle."""
    held = [
        float(text.split()[0]) * (24 if text.endswith("d") else 1)
        for text in column(page, "backtest-trades", "Held")
    ]
    return held.index(min(held))


def test_a_result_is_exported(result: Page):
    with result.expect_download() as download:
        result.get_by_test_id("export-trades").click()
    lines = Path(download.value.path()).read_text("utf-8-sig").splitlines()
    assert lines[0].startswith("coin,side,quantity,leverage,entry_time,entry_price,exit_time")
    assert len(lines) - 1 == result.get_by_test_id("backtest-trades-row").count()
    with result.expect_download() as download:
        result.get_by_test_id("download-json").click()
    assert '"report"' in Path(download.value.path()).read_text("utf-8")
    expect(result.get_by_test_id("histogram")).to_be_visible()


def test_the_exported_page_opens_alone(result: Page, browser: Browser, tmp_path: Path):
    with result.expect_download() as download:
        result.get_by_test_id("download-html").click()
    download.value.save_as(tmp_path / "backtest.html")
    context = browser.new_context(offline=True, java_script_enabled=False)
    page = context.new_page()
    troubles: list[str] = []
    watch(page, troubles, set())
    page.goto((tmp_path / "backtest.html").as_uri())
    expect(page.get_by_role("heading", name="ma_cross")).to_be_visible()
    expect(page.locator("svg[role=img]")).to_have_count(3)
    expect(page.locator("tbody tr").first).to_be_visible()
    assert (
        page.locator(".card").first.evaluate("node => getComputedStyle(node).borderRadius") == "8px"
    )
    context.close()
    assert troubles == []


def test_wrong_dates_are_named_at_their_fields(backtest: Page, allowed_statuses: set[int]):
    allowed_statuses.add(400)
    fill(backtest, start_date="2024-05-01", end_date="2024-04-01")
    run(backtest)
    expect(backtest.locator("[data-testid$='_date'].field-error:not(:empty)")).to_have_count(1)
    expect(backtest.get_by_test_id("form-error")).to_be_visible()
    fill(backtest, start_date="")
    run(backtest)
    expect(backtest.get_by_test_id("error-start_date")).to_have_text("This is needed.")
    fill(backtest, start_date="2024-03-01", initial_capital="0")
    run(backtest)
    expect(backtest.get_by_test_id("error-initial_capital")).to_have_text(
        "This must be more than 0."
    )
    expect(queued(backtest)).to_have_count(0)


def test_parameters_that_do_not_fit_together_are_refused(
    backtest: Page, allowed_statuses: set[int]
):
    allowed_statuses.add(400)
    fill(backtest, trader="ma_cross", **{"params.fast": "30", "params.slow": "10"})
    run(backtest)
    expect(backtest.get_by_test_id("error-params")).to_contain_text("fast")


def test_runs_are_cancelled_while_they_wait_and_while_they_run(backtest: Page):
    fill(backtest, interval="1m", start_date="2024-01-01", end_date="2024-04-30")
    run(backtest)
    expect(queued(backtest)).to_have_count(1)
    fill(backtest, interval="1h", start_date="2023-01-01", end_date="2023-12-31")
    run(backtest)
    expect(queued(backtest)).to_have_count(2)
    waiting = queued(backtest).filter(has_text="waiting for its turn")
    waiting.get_by_role("button", name=re.compile("Cancel")).click()
    expect(backtest.get_by_test_id("toast")).to_contain_text("was cancelled")
    expect(queued(backtest)).to_have_count(1)
    queued(backtest).get_by_role("button", name=re.compile("Cancel")).click()
    expect(backtest.get_by_test_id("backtest-queue")).to_be_hidden()
    assert column(backtest, "backtest-history", "Status")[:2] == ["Cancelled", "Cancelled"]


def test_the_same_run_again_is_answered_at_once_and_deleted_with_a_confirmation(backtest: Page):
    fill(backtest, trader="buy_and_hold", start_date="2024-06-01", end_date="2024-06-30")
    run(backtest)
    open_finished(backtest)
    address = backtest.url
    run_id = address.rsplit("/", 1)[1]
    backtest.get_by_role("link", name="Change and run again").click()
    expect_live(backtest)
    expect(backtest.get_by_label("Strategy", exact=True)).to_have_value("buy_and_hold")
    expect(backtest.get_by_label("From (UTC)")).to_have_value("2024-06-01")
    run(backtest)
    expect(backtest).to_have_url(address)
    expect(backtest.get_by_test_id("backtest-report")).to_be_visible()

    backtest.get_by_role("link", name="Backtest", exact=True).click()
    expect_live(backtest)
    row = backtest.get_by_test_id("backtest-history-row").filter(has_text=f"#{run_id}")
    question = backtest.get_by_role("dialog", name=f"Delete backtest {run_id}")
    row.get_by_role("button", name="Delete").click()
    question.get_by_role("button", name="Cancel").click()
    expect(question).to_be_hidden()
    expect(row).to_be_visible()
    row.get_by_role("button", name="Delete").click()
    question.get_by_role("button", name="Delete").click()
    expect(row).to_have_count(0)


def test_parameters_are_searched_and_the_best_is_opened(backtest: Page, allowed_statuses: set[int]):
    allowed_statuses.add(400)
    fill(backtest, trader="ma_cross", start_date="2024-04-01", end_date="2024-04-30")
    backtest.get_by_test_id("open-sweep-form").click()
    backtest.get_by_test_id("range-weight-low").fill("0.5")
    backtest.get_by_test_id("range-weight-high").fill("1")
    backtest.get_by_test_id("start-sweep").click()
    expect(backtest.get_by_test_id("error-ranges.weight")).to_have_text("needs a step")
    backtest.get_by_test_id("range-weight-step").fill("0.5")
    for part, value in {"low": "5", "high": "15", "step": "5"}.items():
        backtest.get_by_test_id(f"range-fast-{part}").fill(value)
    fill(backtest, fit_days="14", score_days="7")
    backtest.get_by_test_id("start-sweep").click()
    expect(backtest.get_by_test_id("sweep-result")).to_be_visible()
    rows = backtest.get_by_test_id("sweep-rows-row")
    expect(rows).to_have_count(6)
    expect(backtest.get_by_test_id("walk-windows-row")).to_have_count(3)
    places = backtest.get_by_test_id("sweep-heat-map").get_by_role("button")
    expect(places).to_have_count(6)
    places.first.click()
    expect(backtest.get_by_test_id("map-detail")).to_contain_text("Deflated Sharpe")
    sharpe = [float(text) for text in column(backtest, "sweep-rows", "Sharpe")]
    assert sharpe == sorted(sharpe, reverse=True)
    best = column(backtest, "sweep-rows", "Return")[0]
    backtest.get_by_test_id("run-combination").first.click()
    expect(backtest.get_by_test_id("metric-return_percentage")).to_have_text(best)


def test_backtests_are_compared(backtest: Page):
    for fast in (4, 6):
        answer = write(
            backtest.request,
            "/api/backtest/run",
            {
                "trader": "ma_cross", "params": {"fast": fast, "slow": 18}, "coins": ["BTC"],
                "start_date": "2024-04-01", "end_date": "2024-04-30", "wait": True,
            },
        )  # fmt: skip
        assert answer.ok
    backtest.reload()
    expect_live(backtest)
    boxes = backtest.get_by_test_id("compare-run")
    link = backtest.get_by_test_id("compare-chosen")
    boxes.nth(0).check()
    expect(link).to_be_hidden()
    boxes.nth(1).check()
    link.click()
    table = backtest.get_by_test_id("compare-table")
    expect(table.get_by_role("columnheader")).to_have_count(3)
    expect(backtest.get_by_test_id("compare-sharpe").locator("td")).to_have_count(2)
    expect(table.get_by_role("row", name="Fast 6 4")).to_be_visible()
    expect_drawn(backtest, backtest.get_by_test_id("compare-chart").locator("canvas"))
    table.get_by_role("button", name="Leave out").first.click()
    expect(table.get_by_role("columnheader")).to_have_count(2)
    backtest.get_by_test_id("compare-add").select_option(index=1)
    expect(table.get_by_role("columnheader")).to_have_count(3)


def test_decisions_of_a_script_are_tried_under_other_stops(backtest: Page):
    script = [
        {"time": "2024-04-03", "coin": "BTC", "signal": "buy_to_enter", "weight": 0.5},
        {"time": "2024-04-20", "coin": "BTC", "signal": "close_position"},
    ]
    answer = write(
        backtest.request,
        "/api/backtest/run",
        {
            "trader": "scripted", "decisions": script, "coins": ["BTC"], "wait": True,
            "start_date": "2024-04-01", "end_date": "2024-04-30",
        },
    ).json()  # fmt: skip
    backtest.goto(f"/backtest/{answer['id']}")
    backtest.get_by_test_id("search-run").click()
    expect(backtest.get_by_test_id("sweep-about")).to_contain_text(str(answer["id"]))
    for part, value in {"low": "0", "high": "4", "step": "2"}.items():
        backtest.get_by_test_id(f"range-stop_loss_pct-{part}").fill(value)
    backtest.get_by_test_id("start-sweep").click()
    expect(backtest.get_by_test_id("sweep-rows-row")).to_have_count(3)
