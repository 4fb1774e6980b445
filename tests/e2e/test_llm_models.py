"""From a provider to a decision that can be read with all its parts, and the kill switch; in both languages."""

import json
import re
import urllib.request
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Response, expect

from e2e.conftest import OpenPage
from e2e.steps import eventually, expect_live, write
from scripts.running_app import RunningServer

pytestmark = pytest.mark.e2e

KEY = "planted-key-0123456789-zzzz"
HOSTILE = "<img src=x onerror=alert(1)>"
ASKED_TOO_MUCH = {
    "decisions": [
        {
            "coin": "BTC", "signal": "buy_to_enter", "weight": 0.9, "leverage": 40,
            "confidence": 0.8, "justification": HOSTILE,
        }
    ]
}  # fmt: skip
WORDS = {
    "en": {"role": "Role", "cut": "Cut by risk", "answered": "Answered", "halt": "TRADING HALTED"},
    "zh": {"role": "角色", "cut": "已被风控缩减", "answered": "已回答", "halt": "交易已停止"},
}


def say(exchange: RunningServer, *answers: str) -> None:
    """What the simulated provider answers next."""
    request = urllib.request.Request(
        f"{exchange.address}/control/llm/answers",
        json.dumps({"answers": answers}).encode(),
        {"Content-Type": "application/json"},
    )
    urllib.request.urlopen(request).close()


def add_provider(page: Page, name: str, address: str) -> Locator:
    """Fill in the form, have its models fetched, save; its card."""
    page.get_by_test_id("add-provider").click()
    dialog = page.get_by_test_id("provider-dialog")
    dialog.get_by_test_id("field-name").fill(name)
    dialog.get_by_test_id("field-api_url").fill(address)
    dialog.get_by_test_id("field-api_key").fill(KEY)
    dialog.get_by_test_id("fetch-models").click()
    expect(dialog.get_by_test_id("field-models")).to_have_value(re.compile("sim-steady"))
    dialog.get_by_test_id("add-price").click()
    dialog.get_by_test_id("price-name").fill("sim-thinker")
    dialog.get_by_test_id("price-input").fill("1")
    dialog.get_by_test_id("price-output").fill("2")
    dialog.get_by_test_id("provider-save").click()
    expect(dialog).to_be_hidden()
    return page.get_by_test_id("provider-card").filter(has_text=name)


def fill_in_model(page: Page, name: str, provider: str, language: str) -> Locator:
    """The form of a new model that asks the provider's thinker; not yet sent."""
    page.get_by_test_id("add-model").click()
    dialog = page.get_by_test_id("model-dialog")
    dialog.get_by_test_id("field-name").fill(name)
    dialog.get_by_test_id("field-trader").select_option("ai")
    dialog.get_by_test_id("field-provider_id").select_option(label=provider)
    dialog.get_by_test_id("field-model_name").fill("sim-thinker")
    dialog.get_by_test_id("field-prompt").fill(f"Only what I understand. {HOSTILE}")
    dialog.get_by_test_id("field-params.language").select_option(language)
    dialog.get_by_test_id("field-params.advice").select_option("ma_cross")
    dialog.get_by_test_id("field-params.daily_cost").fill("0.5")
    dialog.get_by_test_id("field-enabled").uncheck()
    return dialog


def whole_text(message: Locator) -> str:
    """A message of the preview, put together from its sections."""
    return "".join(message.locator("pre").all_text_contents())


@pytest.mark.parametrize("language", ["en", "zh"])
def test_from_a_provider_to_a_decision_with_all_its_parts(
    open_page: OpenPage, app_address: str, exchange: RunningServer, language: str
):
    words = WORDS[language]
    page = open_page(app_address)
    page.context.add_cookies([{"name": "locale", "value": language, "url": app_address}])
    heard: list[str] = []
    page.on("response", lambda response: heard.extend(body_of(response)))
    page.goto("/models")
    expect_live(page)

    provider, name = f"Simulated {language}", f"Thinker {language}"
    card = add_provider(page, provider, f"{exchange.address}/llm/v1")
    expect(card.get_by_test_id("provider-key")).to_have_text("••••zzzz")
    card.get_by_test_id("provider-test").click()
    expect(card.get_by_test_id("provider-test-result")).to_contain_text("sim-steady")
    expect(card.get_by_test_id("provider-test-result")).to_have_class(re.compile("notice-ok"))

    dialog = fill_in_model(page, name, provider, language)
    dialog.get_by_test_id("preview-panel").locator("summary").first.click()
    sections = dialog.get_by_test_id("preview-system").get_by_test_id("prompt-section")
    expect(sections.first).to_contain_text(words["role"])
    eventually(page, lambda: HOSTILE in whole_text(dialog.get_by_test_id("preview-system")))
    previewed = whole_text(dialog.get_by_test_id("preview-system"))
    assert "BTC" in whole_text(dialog.get_by_test_id("preview-user"))
    dialog.get_by_test_id("field-prompt").fill("Something else.")
    eventually(page, lambda: "Something else." in whole_text(dialog))
    dialog.get_by_test_id("field-prompt").fill(f"Only what I understand. {HOSTILE}")
    dialog.get_by_test_id("model-save").click()
    expect(dialog).to_be_hidden()

    link = page.get_by_role("link", name=name, exact=True)
    row = page.get_by_test_id("models-row").filter(has=link)
    expect(row.get_by_test_id("model-llm")).to_have_text(f"{provider} · sim-thinker")
    answer = json.dumps(ASKED_TOO_MUCH)
    say(exchange, answer)
    row.get_by_test_id("model-run").click()
    expect(page.get_by_test_id("toast").filter(has_text=name)).to_be_visible()

    link.click()
    expect_live(page)
    decision = page.get_by_test_id("decisions-row")
    expect(decision).to_have_count(1)
    expect(decision.get_by_test_id("outcome")).to_have_text(words["cut"])
    decision.get_by_test_id("open-details").click()
    opened = page.get_by_test_id("decision-dialog")
    expect(opened.get_by_test_id("decision-parsed")).to_contain_text(HOSTILE)
    risk = opened.get_by_test_id("decision-risk")
    expect(risk.get_by_role("row", name=re.compile(r" 40 5 "))).to_have_count(1)
    expect(opened.get_by_test_id("fill-link")).to_have_count(1)
    expect(opened.get_by_test_id("call-status")).to_have_text(words["answered"])
    expect(opened.get_by_test_id("call-facts")).to_contain_text(re.compile(r"\d,\d{3}"))
    expect(opened.get_by_test_id("call-facts")).to_contain_text("$0.00")
    expect(opened.get_by_test_id("call-answer").locator("pre")).to_have_text(answer)
    assert whole_text(opened.get_by_test_id("call-system")) == previewed
    assert "BTC" in whole_text(opened.get_by_test_id("call-prompt"))
    expect(page.locator("img[src='x']")).to_have_count(0)
    opened.get_by_test_id("decision-close").click()

    page.get_by_test_id("model-run").click()  # now by the provider's own rule, with reasoning
    expect(page.get_by_test_id("calls-row")).to_have_count(2)
    eventually(
        page,
        lambda: page.get_by_test_id("call-status").all_inner_texts() == [words["answered"]] * 2,
    )
    page.get_by_test_id("calls-row").first.get_by_test_id("open-details").click()
    opened.get_by_test_id("call-reasoning").locator("summary").click()
    expect(opened.get_by_test_id("call-reasoning").locator("pre")).to_be_visible()
    opened.get_by_test_id("decision-close").click()

    page.get_by_test_id("decisions-row").last.get_by_test_id("open-details").click()
    number = opened.get_by_test_id("fill-link").inner_text().removeprefix("#")
    opened.get_by_test_id("fill-link").click()
    expect(page).to_have_url(re.compile(rf"\?trade={number}$"))
    expect_live(page)
    marked = page.locator(f"tr.row-marked[data-key='{number}']")
    expect(marked).to_be_in_viewport()

    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert len(heard) > 20
    assert [text for text in (*heard, page.content()) if KEY in text] == []


def body_of(response: Response) -> list[str]:
    """The text of an answer of the API that ends."""
    if "/api/" not in response.url or "/api/stream" in response.url:
        return []
    return [response.text()]


def test_the_prompt_of_a_model_is_edited_on_its_page(
    open_page: OpenPage, app_address: str, exchange: RunningServer
):
    page = open_page(app_address)
    page.goto("/models")
    expect_live(page)
    add_provider(page, "Edited", f"{exchange.address}/llm/v1")
    dialog = fill_in_model(page, "Editable", "Edited", "en")
    dialog.get_by_test_id("model-save").click()
    expect(dialog).to_be_hidden()
    page.get_by_role("link", name="Editable", exact=True).click()
    expect_live(page)
    save = page.get_by_test_id("save-prompt")
    expect(save).to_be_disabled()
    editor = page.get_by_test_id("model-prompt")
    editor.get_by_test_id("preview-panel").locator("summary").first.click()
    editor.get_by_test_id("field-prompt").fill("Sell in May.")
    eventually(page, lambda: "Sell in May." in whole_text(editor.get_by_test_id("preview-system")))
    save.click()
    expect(save).to_be_disabled()
    page.reload()
    expect(editor.get_by_test_id("field-prompt")).to_have_value("Sell in May.")


def test_what_a_provider_refuses_is_said_in_its_form(
    open_page: OpenPage, app_address: str, allowed_statuses: set[int]
):
    allowed_statuses.update({400, 503})
    page = open_page(app_address)
    page.goto("/models")
    expect_live(page)
    page.get_by_test_id("add-provider").click()
    dialog = page.get_by_test_id("provider-dialog")
    dialog.get_by_test_id("provider-save").click()
    expect(dialog.get_by_test_id("error-name")).not_to_be_empty()
    dialog.get_by_test_id("field-name").fill("Metadata")
    dialog.get_by_test_id("field-api_url").fill("http://169.254.169.254/v1")
    dialog.get_by_test_id("fetch-models").click()
    expect(dialog.get_by_test_id("fetch-models-result")).to_contain_text("metadata")
    dialog.get_by_test_id("provider-save").click()
    expect(dialog.get_by_test_id("error-api_url")).to_contain_text("metadata")
    dialog.get_by_test_id("provider-cancel").click()
    expect(page.get_by_test_id("provider-card").filter(has_text="Metadata")).to_have_count(0)


def test_the_kill_switch_is_one_click_a_question_and_seen_on_every_page(
    open_page: OpenPage, app_address: str, allowed_statuses: set[int]
):
    page, other = open_page(app_address), open_page(app_address)
    for one, path in ((page, "/models"), (other, "/coins")):
        one.goto(path)
        expect_live(one)
        expect(one.get_by_test_id("status-halt")).to_be_hidden()
    page.get_by_test_id("kill-switch").click()
    question = page.get_by_test_id("confirm-dialog")
    expect(question).to_contain_text("no LLM is called")
    expect(question).to_contain_text("Positions stay open")
    question.get_by_test_id("confirm-cancel").click()
    expect(page.get_by_test_id("status-halt")).to_be_hidden()

    page.get_by_test_id("kill-switch").click()
    question.get_by_test_id("confirm-accept").click()
    for one in (page, other):
        expect(one.get_by_test_id("status-halt")).to_have_text(WORDS["en"]["halt"])
        expect(one.get_by_test_id("kill-switch")).to_have_accessible_name("Resume all trading")
    model: dict[str, Any] = {"name": "Halted", "trader": "buy_and_hold", "enabled": False}
    write(page.request, "/api/models", model)
    page.reload()
    expect_live(page)
    allowed_statuses.add(409)
    row = page.get_by_test_id("models-row").filter(has_text="Halted")
    row.get_by_test_id("model-run").click()
    expect(page.get_by_test_id("toast")).to_contain_text("All trading is stopped")

    other.get_by_test_id("kill-switch").click()
    other.get_by_test_id("confirm-accept").click()
    for one in (page, other):
        expect(one.get_by_test_id("status-halt")).to_be_hidden()
    row.get_by_test_id("model-run").click()
    expect(page.get_by_test_id("toast").filter(has_text="Halted ran one cycle")).to_be_visible()
