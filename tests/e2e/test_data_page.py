"""The Data page: sources, what is stored and missing, syncs and imports, alerts."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from e2e.conftest import OpenPage
from e2e.steps import column, expect_live, fault, number
from scripts.running_app import RunningServer

pytestmark = pytest.mark.e2e

HOUR_MS = 3_600_000
FIRST_MS = 1_709_251_200_000  # 1 March 2024


@pytest.fixture
def data_page(open_page: OpenPage, app_address: str) -> Page:
    page = open_page(app_address)
    page.goto("/data")
    expect_live(page)
    return page


def archive_file(symbol: str, bars: Iterable[int]) -> dict[str, Any]:
    """One of Binance's public archive with these hours of March 2024."""
    rows = []
    for hour in bars:
        opened = FIRST_MS + hour * HOUR_MS
        prices = "100.5,101.25,99.75,100.0,12.5"
        rows.append(f"{opened},{prices},{opened + HOUR_MS - 1},1250.0,40,6.0,600.0,0")
    name = f"{symbol}-1h-2024-03.csv"
    return {"name": name, "mimeType": "text/csv", "buffer": "\n".join(rows).encode()}


def import_file(page: Page, file: dict[str, Any]) -> None:
    """Send it by the form, and wait until it is stored."""
    page.get_by_test_id("import").click()
    dialog = page.get_by_role("dialog", name="Import a file")
    dialog.get_by_test_id("field-file").set_input_files(file)
    dialog.get_by_test_id("import-save").click()
    expect(dialog).to_be_hidden()


def source(page: Page, name: str) -> Locator:
    return page.get_by_test_id(f"source-{name}")


def newest_job(page: Page) -> Locator:
    return page.get_by_test_id("job-row").first


def sync(page: Page, coin: str, interval: str, days: int) -> None:
    """Ask for the candles of one coin, of so many days up to now."""
    page.get_by_test_id("sync").click()
    dialog = page.get_by_role("dialog", name="Sync candles")
    dialog.get_by_test_id("coins-none").click()
    dialog.get_by_test_id(f"coin-{coin}").click()
    dialog.get_by_label("Interval").select_option(interval)
    first = datetime.now(UTC) - timedelta(days=days)
    dialog.get_by_label("From (UTC day)").fill(first.date().isoformat())
    dialog.get_by_test_id("sync-save").click()
    expect(dialog).to_be_hidden()


def test_what_is_synced_is_stored(data_page: Page):
    expect(data_page.get_by_test_id("empty-state").first).to_contain_text("No candles are stored")
    sync(data_page, "ETH", "1h", days=20)
    expect(newest_job(data_page)).to_contain_text("Done")
    expect(data_page.get_by_test_id("coverage-row")).to_have_count(1)
    assert column(data_page, "coverage", "Interval") == ["1h"]
    [bars] = column(data_page, "coverage", "Bars")
    assert 20 * 24 <= number(bars) <= 21 * 24
    assert column(data_page, "coverage", "Missing") == ["0"]
    expect(data_page.get_by_role("img", name="ETH 1h")).to_be_visible()


def test_a_sync_shows_how_far_it_is_and_can_be_cancelled(data_page: Page):
    sync(data_page, "SOL", "1m", days=1500)
    job = newest_job(data_page)
    expect(job.get_by_role("progressbar")).to_be_visible()
    job.get_by_test_id("cancel-job").click()
    expect(job).to_contain_text("Cancelled")
    expect(job.get_by_test_id("cancel-job")).to_be_hidden()


def test_a_form_that_asks_for_nothing_says_so(data_page: Page):
    data_page.get_by_test_id("sync").click()
    dialog = data_page.get_by_role("dialog", name="Sync candles")
    dialog.get_by_test_id("coins-none").click()
    dialog.get_by_test_id("sync-save").click()
    expect(dialog.get_by_test_id("error-coins")).to_have_text("Choose at least one coin.")
    data_page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    data_page.get_by_test_id("import").click()
    dialog = data_page.get_by_role("dialog", name="Import a file")
    dialog.get_by_test_id("import-save").click()
    expect(dialog.get_by_test_id("error-file")).to_have_text("This is needed.")


def test_a_gap_is_shown_and_filled(data_page: Page):
    for hours in (range(24), range(30, 48)):
        import_file(data_page, archive_file("BTCUSDT", hours))
        expect(newest_job(data_page)).to_contain_text(f"{len(hours)} candles of BTCUSDT")
    data_page.get_by_test_id("only-gaps").check()
    row = data_page.get_by_test_id("coverage-row")
    expect(row).to_contain_text("BTC")
    expect(row).to_contain_text("6 (gaps: 1)")
    row.get_by_test_id("show-gaps").click()
    gaps = data_page.get_by_role("dialog", name="Gaps of BTC 1h")
    expect(gaps.get_by_test_id("gap-row")).to_contain_text("2024-03-02, 00:00")
    expect(gaps.get_by_test_id("gap-row")).to_contain_text("not asked for yet")
    gaps.get_by_test_id("fill-gaps").click()
    dialog = data_page.get_by_role("dialog", name="Sync candles")
    expect(dialog.get_by_label("From (UTC day)")).to_have_value("2024-03-02")
    dialog.get_by_test_id("sync-save").click()
    expect(row).to_be_hidden()
    data_page.get_by_test_id("only-gaps").uncheck()
    data_page.get_by_test_id("filter-coverage").fill("BTC")
    expect(row.filter(visible=True)).to_contain_text("48")


def test_a_gap_that_the_source_itself_has_stays(data_page: Page):
    import_file(data_page, archive_file("DOGEUSDT", [*range(10), *range(13, 24)]))
    row = data_page.get_by_test_id("coverage-row").filter(has_text="DOGE")
    row.get_by_test_id("show-gaps").click()
    gaps = data_page.get_by_role("dialog", name="Gaps of DOGE 1h")
    expect(gaps.get_by_test_id("gap-row")).to_contain_text("the source has none")
    expect(gaps.get_by_test_id("fill-gaps")).to_be_hidden()
    data_page.keyboard.press("Escape")
    expect(gaps).to_be_hidden()


def test_a_file_that_is_none_changes_nothing(data_page: Page, allowed_statuses: set[int]):
    allowed_statuses.update({400, 422})
    data_page.get_by_test_id("import").click()
    dialog = data_page.get_by_role("dialog", name="Import a file")
    wrong = {"name": "notes.csv", "mimeType": "text/csv", "buffer": b"milk, bread"}
    dialog.get_by_test_id("field-file").set_input_files(wrong)
    dialog.get_by_test_id("import-save").click()
    refused = dialog.get_by_test_id("form-error").or_(dialog.get_by_test_id("error-file"))
    expect(refused.filter(visible=True).first).not_to_be_empty()


def test_a_price_that_differs_raises_an_alert(data_page: Page, exchange: RunningServer):
    with fault(data_page, exchange.address, "okx", "spike", percent=8, symbols=["BTC-USDT"]):
        told = data_page.get_by_test_id("data-alerts-row").filter(has_text="Deviation").first
        expect(told).to_contain_text("BTC")
        expect(told).to_contain_text(re.compile("okx", re.IGNORECASE))  # whoever is held against it
        state = source(data_page, "okx").get_by_test_id("source-state")
        expect(state).to_have_text("In quarantine")
    expect(state).to_have_text("Up")
    expect(told).to_be_visible()


def test_a_source_that_falls_out_is_told_and_comes_back(data_page: Page, exchange: RunningServer):
    binance, okx = source(data_page, "binance"), source(data_page, "okx")
    sync(data_page, "BTC", "1d", days=5)  # whoever has answered once is up
    expect(binance.get_by_test_id("source-state")).to_have_text("Up")
    expect(binance.get_by_test_id("source-breaker")).to_contain_text("Closed")
    expect(binance.get_by_test_id("source-latency")).to_contain_text("p50")
    expect(binance.get_by_role("meter").first).to_be_visible()
    with fault(data_page, exchange.address, "binance", "down"):
        expect(binance.get_by_test_id("source-state")).to_have_text("Down")
        expect(binance.get_by_test_id("source-breaker")).to_contain_text("Open")
        expect(binance.get_by_test_id("source-problem")).to_be_visible()
        expect(okx.get_by_test_id("source-state")).to_have_text("Up")
        alerts = data_page.get_by_test_id("data-alerts-row")
        expect(alerts.filter(has_text="Source down").first).to_contain_text("Binance")
    expect(binance.get_by_test_id("source-state")).to_have_text("Up")
