"""What is remembered of a ledger says what the ledger says, also after it has grown."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from trading_world import CLOSE, World, buy, opened_world

from performance import round_trips
from repositories import books
from trade_history import TradeHistories, TradeHistory


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    yield from opened_world(tmp_path)


def says_the_ledger(world: World, history: TradeHistory) -> bool:
    entries = [trade.entry for trade in world.trades()]
    return history.trips_since(0) == round_trips(entries) and history.fees_since(0) == float(
        sum(entry.fill.fee for entry in entries)
    )


def test_a_history_grows_with_its_ledger(world: World):
    histories = TradeHistories(world.database)
    assert says_the_ledger(world, histories.of(world.model.id))
    world.cycle({"BTC": buy()})
    assert says_the_ledger(world, histories.of(world.model.id))
    world.clock.set(world.clock.now_ms() + 60_000)
    world.cycle({"BTC": CLOSE})
    history = histories.of(world.model.id)
    assert says_the_ledger(world, history)
    assert len(history.trips) == 1
    assert history.trips_since(world.clock.now_ms() + 1) == []
    assert history.fees_since(world.clock.now_ms()) == history.fees[-1]


def test_a_ledger_that_has_not_grown_is_not_read_again(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    histories = TradeHistories(world.database)
    world.cycle({"BTC": buy()})
    known = histories.of(world.model.id)
    monkeypatch.setattr(books, "all_entries", lambda *_: pytest.fail("read again"))
    assert histories.of(world.model.id) is known
