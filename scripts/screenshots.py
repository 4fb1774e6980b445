"""`python -m scripts.screenshots`: pictures of every page of the demo into docs/screenshots."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright

from scripts.running_app import ROOT, demo_server, launch_browser

FOLDER = ROOT / "docs" / "screenshots"
TRADING_SECONDS = 40
HEIGHTS = {1440: 1000, 390: 844}
LOOKS = [
    (1440, "light", "en"), (1440, "dark", "en"), (390, "light", "en"), (390, "dark", "en"),
    (1440, "light", "zh"),
]  # fmt: skip
LANGUAGE_TAGS = {"en": "en-US", "zh": "zh-CN"}


def main() -> int:
    """Start the demo on a new database, let it trade, run a backtest, take the pictures."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for picture in FOLDER.glob("*.png"):
        picture.unlink()
    with (
        tempfile.TemporaryDirectory() as folder,
        demo_server(Path(folder, "demo.db")) as server,
        sync_playwright() as playwright,
    ):
        browser = launch_browser(playwright)
        time.sleep(TRADING_SECONDS)
        backtest_id = run_backtest(browser, server.address)
        pages = {
            "dashboard": "/",
            "charts": "/charts?coin=BTC&interval=1m",
            "backtest": "/backtest",
            "backtest-result": f"/backtest/{backtest_id}",
            "models": "/models",
            "model": "/models/2",
            "coins": "/coins",
            "pool": "/models/2/coins",
            "data": "/data",
        }
        for width, theme, language in LOOKS:
            take_pictures(browser, server.address, pages, width, theme, language)
        browser.close()
    return 0


def run_backtest(browser: Browser, address: str) -> int:
    """Its id, once it is done: what the form begins with, on two coins."""
    with opened_page(browser, address, 1440, "light", "en") as page:
        page.goto("/backtest")
        page.get_by_test_id("coin-ETH").click()
        page.get_by_test_id("run-backtest").click()
        page.get_by_test_id("open-finished").click(timeout=60_000)
        page.wait_for_url("**/backtest/*")
        return int(page.url.rsplit("/", 1)[1])


def take_pictures(
    browser: Browser, address: str, pages: Mapping[str, str], width: int, theme: str, language: str
) -> None:
    """One picture of the first view of each page."""
    with opened_page(browser, address, width, theme, language) as page:
        for name, path in pages.items():
            page.goto(path)
            wait_until_drawn(page)
            page.screenshot(path=FOLDER / f"{name}-{width}-{theme}-{language}.png")


@contextmanager
def opened_page(
    browser: Browser, address: str, width: int, theme: str, language: str
) -> Iterator[Page]:
    """A page of this width in a browser that has chosen nothing itself."""
    context = browser.new_context(
        base_url=address,
        viewport={"width": width, "height": HEIGHTS[width]},
        locale=LANGUAGE_TAGS[language],
        color_scheme="dark" if theme == "dark" else "light",
    )
    yield context.new_page()
    context.close()


def wait_until_drawn(page: Page) -> None:
    """No skeleton is left, the stream has come, and what was drawn has been painted."""
    expect(page.locator(".skeleton:visible")).to_have_count(0)
    expect(page.get_by_test_id("status-stream")).to_have_attribute("data-state", "ok")
    page.evaluate("document.fonts.ready")
    page.wait_for_timeout(500)


if __name__ == "__main__":
    sys.exit(main())
