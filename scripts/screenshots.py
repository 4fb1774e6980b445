"""`python -m scripts.screenshots`: pictures of every page of the demo, and docs/screenshots.md."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

from scripts.running_app import ROOT, demo_server, launch_browser

FOLDER = ROOT / "docs" / "screenshots"
INDEX = ROOT / "docs" / "screenshots.md"
TRADING_SECONDS = 60
WAIT_MS = 60_000
COLOURS = 256
HEIGHTS = {1440: 1000, 768: 1024, 390: 844}
THEMES = ("light", "dark")
LANGUAGE_TAGS = {"en": "en-US", "zh": "zh-CN"}
IN_CHINESE = (
    "dashboard", "charts", "model", "models", "coins", "pool", "backtest", "backtest-result", "data",
)  # fmt: skip
TITLES = {
    "dashboard": "Dashboard",
    "charts": "Charts",
    "model": "A model",
    "models": "Models and providers",
    "coins": "Coins",
    "pool": "A model's coin pool",
    "backtest": "Backtest",
    "backtest-result": "A backtest's result",
    "backtest-compare": "Backtests side by side",
    "sweep": "A search over parameters",
    "data": "Data",
    "settings": "Settings",
    "api": "The API's documentation",
}
#: Two runs and a search, which the pages show.
RUN = {
    "trader": "ma_cross", "coins": ["BTC", "ETH", "SOL"],
    "start_date": "2024-01-01", "end_date": "2024-12-31",
}  # fmt: skip
SEARCH = {
    "run": RUN | {"coins": ["BTC"], "end_date": "2024-06-30"},
    "ranges": {"fast": {"values": [5, 10, 20, 30]}, "slow": {"values": [40, 60, 80, 120]}},
    "fit_days": 60,
    "score_days": 30,
}


def main() -> int:
    """Start the demo on a new database, let it trade, take the pictures, write the index."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for picture in FOLDER.glob("*.png"):
        picture.unlink()
    with (
        tempfile.TemporaryDirectory() as folder,
        demo_server(Path(folder, "demo.db")) as server,
        sync_playwright() as playwright,
    ):
        expect.set_options(timeout=WAIT_MS)
        browser = launch_browser(playwright)
        time.sleep(TRADING_SECONDS)
        paths = paths_of(browser, server.address)
        chinese = {name: paths[name] for name in IN_CHINESE}
        for theme in THEMES:
            for width in HEIGHTS:
                take_pictures(browser, server.address, paths, width, theme, "en")
        take_pictures(browser, server.address, chinese, 1440, "light", "zh")
        browser.close()
    INDEX.write_text(index(), "utf-8")
    return 0


def paths_of(browser: Browser, address: str) -> dict[str, str]:
    """Where each page is, once two backtests and a search are done."""
    with opened_page(browser, address, 1440, "light", "en") as page:
        first = ask(page, "/api/backtest/run", RUN | {"wait": True})["id"]
        second = ask(page, "/api/backtest/run", RUN | {"trader": "donchian", "wait": True})["id"]
        search = ask(page, "/api/backtests/sweep", SEARCH)["status_url"]
        while page.request.get(search).json()["status"] in ("queued", "running"):
            time.sleep(0.2)
    return {
        "dashboard": "/",
        "charts": "/charts?coin=BTC&interval=1m",
        "model": "/models/2",
        "models": "/models",
        "coins": "/coins",
        "pool": "/models/2/coins",
        "backtest": "/backtest",
        "backtest-result": f"/backtest/{first}",
        "backtest-compare": f"/backtest/compare?ids={first},{second}",
        "sweep": search.replace("/api/backtests", "/backtest"),
        "data": "/data",
        "settings": "/settings",
        "api": "/api/docs",
    }


def ask(page: Page, path: str, body: Mapping[str, object]) -> dict[str, str]:
    """What the API answers to a write."""
    proof = page.request.get("/api/session").json()["csrf_token"]
    answer = page.request.post(
        path, data=body, headers={"X-CSRF-Token": proof}, timeout=10 * WAIT_MS
    )
    assert answer.ok, answer.text()
    said: dict[str, str] = answer.json()
    return said


def take_pictures(
    browser: Browser, address: str, paths: Mapping[str, str], width: int, theme: str, language: str
) -> None:
    """One picture of the first view of each page."""
    with opened_page(browser, address, width, theme, language) as page:
        for name, path in paths.items():
            page.goto(path)
            wait_until_drawn(page)
            save(page.screenshot(), FOLDER / f"{name}-{width}-{theme}-{language}.png")


def save(picture: bytes, path: Path) -> None:
    """With a palette of its own: a third of the bytes, and nothing that an eye would miss."""
    image = Image.open(BytesIO(picture)).convert("RGB")
    few = image.quantize(COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    few.save(path, optimize=True)


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
        has_touch=width < 1000,
    )
    context.set_default_timeout(WAIT_MS)
    yield context.new_page()
    context.close()


def wait_until_drawn(page: Page) -> None:
    """No skeleton is left, the stream has come, and what was drawn has been painted."""
    expect(page.locator(".skeleton:visible, .loading-container")).to_have_count(0)
    expect(page.get_by_test_id("status-stream")).to_have_attribute("data-state", "ok")
    page.evaluate("document.fonts.ready")
    page.wait_for_timeout(1500)


def index() -> str:
    """The page that shows them."""
    parts = [
        "# Screenshots",
        "Every page of the demo (`make demo`) as `make screenshots` finds it: light and dark, at "
        "1440, 768 and 390 px; some in Chinese.",
    ]
    for name, title in TITLES.items():
        parts.append(f"## {title}")
        parts.append("\n".join(picture(name, 1440, theme, "en", title) for theme in THEMES))
        narrow = [(width, theme) for width in (768, 390) for theme in THEMES]
        parts.append("\n".join(picture(name, width, theme, "en", title) for width, theme in narrow))
        if name in IN_CHINESE:
            parts.append(picture(name, 1440, "light", "zh", title))
    return "\n\n".join(parts) + "\n"


def picture(name: str, width: int, theme: str, language: str, title: str) -> str:
    """Markup of one picture, narrow ones beside each other."""
    shown = {1440: 820, 768: 300, 390: 160}[width]
    said = f"{title}, {theme}, {width} px" + (", in Chinese" if language == "zh" else "")
    return f'<img src="screenshots/{name}-{width}-{theme}-{language}.png" width="{shown}" alt="{said}">'


if __name__ == "__main__":
    sys.exit(main())
