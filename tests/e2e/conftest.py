"""A real browser on the real server. Whatever goes wrong in a page fails the test that opened it."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Response, expect, sync_playwright

from e2e.steps import write
from scripts.running_app import RunningServer, demo_server, launch_browser, running

WAIT_MS = 20_000
#: A violation of the content security policy is an error in the console, whatever else it does.
REPORT_VIOLATIONS = """
addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI, sourceFile }) =>
  console.error(`CSP: ${violatedDirective} ${blockedURI} in ${sourceFile}`));
"""

OpenPage = Callable[..., Page]


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """One for the package: its event loop must be gone before other tests start one."""
    expect.set_options(timeout=WAIT_MS)
    with sync_playwright() as playwright:
        browser = launch_browser(playwright)
        yield browser
        browser.close()


@dataclass(frozen=True)
class Demo:
    """The demo as it was started on a new database."""

    address: str
    started_at: float


@pytest.fixture(scope="package")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """`make demo`: seven models on a market that runs 30 times as fast as real time."""
    started_at = time.monotonic()
    with demo_server(tmp_path_factory.mktemp("demo") / "demo.db") as server:
        yield Demo(server.address, started_at)


@pytest.fixture(scope="package")
def backtest_path(demo: Demo, browser: Browser) -> str:
    """A backtest that is done, on the demo."""
    context = browser.new_context(base_url=demo.address)
    run = {
        "trader": "ma_cross", "coins": ["BTC"], "wait": True,
        "start_date": "2024-01-01", "end_date": "2024-02-29",
    }  # fmt: skip
    answer = write(context.request, "/api/backtest/run", run).json()
    context.close()
    return f"/backtest/{answer['id']}"


@pytest.fixture(scope="package")
def sweep_path(demo: Demo, browser: Browser) -> str:
    """A search that is done, on the demo."""
    context = browser.new_context(base_url=demo.address)
    run = {
        "trader": "ma_cross", "coins": ["BTC"], "start_date": "2024-01-01",
        "end_date": "2024-02-29",
    }  # fmt: skip
    ranges = {"fast": {"values": [5, 10]}, "kind": {}}
    asked = {"run": run, "ranges": ranges, "fit_days": 20, "score_days": 20}
    path = write(context.request, "/api/backtests/sweep", asked).json()["status_url"]
    while context.request.get(path).json()["status"] in ("queued", "running"):
        time.sleep(0.1)
    context.close()
    return path.replace("/api/backtests", "/backtest")


@pytest.fixture(scope="package")
def every_path(backtest_path: str, sweep_path: str) -> list[str]:
    """Every page of the demo that has the shell around it."""
    return [
        "/",
        "/charts",
        "/backtest",
        backtest_path,
        f"/backtest/compare?ids={backtest_path.rsplit('/', 1)[1]}",
        sweep_path,
        "/models",
        "/models/2",
        "/coins",
        "/models/2/coins",
        "/data",
        "/settings",
    ]


@pytest.fixture(scope="module")
def exchange() -> Iterator[RunningServer]:
    """The simulated exchange in real time, as a process that a test may stop."""
    with running(["-m", "exchange_simulator", "--port", "0", "--with-parent"], {}) as server:
        yield server


@pytest.fixture(scope="module")
def app_address(exchange: RunningServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The app on an empty database of the module's own, without models."""
    environment = {
        "DATABASE_PATH": str(tmp_path_factory.mktemp("app") / "trading.db"),
        "BINANCE_API_URL": exchange.address,
        "OKX_API_URL": exchange.address,
        "BINANCE_STREAM_URL": exchange.address.replace("http", "ws", 1),
        "OKX_STREAM_URL": exchange.address.replace("http", "ws", 1) + "/ws/v5",
        "COINGECKO_API_URL": f"{exchange.address}/coingecko",
        "SOURCE_TIMEOUT_SECONDS": "2",
        "SOURCE_REST_SECONDS": "1",
        "PRICE_POLL_SECONDS": "0.5",
        "LOCAL_PROVIDERS": "on",
        "MARKET": "demo",
        "PORT": "0",
    }
    with running(["-m", "flask", "--app", "app", "serve"], environment) as server:
        yield server.address


@pytest.fixture
def allowed_statuses() -> set[int]:
    """Answers of 400 and more that a test provokes; it adds them."""
    return set()


@pytest.fixture
def open_page(browser: Browser, allowed_statuses: set[int]) -> Iterator[OpenPage]:
    """Opens pages of an address, each in a browser profile of its own, and watches them."""
    contexts = []
    troubles: list[str] = []

    def open_one(address: str, **options: Any) -> Page:
        settings = {"viewport": {"width": 1440, "height": 900}, "locale": "en-US"} | options
        context = browser.new_context(base_url=address, **settings)
        contexts.append(context)
        context.set_default_timeout(WAIT_MS)
        context.add_init_script(REPORT_VIOLATIONS)
        page = context.new_page()
        watch(page, troubles, allowed_statuses)
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert troubles == []


@pytest.fixture
def page(open_page: OpenPage, demo: Demo) -> Page:
    """A page of the demo."""
    return open_page(demo.address)


def watch(page: Page, troubles: list[str], allowed_statuses: set[int]) -> None:
    """Add to `troubles` whatever goes wrong in `page`."""

    def answered(response: Response) -> None:
        if response.status >= 400 and response.status not in allowed_statuses:
            troubles.append(f"{response.request.method} {response.url}: {response.status}")

    def dialog_opened(dialog: Any) -> None:
        troubles.append(f"a dialog opened: {dialog.message}")
        dialog.dismiss()

    page.on("response", answered)
    page.on("dialog", dialog_opened)
    page.on("pageerror", lambda error: troubles.append(f"{error.message}\n{error.stack}"))
    page.on("console", lambda message: troubles.extend(trouble_in(message)))
    page.on("requestfailed", lambda request: troubles.extend(failure_of(request)))


def trouble_in(message: Any) -> list[str]:
    """An error or a warning of the console; that an answer was an error is known from the answer."""
    harmless = message.type not in ("error", "warning")
    if harmless or message.text.startswith("Failed to load resource"):
        return []
    return [f"console {message.type}: {message.text} ({message.location.get('url')})"]


def failure_of(request: Any) -> list[str]:
    """A request without an answer, unless the page was left while it was under way."""
    if request.failure == "net::ERR_ABORTED":
        return []
    return [f"{request.method} {request.url}: {request.failure}"]


@pytest.fixture(scope="session")
def pictures() -> Path:
    """The folder of the README's pictures."""
    folder = Path(__file__).parent.parent.parent / "docs" / "images"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
