"""What a rule strategy is: parameters, and signals for every bar of a history.

A strategy says once, vectorised over a whole history, where it would enter and close. A backtest
reads those arrays; live, `make_decision` computes them on the recent bars and reads the last one:
the same answers by construction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from domain import (
    AccountInfo,
    BoolArray,
    Decision,
    Decisions,
    JsonSchema,
    KlineSeries,
    MarketState,
    Portfolio,
    Side,
    Signal,
)
from errors import InvalidInput
from ledger import EXACT
from validation_reasons import reasons_of, sentences_of


class StrategyParams(BaseModel):
    """Base of a strategy's parameters; the form on the page is made from its JSON Schema."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class PositionParams(StrategyParams):
    """Parameters of strategies that hold one position a coin."""

    weight: float = Field(
        1.0, gt=0, le=1, description="Share of equity to use, split equally among the coins"
    )
    leverage: float = Field(1.0, ge=1, le=125, description="Leverage of every entry")


@dataclass(frozen=True, slots=True)
class Signals:
    """Where a strategy would act, each of shape (n,) like the bars: at the close of that bar.

    `close` closes what is held, whichever its side; with a `close_short` beside it, longs alone.
    """

    enter_long: BoolArray
    enter_short: BoolArray
    close: BoolArray
    close_short: BoolArray | None = None

    @classmethod
    def none(cls, bars: int) -> Signals:
        """No signal on any bar."""
        return cls(*(np.zeros(bars, dtype=np.bool_) for _ in range(3)))

    def closes(self, side: Side) -> BoolArray:
        """Where a position of this side is closed."""
        shorts = self.close if self.close_short is None else self.close_short
        return self.close if side is Side.LONG else shorts

    def at(self, bar: int, held: Side | None) -> tuple[bool, bool, bool]:
        """Whether to enter long, to enter short, and to close what is held, at one bar."""
        return (
            bool(self.enter_long[bar]),
            bool(self.enter_short[bar]),
            held is not None and bool(self.closes(held)[bar]),
        )


def crosses_above(first: np.ndarray[Any, Any], second: np.ndarray[Any, Any]) -> BoolArray:
    """Bars t with first[t] > second[t] and first[t−1] ≤ second[t−1]; never where either is NaN."""
    above = np.zeros(len(first), dtype=np.bool_)
    above[1:] = (first[1:] > second[1:]) & (first[:-1] <= second[:-1])
    return above


class RuleTrader:
    """Base of the traders that need no LLM: a key, a name, and validated parameters."""

    key: ClassVar[str]
    name: ClassVar[str]
    description: ClassVar[str]
    Params: ClassVar[type[StrategyParams]] = PositionParams

    def __init__(self, coins: Sequence[str], params: Mapping[str, Any] | None = None):
        try:
            self.params = self.Params.model_validate(dict(params or {}))
        except ValidationError as error:
            raise InvalidInput(
                f"The parameters of {self.key} do not fit.",
                fields=sentences_of(error, "params"),
                reasons=reasons_of(error, "params"),
            ) from error
        self.coins = tuple(coins)
        self._entries: dict[Side, Decision] = {}

    @classmethod
    def params_schema(cls) -> JsonSchema:
        """The JSON Schema of the parameters."""
        return cls.Params.model_json_schema()

    @property
    def history_bars(self) -> int:
        """How many closed bars a decision depends on."""
        return 1

    def entry(self, side: Side) -> Decision:
        """The decision with which it enters: its weight shared equally by the coins."""
        if side in self._entries:
            return self._entries[side]
        params = self.params
        weight = EXACT.divide(
            Decimal(repr(getattr(params, "weight", 1.0))), Decimal(max(len(self.coins), 1))
        )
        leverage = Decimal(repr(getattr(params, "leverage", 1.0)))
        signal = Signal.BUY_TO_ENTER if side is Side.LONG else Signal.SELL_TO_ENTER
        decision = Decision(signal, weight=weight, leverage=leverage, justification=self.name)
        self._entries[side] = decision
        return decision

    def make_decision(
        self, market_state: MarketState, portfolio: Portfolio, account_info: AccountInfo
    ) -> Decisions:
        """Decisions keyed by coin; a coin left out is held."""
        raise NotImplementedError


class Strategy(RuleTrader):
    """Base of rule strategies. A subclass names itself, its parameters and its signals."""

    def signals(self, coin: str, klines: KlineSeries) -> Signals:
        """Signals at the close of every bar of `klines` (closed bars, ascending)."""
        raise NotImplementedError

    def decide(
        self, enter_long: bool, enter_short: bool, close: bool, held: Side | None
    ) -> list[Decision]:
        """Decisions for one coin from one bar's signals and the side that is held.

        A held position is closed by `close` or by an entry to the other side, which it then
        enters; an entry to the side already held adds nothing.
        """
        wanted = Side.LONG if enter_long else Side.SHORT if enter_short else None
        if held is None:
            return [self.entry(wanted)] if wanted is not None else []
        if wanted is held or not (close or wanted is not None):
            return []
        return [self._closing] if wanted is None else [self._closing, self.entry(wanted)]

    @cached_property
    def _closing(self) -> Decision:
        return Decision(Signal.CLOSE_POSITION, justification=self.name)

    def make_decision(
        self, market_state: MarketState, portfolio: Portfolio, account_info: AccountInfo
    ) -> Decisions:
        """Decisions from the last closed bar of each coin; a bar is acted on once."""
        decisions: dict[str, list[Decision]] = {}
        for coin, market in market_state.items():
            klines = market.klines
            if not len(klines) or seen_before(klines, account_info.previous_time_ms):
                continue
            position = portfolio.positions.get(coin)
            held = position.side if position is not None else None
            decided = self.decide(*self.signals(coin, klines).at(-1, held), held)
            if decided:
                decisions[coin] = decided
        return decisions


def seen_before(klines: KlineSeries, previous_time_ms: int | None) -> bool:
    """Whether the last bar had closed already when the trader was last asked."""
    return previous_time_ms is not None and _closed_at_ms(klines, -1) <= previous_time_ms


def is_due(klines: KlineSeries, bars: int, previous_time_ms: int | None) -> bool:
    """Whether what is done every `bars` bars is due at the close of the last of `klines`.

    It is due the first time a trader is asked, and then at the first new bar that closes at or
    after a multiple of `bars` bars since 1970: with 24 hourly bars, at midnight UTC. `klines`
    holds the bar before the last one as well, where there is one.
    """
    if previous_time_ms is None:
        return True
    if seen_before(klines, previous_time_ms):
        return False
    known_ms = previous_time_ms
    if len(klines) > 1:
        known_ms = min(known_ms, _closed_at_ms(klines, -2))
    period_ms = bars * klines.interval.milliseconds
    return _closed_at_ms(klines, -1) // period_ms > known_ms // period_ms


def _closed_at_ms(klines: KlineSeries, bar: int) -> int:
    return int(klines.open_time[bar]) + klines.interval.milliseconds
