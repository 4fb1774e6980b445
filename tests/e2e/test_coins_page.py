"""The Coins page: found, added, edited, checked, discovered; groups put in order."""

import csv
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import FloatRect, Locator, Page, Request, expect

from e2e.conftest import OpenPage
from e2e.steps import column, eventually, expect_live, write

pytestmark = pytest.mark.e2e

HOSTILE_NAME = "<img src=x onerror=alert(1)>"
COINS_SHOWN = 500
GROUPS_SHOWN = 50
MOST_TIMES_BARE = 8  # what the browser takes for a table of as many rows without our style


@pytest.fixture
def coins_page(open_page: OpenPage, app_address: str) -> Page:
    page = open_page(app_address)
    show(page, "/coins")
    return page


def show(page: Page, path: str) -> None:
    page.goto(path)
    expect_live(page)
    expect(page.get_by_test_id("count")).not_to_be_empty()


def api(page: Page, path: str) -> Any:
    return page.request.get(path).json()


def sent(page: Page, method: str, path: str, body: dict[str, Any]) -> Any:
    """The answer to a write that a script could do as well."""
    answer = write(page.request, path, body, method)
    assert answer.ok, answer.text()
    return answer.json()


def card(page: Page, symbol: str) -> Locator:
    link = page.get_by_role("link", name=symbol, exact=True)
    return page.get_by_test_id("coin-card").filter(has=link)


def add_coin(page: Page, symbol: str, name: str, **fields: str) -> None:
    """Fill in the form for a new coin, and send it."""
    page.get_by_test_id("add-coin").click()
    dialog = page.get_by_role("dialog", name="Add coin")
    for field, value in {"symbol": symbol, "name": name, **fields}.items():
        dialog.get_by_test_id(f"field-{field}").fill(value)
    dialog.get_by_role("button", name="Add coin").click()
    expect(dialog).to_be_hidden()


def members(dialog: Locator) -> list[str]:
    """The symbols of the group that is being edited, in order."""
    return dialog.locator(".ordered-symbol").all_inner_texts()


def box(node: Locator) -> FloatRect:
    found = node.bounding_box()
    assert found is not None
    return found


def test_every_coin_as_cards_and_as_a_table(coins_page: Page):
    known = len(api(coins_page, "/api/coins"))
    assert known > 100
    expect(coins_page.get_by_test_id("count")).to_have_text(f"{known} of {known} coins")
    expect(coins_page.get_by_test_id("coin-card")).to_have_count(known)
    bitcoin = card(coins_page, "BTC")
    expect(bitcoin.get_by_test_id("price")).to_have_text(re.compile(r"^[\d,]+\.\d\d$"))
    expect(bitcoin.get_by_test_id("change")).to_have_text(re.compile(r"^[+-]?\d+\.\d\d%$"))
    expect(bitcoin).to_contain_text("BTC-USDT")

    coins_page.get_by_test_id("view-table").click()
    expect(coins_page).to_have_url(re.compile("view=table"))
    expect(coins_page.get_by_test_id("coins-row")).to_have_count(known)
    coins_page.reload()
    expect(coins_page.get_by_test_id("coins-row")).to_have_count(known)
    coins_page.get_by_test_id("view-cards").click()
    expect(coins_page.get_by_test_id("coin-card")).to_have_count(known)


def test_coins_are_put_in_order(coins_page: Page):
    coins_page.get_by_test_id("sort").select_option("symbol")
    count = len(api(coins_page, "/api/coins"))
    shown = coins_page.get_by_test_id("coin-card").locator("h3")
    eventually(coins_page, lambda: alphabetical(shown.all_text_contents()))
    coins_page.get_by_test_id("view-table").click()
    expect(coins_page.get_by_test_id("coins-row")).to_have_count(count)
    assert alphabetical(column(coins_page, "coins", "Symbol"))
    coins_page.get_by_test_id("sort-rank").click()
    coins_page.get_by_test_id("sort-rank").click()
    expect(coins_page).not_to_have_url(re.compile("sort="))
    ranks = [int(rank) for rank in column(coins_page, "coins", "Rank") if rank != "–"]
    assert ranks == sorted(ranks)


def alphabetical(symbols: list[str]) -> bool:
    """Those of letters alone; how digits are sorted is the language's."""
    letters = [symbol for symbol in symbols if symbol.isalpha()]
    return len(letters) > 100 and letters == sorted(letters)


def test_search_and_filters_are_kept_in_the_address(coins_page: Page):
    coins = api(coins_page, "/api/coins")
    memes = [coin for coin in coins if coin["category"] == "Meme"]
    top = next(group for group in api(coins_page, "/api/coin-groups") if group["name"] == "Top10")
    both = {coin["symbol"] for coin in memes} & {coin["symbol"] for coin in top["coins"]}
    cards = coins_page.get_by_test_id("coin-card")

    coins_page.get_by_test_id("search").fill("bitcoin")
    found = [coin for coin in coins if "bitcoin" in coin["name"].lower()]
    expect(cards).to_have_count(len(found))
    coins_page.get_by_test_id("search").fill("")
    coins_page.get_by_test_id("category").select_option("Meme")
    expect(cards).to_have_count(len(memes))
    coins_page.get_by_test_id("group").select_option(label="Top10")
    expect(cards).to_have_count(len(both))
    coins_page.reload()
    expect(coins_page.get_by_test_id("count")).to_have_text(f"{len(both)} of {len(coins)} coins")
    expect(coins_page.get_by_test_id("category")).to_have_value("Meme")

    coins_page.get_by_test_id("search").fill("no such coin")
    expect(coins_page.get_by_test_id("empty-state")).to_contain_text("No coin fits these filters.")
    coins_page.get_by_test_id("empty-action").click()
    expect(cards).to_have_count(len(coins))
    expect(coins_page).to_have_url(re.compile("/coins$"))


def test_a_coin_is_added_edited_deactivated_and_reactivated(
    coins_page: Page, allowed_statuses: set[int]
):
    allowed_statuses.update({400, 409})
    coins_page.get_by_test_id("add-coin").click()
    dialog = coins_page.get_by_role("dialog", name="Add coin")
    save = dialog.get_by_role("button", name="Add coin")
    save.click()
    expect(dialog.get_by_test_id("error-symbol")).to_have_text("This is needed.")
    expect(dialog.get_by_test_id("field-symbol")).to_be_focused()
    dialog.get_by_test_id("field-symbol").fill("btc")
    dialog.get_by_test_id("field-name").fill("Bit coin")
    save.click()
    expect(dialog.get_by_test_id("error-symbol")).to_contain_text("BTC")
    dialog.get_by_test_id("field-symbol").fill("tst")
    dialog.get_by_test_id("field-okx_symbol").fill("not a symbol")
    save.click()
    expect(dialog.get_by_test_id("error-okx_symbol")).not_to_be_empty()
    expect(dialog.get_by_test_id("field-okx_symbol")).to_have_attribute("aria-invalid", "true")
    dialog.get_by_test_id("field-okx_symbol").fill("")
    dialog.get_by_test_id("field-category").fill("Layer2")
    save.click()
    expect(dialog).to_be_hidden()
    expect(coins_page.get_by_test_id("toast")).to_have_text(re.compile("TST is added."))
    expect(card(coins_page, "TST")).to_contain_text("Layer2")

    card(coins_page, "TST").get_by_role("button", name="Edit").click()
    dialog = coins_page.get_by_role("dialog", name="Edit TST")
    expect(dialog.get_by_test_id("field-name")).to_have_value("Bit coin")
    dialog.get_by_test_id("field-name").fill("Test coin")
    dialog.get_by_test_id("field-notes").fill("Seen in a test")
    dialog.get_by_role("button", name="Save changes").click()
    expect(card(coins_page, "TST")).to_contain_text("Test coin")
    expect(card(coins_page, "TST").get_by_role("button", name="Edit")).to_be_focused()

    card(coins_page, "TST").get_by_role("button", name="Deactivate").click()
    question = coins_page.get_by_role("dialog", name="Deactivate TST?")
    expect(question).to_contain_text("no model opens a position in it")
    question.get_by_role("button", name="Cancel").click()
    expect(card(coins_page, "TST")).to_be_visible()
    card(coins_page, "TST").get_by_role("button", name="Deactivate").click()
    question.get_by_role("button", name="Deactivate").click()
    expect(card(coins_page, "TST")).to_have_count(0)

    with coins_page.expect_request(re.compile(r"/api/coins\?is_active=all")):
        coins_page.get_by_test_id("show-inactive").check()
    expect(card(coins_page, "TST").get_by_test_id("coin-state")).to_have_text("Inactive")
    expect(coins_page.get_by_test_id("count")).to_contain_text("1 inactive")
    expect(coins_page).to_have_url(re.compile("inactive=1"))
    card(coins_page, "TST").get_by_role("button", name="Reactivate").click()
    expect(card(coins_page, "TST").get_by_role("button", name="Deactivate")).to_be_visible()
    expect(card(coins_page, "TST").get_by_test_id("coin-state")).to_have_count(0)


def test_to_add_an_inactive_coin_is_to_reactivate_it(coins_page: Page):
    add_coin(coins_page, "SLEEP", "Sleeper")
    card(coins_page, "SLEEP").get_by_role("button", name="Deactivate").click()
    coins_page.get_by_test_id("confirm-accept").click()
    expect(card(coins_page, "SLEEP")).to_have_count(0)
    add_coin(coins_page, "SLEEP", "Awake")
    expect(coins_page.get_by_test_id("toast").last).to_contain_text("SLEEP is active again.")
    expect(card(coins_page, "SLEEP")).to_contain_text("Awake")


def test_a_coin_is_checked_on_the_sources(coins_page: Page):
    card(coins_page, "BTC").get_by_role("button", name="Check").click()
    dialog = coins_page.get_by_role("dialog", name="BTC on the sources")
    for source, symbol in [("binance", "BTCUSDT"), ("okx", "BTC-USDT"), ("coingecko", "bitcoin")]:
        answer = dialog.get_by_test_id(f"check-{source}")
        expect(answer).to_contain_text(symbol)
        expect(answer).to_contain_text("Priced")
        expect(answer.locator(".number")).to_have_text(re.compile(r"^[\d,]+\.\d\d$"))
    with coins_page.expect_response(re.compile("/api/coins/[0-9]+/check")):
        dialog.get_by_role("button", name="Check again").click()
    dialog.get_by_role("button", name="Close window").click()
    expect(dialog).to_be_hidden()

    add_coin(coins_page, "NOWHERE", "On no source")
    card(coins_page, "NOWHERE").get_by_role("button", name="Check").click()
    dialog = coins_page.get_by_role("dialog", name="NOWHERE on the sources")
    expect(dialog.get_by_test_id("check-binance")).to_contain_text("No price")
    coins_page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()


def test_coins_are_discovered_by_name(coins_page: Page, allowed_statuses: set[int]):
    allowed_statuses.add(400)
    coins_page.get_by_test_id("discover").click()
    dialog = coins_page.get_by_role("dialog", name="Discover coins")
    dialog.get_by_role("button", name="Search").click()
    expect(dialog.get_by_test_id("error-query")).to_have_text("This is needed.")
    dialog.get_by_label("Name or symbol").fill("bitcoin")
    coins_page.keyboard.press("Enter")
    known = dialog.get_by_test_id("candidates-row").filter(
        has=coins_page.get_by_test_id("candidate-BTC")
    )
    expect(known.get_by_test_id("candidate-state")).to_have_text("Already added")
    expect(dialog.get_by_test_id("candidate-BTC")).to_be_disabled()
    dialog.get_by_label("Name or symbol").fill("zzzz no coin")
    dialog.get_by_role("button", name="Search").click()
    expect(dialog.get_by_test_id("empty-state")).to_contain_text("CoinGecko knows no coin")
    expect(dialog.get_by_test_id("discover-add")).to_be_disabled()
    dialog.get_by_role("button", name="Close window").click()
    expect(dialog).to_be_hidden()


def found_by_rank(page: Page, count: int) -> Locator:
    """The dialog with so many coins found by market cap."""
    page.get_by_test_id("discover").click()
    dialog = page.get_by_role("dialog", name="Discover coins")
    dialog.get_by_role("button", name="By market cap").click()
    dialog.get_by_label("How many, from the largest down").fill(str(count))
    dialog.get_by_role("button", name="Search").click()
    expect(dialog.get_by_test_id("candidates-row").first).to_be_visible()
    return dialog


def test_coins_are_discovered_by_rank(coins_page: Page):
    """Those that are known and inactive come back; those that are active are left alone."""
    before = api(coins_page, "/api/coins")
    for coin in before[20:]:
        write(coins_page.request, f"/api/coins/{coin['id']}", method="DELETE")
    dialog = found_by_rank(coins_page, 300)
    free = dialog.locator("tbody input:enabled")
    chosen = free.count()
    assert chosen >= 90
    dialog.get_by_test_id("candidates-none").click()
    expect(dialog.get_by_test_id("discover-add")).to_be_disabled()
    dialog.get_by_test_id("candidates-all").click()
    expect(dialog.get_by_test_id("discover-add")).to_contain_text(f"({chosen})")
    free.last.uncheck()
    expect(dialog.get_by_test_id("candidate-count")).to_contain_text(f"{chosen - 1} of ")

    dialog.get_by_test_id("discover-add").click()
    summary = dialog.get_by_test_id("discover-summary")
    expect(summary).to_contain_text(re.compile(r"Added: \d+\. Reactivated: \d+\. Skipped: 0\."))
    added, reactivated, _ = (int(found) for found in re.findall(r"\d+", summary.inner_text()))
    assert added + reactivated == chosen - 1
    assert reactivated > 80
    dialog.get_by_role("button", name="Close window").click()
    expect(coins_page.get_by_test_id("coin-card")).to_have_count(20 + chosen - 1)
    for coin in before:
        sent(coins_page, "PUT", f"/api/coins/{coin['id']}", {"is_active": True})


def test_hundreds_of_coins_are_added_in_one_step(coins_page: Page):
    """More than the simulated exchange lists: what was found is put in the API's place."""
    new = [candidate(f"MANY{n}", n) for n in range(300)]
    known = api(coins_page, "/api/coins")[0]
    found = [candidate(known["symbol"], 1) | {"known": True, "coin_id": known["id"]}, *new]
    coins_page.route("**/api/coins/discover", lambda route: route.fulfill(json=found))
    before = len(api(coins_page, "/api/coins"))
    dialog = found_by_rank(coins_page, 301)
    expect(dialog.get_by_test_id("candidates-row")).to_have_count(301)
    expect(dialog.get_by_test_id("discover-add")).to_contain_text("(300)")
    dialog.get_by_test_id("candidate-filter").fill("many299")
    dialog.get_by_test_id("candidate-MANY299").uncheck()

    # Someone else is quicker with one of them.
    sent(coins_page, "POST", "/api/coins", {"symbol": "MANY7", "name": "Quick"})
    with coins_page.expect_request(re.compile("/api/coins/bulk")) as asked:
        dialog.get_by_test_id("discover-add").click()
    assert len((asked.value.post_data_json or {})["coins"]) == 299
    summary = dialog.get_by_test_id("discover-summary")
    expect(summary).to_contain_text("Added: 298. Reactivated: 0. Skipped: 1.")
    expect(dialog.get_by_test_id("discover-skipped")).to_have_text(
        re.compile("MANY7.*Already added")
    )
    dialog.get_by_role("button", name="Close window").click()
    expect(coins_page.get_by_test_id("coin-card")).to_have_count(before + 299)


def candidate(symbol: str, rank: int) -> dict[str, Any]:
    return {
        "symbol": symbol, "name": f"Coin {symbol}", "category": None, "coingecko_id": symbol.lower(),
        "market_cap_rank": rank + 1000, "binance_symbol": f"{symbol}USDT", "okx_symbol": None,
        "known": False, "coin_id": None,
    }  # fmt: skip


def test_what_is_shown_is_exported(coins_page: Page):
    coins_page.get_by_test_id("category").select_option("DeFi")
    expected = [coin for coin in api(coins_page, "/api/coins") if coin["category"] == "DeFi"]
    with coins_page.expect_download() as download:
        coins_page.get_by_test_id("export-coins").click()
    assert download.value.suggested_filename == "coins.csv"
    text = Path(download.value.path()).read_text("utf-8-sig")
    rows = list(csv.DictReader(text.splitlines()))
    assert [row["Symbol"] for row in rows] == [coin["symbol"] for coin in expected]
    assert rows[0]["Binance"] == (expected[0]["binance_symbol"] or "")


def test_a_group_is_made_put_in_order_and_deleted(coins_page: Page, allowed_statuses: set[int]):
    allowed_statuses.add(409)
    coins_page.get_by_test_id("section-groups").click()
    expect(coins_page).to_have_url(re.compile("section=groups"))
    coins_page.get_by_test_id("add-group").click()
    dialog = coins_page.get_by_role("dialog", name="Create group")
    dialog.get_by_label("Name").fill("DeFi")
    for symbol in ("BTC", "ETH", "SOL", "DOGE"):
        dialog.get_by_test_id("member-search").fill(symbol)
        dialog.get_by_role("button", name=f"Add {symbol}", exact=True).click()
    save = dialog.get_by_role("button", name="Create group")
    save.click()
    expect(dialog.get_by_test_id("error-name")).to_contain_text("DeFi")
    dialog.get_by_label("Name").fill("Mine")
    dialog.get_by_label("Description").fill("Four of them")

    sol = dialog.get_by_test_id("member-SOL")
    sol.focus()
    coins_page.keyboard.press("Alt+ArrowUp")
    assert members(dialog) == ["BTC", "SOL", "ETH", "DOGE"]
    expect(dialog.get_by_test_id("order-said")).to_have_text("SOL is now number 2 of 4.")
    expect(sol).to_be_focused()
    coins_page.keyboard.press("Alt+ArrowUp")
    coins_page.keyboard.press("Alt+ArrowUp")  # it is the first already
    expect(dialog.get_by_test_id("order-said")).to_have_text("SOL is now number 1 of 4.")
    coins_page.keyboard.press("ArrowDown")
    expect(dialog.get_by_test_id("member-BTC")).to_be_focused()
    dialog.get_by_role("button", name="Move BTC down").click()
    assert members(dialog) == ["SOL", "ETH", "BTC", "DOGE"]

    drag(coins_page, dialog.get_by_test_id("drag-DOGE"), dialog.get_by_test_id("member-SOL"))
    assert members(dialog) == ["DOGE", "SOL", "ETH", "BTC"]
    expect(dialog.get_by_test_id("order-said")).to_have_text("DOGE is now number 1 of 4.")
    dialog.get_by_role("button", name="Remove ETH").click()
    save.click()
    expect(dialog).to_be_hidden()
    mine = coins_page.get_by_test_id("group-card").filter(has_text="Four of them")
    expect(mine.get_by_test_id("group-size")).to_have_text("3 coins")
    assert mine.locator(".chip").all_inner_texts() == ["DOGE", "SOL", "BTC"]

    reorder_in_one_request(coins_page, mine)
    mine.get_by_role("button", name="Show coins").click()
    expect(coins_page.get_by_test_id("coin-card")).to_have_count(3)
    coins_page.get_by_test_id("section-groups").click()
    mine.get_by_role("button", name="Delete").click()
    question = coins_page.get_by_role("dialog", name="Delete the group Mine?")
    expect(question).to_contain_text("Its coins stay (3)")
    question.get_by_role("button", name="Delete").click()
    expect(mine).to_have_count(0)
    assert "Mine" not in [group["name"] for group in api(coins_page, "/api/coin-groups")]


def drag(page: Page, handle: Locator, onto: Locator) -> None:
    start, end = box(handle), box(onto)
    page.mouse.move(start["x"] + 6, start["y"] + start["height"] / 2)
    page.mouse.down()
    page.mouse.move(start["x"] + 6, end["y"] + end["height"] / 2, steps=6)
    page.mouse.move(start["x"] + 6, end["y"] + 3)
    page.mouse.up()


def reorder_in_one_request(page: Page, group: Locator) -> None:
    """However often something was moved, one PUT carries the whole order."""
    writes: list[Request] = []
    page.on("request", lambda request: writes.append(request) if request.method != "GET" else None)
    group.get_by_role("button", name="Edit").click()
    dialog = page.get_by_role("dialog", name="Edit Mine")
    dialog.get_by_role("button", name="Move BTC up").click()
    dialog.get_by_role("button", name="Move BTC up").click()
    assert members(dialog) == ["BTC", "DOGE", "SOL"]
    dialog.get_by_role("button", name="Save changes").click()
    expect(dialog).to_be_hidden()
    eventually(page, lambda: group.locator(".chip").all_inner_texts() == ["BTC", "DOGE", "SOL"])
    assert [request.method for request in writes] == ["PUT"]
    assert len((writes[0].post_data_json or {})["coin_ids"]) == 3


def test_markup_in_a_name_is_text_everywhere(coins_page: Page):
    add_coin(
        coins_page, "HOSTILE", HOSTILE_NAME, category="<b>bold</b>", notes="<script>1</script>"
    )
    name = card(coins_page, "HOSTILE").get_by_test_id("coin-name")
    expect(name).to_have_text(HOSTILE_NAME)
    coins_page.get_by_test_id("view-table").click()
    row = coins_page.get_by_test_id("coins-row").filter(has_text=HOSTILE_NAME)
    row.get_by_role("button", name="Edit").click()
    expect(coins_page.get_by_test_id("field-name")).to_have_value(HOSTILE_NAME)
    coins_page.get_by_role("button", name="Cancel").click()
    coins_page.get_by_test_id("section-groups").click()
    coins_page.get_by_test_id("add-group").click()
    dialog = coins_page.get_by_role("dialog", name="Create group")
    dialog.get_by_label("Name").fill(HOSTILE_NAME)
    dialog.get_by_test_id("member-search").fill("hostile")
    coins_page.keyboard.press("Enter")
    expect(dialog.get_by_test_id("member-HOSTILE")).to_contain_text(HOSTILE_NAME)
    dialog.get_by_role("button", name="Create group").click()
    expect(dialog).to_be_hidden()
    group = coins_page.get_by_test_id("group-card").filter(has_text=HOSTILE_NAME)
    expect(group.get_by_test_id("group-name")).to_have_text(HOSTILE_NAME)
    group.get_by_role("button", name="Delete").click()
    expect(coins_page.get_by_test_id("confirm-dialog")).to_contain_text(HOSTILE_NAME)
    coins_page.get_by_test_id("confirm-accept").click()
    expect(group).to_have_count(0)
    expect(coins_page.locator("img[src='x'], b")).to_have_count(0)


def test_five_hundred_coins_and_fifty_groups_stay_usable(coins_page: Page):
    fill(coins_page)
    coins_page.add_init_script(WATCH_LONG_TASKS)
    shown = {
        "/coins?view=cards": ("coin-card", COINS_SHOWN),
        "/coins?view=table": ("coins-row", COINS_SHOWN),
        "/coins?section=groups": ("group-card", GROUPS_SHOWN),
    }
    for path, (node, count) in shown.items():
        show(coins_page, path)
        expect(coins_page.get_by_test_id(node).nth(count - 1)).to_be_attached()
        spent = coins_page.evaluate("longTasksMs")
        assert spent < MOST_TIMES_BARE * coins_page.evaluate(TIME_A_BARE_TABLE, COINS_SHOWN), path

    for before, after in [("cards", "table"), ("table", "cards")]:
        show(coins_page, f"/coins?view={before}")
        node, count = shown[f"/coins?view={before}"]
        expect(coins_page.get_by_test_id(node).nth(count - 1)).to_be_attached()
        most = MOST_TIMES_BARE * coins_page.evaluate(TIME_A_BARE_TABLE, COINS_SHOWN)
        assert coins_page.evaluate(TIME_THE_CLICK, f"view-{after}") < most, after
        node, count = shown[f"/coins?view={after}"]
        assert coins_page.get_by_test_id(node).count() >= count


#: How long all those tasks ran, in ms, that kept the page from answering for 50 ms or more.
WATCH_LONG_TASKS = """
window.longTasksMs = 0;
new PerformanceObserver((list) => {
  for (const { duration } of list.getEntries()) window.longTasksMs += duration;
}).observe({ type: 'longtask', buffered: true });
"""

#: How long the browser itself takes here for so many rows of 4 cells without any style, in ms,
#: the middle one of three: the measure of this machine, now, that the page is held to.
TIME_A_BARE_TABLE = """(rows) => {
  const host = document.createElement('div');
  document.body.append(host);
  const root = host.attachShadow({ mode: 'open' });
  const cells = '<td><span>A cell</span> <a href="#">with</a> <button>words</button></td>'.repeat(4);
  const times = [];
  for (let turn = 0; turn < 3; turn += 1) {
    const start = performance.now();
    root.innerHTML = `<table>${`<tr>${cells}</tr>`.repeat(rows)}</table>`;
    host.getBoundingClientRect();
    times.push(performance.now() - start);
  }
  host.remove();
  return times.sort((one, other) => one - other)[1];
}"""

#: How long the script of a click runs, in ms: what it shows stands in the document after it.
TIME_THE_CLICK = """(testId) => {
  const start = performance.now();
  document.querySelector(`[data-testid="${testId}"]`).click();
  return performance.now() - start;
}"""


def fill(page: Page) -> None:
    """Coins and groups until there are as many as shall be shown."""
    missing = COINS_SHOWN - len(api(page, "/api/coins"))
    rows = [{"symbol": f"FILL{n}", "name": f"Filler {n}", "category": "AI"} for n in range(missing)]
    if rows:
        sent(page, "POST", "/api/coins/bulk", {"coins": rows})
    ids = [coin["id"] for coin in api(page, "/api/coins")]
    for n in range(GROUPS_SHOWN - len(api(page, "/api/coin-groups"))):
        sent(page, "POST", "/api/coin-groups", {"name": f"Group {n}", "coin_ids": ids[n : n + 20]})


def test_what_could_not_be_loaded_is_tried_again(
    open_page: OpenPage, app_address: str, allowed_statuses: set[int]
):
    allowed_statuses.add(503)
    page = open_page(app_address)
    busy = {"error": "The database is busy.", "code": "busy"}
    page.route("**/api/coin-groups", lambda route: route.fulfill(status=503, json=busy))
    page.goto("/coins")
    expect(page.get_by_test_id("load-error")).to_contain_text("The database is busy.")
    expect(page.locator(".skeleton:visible")).to_have_count(0)
    page.unroute("**/api/coin-groups")
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_test_id("coin-card").first).to_be_visible()
    expect(page.get_by_test_id("load-error")).to_have_count(0)


@pytest.mark.parametrize("width", [360, 1440, 3840])
def test_nothing_is_wider_than_the_screen(open_page: OpenPage, app_address: str, width: int):
    page = open_page(app_address, viewport={"width": width, "height": 900})
    for path in ("/coins", "/coins?view=table", "/coins?section=groups"):
        show(page, path)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path


def test_the_page_in_chinese(open_page: OpenPage, app_address: str):
    page = open_page(app_address, locale="zh-CN")
    show(page, "/coins")
    expect(page.get_by_role("heading", name="币种", level=1)).to_be_visible()
    expect(page.get_by_test_id("count")).to_contain_text("个币种")
    page.get_by_test_id("section-groups").click()
    expect(page.get_by_test_id("add-group")).to_have_text("新建分组")
