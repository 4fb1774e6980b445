"""The page of a model's coin pool: what it may trade, and with which share."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from e2e.conftest import OpenPage
from e2e.steps import eventually, expect_live, number, write

pytestmark = pytest.mark.e2e

HOSTILE_NAME = "<img src=x onerror=alert(1)>"
FILLED = {"executed", "adjusted"}

AddModel = Callable[..., int]


@pytest.fixture
def page(open_page: OpenPage, app_address: str) -> Page:
    return open_page(app_address)


@pytest.fixture
def add_model(page: Page) -> AddModel:
    """Makes models that trade only when they are told to."""

    def add(name: str, coins: list[str]) -> int:
        body = {"name": name, "trader": "buy_and_hold", "coins": coins, "enabled": False}
        answer = write(page.request, "/api/models", body)
        assert answer.ok, answer.text()
        model_id: int = answer.json()["id"]
        return model_id

    return add


def show_pool(page: Page, model_id: int) -> None:
    page.goto(f"/models/{model_id}/coins")
    expect_live(page)
    expect(page.get_by_test_id("available-count")).not_to_be_empty()


def pool_of(page: Page, model_id: int) -> dict[str, Any]:
    """The pool as the server has it, by symbol."""
    rows = page.request.get(f"/api/models/{model_id}/coins").json()
    return {row["symbol"]: row for row in rows}


def row(page: Page, symbol: str) -> Locator:
    return page.get_by_test_id(f"selected-{symbol}")


def share(page: Page, symbol: str) -> float:
    return number(page.get_by_test_id(f"share-{symbol}").inner_text())


def run_now(page: Page, model_id: int) -> list[dict[str, Any]]:
    """One cycle; what it decided."""
    answer = write(page.request, f"/api/models/{model_id}/execute", {})
    assert answer.ok, answer.text()
    decisions: list[dict[str, Any]] = answer.json()["decisions"]
    return decisions


def test_the_pool_is_reached_from_the_models(page: Page, add_model: AddModel):
    model_id = add_model("Linked", ["BTC", "ETH"])
    page.goto("/models")
    expect_live(page)
    listed = page.get_by_test_id("models-row").filter(has_text="Linked")
    listed.get_by_test_id("model-coins").click()
    expect(page).to_have_url(re.compile(f"/models/{model_id}/coins$"))
    expect_live(page)
    expect(page.get_by_test_id("pool-model")).to_have_text("Linked")
    page.get_by_test_id("to-model").click()
    expect(page).to_have_url(re.compile(f"/models/{model_id}$"))
    page.get_by_test_id("model-coins").click()
    expect(page.get_by_test_id("selected-count")).to_have_text("2")
    expect(page.get_by_test_id("nav-models")).to_have_attribute("aria-current", "page")
    page.get_by_test_id("all-coins").click()
    expect(page).to_have_url(re.compile("/coins$"))


def test_coins_are_found_added_and_removed(page: Page, add_model: AddModel):
    model_id = add_model("Chooser", ["BTC"])
    show_pool(page, model_id)
    available = int(number(page.get_by_test_id("available-count").inner_text()))
    page.get_by_test_id("search-available").fill("doge")
    expect(page.get_by_test_id("available").locator("li")).to_have_count(1)
    page.get_by_role("button", name="Add DOGE").click()
    expect(row(page, "DOGE")).to_be_visible()
    expect(page.get_by_test_id("available-DOGE")).to_have_count(0)
    expect(page.get_by_test_id("available-count")).to_have_text(str(available - 1))
    page.get_by_test_id("search-available").fill("")
    page.get_by_role("button", name="Add ETH", exact=True).click()
    expect(row(page, "ETH")).to_be_visible()

    page.get_by_test_id("search-selected").fill("bitcoin")
    expect(row(page, "ETH")).to_be_hidden()
    expect(row(page, "BTC")).to_be_visible()
    page.get_by_test_id("search-selected").fill("zzz")
    expect(page.locator("#selected")).to_contain_text("No coin is called like this.")
    page.get_by_test_id("search-selected").fill("")
    page.get_by_role("button", name="Remove: ETH").click()
    expect(row(page, "ETH")).to_have_count(0)
    expect(page.get_by_test_id("available-ETH")).to_be_visible()
    assert set(pool_of(page, model_id)) == {"BTC", "DOGE"}

    for symbol in ("BTC", "DOGE"):
        page.get_by_role("button", name=f"Remove: {symbol}").click()
        expect(row(page, symbol)).to_have_count(0)
    expect(page.locator("#selected")).to_contain_text("The pool is empty")


def test_a_group_is_added_at_once(page: Page, add_model: AddModel):
    model_id = add_model("Grouper", ["ETH"])
    groups = {group["name"]: group for group in page.request.get("/api/coin-groups").json()}
    symbols = {coin["symbol"] for coin in groups["Layer1"]["coins"] if coin["is_active"]}
    assert "ETH" in symbols
    show_pool(page, model_id)
    for name in groups:
        expect(page.get_by_test_id(f"quick-{name}")).to_be_visible()
    page.get_by_test_id("quick-Layer1").click()
    toast = page.get_by_test_id("toast")
    expect(toast).to_contain_text(f"Coins of Layer1 added: {len(symbols) - 1}.")
    expect(page.get_by_test_id("selected-count")).to_have_text(str(len(symbols)))
    assert set(pool_of(page, model_id)) == symbols
    page.get_by_test_id("quick-Layer1").click()
    expect(toast.last).to_contain_text("Every coin of Layer1 is in the pool already.")


def test_weights_and_their_shares(page: Page, add_model: AddModel, allowed_statuses: set[int]):
    allowed_statuses.add(400)
    model_id = add_model("Weigher", ["BTC", "ETH", "SOL"])
    show_pool(page, model_id)
    assert share(page, "BTC") == pytest.approx(33.33)
    weight = page.get_by_label("Weight of ETH")
    weight.fill("2")
    eventually(page, lambda: share(page, "ETH") == 50.0)  # at once, before it is saved
    assert pool_of(page, model_id)["ETH"]["weight"] == 1
    weight.press("Enter")
    eventually(page, lambda: pool_of(page, model_id)["ETH"]["share"] == 0.5)
    bar = row(page, "ETH").locator("progress")
    assert bar.evaluate("(node) => node.value") == 0.5

    for wrong, reason in [("0", "above 0"), ("5000", "1000")]:
        weight.fill(wrong)
        weight.press("Enter")
        expect(page.get_by_test_id("weight-error-ETH")).to_contain_text(reason)
        expect(weight).to_have_attribute("aria-invalid", "true")
    weight.fill("3")
    weight.press("Enter")
    expect(page.get_by_test_id("weight-error-ETH")).to_be_empty()
    eventually(page, lambda: pool_of(page, model_id)["ETH"]["weight"] == 3)

    page.get_by_test_id("enable-ETH").uncheck()
    eventually(page, lambda: (share(page, "BTC"), share(page, "ETH")) == (50.0, 0.0))
    assert pool_of(page, model_id)["ETH"]["is_enabled"] is False
    page.get_by_test_id("enable-ETH").check()
    eventually(page, lambda: share(page, "ETH") == 60.0)
    page.reload()
    expect(page.get_by_test_id("share-ETH")).to_have_text("60.00%")


def test_a_coin_that_is_held_becomes_close_only(page: Page, add_model: AddModel):
    model_id = add_model("Holder", ["BTC", "ETH"])
    assert {decision["outcome"] for decision in run_now(page, model_id)} <= FILLED
    show_pool(page, model_id)
    expect(page.get_by_test_id("held-BTC")).to_be_visible()
    page.get_by_role("button", name="Remove: BTC").click()
    question = page.get_by_role("dialog", name="Remove BTC from the pool?")
    expect(question).to_contain_text("The coin becomes close-only")
    question.get_by_role("button", name="Cancel").click()
    assert pool_of(page, model_id)["BTC"]["in_pool"] is True
    page.get_by_role("button", name="Remove: BTC").click()
    question.get_by_role("button", name="Remove").click()
    expect(page.get_by_test_id("close-only-BTC")).to_be_visible()
    expect(page.get_by_test_id("reason-BTC")).to_contain_text("Not in the pool")
    expect(page.get_by_test_id("selected-count")).to_have_text("1")
    expect(page.get_by_label("Weight of BTC")).to_be_hidden()
    expect(page.get_by_test_id("available-BTC")).to_have_count(0)

    page.get_by_test_id("enable-ETH").uncheck()
    expect(page.get_by_test_id("reason-ETH")).to_contain_text("Disabled in the pool")
    page.get_by_role("button", name="Add again: BTC").click()
    expect(page.get_by_test_id("close-only-BTC")).to_have_count(0)
    assert pool_of(page, model_id)["BTC"]["in_pool"] is True


def test_what_is_added_here_is_traded_by_this_model_alone(page: Page, add_model: AddModel):
    model_id, other_id = add_model("Meme lover", ["BTC"]), add_model("Other", ["BTC"])
    show_pool(page, model_id)
    for symbol in ("PEPE", "ARB"):
        page.get_by_test_id("search-available").fill(symbol)
        page.get_by_role("button", name=f"Add {symbol}", exact=True).click()
        expect(row(page, symbol)).to_be_visible()
    filled = {
        decision["coin"] for decision in run_now(page, model_id) if decision["outcome"] in FILLED
    }
    assert filled == {"BTC", "PEPE", "ARB"}
    assert {decision["coin"] for decision in run_now(page, other_id)} == {"BTC"}
    page.reload()
    for symbol in ("PEPE", "ARB"):
        expect(page.get_by_test_id(f"held-{symbol}")).to_be_visible()


def test_markup_in_names_is_text(page: Page, add_model: AddModel):
    model_id = add_model(HOSTILE_NAME, ["BTC"])
    coin = {"symbol": "EVIL", "name": HOSTILE_NAME, "category": "<b>b</b>"}
    group = {
        "name": "<u>group</u>",
        "coin_ids": [write(page.request, "/api/coins", coin).json()["id"]],
    }
    assert write(page.request, "/api/coin-groups", group).ok
    show_pool(page, model_id)
    expect(page.get_by_test_id("pool-model")).to_have_text(HOSTILE_NAME)
    expect(page.get_by_test_id("available-EVIL")).to_contain_text(HOSTILE_NAME)
    page.get_by_role("button", name="<u>group</u> 1 coin").click()
    expect(row(page, "EVIL")).to_contain_text(HOSTILE_NAME)
    expect(page.get_by_test_id("toast")).to_contain_text("Coins of <u>group</u> added: 1.")
    expect(page.locator("img[src='x'], b, u")).to_have_count(0)


def test_an_unknown_model_is_said_to_be_one(page: Page, allowed_statuses: set[int]):
    allowed_statuses.add(404)
    page.goto("/models/987654/coins")
    expect(page.get_by_role("main")).to_contain_text("Page not found")


@pytest.mark.parametrize("width", [360, 1440, 3840])
def test_nothing_is_wider_than_the_screen(
    open_page: OpenPage, app_address: str, add_model: AddModel, width: int
):
    model_id = add_model(f"At {width} pixels", ["BTC", "PEPE"])
    page = open_page(app_address, viewport={"width": width, "height": 900})
    show_pool(page, model_id)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    available, selected = page.get_by_test_id("available"), page.get_by_test_id("selected")
    tops = [
        node.evaluate("(node) => node.getBoundingClientRect().top")
        for node in (available, selected)
    ]
    beside = abs(tops[0] - tops[1]) < 100
    assert beside == (width > 1000)


def test_the_page_in_chinese(open_page: OpenPage, app_address: str, add_model: AddModel):
    model_id = add_model("中文模型", ["BTC"])
    page = open_page(app_address, locale="zh-CN")
    show_pool(page, model_id)
    expect(page.get_by_role("heading", name="币种池")).to_be_visible()
    expect(page.get_by_test_id("remove-BTC")).to_have_text("移除")
