"""What a finished backtest says, as plain numbers and texts that go straight into JSON.

Amounts are floats in quote currency, shares are percent, times ISO 8601 UTC. A figure that cannot
be said is None. Drawdown is the fall of the account value at bar closes below its highest so far,
with the initial capital as the first peak.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from backtest_benchmarks import buy_and_hold_values, equal_weight_final_value
from backtest_trips import excursions, probability_of_luck
from backtesting import BacktestResult
from domain import DAY_MS, Entry, FillKind, FloatArray, KlineSeries, TimeArray
from paper_execution import Outcome
from performance import (
    RoundTrip,
    against_benchmark,
    daily_returns,
    deepest_drawdowns,
    drawdown_series,
    longest_drawdown_ms,
    monthly_returns,
    ratios,
    round_trips,
    tail_figures,
    trip_figures,
)
from significance import intervals
from timestamps import iso_utc

MOST_POINTS = 2000
DEEPEST_DRAWDOWNS = 5
EXAMPLES_OF_A_REFUSAL = 3
FEWEST_TRADES = 30
LIKELY_LUCK = 0.05

Report = dict[str, Any]


def build_report(result: BacktestResult) -> Report:
    """The report of a run: `summary`, `trades` (round trips), `fills`, `account_values` and more.

    The configuration of the run is its caller's to add.
    """
    trips = round_trips(result.entries)
    benchmark = buy_and_hold_values(result)
    times, equity = _from_the_start(result)
    report = {
        "summary": _summary(result, trips, benchmark),
        "trades": [
            _trip(trip, *excursion)
            for trip, excursion in zip(trips, excursions(result, trips), strict=True)
        ],
        "fills": [_fill(entry) for entry in result.entries],
        "account_values": _account_values(result, benchmark),
        "drawdowns": _drawdowns(times, equity),
        "monthly_returns": [
            {"month": month, "return_percentage": percentage}
            for month, percentage in monthly_returns(times[1:], equity[1:], equity[0])
        ],
        "per_coin": _per_coin(result, trips),
        "refusals": _refusals(result.refusals, result.refusal_counts),
        "data": _candles_used(result),
    }
    return {**report, "warnings": _warnings(result, report)}


def _from_the_start(result: BacktestResult) -> tuple[TimeArray, FloatArray]:
    """Times and account values at the closes, with the initial capital at the first open."""
    opened = result.close_time[0] - result.config.interval.milliseconds
    initial = float(result.config.initial_capital)
    return (
        np.concatenate(([opened], result.close_time)),
        np.concatenate(([initial], result.equity)),
    )


# -------------------------------------------------------------------------------- the figures


def _summary(
    result: BacktestResult, trips: Sequence[RoundTrip], benchmark: FloatArray
) -> dict[str, Any]:
    times, equity = _from_the_start(result)
    initial, final = float(equity[0]), float(equity[-1])
    days = daily_returns(result.close_time, result.equity, initial)
    benchmark_days = daily_returns(result.close_time, benchmark, initial)
    resampled = intervals(days)
    return {
        "initial_capital": initial,
        "final_value": final,
        "total_return": final - initial,
        "return_percentage": (final / initial - 1) * 100,
        "max_drawdown": float(np.max(drawdown_series(equity))),
        "longest_drawdown_days": longest_drawdown_ms(times, equity) / DAY_MS,
        **trip_figures(trips),
        **ratios(result.close_time, result.equity, initial),
        "total_fees": float(result.account.fees_paid),
        "total_funding": float(result.account.funding_paid),
        "exposure_percentage": result.bars_in_position / len(result.equity) * 100,
        "open_positions": len(result.account.positions),
        "total_slippage": _slippage_paid(result),
        "turnover": _turnover(result),
        **tail_figures(days, equity),
        **against_benchmark(days, benchmark_days),
        "return_interval": resampled.return_percentage,
        "sharpe_interval": resampled.sharpe,
        "luck_probability": probability_of_luck(result, trips),
        "buy_and_hold_return_percentage": (float(benchmark[-1]) / initial - 1) * 100,
        "equal_weight_return_percentage": (equal_weight_final_value(result) / initial - 1) * 100,
    }


def _turnover(result: BacktestResult) -> float | None:
    """What was traded over the average account value."""
    traded = sum(
        float(entry.fill.quantity) * float(entry.fill.price)
        for entry in result.entries
        if entry.fill.kind is not FillKind.FUNDING
    )
    average = float(np.mean(result.equity))
    return traded / average if average > 0 else None


def _slippage_paid(result: BacktestResult) -> float:
    """How much better the fills that slip would have been at the prices they slipped from."""
    share = float(result.config.rules.slippage_bps) / 10_000
    if not share:
        return 0.0
    total = 0.0
    for entry in result.entries:
        fill = entry.fill
        if fill.kind not in (FillKind.OPEN, FillKind.CLOSE):
            continue
        direction = fill.side.sign * (1 if fill.kind is FillKind.OPEN else -1)
        total += float(fill.quantity) * float(fill.price) * share / (1 + direction * share)
    return total


def _drawdowns(times: TimeArray, equity: FloatArray) -> list[dict[str, Any]]:
    """The deepest; `days` from the peak to the recovery, or to the end where there is none."""
    rows = []
    for fall in deepest_drawdowns(equity, DEEPEST_DRAWDOWNS):
        end = len(times) - 1 if fall.recovery is None else fall.recovery
        rows.append(
            {
                "peak": iso_utc(int(times[fall.peak])),
                "trough": iso_utc(int(times[fall.trough])),
                "recovery": None if fall.recovery is None else iso_utc(int(times[end])),
                "depth_percentage": fall.percentage,
                "days": float(times[end] - times[fall.peak]) / DAY_MS,
            }
        )
    return rows


def _per_coin(result: BacktestResult, trips: Sequence[RoundTrip]) -> list[dict[str, Any]]:
    """What each coin brought; `pnl` with what is still open, so that it sums to the return."""
    entries: dict[str, list[Entry]] = defaultdict(list)
    for entry in result.entries:
        entries[entry.fill.coin].append(entry)
    rows = []
    for coin in result.config.coins:
        figures = trip_figures([trip for trip in trips if trip.coin == coin])
        rows.append(
            {
                "coin": coin,
                **{key: figures[key] for key in ("total_trades", "winning_trades", "win_rate")},
                **_amounts_of_coin(result, coin, entries[coin]),
            }
        )
    return rows


def _amounts_of_coin(
    result: BacktestResult, coin: str, entries: Sequence[Entry]
) -> dict[str, float]:
    fees = funding = gross = 0.0
    for entry in entries:
        gross += float(entry.gross)
        if entry.fill.kind == "funding":
            funding += float(entry.fill.fee)
        else:
            fees += float(entry.fill.fee)
    position = result.account.positions.get(coin)
    if position is not None:
        last = float(result.history[coin].close[-1])
        gross += position.side.sign * (float(position.quantity) * last - float(position.cost))
    return {"pnl": gross - fees - funding, "fees": fees, "funding": funding}


# ------------------------------------------------------------------------------------ the rows


def _trip(trip: RoundTrip, adverse: float, favourable: float) -> dict[str, Any]:
    return {
        "coin": trip.coin,
        "side": trip.side.value,
        "quantity": float(trip.quantity),
        "leverage": float(trip.leverage),
        "entry_time": iso_utc(trip.entry_time),
        "entry_price": float(trip.entry_price),
        "exit_time": iso_utc(trip.exit_time),
        "exit_price": float(trip.exit_price),
        "fees": float(trip.fees),
        "funding": float(trip.funding),
        "pnl": float(trip.pnl),
        "return_percentage": trip.return_percentage,
        "exit_reason": trip.exit_reason.value,
        "adverse_percentage": adverse,
        "favourable_percentage": favourable,
    }


def _fill(entry: Entry) -> dict[str, Any]:
    fill = entry.fill
    return {
        "timestamp": iso_utc(fill.time_ms),
        "coin": fill.coin,
        "kind": fill.kind.value,
        "side": fill.side.value,
        "quantity": float(fill.quantity),
        "price": float(fill.price),
        "leverage": float(fill.leverage),
        "fee": float(fill.fee),
        "pnl": float(entry.pnl),
        "cash_after": float(entry.cash_after),
        "reason": fill.reason.value,
    }


def _account_values(result: BacktestResult, benchmark: FloatArray) -> list[dict[str, Any]]:
    times, equity = _from_the_start(result)
    drawdown = drawdown_series(equity)[1:]
    kept = points_to_keep(equity[1:], drawdown)
    columns = {
        "total_value": equity[1:],
        "cash": result.cash,
        "positions_value": result.positions_value,
        "drawdown": drawdown,
        "benchmark": benchmark,
    }
    rows = zip(*(column[kept].tolist() for column in columns.values()), strict=True)
    return [
        {"timestamp": iso_utc(time_ms), **dict(zip(columns, row, strict=True))}
        for time_ms, row in zip(times[1:][kept].tolist(), rows, strict=True)
    ]


def points_to_keep(values: FloatArray, drawdown: FloatArray) -> npt.NDArray[np.intp]:
    """At most `MOST_POINTS` indices: the lowest and highest value of every stretch of time.

    Always among them are the first, the last, and the bottom of the deepest drawdown.
    """
    count = len(values)
    if count <= MOST_POINTS:
        return np.arange(count)
    stretches = (MOST_POINTS - 3) // 2
    edges = np.linspace(0, count, stretches + 1).astype(np.intp)
    kept = {0, count - 1, int(np.argmax(drawdown))}
    for start, end in pairwise(edges.tolist()):
        part = values[start:end]
        kept.update((start + int(np.argmin(part)), start + int(np.argmax(part))))
    return np.array(sorted(kept), dtype=np.intp)


def _refusals(
    kept: Sequence[tuple[int, Outcome]], counts: Mapping[str, int]
) -> list[dict[str, Any]]:
    """Every reason with its count and first examples, the most frequent first."""
    examples: dict[str, list[dict[str, str]]] = defaultdict(list)
    for time_ms, outcome in kept:
        rows = examples[str(outcome.reason)]
        if len(rows) < EXAMPLES_OF_A_REFUSAL:
            signal = outcome.decision.signal.value
            rows.append({"timestamp": iso_utc(time_ms), "coin": outcome.coin, "signal": signal})
    return [
        {"reason": reason, "count": count, "examples": examples[reason]}
        for reason, count in sorted(counts.items(), key=lambda item: -item[1])
    ]


# --------------------------------------------------------------------- candles and warnings


def _candles_used(result: BacktestResult) -> dict[str, Any]:
    """Per coin: bars inside the range, before it, and missing between its first and last."""
    sources = sorted({series.source for series in result.history.values() if series.source})
    return {
        "source": ", ".join(sources),
        "hash": candles_hash(result.history),
        "coins": {coin: _coverage(result, series) for coin, series in result.history.items()},
    }


def _coverage(result: BacktestResult, series: KlineSeries) -> dict[str, Any]:
    warmup = int(np.searchsorted(series.open_time, result.config.start_ms))
    first, last = int(series.open_time[warmup]), int(series.open_time[-1])
    bars = len(series) - warmup
    expected = (last - first) // series.interval.milliseconds + 1
    return {
        "bars": bars,
        "warmup_bars": warmup,
        "missing_bars": expected - bars,
        "first": iso_utc(first),
        "last": iso_utc(last),
    }


def candles_hash(history: Mapping[str, KlineSeries]) -> str:
    """SHA-256 over every bar of every coin: times as int64, prices and volumes as float64."""
    digest = hashlib.sha256()
    for coin, series in sorted(history.items()):
        digest.update(f"{coin}/{series.interval}/{len(series)}\n".encode())
        digest.update(series.open_time.astype("<i8").tobytes())
        for column in (series.open, series.high, series.low, series.close, series.volume):
            digest.update(column.astype("<f8").tobytes())
    return digest.hexdigest()


def _warnings(result: BacktestResult, report: Report) -> list[str]:
    """Sentences on what a reader of the figures should know."""
    return [
        *_warnings_on_trades(result, report["summary"]),
        *(
            sentence
            for coin, coverage in report["data"]["coins"].items()
            for sentence in _warnings_on_candles(result, coin, coverage)
        ),
    ]


def _warnings_on_trades(result: BacktestResult, summary: Mapping[str, Any]) -> list[str]:
    warnings = []
    if summary["total_trades"] < FEWEST_TRADES:
        warnings.append(
            f"Only {summary['total_trades']} round trips closed: with fewer than {FEWEST_TRADES}, "
            "figures about trades mean little."
        )
    luck = summary["luck_probability"]
    if luck is not None and luck > LIKELY_LUCK:
        warnings.append(
            f"Random entries of the same number, length and size did as well in {luck:.0%} of runs: "
            "this result may be luck."
        )
    if summary["sharpe_interval"] is not None and summary["sharpe_interval"][0] <= 0:
        warnings.append("The 95 % interval of the Sharpe ratio reaches below zero.")
    if held := sorted(result.account.positions):
        warnings.append(
            f"Still open at the end, valued at the last price and not among the trades: "
            f"{', '.join(held)}."
        )
    if summary["liquidations"]:
        warnings.append(f"Positions that were liquidated: {summary['liquidations']}.")
    if result.refusal_count:
        warnings.append(f"Decisions that were refused: {result.refusal_count}.")
    return warnings


def _warnings_on_candles(
    result: BacktestResult, coin: str, coverage: Mapping[str, Any]
) -> list[str]:
    warnings = []
    config, length = result.config, result.config.interval.milliseconds
    if coverage["warmup_bars"] < result.warmup_bars:
        warnings.append(
            f"{coin} has {coverage['warmup_bars']} bars before the start where "
            f"{result.warmup_bars} were wanted: its first decisions had less to go by."
        )
    if coverage["missing_bars"]:
        warnings.append(
            f"{coin} lacks {coverage['missing_bars']} bars inside the range; it kept its last price."
        )
    first_open = config.interval.ceil(config.start_ms)
    series = result.history[coin]
    if int(series.open_time[len(series) - coverage["bars"]]) > first_open:
        warnings.append(f"The candles of {coin} begin after the range: {coverage['first']}.")
    if int(series.open_time[-1]) + length < config.end_ms:
        warnings.append(f"The candles of {coin} end before the range: {coverage['last']}.")
    return warnings
