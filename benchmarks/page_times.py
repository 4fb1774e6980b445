"""`python -m benchmarks.page_times`: what the pages cost a browser, on a database that is large.

A hundred coins, twenty models, ten thousand trades, a backtest of a year of hours, and a chart of
ten thousand bars. Every page is opened twice in one browser: with nothing kept, and again. Prints
when something is seen, when all that it fetches is shown, and the time of scripts, styles and
layout until then, in milliseconds. `--day` leaves two pages open while the demo lives through a
day, and prints how much they have grown.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, CDPSession, Page, expect, sync_playwright

from aitradegame_import import import_file
from audit_log import COMMAND_LINE
from clock import SystemClock
from database import Database
from exchange_simulator.coins import known_coins, profile_of
from repositories import aitradegame, coins, models
from scripts.running_app import ROOT, demo_server, launch_browser, running

COINS, MODELS, TRADES, BARS = 100, 20, 10_000, 10_000
DAY_SECONDS = 86_400
WAIT_MS = 60_000
#: The page tells when no placeholder is left and the stream brings news; nothing is measured by it.
WATCH = """
const look = () => {
  const live = document.querySelector('#status-stream[data-state=ok]');
  const waits = [...document.querySelectorAll('.skeleton')].some((one) => one.checkVisibility());
  if (live && !waits) window.shownAt = performance.now();
  else requestAnimationFrame(look);
};
document.addEventListener('DOMContentLoaded', look);
"""
FIRST_PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? NaN"
SHOW_BARS = """async (plot, count) => {
  const files = document.querySelector('link[rel=icon]').href.replace('favicon.svg', '');
  const { candleChartOn } = await import(`${files}js/candle-chart.js`);
  const bars = Array.from({ length: count }, (_, index) => {
    const [open, close] = [index, index + 1].map((place) => 20_000 + 900 * Math.sin(place / 37) * Math.cos(place / 5));
    const [low, high] = [Math.min(open, close) - 9, Math.max(open, close) + 9];
    return { timestamp: 1_500_000_000_000 + index * 3_600_000, open, high, low, close, volume: 10 + index % 7 };
  });
  const began = performance.now();
  candleChartOn(plot).setBars(bars, 'latest');
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  return performance.now() - began;
}"""
#: A year of hours with about five hundred trades.
BACKTEST = {
    "trader": "ma_cross", "params": {"fast": 3, "slow": 10}, "coins": ["BTC"], "interval": "1h",
    "start_date": "2024-01-01", "end_date": "2024-12-31", "wait": True,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Opening:
    """One opening of a page. All milliseconds, from the start of the navigation."""

    first_paint: float
    shown: float
    script: float
    style: float
    layout: float


def make_database(path: Path) -> None:
    """Coins that the simulated exchange trades, and models that have traded, none of them running."""
    sys.path.append(str(ROOT / "tests"))
    from aitradegame_file import make_traded_file  # the old app's file, for tests

    database = Database(path, SystemClock())
    database.upgrade()
    now_ms = database.clock.now_ms()
    listings = [coin.listing for coin in known_coins()]
    traded = [listing.base for listing in listings if profile_of(listing).on_binance]
    with database.transaction() as connection:
        present = {coin.symbol for coin in coins.list_coins(connection)}
        for symbol in traded:
            if symbol not in present and len(present) < COINS:
                fields = {"symbol": symbol, "name": symbol, "binance_symbol": f"{symbol}USDT"}
                coins.add(connection, fields, now_ms)
                present.add(symbol)
    old = make_traded_file(path.with_name("old.db"), trades=TRADES, models=MODELS)
    with aitradegame.opened(old) as opened:
        import_file(opened, database, seal=str, by=COMMAND_LINE)
    database.close()


@contextmanager
def quiet_app(path: Path) -> Iterator[str]:
    """The app's address, on a simulated exchange in real time."""
    with running(["-m", "exchange_simulator", "--port", "0", "--with-parent"], {}) as exchange:
        stream = exchange.address.replace("http", "ws", 1)
        environment = {
            "DATABASE_PATH": str(path), "PORT": "0", "MARKET": "demo", "LOCAL_PROVIDERS": "on",
            "BINANCE_API_URL": exchange.address, "BINANCE_STREAM_URL": stream,
            "OKX_API_URL": exchange.address, "OKX_STREAM_URL": f"{stream}/ws/v5",
            "COINGECKO_API_URL": f"{exchange.address}/coingecko",
        }  # fmt: skip
        with running(["-m", "flask", "--app", "app", "serve"], environment) as app:
            yield app.address


def opening(page: Page, session: CDPSession, path: str) -> Opening:
    """Open the page at `path` and wait until it is all there."""
    page.goto(path, wait_until="commit")
    deadline = time.monotonic() + WAIT_MS / 1000
    while not (shown := page.evaluate("window.shownAt ?? 0")):
        assert time.monotonic() < deadline, f"{path} is not shown"
        page.wait_for_timeout(100)
    spent = counted(session)
    return Opening(
        page.evaluate(FIRST_PAINT), shown, spent["ScriptDuration"],
        spent["RecalcStyleDuration"], spent["LayoutDuration"],
    )  # fmt: skip


def counted(session: CDPSession) -> dict[str, float]:
    """Milliseconds that the page has spent since it was navigated to, by kind."""
    metrics = session.send("Performance.getMetrics")["metrics"]
    return {one["name"]: 1000 * one["value"] for one in metrics if one["name"].endswith("Duration")}


@contextmanager
def watched_page(browser: Browser, address: str) -> Iterator[tuple[Page, CDPSession]]:
    """A page of a new profile that has opened nothing but an answer of the API."""
    context = browser.new_context(base_url=address, viewport={"width": 1440, "height": 900})
    context.set_default_timeout(WAIT_MS)
    page = context.new_page()
    page.goto("/api/version")
    page.add_init_script(WATCH)
    session = context.new_cdp_session(page)
    session.send("Performance.enable")
    yield page, session
    context.close()


def page_paths(page: Page) -> dict[str, str]:
    """Every page, the result of a backtest that is run for it among them."""
    proof = page.request.get("/api/session").json()["csrf_token"]
    answer = page.request.post(
        "/api/backtest/run", data=BACKTEST, headers={"X-CSRF-Token": proof}, timeout=WAIT_MS
    ).json()
    print(f"the backtest made {answer['summary']['total_trades']} trades")
    return {
        "dashboard": "/",
        "charts": "/charts?coin=BTC&interval=1h",
        "models": "/models",
        "model": "/models/1",
        "coins": "/coins",
        "coin pool": "/models/1/coins",
        "backtest": "/backtest",
        "backtest result": f"/backtest/{answer['id']}",
        "data": "/data",
        "settings": "/settings",
    }


def show_many_bars(page: Page) -> float:
    """How long a chart takes to take ten thousand bars, and to draw them."""
    page.goto("/charts?coin=BTC&interval=1h")
    expect(page.get_by_test_id("candle-legend")).to_contain_text("Vol", timeout=WAIT_MS)
    return float(page.get_by_test_id("candle-plot").evaluate(SHOW_BARS, BARS))


def table(rows: Sequence[tuple[str, str, Opening]]) -> list[str]:
    """For a person."""
    head = f"{'page':18}{'':8}{'paint':>8}{'shown':>8}{'script':>8}{'style':>8}{'layout':>8}"
    return [
        head,
        *(
            f"{name:18}{when:8}{one.first_paint:8.0f}{one.shown:8.0f}{one.script:8.0f}"
            f"{one.style:8.0f}{one.layout:8.0f}"
            for name, when, one in rows
        ),
    ]


def measure_pages(browser: Browser, folder: Path) -> None:
    """Print the times of every page."""
    path = folder / "pages.db"
    make_database(path)
    database = Database(path, SystemClock())
    count = database.connection.execute("SELECT COUNT(*) FROM trades").fetchone()[0]
    print(
        f"{len(coins.list_coins(database.connection))} coins, "
        f"{len(models.list_models(database.connection))} models, {count:,} trades"
    )
    database.close()
    rows = []
    with quiet_app(path) as address:
        with watched_page(browser, address) as (page, _):
            paths = page_paths(page)
        for name, where in paths.items():
            with watched_page(browser, address) as (page, session):
                for when in ("new", "again"):
                    rows.append((name, when, opening(page, session, where)))
        print("\n".join(table(rows)))
        with watched_page(browser, address) as (page, _):
            print(f"a chart takes and draws {BARS:,} bars in {show_many_bars(page):.0f} ms")


def measure_a_day(browser: Browser, folder: Path, speed: float) -> None:
    """Print by how much pages grow that stay open for a day of the demo."""
    with demo_server(folder / "demo.db", speed) as server:
        time.sleep(20)
        with (
            watched_page(browser, server.address) as (dashboard, one),
            watched_page(browser, server.address) as (charts, other),
        ):
            dashboard.goto("/")
            charts.goto("/charts?coin=BTC&interval=1m")
            sessions: Mapping[str, CDPSession] = {"dashboard": one, "charts": other}
            for sixth in range(7):
                if sixth:
                    charts.wait_for_timeout(DAY_SECONDS / speed / 6 * 1000)
                    dashboard.evaluate("0")  # what it has told is taken
                else:
                    charts.wait_for_timeout(15_000)  # all is shown
                sizes = {name: heap_mb(session) for name, session in sessions.items()}
                told = ", ".join(f"{name} {size:.1f} MB" for name, size in sizes.items())
                print(f"after {4 * sixth} hours: {told}", flush=True)


def heap_mb(session: CDPSession) -> float:
    """What a page's scripts hold, after a collection."""
    session.send("HeapProfiler.collectGarbage")
    return float(session.send("Runtime.getHeapUsage")["usedSize"]) / 1e6


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--day", action="store_true", help="how much pages grow in a day of the demo"
    )
    parser.add_argument("--speed", type=float, default=120.0, help="of that day, times real time")
    asked = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="pages-") as folder,
        sync_playwright() as playwright,
    ):
        browser = launch_browser(playwright)
        if asked.day:
            measure_a_day(browser, Path(folder), asked.speed)
        else:
            measure_pages(browser, Path(folder))
        browser.close()


if __name__ == "__main__":
    main()
