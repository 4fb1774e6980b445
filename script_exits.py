"""A script's entries with other stops and targets, in percent of the price when they are decided.

Pure. What is recorded of a run can so be replayed under other exits without asking anyone again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any

import numpy as np

from domain import KlineSeries
from timestamps import parse_time_ms

EXIT_AXES = ("stop_loss_pct", "profit_target_pct", "trailing_stop_pct")
ENTRIES = {"buy_to_enter": 1, "sell_to_enter": -1}
PRICES = Context(prec=12, rounding=ROUND_HALF_EVEN)

Script = Sequence[Mapping[str, Any]]


def with_exits(
    script: Script, exits: Mapping[str, float], history: Mapping[str, KlineSeries]
) -> list[dict[str, Any]]:
    """The script whose entries have these exits; those that are not named stay as recorded.

    `exits` are percentages by the names of `EXIT_AXES`; 0 is none. The price they count from is the
    last close before the decision; an entry before the first bar keeps its own.
    """
    return [_changed(dict(decision), exits, history) for decision in script]


def _changed(
    decision: dict[str, Any], exits: Mapping[str, float], history: Mapping[str, KlineSeries]
) -> dict[str, Any]:
    sign = ENTRIES.get(decision["signal"])
    price = None if sign is None else _last_close(decision, history)
    if sign is None or price is None:
        return decision
    for name, field, direction in (
        ("stop_loss_pct", "stop_loss", -sign),
        ("profit_target_pct", "profit_target", sign),
    ):
        if name in exits:
            decision[field] = _price_at(price, direction * Decimal(repr(exits[name])))
    if "trailing_stop_pct" in exits:
        decision["trailing_stop_pct"] = exits["trailing_stop_pct"] or None
    return decision


def _price_at(price: Decimal, percent: Decimal) -> str | None:
    """The price so many percent away; None for none, and where it would not be above 0."""
    moved = PRICES.multiply(price, 1 + percent / 100)
    return str(moved) if percent and moved > 0 else None


def _last_close(decision: Mapping[str, Any], history: Mapping[str, KlineSeries]) -> Decimal | None:
    series = history.get(decision["coin"])
    if series is None:
        return None
    closed_by = parse_time_ms(str(decision["time"])) - series.interval.milliseconds
    bar = int(np.searchsorted(series.open_time, closed_by, side="right")) - 1
    return None if bar < 0 else Decimal(repr(series.close.item(bar)))
