"""What every page has: two languages, display settings that last, the keyboard, any width."""

import re

import pytest
from playwright.sync_api import Page, expect

from e2e.axe import WHAT_A_LANGUAGE_CHANGES, findings
from e2e.conftest import Demo, OpenPage
from e2e.steps import eventually, expect_live

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
WIDTHS = (360, 768, 1440, 3840)
LARGEST_SHIFT = 0.05
MEASURE_SHIFTS = """
window.layoutShift = 0;
new PerformanceObserver((list) => {
  for (const { value, hadRecentInput } of list.getEntries()) if (!hadRecentInput) layoutShift += value;
}).observe({ type: 'layout-shift', buffered: true });
"""


def english_labels(page: Page) -> list[str]:
    labels = page.locator(LABELS).filter(visible=True).all_inner_texts()
    texts = {text.strip() for label in labels for text in label.splitlines()}
    return sorted(text for text in texts if not CHINESE.search(text) and not WORDLESS.match(text))


def test_every_page_speaks_the_language_that_is_switched_to(page: Page, every_path: list[str]):
    page.goto("/")
    expect_live(page)
    page.get_by_test_id("language-switch").click()
    expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    model_names = {model["name"] for model in page.request.get("/api/models").json()}
    for path in every_path:
        page.goto(path)
        expect_live(page)
        for test_id, name in NAMES.items():
            expect(page.get_by_test_id(test_id)).to_have_text(name)
        assert set(english_labels(page)) - model_names == set(), path
        assert findings(page, WHAT_A_LANGUAGE_CHANGES) == [], path
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
def test_no_page_jumps_while_it_loads_or_is_wider_than_its_window(
    open_page: OpenPage, demo: Demo, every_path: list[str], language: str
):
    page = open_page(demo.address, locale=language, viewport={"width": 390, "height": 844})
    page.add_init_script(MEASURE_SHIFTS)
    for path in every_path:
        page.goto(path)
        expect_live(page)
        assert page.evaluate("layoutShift") < LARGEST_SHIFT, path
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
