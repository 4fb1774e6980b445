"""Ranges of parameters: which combinations and windows they come to, and what is refused."""

from __future__ import annotations

import itertools
from datetime import date
from typing import Any

import pytest
from pydantic import ValidationError

from backtest_request import ResolvedBacktest
from errors import InvalidInput
from sweep_request import ResolvedSweep, SweepRequest, axis_values, combinations, windows


def sweep(
    ranges: dict[str, Any], trader: str = "ma_cross", params: dict[str, Any] | None = None,
    start: str = "2024-01-01", end: str = "2024-03-31", **terms: Any,
) -> ResolvedSweep:  # fmt: skip
    run = ResolvedBacktest(
        start_date=start, end_date=end, trader=trader, params=params or {}, coins=["BTC"],
        risk="off", source="binance",
    )  # fmt: skip
    return ResolvedSweep(run=run, ranges=ranges, **terms)


@pytest.mark.parametrize(
    ("name", "given", "values"),
    [
        ("fast", {"low": 5, "high": 20, "step": 5}, [5, 10, 15, 20]),
        ("fast", {"low": 5, "high": 8}, [5, 6, 7, 8]),
        ("fast", {"values": [5, 5.0, 7]}, [5, 7]),
        ("kind", {}, ["sma", "ema"]),
        ("allow_short", {}, [False, True]),
        ("weight", {"low": 0.1, "high": 0.3, "step": 0.1}, [0.1, 0.2, 0.3]),
        ("trade_fee_rate", {"values": [0, 0.001]}, [0.0, 0.001]),
        ("slippage_bps", {"low": 0, "high": 10, "step": 5}, [0.0, 5.0, 10.0]),
    ],
)
def test_values_of_a_range(name: str, given: dict[str, Any], values: list[Any]):
    found = axis_values(sweep({name: given}), name)
    assert found == values
    assert list(map(type, found)) == list(map(type, values))


def test_values_of_a_script():
    asked = sweep({"stop_loss_pct": {"values": [0, 2]}}, trader="scripted")
    assert axis_values(asked, "stop_loss_pct") == [0.0, 2.0]


def test_a_grid_leaves_out_what_does_not_fit_together():
    found, skipped = combinations(
        sweep({"fast": {"values": [5, 10]}, "slow": {"values": [10, 20]}})
    )
    assert found == [{"fast": 5, "slow": 10}, {"fast": 5, "slow": 20}, {"fast": 10, "slow": 20}]
    assert skipped == 1


def test_a_random_search_draws_each_combination_once_and_the_same_again():
    ranges = {"fast": {"low": 2, "high": 40}, "weight": {"low": 0.1, "high": 1}}
    terms: dict[str, Any] = {"search": "random", "samples": 30}
    found, _ = combinations(sweep(ranges, **terms))
    assert len({tuple(c.values()) for c in found}) == 30
    assert combinations(sweep(ranges, **terms))[0] == found
    assert combinations(sweep(ranges, **terms, seed=1))[0] != found
    assert all(isinstance(c["fast"], int) and 0.1 <= c["weight"] <= 1 for c in found)
    few, _ = combinations(sweep({"kind": {}}, search="random", samples=30))
    assert len(few) == 2


@pytest.mark.parametrize(
    ("ranges", "field"),
    [
        ({"tempo": {"values": [1]}}, "ranges.tempo"),
        ({"fast": {}}, "ranges.fast"),
        ({"fast": {"values": [1.5]}}, "ranges.fast"),
        ({"fast": {"values": ["5"]}}, "ranges.fast"),
        ({"fast": {"values": [True]}}, "ranges.fast"),
        ({"fast": {"low": 1, "high": 9, "step": 0.5}}, "ranges.fast"),
        ({"weight": {"low": 0.1, "high": 0.9}}, "ranges.weight"),
        ({"kind": {"low": 1, "high": 2}}, "ranges.kind"),
        ({"kind": {"values": ["wma"]}}, "params.kind"),
        ({"stop_loss_pct": {"values": [1]}}, "ranges.stop_loss_pct"),
        ({"trade_fee_rate": {"values": [0.5]}}, "ranges.trade_fee_rate"),
        ({"fast": {"low": 1, "high": 1000}, "slow": {"low": 2, "high": 2000}}, "ranges"),
    ],
)
def test_ranges_that_do_not_fit_are_named(ranges: dict[str, Any], field: str):
    with pytest.raises(InvalidInput) as refused:
        combinations(sweep(ranges))
    assert field in refused.value.fields


@pytest.mark.parametrize(
    "given",
    [
        {"values": [1], "low": 1, "high": 2},
        {"low": 1},
        {"low": 2, "high": 1},
        {"step": 1},
        {"low": 1, "high": float("inf")},
        {"values": []},
    ],
)
def test_ranges_that_are_none(given: dict[str, Any]):
    with pytest.raises(ValidationError):
        sweep({"fast": given})


def test_windows_score_every_later_day_once():
    found = windows(sweep({"kind": {}}, fit_days=30, score_days=20))
    assert [(w.fit_first, w.fit_last) for w in found][:2] == [
        (date(2024, 1, 1), date(2024, 1, 30)),
        (date(2024, 1, 21), date(2024, 2, 19)),
    ]
    assert found[0].score_first == date(2024, 1, 31)
    for one, other in itertools.pairwise(found):
        assert (other.score_first - one.score_last).days == 1
    assert found[-1].score_last == date(2024, 3, 31)
    assert windows(sweep({"kind": {}})) == []
    with pytest.raises(InvalidInput):
        windows(sweep({"kind": {}}, fit_days=91, score_days=1))


def test_a_request_names_one_run():
    run = {
        "trader": "ma_cross",
        "coins": ["BTC"],
        "start_date": "2024-01-01",
        "end_date": "2024-01-02",
    }
    ranges = {"kind": {}}
    assert SweepRequest(run=run, ranges=ranges).objective == "sharpe"
    for wrong in ({}, {"run": run, "backtest_id": 1}, {"run": run, "fit_days": 3}):
        with pytest.raises(ValidationError):
            SweepRequest(ranges=ranges, **wrong)
