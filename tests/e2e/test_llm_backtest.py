"""A language model in a backtest, from the form: what it will cost, then the run; in both languages."""

import re
from io import BytesIO
from statistics import median

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from e2e.conftest import Demo, OpenPage
from e2e.steps import write

pytestmark = pytest.mark.e2e

#: Of the width of a chart: well before the middle of its times, and well after it.
PLACES = (0.2, 0.8)


@pytest.mark.parametrize(
    ("locale", "recorded", "evidence"),
    [("en", "answers are recorded already", "run backtest"), ("zh", "已记录", "开始回测")],
)
def test_the_form_says_what_an_llm_will_cost(
    open_page: OpenPage, demo: Demo, locale: str, recorded: str, evidence: str
):
    page = open_page(demo.address, locale="zh-CN" if locale == "zh" else "en-US")
    page.goto("/backtest")
    expect(page.get_by_test_id("run-backtest")).to_have_text(re.compile(evidence, re.IGNORECASE))
    expect(page.get_by_test_id("llm-run")).to_be_hidden()
    page.get_by_test_id("who-model").click()
    models = page.get_by_test_id("field-model_id")
    expect(page.get_by_test_id("llm-run")).to_be_hidden()  # the first model follows a rule
    asking = next(
        model for model in page.request.get("/api/models").json() if model["trader"] == "ai"
    )
    models.select_option(str(asking["id"]))
    expect(page.get_by_test_id("llm-run")).to_be_visible()
    page.get_by_test_id("estimate-cost").click()
    expect(page.get_by_test_id("cost-estimate")).to_contain_text(recorded)
    expect(page.get_by_test_id("cost-estimate")).to_contain_text("$")
    page.get_by_test_id("who-strategy").click()
    expect(page.get_by_test_id("llm-run")).to_be_hidden()


def test_what_the_model_may_remember_stands_apart_and_in_the_shade(open_page: OpenPage, demo: Demo):
    page = open_page(demo.address)
    (known,) = page.request.get("/api/providers").json()
    model = known["models"][0]
    provider = {
        "name": "Reads the news", "api_url": known["api_url"], "api_key": "sk-of-the-demo",
        "models": [model], "knowledge_cutoffs": {model: "2024-05-28"},
    }  # fmt: skip
    added = write(page.request, "/api/providers", provider)
    assert added.status == 201, added.text()
    run = {
        "trader": "ai", "provider_id": added.json()["id"], "model_name": model, "coins": ["BTC"],
        "params": {"history_bars": 12}, "interval": "1h", "decide_every": 4, "risk": "balanced",
        "start_date": "2024-05-27", "end_date": "2024-05-30", "wait": True,
    }  # fmt: skip
    answer = write(page.request, "/api/backtest/run", run)
    assert answer.status == 200, answer.text()
    page.goto(f"/backtest/{answer.json()['id']}")
    expect(page.get_by_test_id("knowledge-row")).to_have_count(2)
    inside, outside = page.get_by_test_id("knowledge-row").all_inner_texts()
    assert re.match(r"Up to 2024-05-28: no evidence\s+48\s", inside)
    assert re.match(r"After it\s+48\s", outside)
    expect(page.get_by_test_id("price-chart").locator("canvas").first).to_be_visible()
    for canvas in ("equity-chart", "price-chart"):
        assert left_is_warmer(page, canvas), canvas


def left_is_warmer(page: Page, test_id: str) -> bool:
    """The ground of a picture's left half is shaded in amber, that of its right half is not."""
    picture = Image.open(BytesIO(page.get_by_test_id(test_id).screenshot())).convert("RGB")
    left, right = (warmth(picture, round(picture.width * part)) for part in PLACES)
    return left > right + 8


def warmth(picture: Image.Image, x: int) -> float:
    """How much more red than blue a column of pixels has, at its median."""
    pixels = (picture.getpixel((x, y)) for y in range(picture.height))
    return median(red - blue for red, _, blue in pixels)  # type: ignore[misc]
