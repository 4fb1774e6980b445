"""What a backtest is asked to do, and what it leaves: the terms of a run and its result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum

from domain import HOUR_MS, Entry, FloatArray, Interval, KlineSeries, TimeArray
from ledger import Account
from paper_execution import ExecutionRules, Outcome
from risk import scaled


class FillTiming(StrEnum):
    """Where a decision at the close of a bar fills."""

    NEXT_OPEN = "next_open"
    CLOSE = "close"


@dataclass(frozen=True, slots=True)
class Funding:
    """Perpetual funding: `rate` of the notional at the mark, every `every_hours` hours UTC."""

    rate: Decimal
    every_hours: int = 8

    @property
    def period_ms(self) -> int:
        """The time between two settlements."""
        return self.every_hours * HOUR_MS

    def settlements(self, after_ms: int, until_ms: int) -> int:
        """How many settlements lie in after_ms < time ≤ until_ms."""
        return until_ms // self.period_ms - after_ms // self.period_ms


@dataclass(frozen=True, slots=True)
class BacktestConfig:
    """What a run is. `start_ms` ≤ open times < `end_ms`; `warmup_bars` None takes the trader's.

    `seed` is that of what its report draws by chance.
    """

    coins: tuple[str, ...]
    start_ms: int
    end_ms: int
    interval: Interval
    initial_capital: Decimal
    rules: ExecutionRules
    fill: FillTiming = FillTiming.NEXT_OPEN
    decide_every: int = 1
    funding: Funding | None = None
    warmup_bars: int | None = None
    position_scales: Mapping[str, Decimal] = field(
        default_factory=dict
    )  # of risk's largest, by coin
    seed: int = 0

    def rules_of(self, coin: str) -> ExecutionRules:
        """The rules for a coin, whose largest position may be a part of that of others."""
        scale = self.position_scales.get(coin)
        return (
            self.rules
            if scale is None
            else replace(self.rules, risk=scaled(self.rules.risk, scale))
        )


@dataclass(frozen=True, slots=True)
class BacktestResult:
    """A finished run: the ledger, and the account at every bar's close (float64, shape (n,)).

    `refusals` are the first (time, outcome) of every reason, `refusal_counts` how many there
    were; `warmup_bars` how many bars the run wanted before its start; `history` the bars used;
    `cash_after` the cash after each of `entries`.
    """

    config: BacktestConfig
    account: Account
    entries: tuple[Entry, ...]
    refusals: tuple[tuple[int, Outcome], ...]
    refusal_counts: Mapping[str, int]
    warmup_bars: int
    close_time: TimeArray
    cash_after: FloatArray
    cash: FloatArray
    positions_value: FloatArray
    bars_in_position: int
    history: Mapping[str, KlineSeries]

    @property
    def equity(self) -> FloatArray:
        """Total value at every bar's close."""
        return self.cash + self.positions_value

    @property
    def refusal_count(self) -> int:
        """How many decisions were refused."""
        return sum(self.refusal_counts.values())
