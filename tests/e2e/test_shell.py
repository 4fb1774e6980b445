"""What every page has: two languages, display settings that last, the keyboard, any width."""

import re
import time
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from e2e.conftest import Demo, OpenPage
from e2e.steps import eventually, expect_live, write

pytestmark = pytest.mark.e2e

NAMES = {
    "nav-dashboard": "仪表板", "nav-charts": "K 线图", "nav-backtest": "回测", "nav-models": "模型",
    "nav-data": "数据",
}  # fmt: skip
#: Texts that the app itself wrote; what users and exchanges wrote is theirs.
LABELS = "h1, h2, nav a, th, label, dt, .metric-label, .status-name, .button"
CHINESE = re.compile(r"[\u4e00-\u9fff]")
#: Without a word: numbers, intervals, coins, averages, venues, the other language's switch.
WORDLESS = re.compile(r"^(#?|[A-Z0-9]{2,6}|\d+[mhdw]?|Binance|CoinGecko)$")
WIDTHS = (360, 768, 1440)


@pytest.fixture(scope="module")
def backtest_path(demo: Demo, browser: Any) -> str:
    """A backtest that is done, on the demo."""
    context = browser.new_context(base_url=demo.address)
    run = {
        "trader": "ma_cross", "coins": ["BTC"], "wait": True,
        "start_date": "2024-01-01", "end_date": "2024-02-29",
    }  # fmt: skip
    answer = write(context.request, "/api/backtest/run", run).json()
    context.close()
    return f"/backtest/{answer['id']}"


@pytest.fixture(scope="module")
def sweep_path(demo: Demo, browser: Any) -> str:
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


@pytest.fixture
def paths(backtest_path: str, sweep_path: str) -> list[str]:
    """Every page."""
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
    ]


def english_labels(page: Page) -> list[str]:
    labels = page.locator(LABELS).filter(visible=True).all_inner_texts()
    texts = {text.strip() for label in labels for text in label.splitlines()}
    return sorted(text for text in texts if not CHINESE.search(text) and not WORDLESS.match(text))


def test_every_page_speaks_the_language_that_is_switched_to(page: Page, paths: list[str]):
    page.goto("/")
    expect_live(page)
    page.get_by_test_id("language-switch").click()
    expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    model_names = {model["name"] for model in page.request.get("/api/models").json()}
    for path in paths:
        page.goto(path)
        expect_live(page)
        for test_id, name in NAMES.items():
            expect(page.get_by_test_id(test_id)).to_have_text(name)
        assert set(english_labels(page)) - model_names == set(), path
    page.get_by_test_id("language-switch").click()
    expect(page.locator("html")).to_have_attribute("lang", "en")
    expect(page.get_by_test_id("nav-dashboard")).to_have_text("Dashboard")


def test_a_browser_in_chinese_is_answered_in_chinese(open_page: OpenPage, demo: Demo):
    page = open_page(demo.address, locale="zh-CN")
    page.goto("/")
    expect(page.get_by_role("heading", level=1)).to_have_text("仪表板")
    expect_live(page)


def test_display_settings_last(open_page: OpenPage, demo: Demo):
    page = open_page(demo.address, timezone_id="Asia/Shanghai", color_scheme="light")
    page.goto("/")
    expect_live(page)
    html = page.locator("html")
    expect(html).to_have_attribute("data-theme", "light")
    expect(page.get_by_test_id("market-time").locator("xpath=..")).to_contain_text("Shanghai")
    local_hour = hour_of(page)
    page.get_by_role("button", name="Display settings").click()
    for name, choice in (("Theme", "Dark"), ("Times in", "UTC"), ("Colours", "Red up")):
        group = page.get_by_role("group", name=name)
        group.get_by_role("button", name=choice, exact=True).click()
        expect(group.get_by_role("button", name=choice, exact=True)).to_have_attribute(
            "aria-pressed", "true"
        )
    page.keyboard.press("Escape")
    expect(page.get_by_test_id("display-menu")).to_be_hidden()
    for path in ("/", "/charts", "/models"):
        page.goto(path)
        expect_live(page)
        expect(html).to_have_attribute("data-theme", "dark")
        expect(html).to_have_attribute("data-updown", "red-up")
        expect(page.get_by_test_id("market-time").locator("xpath=..")).to_contain_text("UTC")
        assert (local_hour - hour_of(page)) % 24 in (7, 8)  # an hour may have passed meanwhile


def hour_of(page: Page) -> int:
    clock = page.locator("#market-clock")
    expect(clock).to_have_text(re.compile(r"^\d\d:\d\d:\d\d$"))
    return int(clock.inner_text()[:2])


def focused(page: Page) -> str:
    text: str = page.evaluate(
        "document.activeElement.dataset.testid ?? document.activeElement.textContent.trim()"
    )
    return text


def test_the_keyboard_reaches_everything_in_order(page: Page):
    page.goto("/models")
    expect_live(page)
    page.keyboard.press("Tab")
    assert focused(page) == "Skip to the content"
    expect(page.get_by_role("link", name="Skip to the content")).to_be_in_viewport()
    navigation = page.locator("nav a").evaluate_all("links => links.map(a => a.dataset.testid)")
    tools = ["kill-switch", "language-switch", "display-settings"]
    in_order = ["brand", *navigation, *tools, "status-sources"]
    for expected in in_order:
        page.keyboard.press("Tab")
        assert focused(page) == expected

    page.reload()
    expect_live(page)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert focused(page) == "filter-models"
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    assert focused(page) == "add-model"
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("Name")).to_be_focused()
    page.keyboard.press("Tab")
    assert focused(page) == "field-trader"
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()


@pytest.mark.parametrize("language", ["en-US", "zh-CN"])
def test_no_page_is_wider_than_its_window(
    open_page: OpenPage, demo: Demo, paths: list[str], language: str
):
    page = open_page(demo.address, locale=language)
    for path in paths:
        page.goto(path)
        expect_live(page)
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 800})
            expect_no_overflow(page, f"{path} at {width}")


def expect_no_overflow(page: Page, where: str) -> None:
    """The document is not wider than its window, once the charts have taken their new size."""
    overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    eventually(page, lambda: page.evaluate(overflow) == 0, what=f"no overflow of {where}")


def test_the_api_is_documented_without_a_word_of_another_site(page: Page, demo: Demo):
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto("/")
    page.get_by_role("link", name="API documentation").click()
    page.wait_for_load_state()
    documented = page.locator("#api-docs .opblock")
    expect(documented.first).to_be_visible()
    assert documented.count() > 20
    documented.first.click()
    expect(page.locator("#api-docs .opblock-body").first).to_be_visible()
    assert [url for url in asked if not url.startswith((demo.address, "data:", "blob:"))] == []


def test_a_page_that_does_not_exist_says_so(page: Page, allowed_statuses: set[int]):
    allowed_statuses.add(404)
    page.goto("/models/999")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.get_by_test_id("nav-dashboard")).to_be_visible()
