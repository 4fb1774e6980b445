"""What a run that asks a language model will call, use and cost, before it is started.

Prompts are built as the run would build them, from stored candles where there are any, on an
untouched account; how long answers are is told by those that are recorded of the model. What is
recorded already is found by replaying the run up to its first question without an answer.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from statistics import mean

import numpy as np

import ledger
from backtest_audit import generated_history
from backtest_jobs import BacktestJobs
from backtest_request import BacktestRequest, ResolvedBacktest
from backtest_worker import first_prices, run_engine, silent_trader, stored_history
from backtesting import Cancelled
from database import Database
from domain import AccountInfo, CoinMarket, KlineSeries, TokenPrices
from errors import InvalidInput, TradingSystemError
from exits import exact_price
from ledger import Account
from llm_backtests import BacktestLlmTrader, make_llm_trader
from llm_client import LLMClient
from llm_usage import Usage, cost_of
from recorded_answers import AnswerMissing
from repositories import llm_answers, providers
from repositories.llm_answers import StoredAnswer

SAMPLES = 5
ANSWERS_AVERAGED = 200
TOKENS_OF_AN_ANSWER, TOKENS_OF_A_COIN = 60, 110  # where no answer of the model is recorded
LONGEST_REPLAY_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Estimate:
    """Calls and tokens of a whole run; costs in US dollars, None where prices are not known.

    `recorded_already` answers cost nothing more. It is a lower bound where `replayed_whole` is
    false: the replay took too long. `from_candles` is false where none are stored yet.
    """

    calls: int
    prompt_tokens: int
    completion_tokens: int
    cost: Decimal | None
    recorded_already: int
    cost_still_to_pay: Decimal | None
    from_candles: bool
    replayed_whole: bool


def estimate(database: Database, jobs: BacktestJobs, request: BacktestRequest) -> Estimate:
    """The estimate of a run. Raises what `BacktestJobs.resolve` raises, InvalidInput (no_llm)."""
    resolved = jobs.resolve(request)
    if resolved.llm is None:
        raise InvalidInput("This trader asks no language model.", code="no_llm")
    history_bars = silent_trader(database, resolved).history_bars
    history = stored_history(database, resolved, history_bars)
    stored = all(
        len(series.between(resolved.start_ms, resolved.end_ms)) for series in history.values()
    )
    calls = _calls(resolved, history if stored else None)
    shown = history if stored else _stand_ins(resolved, history_bars)
    prompt_tokens = round(mean(_prompt_sizes(database, resolved, shown)) * calls)
    completion_tokens = round(_answer_size(database, resolved) * calls)
    prices = _prices(database, resolved)
    used: list[StoredAnswer] = []
    whole = True
    if stored:
        used, whole = _recorded(database, jobs, resolved, history)
    recorded = min(len(used), calls)
    cost = cost_of(Usage(prompt_tokens, completion_tokens), prices)
    left = Decimal(calls - recorded) / calls if calls else Decimal(0)
    return Estimate(
        calls=calls,
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
        cost=cost,
        recorded_already=recorded,
        cost_still_to_pay=None if cost is None else cost * left,
        from_candles=stored,
        replayed_whole=whole,
    )


def _calls(resolved: ResolvedBacktest, history: Mapping[str, KlineSeries] | None) -> int:
    """One at every `decide_every`-th bar of the range; repairs come on top."""
    interval = resolved.interval
    first, end = interval.ceil(resolved.start_ms), resolved.end_ms
    if history is not None:
        inside = [series.between(first, end).open_time for series in history.values()]
        first = min(int(times[0]) for times in inside)
        end = max(int(times[-1]) for times in inside) + interval.milliseconds
    bars = max(0, (end - first) // interval.milliseconds)
    return -(-bars // resolved.decide_every)


def _stand_ins(resolved: ResolvedBacktest, history_bars: int) -> dict[str, KlineSeries]:
    """Candles to measure prompts with where none are stored: those of a made-up market."""
    bars, interval = history_bars + SAMPLES, resolved.interval
    times = interval.floor(resolved.start_ms) + np.arange(bars) * interval.milliseconds
    made_up = generated_history(len(resolved.coins), bars).values()
    return {
        coin: replace(series, interval=interval, open_time=times)
        for coin, series in zip(resolved.coins, made_up, strict=True)
    }


def _prompt_sizes(
    database: Database, resolved: ResolvedBacktest, history: Mapping[str, KlineSeries]
) -> list[int]:
    """Estimated tokens of a few prompts over the range, on an account that has its capital."""
    trader = _replaying(database, resolved, history)
    ends = {coin: len(series) for coin, series in history.items()}
    for sample in np.linspace(0.1, 1.0, SAMPLES):
        market = {}
        for coin, series in history.items():
            last = max(1, round(ends[coin] * float(sample)))
            seen = series.slice(max(0, last - trader.history_bars), last)
            market[coin] = CoinMarket(exact_price(float(seen.close[-1])), seen)
        _measure(trader, resolved, market)
    return trader.run.prompts


def _measure(
    trader: BacktestLlmTrader, resolved: ResolvedBacktest, market: Mapping[str, CoinMarket]
) -> None:
    account = ledger.value(Account.opened_with(resolved.initial_capital), {})
    times = [int(s.klines.open_time[-1]) + s.klines.interval.milliseconds for s in market.values()]
    told = AccountInfo(max(times), resolved.start_ms, resolved.initial_capital, 0.0)
    try:
        trader.make_decision(market, account, told)
    except AnswerMissing:
        return  # the prompt is built before it is looked up


def _answer_size(database: Database, resolved: ResolvedBacktest) -> float:
    llm = resolved.llm
    assert llm is not None
    known = llm_answers.average_output_tokens(
        database.connection, llm.api_url, llm.model_name, ANSWERS_AVERAGED
    )
    if known is not None:
        return known
    guess = TOKENS_OF_AN_ANSWER + TOKENS_OF_A_COIN * len(resolved.coins)
    most = resolved.params.get("max_tokens")
    return guess if most is None else min(guess, most)


def _prices(database: Database, resolved: ResolvedBacktest) -> TokenPrices | None:
    llm = resolved.llm
    if llm is None or llm.provider_id is None:
        return None
    return providers.get(database.connection, llm.provider_id).prices.get(llm.model_name)


def _recorded(
    database: Database,
    jobs: BacktestJobs,
    resolved: ResolvedBacktest,
    history: Mapping[str, KlineSeries],
) -> tuple[list[StoredAnswer], bool]:
    """The answers up to the first that is missing, and whether the replay came so far."""
    trader = _replaying(database, resolved, history)
    until = time.monotonic() + LONGEST_REPLAY_SECONDS

    def in_time(share: float) -> None:
        if time.monotonic() > until:
            raise Cancelled

    try:
        run_engine(trader, resolved, history, jobs.instruments(resolved), in_time)
    except AnswerMissing:
        return trader.run.record.used, True
    except Cancelled:
        return trader.run.record.used, False
    return trader.run.record.used, True


def _replaying(
    database: Database, resolved: ResolvedBacktest, history: Mapping[str, KlineSeries]
) -> BacktestLlmTrader:
    """The run's trader, which asks nobody and writes nothing."""

    def nobody(provider_id: int) -> LLMClient:
        raise TradingSystemError("an estimate asks nobody")

    firsts = first_prices(resolved, history)
    return make_llm_trader(resolved.run_terms(), firsts, database, None, nobody, lambda: True)
