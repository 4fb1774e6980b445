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

from backtest_benchmarks import buy_and_hold_values, equal_weight_final_value, held_values
from backtest_columns import FillColumns, Places, RunColumns, TripColumns
from backtest_run import BacktestResult
from backtest_trips import excursions, probability_of_luck
from backtest_warnings import ReportWarning, warning
from domain import DAY_MS, FillKind, FloatArray, KlineSeries, Reason, Side
from exits import exact_price
from ledger import ZERO, exact, unrealized_pnl
from paper_execution import Outcome
from performance import (
    against_benchmark,
    daily_returns,
    deepest_of,
    figures_of_trips,
    longest_drawdown_ms,
    monthly_returns,
    ratios_of,
    tails_of,
)
from significance import intervals
from timestamps import iso_utc, iso_utc_of_all

MOST_POINTS = 2000
DEEPEST_DRAWDOWNS = 5
EXAMPLES_OF_A_REFUSAL = 3
FEWEST_TRADES = 30
LIKELY_LUCK = 0.05

SLIPPING = frozenset((FillKind.OPEN, FillKind.CLOSE))
WORDS = {word: word.value for words in (Side, FillKind, Reason) for word in words}

Report = dict[str, Any]


def build_report(result: BacktestResult, benchmark_coin: KlineSeries | None = None) -> Report:
    """The report of a run: `summary`, `trades` (round trips), `fills`, `account_values` and more.

    It is held against buying and holding `benchmark_coin`, else all its coins. The configuration of the run is its caller's to add.
    """
    run = RunColumns.of(result)
    held = buy_and_hold_values(result)
    benchmark = held if benchmark_coin is None else held_values(result, [benchmark_coin])
    report = {
        "summary": _summary(run, held, benchmark),
        "trades": _trips(run),
        "fills": _fills(run.fills),
        "account_values": _account_values(run, benchmark),
        "drawdowns": _drawdowns(run),
        "monthly_returns": [
            {"month": month, "return_percentage": percentage}
            for month, percentage in monthly_returns(
                result.close_time, run.equity[1:], run.equity.item(0)
            )
        ],
        "per_coin": _per_coin(run),
        "refusals": _refusals(result.refusals, result.refusal_counts),
        "data": _candles_used(result),
    }
    return {**report, "warnings": _warnings(result, report)}


# -------------------------------------------------------------------------------- the figures


def _summary(run: RunColumns, held: FloatArray, benchmark: FloatArray) -> dict[str, Any]:
    result, equity = run.result, run.equity
    initial, final = float(equity[0]), float(equity[-1])
    days = daily_returns(result.close_time, equity[1:], initial)
    benchmark_days = daily_returns(result.close_time, benchmark, initial)
    resampled = intervals(days, result.config.seed)
    return {
        "initial_capital": initial,
        "final_value": final,
        "total_return": final - initial,
        "return_percentage": (final / initial - 1) * 100,
        "max_drawdown": float(np.max(run.below)),
        "longest_drawdown_days": longest_drawdown_ms(run.times, equity) / DAY_MS,
        **_trip_figures(run.trips),
        **ratios_of(days, result.close_time, final / initial, run.below),
        "total_fees": float(result.account.fees_paid),
        "total_funding": float(result.account.funding_paid),
        "exposure_percentage": result.bars_in_position / len(result.close_time) * 100,
        "open_positions": len(result.account.positions),
        "total_slippage": _slippage_paid(run),
        "turnover": _turnover(run),
        **tails_of(days, run.below),
        **against_benchmark(days, benchmark_days),
        "return_interval": resampled.return_percentage,
        "sharpe_interval": resampled.sharpe,
        "luck_probability": probability_of_luck(run),
        "benchmark_return_percentage": (float(benchmark[-1]) / initial - 1) * 100,
        "buy_and_hold_return_percentage": (float(held[-1]) / initial - 1) * 100,
        "equal_weight_return_percentage": (equal_weight_final_value(result) / initial - 1) * 100,
    }


def _trip_figures(trips: TripColumns) -> dict[str, float | int | None]:
    return figures_of_trips(
        trips.profits, trips.held_ms, int(np.count_nonzero(trips.are_liquidated))
    )


def _turnover(run: RunColumns) -> float | None:
    """What was traded over the average account value."""
    fills = run.fills
    traded = float(np.sum(fills.notionals, where=~fills.is_funding))
    average = float(np.mean(run.equity[1:]))
    return traded / average if average > 0 else None


def _slippage_paid(run: RunColumns) -> float:
    """How much better the fills that slip would have been at the prices they slipped from."""
    share = float(run.result.config.rules.slippage_bps) / 10_000
    if not share:
        return 0.0
    fills = run.fills
    slips = np.array([kind in SLIPPING for kind in fills.kinds], dtype=np.bool_)
    directions = np.where(fills.is_open, fills.signs, -fills.signs)
    paid = fills.notionals * share / (1 + directions * share)
    return float(np.sum(paid, where=slips))


def _drawdowns(run: RunColumns) -> list[dict[str, Any]]:
    """The deepest; `days` from the peak to the recovery, or to the end where there is none."""
    rows = []
    times = run.times
    for fall in deepest_of(run.below, DEEPEST_DRAWDOWNS):
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


def _per_coin(run: RunColumns) -> list[dict[str, Any]]:
    """What each coin brought; `pnl` with what is still open, so that it sums to the return."""
    fills, trips, coins = run.fills, run.trips, run.result.config.coins

    def of_coins(numbers: Places, amounts: FloatArray) -> list[float]:
        sums: list[float] = np.bincount(numbers, amounts, minlength=len(coins)).tolist()
        return sums

    paid, is_funding = fills.fees, fills.is_funding
    fees = of_coins(fills.coin_numbers, np.where(is_funding, 0.0, paid))
    funding = of_coins(fills.coin_numbers, np.where(is_funding, paid, 0.0))
    counts = of_coins(trips.coin_numbers, np.ones(len(trips)))
    wins = of_coins(trips.coin_numbers, (trips.profits > 0).astype(np.float64))
    gross = _gross_of_coins(run.result)
    return [
        {
            "coin": coin,
            "total_trades": int(counts[number]),
            "winning_trades": int(wins[number]),
            "win_rate": wins[number] / counts[number] * 100 if counts[number] else None,
            "pnl": gross[coin] - fees[number] - funding[number],
            "fees": fees[number],
            "funding": funding[number],
        }
        for number, coin in enumerate(coins)
    ]


@exact
def _gross_of_coins(result: BacktestResult) -> dict[str, float]:
    """The profit of each coin before fees and funding, what is still open at its last close."""
    booked = dict.fromkeys(result.config.coins, ZERO)
    for fill, gross, _, _ in result.entries:
        if gross:
            booked[fill.coin] += gross
    for coin, position in result.account.positions.items():
        booked[coin] += unrealized_pnl(position, exact_price(result.history[coin].close.item(-1)))
    return {coin: float(gross) for coin, gross in booked.items()}


# ------------------------------------------------------------------------------------ the rows


def _trips(run: RunColumns) -> list[dict[str, Any]]:
    trips = run.trips
    against, favour = excursions(run)
    columns = {
        "coin": trips.coins,
        "side": [WORDS[side] for side in trips.sides],
        "quantity": trips.quantities.tolist(),
        "leverage": trips.leverages.tolist(),
        "entry_time": iso_utc_of_all(trips.entry_times),
        "entry_price": trips.entry_prices.tolist(),
        "exit_time": iso_utc_of_all(trips.exit_times),
        "exit_price": trips.exit_prices.tolist(),
        "fees": trips.fees.tolist(),
        "funding": trips.funding.tolist(),
        "pnl": trips.profits.tolist(),
        "return_percentage": trips.return_percentages.tolist(),
        "exit_reason": [WORDS[reason] for reason in trips.exit_reasons],
        "adverse_percentage": against.tolist(),
        "favourable_percentage": favour.tolist(),
    }
    return _rows(columns)


def _fills(fills: FillColumns) -> list[dict[str, Any]]:
    columns = {
        "timestamp": iso_utc_of_all(fills.times),
        "coin": fills.coins,
        "kind": [WORDS[kind] for kind in fills.kinds],
        "side": [WORDS[side] for side in fills.sides],
        "quantity": fills.quantities.tolist(),
        "price": fills.prices.tolist(),
        "leverage": fills.leverages.tolist(),
        "fee": fills.fees.tolist(),
        "pnl": fills.profits.tolist(),
        "cash_after": fills.cash_after.tolist(),
        "reason": [WORDS[reason] for reason in fills.reasons],
    }
    return _rows(columns)


def _rows(columns: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """One object a row, from columns by their keys."""
    keys = tuple(columns)
    return [dict(zip(keys, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _account_values(run: RunColumns, benchmark: FloatArray) -> list[dict[str, Any]]:
    result, equity, drawdown = run.result, run.equity[1:], run.below[1:]
    kept = points_to_keep(equity, drawdown)
    columns = {
        "total_value": equity,
        "cash": result.cash,
        "positions_value": result.positions_value,
        "drawdown": drawdown,
        "benchmark": benchmark,
    }
    times = iso_utc_of_all(result.close_time[kept])
    return _rows(
        {"timestamp": times, **{key: column[kept].tolist() for key, column in columns.items()}}
    )


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
        digest.update(np.ascontiguousarray(series.open_time, "<i8").data)
        for column in (series.open, series.high, series.low, series.close, series.volume):
            digest.update(np.ascontiguousarray(column, "<f8").data)
    return digest.hexdigest()


def _warnings(result: BacktestResult, report: Report) -> list[ReportWarning]:
    """What a reader of the figures should know."""
    return [
        *_warnings_on_trades(result, report["summary"]),
        *(
            found
            for coin, coverage in report["data"]["coins"].items()
            for found in _warnings_on_candles(result, coin, coverage)
        ),
    ]


def _warnings_on_trades(result: BacktestResult, summary: Mapping[str, Any]) -> list[ReportWarning]:
    warnings = []
    if summary["total_trades"] < FEWEST_TRADES:
        warnings.append(warning("few_trades", count=summary["total_trades"], fewest=FEWEST_TRADES))
    luck = summary["luck_probability"]
    if luck is not None and luck > LIKELY_LUCK:
        warnings.append(warning("luck", percent=luck * 100))
    if summary["sharpe_interval"] is not None and summary["sharpe_interval"][0] <= 0:
        warnings.append(warning("sharpe_interval"))
    if held := sorted(result.account.positions):
        warnings.append(warning("still_open", coins=held))
    if summary["liquidations"]:
        warnings.append(warning("liquidations", count=summary["liquidations"]))
    if result.refusal_count:
        warnings.append(warning("refused", count=result.refusal_count))
    return warnings


def _warnings_on_candles(
    result: BacktestResult, coin: str, coverage: Mapping[str, Any]
) -> list[ReportWarning]:
    warnings = []
    config, length = result.config, result.config.interval.milliseconds
    before, missing = coverage["warmup_bars"], coverage["missing_bars"]
    if before < result.warmup_bars:
        wanted = result.warmup_bars
        warnings.append(warning("short_warmup", coin=coin, bars=before, wanted=wanted))
    if missing:
        warnings.append(warning("missing_bars", coin=coin, bars=missing))
    first_open = config.interval.ceil(config.start_ms)
    series = result.history[coin]
    if int(series.open_time[len(series) - coverage["bars"]]) > first_open:
        warnings.append(warning("begins_late", coin=coin, time=coverage["first"]))
    if int(series.open_time[-1]) + length < config.end_ms:
        warnings.append(warning("ends_early", coin=coin, time=coverage["last"]))
    return warnings
