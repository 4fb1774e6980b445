"""A search: its figures are those of single backtests, on one process, on many, on a cluster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from typing import Any

import numpy as np
import pytest
from backtest_inputs import bars, buy, close, hour

from backtest_audit import generated_history
from backtest_report import build_report
from backtest_request import ResolvedBacktest
from backtest_sweep import Score, SweepMarket, Task, run_task, scored, scores_of, search_result
from backtesting import BacktestEngine, Cancelled
from domain import KlineSeries
from errors import SourceUnavailable
from script_exits import with_exits
from strategies import make_trader
from sweep_request import ResolvedSweep, combinations, windows
from sweep_workers import sweep_workers


def market(bars_of_history: int = 1200) -> SweepMarket:
    run = ResolvedBacktest(
        start_date="2024-01-06", end_date="2024-02-19", trader="ma_cross", params={"weight": 0.5},
        coins=["C0", "C1"], risk="off", source="generated",
    )  # fmt: skip
    return SweepMarket(run, generated_history(2, bars_of_history), {})


def search(of: SweepMarket, **terms: Any) -> ResolvedSweep:
    ranges = {"fast": {"values": [3, 5, 8]}, "slow": {"values": [15, 30]}, "kind": {}}
    return ResolvedSweep(run=of.run, **{"ranges": ranges, **terms})


def at_once(of: SweepMarket) -> Any:
    """Does the work where it is asked for."""

    def submit(tasks: Sequence[Task]) -> Future[list[Score]]:
        future: Future[list[Score]] = Future()
        future.set_result(scores_of(of, tasks))
        return future

    return submit


def result_of(sweep: ResolvedSweep, of: SweepMarket) -> dict[str, Any]:
    found, _ = combinations(sweep)
    return search_result(sweep, of, found, windows(sweep), at_once(of), 1, lambda share: None)


def test_a_combination_scores_what_its_backtest_reports():
    shared = market()
    result = result_of(search(shared), shared)
    assert len(result["rows"]) == 12
    for row in result["rows"]:
        run = shared.run.model_copy(update={"params": {"weight": 0.5, **row["params"]}})
        trader = make_trader(run.trader, run.coins, run.params)
        first_ms = run.warmup_start_ms(trader.history_bars)
        history = {c: s.between(first_ms, run.end_ms) for c, s in shared.history.items()}
        report = build_report(BacktestEngine(trader, run.engine_config()).run_backtest(history))
        for name in ("return_percentage", "sharpe", "calmar", "max_drawdown", "total_trades",
                     "total_fees"):  # fmt: skip
            assert row[name] == pytest.approx(report["summary"][name], rel=1e-12), name
    sharpes = [row["sharpe"] for row in result["rows"]]
    assert result["best"] == int(np.argmax(sharpes))
    best = result["rows"][result["best"]]
    assert 0 <= best["deflated_sharpe"] <= 1
    assert best["deflated_sharpe"] == max(row["deflated_sharpe"] for row in result["rows"])


def test_fees_and_slippage_can_be_searched():
    shared = market()
    ranges = {"trade_fee_rate": {"values": [0, 0.001]}, "slippage_bps": {"values": [0, 10]}}
    rows = result_of(search(shared, ranges=ranges), shared)["rows"]
    returns = [row["return_percentage"] for row in rows]
    assert returns == sorted(returns, reverse=True)
    assert [row["total_fees"] > 0 for row in rows] == [False, False, True, True]


def test_walk_forward_is_judged_on_days_that_it_was_not_fitted_on():
    shared = market()
    sweep = search(shared, objective="return_percentage", fit_days=15, score_days=10)
    walked = result_of(sweep, shared)["walk_forward"]
    assert len(walked["windows"]) == 3
    capital = 1.0
    for row in walked["windows"]:
        fits = [
            (fit_return(shared, combination, row), combination)
            for combination in combinations(sweep)[0]
        ]
        best = max(fits, key=lambda fit: fit[0])
        assert row["fit_return_percentage"] == pytest.approx(best[0])
        assert row["params"] == best[1]
        capital *= 1 + row["return_percentage"] / 100
    assert walked["return_percentage"] == pytest.approx((capital - 1) * 100)
    assert walked["equity"][-1]["total_value"] == pytest.approx(10_000 * capital)
    assert [len(walked["equity"]), walked["equity"][0]["timestamp"]] == [30, "2024-01-22T00:00:00Z"]


def fit_return(shared: SweepMarket, combination: dict[str, Any], row: dict[str, Any]) -> float:
    run = shared.run.model_validate(
        shared.run.model_dump() | {"start_date": row["fit_first"], "end_date": row["fit_last"]}
    )
    result = run_task(shared, Task(combination, run.start_date, run.end_date))
    return float(result.equity[-1]) / 100 - 100


def test_the_future_of_a_window_changes_nothing_before_it():
    shared = market()
    sweep = search(shared, fit_days=15, score_days=10)
    whole = result_of(sweep, shared)["walk_forward"]["windows"][0]
    end_ms = 1_706_659_200_000  # 2024-01-31, the end of the first window's score
    cut = {coin: series.between(0, end_ms) for coin, series in shared.history.items()}
    run = shared.run.model_copy(update={"end_date": sweep.run.start_date.replace(day=30)})
    shorter = SweepMarket(run, cut, {})
    again = result_of(search(shorter, fit_days=15, score_days=10), shorter)["walk_forward"]
    assert again["windows"] == [whole]


# ---------------------------------------------------------------------------------- who works


def test_processes_come_to_the_same():
    shared = market()
    sweep = search(shared)
    found, _ = combinations(sweep)
    shares: list[float] = []
    with sweep_workers(shared, 2) as workers:
        result = search_result(
            sweep, shared, found, [], workers.submit, workers.count, shares.append
        )
    assert result == result_of(sweep, shared)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


@pytest.fixture
def dask_scheduler() -> Iterator[str]:
    """A scheduler on the loopback with two workers, each a process of its own."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1",
    ) as cluster:  # fmt: skip
        yield cluster.scheduler_address


def test_two_dask_workers_come_to_the_same(dask_scheduler: str):
    shared = market()
    sweep = search(shared, fit_days=15, score_days=10)
    found, _ = combinations(sweep)
    with sweep_workers(shared, 1, dask_scheduler) as workers:
        assert workers.count == 2
        result = search_result(
            sweep, shared, found, windows(sweep), workers.submit, workers.count, lambda share: None
        )
    assert result == result_of(sweep, shared)


def test_a_scheduler_that_does_not_answer_is_said(monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr("sweep_workers.CONNECT_SECONDS", 0.2)
    with (
        pytest.raises(SourceUnavailable, match="No Dask scheduler answers"),
        sweep_workers(market(), 1, "tcp://127.0.0.1:9"),
    ):
        pass


def test_who_gives_up_begins_no_more():
    begun: list[Future[list[Score]]] = []

    def submit(tasks: Sequence[Task]) -> Future[list[Score]]:
        begun.append(Future())
        return begun[-1]

    def give_up(share: float) -> None:
        raise Cancelled

    shared = market()
    tasks = [Task({}, shared.run.start_date, shared.run.end_date)] * 4
    with pytest.raises(Cancelled):
        scored(tasks, submit, 1, give_up)
    assert all(future.cancelled() for future in begun)


# --------------------------------------------------------------------------- stops of a script


def scripted_market() -> SweepMarket:
    """Rises of 3 % and falls back, hour by hour; the script buys each day."""
    prices = [(100 * (1 + 0.03 * np.sin(at / 5))) for at in range(24 * 12)]
    series: KlineSeries = bars([float(f"{price:.10g}") for price in prices])
    decisions: list[dict[str, Any]] = []
    for day in range(1, 9):
        decisions.append({**buy(24 * day, weight=0.5), "coin": "BTC", "time": hour(24 * day)})
        decisions.append({**close(24 * day + 20), "coin": "BTC", "time": hour(24 * day + 20)})
    run = ResolvedBacktest(
        start_date="2024-01-01", end_date="2024-01-12", trader="scripted",
        params={"decisions": decisions}, coins=["BTC"], risk="off", source="made",
    )  # fmt: skip
    return SweepMarket(run, {"BTC": series}, {})


def test_stops_and_fees_of_a_script_are_searched():
    shared = scripted_market()
    ranges = {"stop_loss_pct": {"values": [0, 1]}, "trade_fee_rate": {"values": [0, 0.001]}}
    rows = result_of(search(shared, ranges=ranges), shared)["rows"]
    assert len({row["return_percentage"] for row in rows}) == 4
    assert {row["total_trades"] for row in rows} == {8}
    stopped = run_task(shared, Task({"stop_loss_pct": 1.0}, *days(shared)))
    reasons = {entry.fill.reason.value for entry in stopped.entries}
    assert "stop_loss" in reasons


def days(of: SweepMarket) -> tuple[Any, Any]:
    return of.run.start_date, of.run.end_date


def test_exits_count_from_the_last_close_before_the_decision():
    series = bars([100.0, 110.0, 120.0])
    history = {"BTC": series}
    bought = {**buy(2, weight=0.5), "coin": "BTC", "time": hour(2), "stop_loss": "1"}
    (changed,) = with_exits([bought], {"stop_loss_pct": 10.0, "profit_target_pct": 20.0}, history)
    assert (changed["stop_loss"], changed["profit_target"]) == ("99.00", "132.00")
    assert bought["stop_loss"] == "1"
    sold = {**bought, "signal": "sell_to_enter"}
    (changed,) = with_exits([sold], {"stop_loss_pct": 10.0, "trailing_stop_pct": 0.0}, history)
    assert (changed["stop_loss"], changed["trailing_stop_pct"]) == ("121.00", None)
    (without,) = with_exits([bought], {"stop_loss_pct": 0.0}, history)
    assert without["stop_loss"] is None
    (far,) = with_exits([sold], {"profit_target_pct": 100.0}, history)
    assert far["profit_target"] is None
    early = {**bought, "time": hour(0)}
    closing = {**close(2), "coin": "BTC", "time": hour(2)}
    assert with_exits([early, closing], {"stop_loss_pct": 5.0}, history) == [early, closing]
