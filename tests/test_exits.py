"""What closes a position inside a bar, and in which order."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain import Exits, Interval, Kline, KlineSeries, Position, Reason, Side
from exits import (
    ExitHit,
    ExitLevels,
    exact_price,
    exit_at_price,
    exit_in_bar,
    exit_levels,
    first_exit,
    with_best_price,
)

NO_LIQUIDATION = None
MAINTENANCE = Decimal("0.005")


def position(
    side: Side = Side.LONG,
    stop: str | None = None,
    target: str | None = None,
    trailing: str | None = None,
    leverage: int = 10,
) -> Position:
    """One coin at 100."""
    levels = (None if text is None else Decimal(text) for text in (stop, target, trailing))
    return Position(
        coin="BTC",
        side=side,
        quantity=Decimal(1),
        cost=Decimal(100),
        margin=Decimal(100) / leverage,
        entry_fees=Decimal(0),
        opened_at=0,
        exits=Exits(*levels),
        best_price=Decimal(100),
    )


def bar(open_: float, high: float, low: float, close: float) -> Kline:
    return Kline(0, open_, high, low, close, 1.0)


def hit(
    held: Position, kline: Kline, best: float = 100.0, maintenance: Decimal | None = None
) -> ExitHit | None:
    return exit_in_bar(exit_levels(held, maintenance), kline, best)


QUIET = bar(100, 101, 99, 100)
LONG = position(stop="95", target="110")
SHORT = position(Side.SHORT, stop="105", target="90")


@pytest.mark.parametrize(
    ("held", "kline", "expected"),
    [
        (LONG, QUIET, None),
        (SHORT, QUIET, None),
        # Inside the bar: at the level itself, which counts when it is touched.
        (LONG, bar(100, 101, 95, 96), ExitHit(Reason.STOP_LOSS, Decimal(95))),
        (LONG, bar(100, 110, 99, 105), ExitHit(Reason.PROFIT_TARGET, Decimal(110))),
        (SHORT, bar(100, 105, 99, 100), ExitHit(Reason.STOP_LOSS, Decimal(105))),
        (SHORT, bar(100, 101, 90, 95), ExitHit(Reason.PROFIT_TARGET, Decimal(90))),
        # Both inside the bar: the adverse side first.
        (LONG, bar(100, 120, 90, 100), ExitHit(Reason.STOP_LOSS, Decimal(95))),
        (SHORT, bar(100, 120, 80, 100), ExitHit(Reason.STOP_LOSS, Decimal(105))),
        # Passed by the open: at the open, for better or worse.
        (LONG, bar(92, 93, 91, 92), ExitHit(Reason.STOP_LOSS, Decimal(92), at_open=True)),
        (LONG, bar(112, 113, 90, 95), ExitHit(Reason.PROFIT_TARGET, Decimal(112), at_open=True)),
        (SHORT, bar(107, 108, 80, 90), ExitHit(Reason.STOP_LOSS, Decimal(107), at_open=True)),
        (SHORT, bar(88, 120, 87, 90), ExitHit(Reason.PROFIT_TARGET, Decimal(88), at_open=True)),
    ],
)
def test_stop_and_target_in_a_bar(held: Position, kline: Kline, expected: ExitHit | None) -> None:
    assert hit(held, kline) == expected


class TestLiquidation:
    def test_of_stop_and_liquidation_the_nearer_to_the_open(self) -> None:
        crash = bar(100, 100, 50, 60)
        stopped = hit(position(stop="95"), crash, maintenance=MAINTENANCE)
        assert stopped == ExitHit(Reason.STOP_LOSS, Decimal(95))
        liquidated = hit(position(stop="85"), crash, maintenance=MAINTENANCE)
        assert liquidated is not None
        assert liquidated.reason is Reason.LIQUIDATION
        assert liquidated.price == Decimal("90.452261306533")

    def test_of_a_short(self) -> None:
        rally = bar(100, 150, 100, 150)
        stopped = hit(position(Side.SHORT, stop="105"), rally, maintenance=MAINTENANCE)
        assert stopped == ExitHit(Reason.STOP_LOSS, Decimal(105))
        liquidated = hit(position(Side.SHORT, stop="115"), rally, maintenance=MAINTENANCE)
        assert liquidated == ExitHit(Reason.LIQUIDATION, Decimal("109.452736318408"))

    def test_a_gap_through_it_is_a_liquidation_at_the_open_whatever_stop_it_jumped(self) -> None:
        gap = bar(80, 85, 75, 80)
        gapped = hit(position(stop="95"), gap, maintenance=MAINTENANCE)
        assert gapped == ExitHit(Reason.LIQUIDATION, Decimal(80), at_open=True)

    def test_switched_off(self) -> None:
        assert hit(position(), bar(100, 100, 1, 1), maintenance=NO_LIQUIDATION) is None
        assert not exit_levels(position(), NO_LIQUIDATION).any


class TestTrailingStop:
    def test_follows_the_best_price_before_the_bar(self) -> None:
        held = position(trailing="10")
        assert hit(held, bar(115, 119, 109, 110), best=120.0) is None
        touched = hit(held, bar(115, 119, 108, 110), best=120.0)
        assert touched == ExitHit(Reason.TRAILING_STOP, Decimal(108))

    def test_the_bars_own_extreme_does_not_move_it(self) -> None:
        held = position(trailing="10")
        # 200 · 0.9 = 180 was below the close, but nothing says that the high came first.
        assert hit(held, bar(100, 200, 95, 170), best=100.0) is None

    def test_of_a_short(self) -> None:
        held = position(Side.SHORT, trailing="10")
        assert hit(held, bar(85, 87, 80, 85), best=80.0) is None
        touched = hit(held, bar(85, 88, 80, 85), best=80.0)
        assert touched == ExitHit(Reason.TRAILING_STOP, Decimal(88))

    def test_best_price_moves_only_in_favour(self) -> None:
        long = with_best_price(position(), bar(100, 105, 90, 95))
        assert long.best_price == 105
        assert with_best_price(long, bar(95, 104, 80, 90)) is long
        short = with_best_price(position(Side.SHORT), bar(100, 105, 90, 95))
        assert short.best_price == 90
        fresh = position()._replace(best_price=None)
        assert with_best_price(fresh, bar(95, 96, 94, 95)).best_price == 96

    def test_beside_a_stop_the_nearer_one(self) -> None:
        held = position(stop="95", trailing="10")
        touched = hit(held, bar(112, 112, 90, 91), best=120.0)
        assert touched == ExitHit(Reason.TRAILING_STOP, Decimal(108))


class TestTicks:
    """A tick is a bar whose prices are all the same: it has passed what it has reached."""

    @pytest.mark.parametrize(
        ("price", "reason"),
        [
            ("96", None),
            ("95", Reason.STOP_LOSS),
            ("94.5", Reason.STOP_LOSS),
            ("90.1", Reason.LIQUIDATION),
            ("109.99", None),
            ("110", Reason.PROFIT_TARGET),
            ("111", Reason.PROFIT_TARGET),
        ],
    )
    def test_fills_at_the_tick(self, price: str, reason: Reason | None) -> None:
        levels = exit_levels(LONG, MAINTENANCE)
        expected = None if reason is None else ExitHit(reason, Decimal(price), at_open=True)
        assert exit_at_price(levels, Decimal(price), 100.0) == expected


@pytest.mark.parametrize("text", ["57953.86", "0.00000712", "0.1", "100000000"])
def test_a_price_read_as_a_float_comes_back_exactly(text: str) -> None:
    assert exact_price(float(text)) == Decimal(text)


# ------------------------------------------------------------------ the search equals the loop


@st.composite
def walks(draw: st.DrawFn) -> KlineSeries:
    """Bars of a random walk with gaps, on a coarse price grid so that levels are touched."""
    count = draw(st.integers(1, 60))
    start = draw(st.sampled_from([100.0, 0.0001]))
    steps = draw(st.lists(st.integers(-4, 4), min_size=4 * count, max_size=4 * count))
    moves = np.array(steps, dtype=np.float64).reshape(count, 4)
    closes = start * (1 + np.cumsum(moves[:, 0]) / 100).clip(0.1)
    opens = np.concatenate(([start], closes[:-1])) + start * (moves[:, 3] * (moves[:, 3] > 2)) / 100
    highs = np.maximum(opens, closes) + start * np.abs(moves[:, 1]) / 100
    lows = np.maximum(np.minimum(opens, closes) - start * np.abs(moves[:, 2]) / 100, start / 50)
    times = np.arange(count, dtype=np.int64) * Interval.H1.milliseconds
    columns = (np.round(column, 10) for column in (opens, highs, lows, closes))
    return KlineSeries(Interval.H1, times, *columns, np.ones(count))


@st.composite
def levels_of(draw: st.DrawFn, base: Decimal) -> ExitLevels:
    """Any mixture of levels around `base`."""
    side = draw(st.sampled_from(Side))
    adverse = []
    for reason in (Reason.LIQUIDATION, Reason.STOP_LOSS):
        if draw(st.booleans()):
            distance = Decimal(draw(st.integers(1, 30))) / 100
            adverse.append((reason, base * (1 - side.sign * distance)))
    target = None
    if draw(st.booleans()):
        target = base * (1 + side.sign * Decimal(draw(st.integers(1, 30))) / 100)
    trailing = draw(st.sampled_from([None, 0.01, 0.03, 0.1, 1 / 30]))
    named = None if target is None else (Reason.PROFIT_TARGET, target)
    return ExitLevels(side, tuple(adverse), named, trailing)


def naive_first_exit(
    levels: ExitLevels, series: KlineSeries, start: int, stop: int, best: float
) -> tuple[int, ExitHit | None, float]:
    for index in range(start, stop):
        kline = series.bar(index)
        found = exit_in_bar(levels, kline, best)
        if found is not None:
            return index, found, best
        best = max(best, kline.high) if levels.side is Side.LONG else min(best, kline.low)
    return stop, None, best


@given(series=walks(), chosen=st.data())
@settings(max_examples=300, deadline=None)
def test_first_exit_equals_a_loop_over_the_bars(series: KlineSeries, chosen: st.DataObject) -> None:
    levels = chosen.draw(levels_of(exact_price(float(series.open[0]))))
    start = chosen.draw(st.integers(0, len(series)))
    stop = chosen.draw(st.integers(start, len(series)))
    best = float(series.open[0])
    found = first_exit(levels, series, start, stop, best)
    assert found == naive_first_exit(levels, series, start, stop, best)


def test_first_exit_over_several_chunks() -> None:
    count = 3000
    close = np.full(count, 100.0)
    low = close - 1
    low[2500] = 90.0
    high = close + np.linspace(0, 1, count)
    series = KlineSeries(
        Interval.H1, np.arange(count, dtype=np.int64), close, high, low, close, close
    )
    levels = exit_levels(position(stop="95"), None)
    index, found, best = first_exit(levels, series, 10, count, 100.0)
    assert (index, found) == (2500, ExitHit(Reason.STOP_LOSS, Decimal(95)))
    assert best == high[2499]
    assert first_exit(levels, series, 10, 2500, 100.0) == (2500, None, high[2499])
