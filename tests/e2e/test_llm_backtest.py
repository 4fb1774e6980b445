"""A language model in a backtest, from the form: what it will cost, then the run; in both languages."""

import re

import pytest
from playwright.sync_api import expect

from e2e.conftest import Demo, OpenPage

pytestmark = pytest.mark.e2e


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
