"""Blind runs: an LLM is shown the same market under neutral names, at other dates and prices. Pure.

Coins are COIN1, COIN2, … in the run's order; times are moved by whole weeks, so that the range
begins in the first week of 2001; each coin's prices are multiplied by a factor that brings its first
close near 100, and its quantities divided by it. The factors are products of twos and fives alone, so
that they and their inverses are finite decimals and every price and quantity comes back exactly.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from domain import (
    AccountInfo,
    CoinMarket,
    Decision,
    Decisions,
    Entry,
    Exits,
    Interval,
    KlineSeries,
    MarketState,
    Portfolio,
    Position,
    PriceCondition,
    Trader,
)
from ledger import EXACT

SHOWN_START_MS = 978_307_200_000  # 2001-01-01, a Monday
SHOWN_PRICE = 100.0
# 2^a · 5^b, at most a quarter apart.
STEPS = tuple(map(Decimal, ("1", "1.25", "1.6", "2", "2.5", "3.2", "4", "5", "6.4", "8", "10")))


def blind_name(place: int) -> str:
    """The name that the coin at this place (from 0) of a run is shown under."""
    return f"COIN{place + 1}"


def price_factor(first_price: float) -> Decimal:
    """What this coin's prices are multiplied by."""
    exponent = math.floor(math.log10(SHOWN_PRICE / first_price))
    factors = [step.scaleb(exponent) for step in STEPS]
    return min(factors, key=lambda factor: abs(math.log(float(factor) * first_price / SHOWN_PRICE)))


@dataclass(frozen=True, slots=True)
class Blinding:
    """How a run is shown: names and factors by the coin's own symbol, and the shift of times."""

    names: Mapping[str, str]
    factors: Mapping[str, Decimal]
    shift_ms: int

    @classmethod
    def of(cls, first_prices: Mapping[str, float], start_ms: int) -> Blinding:
        """Of a run that begins at `start_ms`, its coins in their order with their first closes."""
        return cls(
            {coin: blind_name(place) for place, coin in enumerate(first_prices)},
            {coin: price_factor(price) for coin, price in first_prices.items()},
            SHOWN_START_MS - Interval.W1.floor(start_ms),
        )

    # ------------------------------------------------------------------------ what is shown

    def market(self, market: MarketState) -> dict[str, CoinMarket]:
        """The market as it is shown."""
        return {self.names[coin]: self._coin(coin, seen) for coin, seen in market.items()}

    def portfolio(self, portfolio: Portfolio) -> Portfolio:
        """The portfolio as it is shown; money stays as it is."""
        return portfolio._replace(
            positions={
                self.names[coin]: self._position(coin, position)
                for coin, position in portfolio.positions.items()
            },
            marks={
                self.names[coin]: mark * self.factors[coin]
                for coin, mark in portfolio.marks.items()
            },
        )

    def account(self, account: AccountInfo) -> AccountInfo:
        """The account as it is shown."""
        previous = account.previous_time_ms
        return replace(
            account,
            time_ms=account.time_ms + self.shift_ms,
            started_ms=account.started_ms + self.shift_ms,
            previous_time_ms=None if previous is None else previous + self.shift_ms,
            recent_trades=tuple(self._entry(entry) for entry in account.recent_trades),
        )

    def tick_sizes(self, tick_sizes: Mapping[str, Decimal]) -> dict[str, Decimal]:
        """Smallest steps of prices as they are shown."""
        return {self.names[coin]: tick * self.factors[coin] for coin, tick in tick_sizes.items()}

    def _coin(self, coin: str, seen: CoinMarket) -> CoinMarket:
        return replace(
            seen,
            price=seen.price * self.factors[coin],
            klines=self._klines(coin, seen.klines),
            other_klines={
                interval: self._klines(coin, klines)
                for interval, klines in seen.other_klines.items()
            },
        )

    def _klines(self, coin: str, klines: KlineSeries) -> KlineSeries:
        factor = float(self.factors[coin])
        return replace(
            klines,
            open_time=klines.open_time + self.shift_ms,
            open=klines.open * factor,
            high=klines.high * factor,
            low=klines.low * factor,
            close=klines.close * factor,
            volume=klines.volume / factor,
        )

    def _position(self, coin: str, position: Position) -> Position:
        factor = self.factors[coin]
        best = position.best_price
        return position._replace(
            coin=self.names[coin],
            quantity=position.quantity * _inverse(factor),
            opened_at=position.opened_at + self.shift_ms,
            exits=_exits_times(position.exits, factor),
            best_price=None if best is None else best * factor,
        )

    def _entry(self, entry: Entry) -> Entry:
        fill = entry.fill
        factor = self.factors[fill.coin]
        shown = fill._replace(
            coin=self.names[fill.coin],
            quantity=fill.quantity * _inverse(factor),
            price=fill.price * factor,
            time_ms=fill.time_ms + self.shift_ms,
            exits=_exits_times(fill.exits, factor),
        )
        return entry._replace(fill=shown)

    # ----------------------------------------------------------------------- what is decided

    def decisions(self, decisions: Decisions) -> dict[str, tuple[Decision, ...]]:
        """What was decided of the coins as shown, about the coins as they are."""
        real = {shown: coin for coin, shown in self.names.items()}
        return {
            real[shown]: tuple(self._decision(real[shown], one) for one in _listed(said))
            for shown, said in decisions.items()
            if shown in real
        }

    def _decision(self, coin: str, decision: Decision) -> Decision:
        back = _inverse(self.factors[coin])
        condition = decision.invalidation_condition
        return replace(
            decision,
            quantity=_times(decision.quantity, self.factors[coin]),
            profit_target=_times(decision.profit_target, back),
            stop_loss=_times(decision.stop_loss, back),
            invalidation_condition=_condition_times(condition, back),
        )


class BlindTrader:
    """Shows a trader the blinded market, and takes its decisions for the coins as they are."""

    def __init__(self, trader: Trader, blinding: Blinding):
        self._trader = trader
        self._blinding = blinding

    @property
    def history_bars(self) -> int:
        """What the trader wants to see."""
        return self._trader.history_bars

    def make_decision(
        self, market_state: MarketState, portfolio: Portfolio, account_info: AccountInfo
    ) -> Decisions:
        """What the trader decides of what it is shown."""
        blinding = self._blinding
        return blinding.decisions(
            self._trader.make_decision(
                blinding.market(market_state),
                blinding.portfolio(portfolio),
                blinding.account(account_info),
            )
        )


def _inverse(factor: Decimal) -> Decimal:
    """1 / factor, which is finite."""
    return EXACT.divide(Decimal(1), factor)


def _times(amount: Decimal | None, factor: Decimal) -> Decimal | None:
    return None if amount is None else EXACT.multiply(amount, factor)


def _condition_times(condition: PriceCondition | None, factor: Decimal) -> PriceCondition | None:
    if condition is None:
        return None
    return replace(condition, level=EXACT.multiply(condition.level, factor))


def _exits_times(exits: Exits, factor: Decimal) -> Exits:
    return replace(
        exits,
        stop_loss=_times(exits.stop_loss, factor),
        profit_target=_times(exits.profit_target, factor),
        invalidation=_condition_times(exits.invalidation, factor),
    )


def _listed(said: Decision | Sequence[Decision]) -> Sequence[Decision]:
    return (said,) if isinstance(said, Decision) else said
