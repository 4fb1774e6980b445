"""Whether a run's candles will do: no run on too little, reported as if it were a result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from backtest_request import ResolvedBacktest
from domain import KlineSeries
from errors import InvalidInput, Reason
from timestamps import iso_utc


def check_candles(resolved: ResolvedBacktest, history: Mapping[str, KlineSeries]) -> None:
    """Raises InvalidInput: no_data, gaps, warmup_missing, each with the coin and the figures."""
    for coin, series in history.items():
        inside = series.between(resolved.start_ms, resolved.end_ms)
        if not len(inside):
            raise no_bars(coin, "coins")
        _check_gaps(resolved, coin, inside)
        _check_warmup(resolved, coin, len(series.between(0, resolved.start_ms)))


def _check_gaps(resolved: ResolvedBacktest, coin: str, inside: KlineSeries) -> None:
    """Between the first and the last bar: a coin that is listed later has no gap before it."""
    length = inside.interval.milliseconds
    missing = np.diff(inside.open_time) // length - 1
    if not len(missing):
        return
    longest, total = int(missing.max()), int(missing.sum())
    share, most_share = total / (total + len(inside)), resolved.max_missing_share
    if share > most_share:
        raise _unfit(
            "gaps",
            f"{coin} lacks {total} bars inside the range, {share:.1%} of them, where at most "
            f"{most_share:.1%} may be missing.",
            "max_missing_share",
            f"{coin} lacks {share:.4f}",
            {
                "coin": coin, "bars": total, "percent": share * 100,
                "most_percent": most_share * 100,
            },
        )  # fmt: skip
    most = resolved.max_gap_bars
    if most is not None and longest > most:
        after = iso_utc(int(inside.open_time[int(missing.argmax())]) + length)
        raise _unfit(
            "gaps",
            f"{coin} lacks {longest} bars in one place, from {after} on, where at most "
            f"{most} may be missing.",
            "max_gap_bars",
            f"{coin} lacks {longest}",
            {"coin": coin, "bars": longest, "time": after, "most": most},
        )


def _check_warmup(resolved: ResolvedBacktest, coin: str, before: int) -> None:
    """Warm-up that was asked for has to be there; a trader's own need is a warning."""
    asked = resolved.warmup_bars
    if asked is None or before >= asked:
        return
    raise _unfit(
        "warmup_missing",
        f"{coin} has {before} bars before the start, where {asked} were asked for as warm-up.",
        "warmup_bars",
        f"{coin} has {before}",
        {"coin": coin, "before": before, "asked": asked},
    )


def no_bars(coin: str, field: str) -> InvalidInput:
    """The refusal of a run without candles of a coin, which is named in this field."""
    why = f"{coin} has no bars in this range"
    return _unfit(
        "no_data", f"There are no bars of {coin} in this range.", field, why, {"coin": coin}
    )


def _unfit(
    code: str, message: str, field: str, why: str, values: Mapping[str, Any]
) -> InvalidInput:
    """The refusal, and the same at the field that it is about."""
    reasons: dict[str, Reason] = {field: {"code": code, "values": values}}
    return InvalidInput(message, code=code, fields={field: why}, values=values, reasons=reasons)
