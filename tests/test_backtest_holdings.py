"""What a run holds is worth, to the last digit, what the ledger says it is."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ledger
from backtest_holdings import Holdings, whole_ticks
from domain import Fill, FillKind, Side
from exits import exact_price
from ledger import Account

COINS = ("BTC", "DOGE", "SHIB")
BARS = 8


def prices_of(draw: np.random.Generator, digits: int) -> np.ndarray:
    return np.round(draw.uniform(0.5, 2.0, BARS) * 10.0 ** int(draw.integers(-4, 5)), digits)


@given(st.integers(0, 2**32 - 1), st.lists(st.integers(2, 17), min_size=3, max_size=3))
def test_as_the_ledger_values_it_after_every_fill(seed: int, digits: list[int]) -> None:
    draw = np.random.default_rng(seed)
    prices = {
        coin: np.maximum(prices_of(draw, places), 0.01)
        for coin, places in zip(COINS, digits, strict=True)
    }
    holdings = Holdings(prices)
    account = Account.opened_with(Decimal(10**9))
    for at in range(BARS):
        coin = str(draw.choice(COINS))
        held = account.positions.get(coin)
        part = Decimal(repr(round(float(draw.uniform(0.01, 1)), 12)))
        price = exact_price(prices[coin].item(at))
        if held is not None and draw.random() < 0.5:
            quantity = held.quantity if draw.random() < 0.5 else held.quantity * part
            kind, side = FillKind.CLOSE, held.side
        else:
            quantity, kind = 1000 * part, FillKind.OPEN
            side = held.side if held else Side.LONG if draw.random() < 0.5 else Side.SHORT
        quantity = quantity.quantize(ledger.QUANTITY_STEP, "ROUND_DOWN")
        if quantity:
            fill = Fill(kind, coin, side, quantity, price, at, Decimal(3), Decimal("0.07"))
            account, _ = ledger.post(account, fill)
            holdings.changed[coin] = account.positions.get(coin)
        valued = ledger.exact(holdings.valued)(account, at)
        marks = {name: exact_price(prices[name].item(at)) for name in account.positions}
        assert valued == ledger.value(account, marks)
        assert dict(valued.marks) == marks
        with pytest.raises(KeyError):
            valued.marks["ETH"]


@pytest.mark.parametrize(
    ("prices", "digits"),
    [
        ([61_234.5, 7.25, 100.0], 2),
        ([0.00001234, 0.00002, 1.5e-7], 8),
        ([1.0, 2.0], 0),
        ([0.1 + 0.2, 1.0], 12),  # not the float of 0.3: taken one by one
        ([99_999_999_999_999.9, 1.5], 1),
        ([999_999_999_999_999.9, 1.5], 12),  # too large to be one decimal alone
    ],
)
def test_prices_are_whole_numbers_of_a_tick(prices: list[float], digits: int) -> None:
    ticks, found = whole_ticks(np.array([float("nan"), *prices]))
    assert found == digits
    for at, price in enumerate(prices, start=1):
        assert Decimal(ticks(at)).scaleb(-digits) == exact_price(price)


def test_every_price_is_looked_at() -> None:
    prices = np.full(10_000, 1.25)
    prices[4_321] = 1.255
    ticks, digits = whole_ticks(prices)
    assert (digits, ticks(4_321), ticks(0)) == (3, 1255, 1250)
