"""Whether a run's candles will do: no run on too little, reported as if it were a result."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from backtest_request import ResolvedBacktest
from domain import KlineSeries
from errors import InvalidInput
from timestamps import iso_utc


def check_candles(resolved: ResolvedBacktest, history: Mapping[str, KlineSeries]) -> None:
    """Raises InvalidInput: no_data, gaps, warmup_missing, each with the coin and the figures."""
    for coin, series in history.items():
        inside = series.between(resolved.start_ms, resolved.end_ms)
        if not len(inside):
            raise InvalidInput(
                f"There are no bars of {coin} in this range.",
                code="no_data",
                fields={"coins": f"{coin} has no bars in this range"},
                values={"coin": coin},
                reasons={"coins": {"code": "no_data", "values": {"coin": coin}}},
            )
        _check_gaps(resolved, coin, inside)
        _check_warmup(resolved, coin, len(series.between(0, resolved.start_ms)))


def _check_gaps(resolved: ResolvedBacktest, coin: str, inside: KlineSeries) -> None:
    """Between the first and the last bar: a coin that is listed later has no gap before it."""
    length = inside.interval.milliseconds
    missing = np.diff(inside.open_time) // length - 1
    if not len(missing):
        return
    longest, total = int(missing.max()), int(missing.sum())
    share = total / (total + len(inside))
    if share > resolved.max_missing_share:
        raise InvalidInput(
            f"{coin} lacks {total} bars inside the range, {share:.1%} of them, where at most "
            f"{resolved.max_missing_share:.1%} may be missing.",
            code="gaps",
            fields={"max_missing_share": f"{coin} lacks {share:.4f}"},
            values={"coin": coin},
            reasons={"max_missing_share": {"code": "gaps", "values": {"coin": coin}}},
        )
    if resolved.max_gap_bars is not None and longest > resolved.max_gap_bars:
        after = iso_utc(int(inside.open_time[int(missing.argmax())]) + length)
        raise InvalidInput(
            f"{coin} lacks {longest} bars in one place, from {after} on, where at most "
            f"{resolved.max_gap_bars} may be missing.",
            code="gaps",
            fields={"max_gap_bars": f"{coin} lacks {longest}"},
            values={"coin": coin},
            reasons={"max_gap_bars": {"code": "gaps", "values": {"coin": coin}}},
        )


def _check_warmup(resolved: ResolvedBacktest, coin: str, before: int) -> None:
    """Warm-up that was asked for has to be there; a trader's own need is a warning."""
    asked = resolved.warmup_bars
    if asked is None or before >= asked:
        return
    values = {"coin": coin, "before": before, "asked": asked}
    raise InvalidInput(
        f"{coin} has {before} bars before the start, where {asked} were asked for as warm-up.",
        code="warmup_missing",
        fields={"warmup_bars": f"{coin} has {before}"},
        values=values,
        reasons={"warmup_bars": {"code": "warmup_missing", "values": values}},
    )
