"""An LLM as the trader of a backtest: shown what it would be shown live, its answers recorded.

A call that fails for good ends the run with its reason. What was answered until then is recorded, so
that the same run, asked for again, goes on from there at no cost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

import numpy as np

from ai_params import read_params
from ai_trader import (
    AnswerUnusable,
    ClientFactory,
    EnhancedAITrader,
    call_terms,
)
from backtest_budget import RunBooks
from backtesting import Cancelled
from blind_prompts import Blinding, BlindTrader
from clock import SystemClock
from database import Database
from decision_parser import AnswerError, ParsedAnswer
from domain import (
    DAY_MS,
    AccountInfo,
    Clock,
    CoinMarket,
    Decision,
    Decisions,
    Entry,
    KlineSeries,
    LLMProvider,
    MarketState,
    Portfolio,
    Signal,
    Trader,
    TradingModel,
)
from errors import TradingSystemError
from kline_folding import fold
from llm_calls import CallsHalted, LLMCalls, RecordedAnswer
from llm_client import LLMClient, LLMError, Message
from llm_run_terms import LlmTerms, RunTerms
from llm_usage import Usage
from recorded_answers import Asked, RecordedCalls, Replay, RunRecord, question
from repositories.conversations import NewConversation
from risk_limits import limits_of
from timestamps import iso_utc
from trading_prompt import MOST_TRADES, Prompt, PromptTerms, decision_schema


class LlmStopped(TradingSystemError):
    """The provider gave no answer, after all that may be tried; `code` says why."""

    http_status = 503


# ------------------------------------------------------------------------------------- asking


@dataclass(slots=True)
class AnswerCounts:
    """How a run's answers were read."""

    repaired: int = 0  # sent back once with what was wrong
    unusable: int = 0  # decisions from which nothing could be taken: no trade


class AskingTrader(EnhancedAITrader):
    """`EnhancedAITrader` whose calls are a run's: recorded, capped, and in no model's log."""

    def __init__(
        self,
        model: TradingModel,
        terms: PromptTerms,
        database: Database,
        client_factory: ClientFactory,
        may_call: Callable[[], bool],
        wall_clock: Clock,
        run: LlmRun,
    ):
        super().__init__(model, terms, None, database, client_factory, may_call, wall_clock)
        self._run = run

    def make_decision(
        self, market_state: MarketState, portfolio: Portfolio, account_info: AccountInfo
    ) -> Decisions:
        """What the LLM decides; nothing where its answer cannot be used, as in a cycle that trades.

        Raises LlmStopped, RunCapReached, AnswerMissing, Cancelled.
        """
        if not market_state:
            return {}
        try:
            return super().make_decision(market_state, portfolio, account_info)
        except AnswerUnusable:
            self._run.counts.unusable += 1
            return {}

    def _calls(
        self, asked: Sequence[str], prompt: Prompt, account: AccountInfo
    ) -> _InterruptibleCalls:
        run, schema = self._run, decision_schema(asked)
        llm, model_name = run.llm, run.llm.model_name
        self._run.prompts.append(prompt.estimated_tokens)

        def live() -> LLMCalls:
            client = run.client(self._client_factory)
            return LLMCalls(
                self._database, client, run.books(client.provider),
                NewConversation(0, 0, None, run.asked.bar_time, client.provider.name, model_name,
                                prompt.template_version, prompt.system, prompt.user),
                call_terms(model_name, self.params), schema, self._may_call, self._wall_clock,
            )  # fmt: skip

        calls = RecordedCalls(
            run.record,
            run.asked,
            lambda messages: question(llm.api_url, model_name, self.params, schema, messages),
            live,
            run.cost,
        )
        return _InterruptibleCalls(calls, run.asked, run.counts)

    def _record(
        self, recorded: RecordedAnswer, parsed: ParsedAnswer, errors: Mapping[str, AnswerError]
    ) -> None:
        """Nothing: how an answer is read follows from the answer."""


class _InterruptibleCalls:
    """Calls whose failure ends the run: an answer that is missing is no decision to hold."""

    def __init__(self, calls: RecordedCalls, asked: Asked, counts: AnswerCounts):
        self._calls = calls
        self._asked = asked
        self._counts = counts

    def ask(self, messages: Sequence[Message], purpose: str) -> RecordedAnswer:
        if purpose == "repair":
            self._counts.repaired += 1
        try:
            return self._calls.ask(messages, purpose)
        except LLMError as error:
            raise LlmStopped(
                f"The run stops at {iso_utc(self._asked.bar_time)}: {error.message} Its answers are "
                "recorded: the same run asked for again goes on from here.",
                code=error.code,
                values={"time": iso_utc(self._asked.bar_time), "said": error.message},
            ) from error
        except CallsHalted as halted:
            raise Cancelled from halted


# ---------------------------------------------------------------------------------- the trader


@dataclass(slots=True)
class LlmRun:
    """What one run has asked and been answered so far."""

    llm: LlmTerms
    record: RunRecord
    backtest_id: int | None
    database: Database
    wall_clock: Clock
    asked: Asked = field(default_factory=lambda: Asked(0, ()))
    counts: AnswerCounts = field(default_factory=AnswerCounts)
    prompts: list[int] = field(default_factory=list)  # estimated tokens of each
    decisions: list[tuple[int, str, Decision]] = field(default_factory=list)
    _books: RunBooks | None = None

    def books(self, provider: LLMProvider) -> RunBooks:
        """Where the run's calls are written down."""
        if self._books is None:
            assert self.backtest_id is not None  # without a run nothing is asked
            self._books = RunBooks(
                self.database, self.backtest_id, self.llm.cap,
                provider.prices.get(self.llm.model_name), self.wall_clock,
            )  # fmt: skip
        return self._books

    def client(self, factory: ClientFactory) -> LLMClient:
        """What asks the provider, which must be where the run's questions are meant to go."""
        if self.llm.provider_id is None:
            raise LlmStopped(
                f"There is no provider at {self.llm.api_url} to ask.",
                code="no_provider",
                values={"address": self.llm.api_url},
            )
        client = factory(self.llm.provider_id)
        if client.provider.api_url != self.llm.api_url:
            raise LlmStopped(
                f"The provider has moved from {self.llm.api_url} to {client.provider.api_url}: "
                "start the run anew.",
                code="provider_moved",
                values={"before": self.llm.api_url, "address": client.provider.api_url},
            )
        return client

    def cost(self, usage: Usage) -> Decimal | None:
        """What a call has cost by the provider's prices."""
        return None if self._books is None else self._books.cost(usage)


class BacktestLlmTrader:
    """What the engine asks: shows the LLM what it would be shown live, and notes what it decides.

    `recent_trades` gives the run's entries so far, newest last.
    """

    def __init__(self, terms: RunTerms, asking: AskingTrader, shown: Trader, run: LlmRun):
        self._terms = terms
        self._asking = asking
        self._shown = shown
        self.run = run
        self.recent_trades: Callable[[], Sequence[Entry]] = tuple

    @property
    def history_bars(self) -> int:
        """What is shown, the day before it for its change, and all that longer bars are made of."""
        interval = self._terms.interval
        own = self._asking.history_bars
        longest = max(
            (other.milliseconds for other in self._asking.other_intervals),
            default=interval.milliseconds,
        )
        a_day = DAY_MS // interval.milliseconds + 1
        return max(own * (longest // interval.milliseconds) + 1, own, a_day)

    def make_decision(
        self, market_state: MarketState, portfolio: Portfolio, account_info: AccountInfo
    ) -> Decisions:
        """What the LLM decides; what may be raised ends the run."""
        market = {coin: self._as_live(coin, seen) for coin, seen in market_state.items()}
        self.run.asked = Asked(account_info.time_ms, tuple(market))
        told = replace(account_info, recent_trades=tuple(self.recent_trades()[-MOST_TRADES:]))
        decided = self._shown.make_decision(market, portfolio, told)
        for coin, said in decided.items():
            for decision in (said,) if isinstance(said, Decision) else said:
                if decision.signal is not Signal.HOLD:
                    self.run.decisions.append((account_info.time_ms, coin, decision))
        return decided

    def _as_live(self, coin: str, seen: CoinMarket) -> CoinMarket:
        own, klines = self._asking.history_bars, seen.klines
        return replace(
            seen,
            klines=_last(klines, own),
            change_24h=_change_24h(klines),
            pool_share=self._share(coin),
            other_klines={
                other: _last(fold(klines, other), own) for other in self._asking.other_intervals
            },
        )

    def _share(self, coin: str) -> float:
        weights = {symbol: self._terms.weights.get(symbol, 1.0) for symbol in self._terms.coins}
        total = sum(weights.values())
        return weights[coin] / total if total else 0.0


def make_llm_trader(
    terms: RunTerms,
    first_prices: Mapping[str, float],
    database: Database,
    backtest_id: int | None,
    client_factory: ClientFactory,
    may_call: Callable[[], bool],
    wall_clock: Clock | None = None,
) -> BacktestLlmTrader:
    """The trader of a run. Raises InvalidInput where its parameters do not fit.

    `first_prices` are the coins' first closes, by which a blind run is rescaled. Without a
    `backtest_id` nothing is asked or written: only what is recorded is answered.
    """
    clock = wall_clock or SystemClock()
    replay = terms.llm.replay if backtest_id is not None else Replay.ONLY
    run = LlmRun(
        terms.llm, RunRecord(database, backtest_id, replay, clock), backtest_id, database, clock
    )
    blinding = Blinding.of(first_prices, terms.start_ms) if terms.llm.blind else None
    asking = AskingTrader(
        terms.model(), _prompt_terms(terms, blinding), database, client_factory, may_call, clock,
        run,
    )  # fmt: skip
    shown = asking if blinding is None else BlindTrader(asking, blinding)
    return BacktestLlmTrader(terms, asking, shown, run)


def _prompt_terms(terms: RunTerms, blinding: Blinding | None) -> PromptTerms:
    llm = terms.llm
    return PromptTerms(
        params=read_params(terms.params),
        own_prompt=llm.prompt,
        interval=terms.interval,
        cycle_minutes=terms.minutes,
        limits=limits_of(terms.risk),
        coins=terms.coins if blinding is None else tuple(blinding.names[c] for c in terms.coins),
        names=llm.names if blinding is None else {},
        tick_sizes=llm.tick_sizes if blinding is None else blinding.tick_sizes(llm.tick_sizes),
    )


def _last(klines: KlineSeries, bars: int) -> KlineSeries:
    return klines.slice(max(0, len(klines) - bars), len(klines))


def _change_24h(klines: KlineSeries) -> float | None:
    """Percent from the close of a day ago to the last one, where there is such a bar."""
    if not len(klines):
        return None
    then = int(klines.open_time[-1]) - DAY_MS
    place = int(np.searchsorted(klines.open_time, then))
    if place >= len(klines) or int(klines.open_time[place]) != then:
        return None
    return (float(klines.close[-1]) / float(klines.close[place]) - 1) * 100
