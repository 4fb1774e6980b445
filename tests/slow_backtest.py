"""A second backtest, as plain as can be: floats, one bar after the other, no shared accounting.

It knows scripted decisions alone and is what the engine's jumps are held against. Everything is
written from the rules, not from the engine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from domain import HOUR_MS, KlineSeries

CLOSE_ENOUGH = 1e-9


@dataclass
class SlowPosition:
    sign: int
    quantity: float
    cost: float
    margin: float
    opened_at: int
    best: float
    stop: float | None
    target: float | None
    trailing: float | None
    fresh: bool  # filled at this bar's close: its exits begin with the next bar


@dataclass
class SlowTrade:
    kind: str
    coin: str
    time_ms: int
    quantity: float
    price: float
    fee: float


@dataclass
class SlowBacktest:
    """One run; times in milliseconds, rates as shares."""

    history: Mapping[str, KlineSeries]
    start_ms: int
    decisions: Sequence[dict[str, Any]]  # time_ms, coin, signal, size and exits; ascending
    capital: float = 10_000.0
    fee_rate: float = 0.0
    slippage: float = 0.0
    at_close: bool = False
    maintenance: float | None = 0.005
    liquidation_fee: float = 0.005
    funding_rate: float | None = None
    funding_hours: int = 8
    trades: list[SlowTrade] = field(default_factory=list)
    refusals: list[tuple[str, str]] = field(default_factory=list)
    equity: list[float] = field(default_factory=list)
    cash_curve: list[float] = field(default_factory=list)

    def run(self) -> SlowBacktest:
        self.cash = self.capital
        self.held: dict[str, SlowPosition] = {}
        self.last_close: dict[str, float] = {}
        self.pending = list(self.decisions)
        by_coin = {
            coin: {int(k.open_time): k for k in series} for coin, series in self.history.items()
        }
        length = next(iter(self.history.values())).interval.milliseconds
        times = sorted({time_ms for rows in by_coin.values() for time_ms in rows})
        before = 0
        for now in times:
            bars = {coin: rows[now] for coin, rows in by_coin.items() if now in rows}
            if now >= self.start_ms:
                self.one_bar(now, before, length, bars)
            self.last_close.update({coin: bar.close for coin, bar in bars.items()})
            if now >= self.start_ms:
                self.equity.append(self.total(self.last_close))
                self.cash_curve.append(self.cash)
            before = now
        self.refusals += [(d["coin"], "no_next_bar") for d in self.pending]
        return self

    def one_bar(self, now: int, before: int, length: int, bars: Mapping[str, Any]) -> None:
        opens = {**self.last_close, **{coin: bar.open for coin, bar in bars.items()}}
        closes = {**self.last_close, **{coin: bar.close for coin, bar in bars.items()}}
        if self.funding_rate is not None:
            self.pay_funding(now, before, opens)
        for coin, bar in bars.items():
            self.exit_at_open(coin, bar, now)
        if not self.at_close:
            self.fill(now, now, bars, opens)
        for coin, bar in bars.items():
            self.exit_at_open(coin, bar, now)
            self.exit_inside(coin, bar, now + length)
        if self.at_close:
            self.fill(now + length, now + length, bars, closes)
        for coin, bar in bars.items():
            position = self.held.get(coin)
            if position is not None and not position.fresh:
                extreme = bar.high if position.sign > 0 else bar.low
                position.best = position.sign * max(
                    position.sign * position.best, position.sign * extreme
                )
        for position in self.held.values():
            position.fresh = False

    def total(self, marks: Mapping[str, float]) -> float:
        return self.cash + sum(
            p.margin + p.sign * (p.quantity * marks[coin] - p.cost) for coin, p in self.held.items()
        )

    # -------------------------------------------------------------------------- orders

    def fill(
        self, until_ms: int, now: int, bars: Mapping[str, Any], marks: Mapping[str, float]
    ) -> None:
        due = [d for d in self.pending if d["time_ms"] <= until_ms and d["coin"] in bars]
        self.pending = [d for d in self.pending if d not in due]
        for decision in sorted(due, key=lambda d: d["signal"] != "close_position"):
            if decision["signal"] == "close_position":
                self.close(decision, now, marks)
            else:
                self.enter(decision, now, marks)

    def close(self, decision: dict[str, Any], now: int, marks: Mapping[str, float]) -> None:
        coin = decision["coin"]
        position = self.held.get(coin)
        if position is None:
            self.refusals.append((coin, "no_position"))
            return
        quantity = min(decision.get("quantity") or position.quantity, position.quantity)
        price = marks[coin] * (1 - position.sign * self.slippage)
        self.book_close("close", coin, quantity, price, quantity * price * self.fee_rate, now)

    def enter(self, decision: dict[str, Any], now: int, marks: Mapping[str, float]) -> None:
        coin, leverage = decision["coin"], decision.get("leverage", 1)
        sign = 1 if decision["signal"] == "buy_to_enter" else -1
        price = marks[coin] * (1 + sign * self.slippage)
        stop, target = decision.get("stop_loss"), decision.get("profit_target")
        if stop is not None and sign * (price - stop) <= 0:
            self.refusals.append((coin, "stop_on_wrong_side"))
            return
        if target is not None and sign * (target - price) <= 0:
            self.refusals.append((coin, "target_on_wrong_side"))
            return
        unit = price * (1 / leverage + self.fee_rate)  # what a coin takes from the cash
        if "quantity" in decision:
            quantity = decision["quantity"]
        elif "notional" in decision:
            quantity = decision["notional"] / price
        else:
            quantity = decision["weight"] * self.total(marks) / unit
            affordable = self.cash / unit
            if affordable < quantity <= 2 * affordable:
                quantity = affordable
        if quantity * price < 1e-6:  # nothing, or a share of less than nothing
            self.refusals.append((coin, "invalid_quantity"))
            return
        held = self.held.get(coin)
        if held is not None and held.sign != sign:
            self.refusals.append((coin, "opposite_position_open"))
            return
        if quantity * unit > self.cash + CLOSE_ENOUGH:
            self.refusals.append((coin, "insufficient_cash"))
            return
        margin, fee = quantity * price / leverage, quantity * price * self.fee_rate
        self.cash -= margin + fee
        trailing = decision.get("trailing_stop_pct")
        if held is None:
            self.held[coin] = SlowPosition(
                sign, quantity, quantity * price, margin, now, price, stop, target, trailing,
                fresh=self.at_close,
            )  # fmt: skip
        else:
            held.quantity += quantity
            held.cost += quantity * price
            held.margin += margin
            held.stop = held.stop if stop is None else stop
            held.target = held.target if target is None else target
            held.trailing = held.trailing if trailing is None else trailing
        self.trades.append(SlowTrade("open", coin, now, quantity, price, fee))

    def book_close(
        self, kind: str, coin: str, quantity: float, price: float, fee: float, now: int
    ) -> None:
        position = self.held[coin]
        share = quantity / position.quantity
        gross = position.sign * (quantity * price - share * position.cost)
        returned = max(share * position.margin + gross, 0.0)
        fee = min(fee, returned if kind == "liquidation" else returned + self.cash)
        self.cash += returned - fee
        position.quantity -= quantity
        position.cost *= 1 - share
        position.margin *= 1 - share
        if share == 1:
            del self.held[coin]
        self.trades.append(SlowTrade(kind, coin, now, quantity, price, fee))

    # --------------------------------------------------------------------------- exits

    def adverse_levels(self, position: SlowPosition) -> dict[str, float]:
        levels = {}
        if self.maintenance is not None:
            price = (position.cost - position.sign * position.margin) / (
                position.quantity * (1 - position.sign * self.maintenance)
            )
            if price > 1e-12:
                levels["liquidation"] = price
        if position.stop is not None:
            levels["stop_loss"] = position.stop
        if position.trailing is not None:
            levels["trailing_stop"] = position.best * (1 - position.sign * position.trailing / 100)
        return levels

    def exit_at_open(self, coin: str, bar: Any, now: int) -> None:
        position = self.held.get(coin)
        if position is None or position.fresh:
            return
        passed = [
            reason
            for reason, price in self.adverse_levels(position).items()
            if position.sign * (bar.open - price) <= 0
        ]
        if passed:
            self.leave("liquidation" if "liquidation" in passed else passed[0], coin, bar.open, now)
        elif position.target is not None and position.sign * (bar.open - position.target) >= 0:
            self.leave("profit_target", coin, bar.open, now)

    def exit_inside(self, coin: str, bar: Any, now: int) -> None:
        position = self.held.get(coin)
        if position is None or position.fresh:
            return
        sign = position.sign
        worst, best = (bar.low, bar.high) if sign > 0 else (bar.high, bar.low)
        touched = {
            reason: price
            for reason, price in self.adverse_levels(position).items()
            if sign * (worst - price) <= 0
        }
        if touched:
            nearest = min(touched, key=lambda reason: abs(bar.open - touched[reason]))
            self.leave(nearest, coin, touched[nearest], now)
        elif position.target is not None and sign * (best - position.target) >= 0:
            self.leave("profit_target", coin, position.target, now)

    def leave(self, reason: str, coin: str, price: float, now: int) -> None:
        position = self.held[coin]
        quantity = position.quantity
        if reason == "liquidation":
            fee = quantity * price * self.liquidation_fee
            self.book_close("liquidation", coin, quantity, price, fee, now)
        else:
            price *= 1 - position.sign * self.slippage
            self.book_close(reason, coin, quantity, price, quantity * price * self.fee_rate, now)

    # ------------------------------------------------------------------------- funding

    def pay_funding(self, now: int, before: int, marks: Mapping[str, float]) -> None:
        assert self.funding_rate is not None
        period = self.funding_hours * HOUR_MS
        for coin, position in self.held.items():
            settlement = (max(before, position.opened_at) // period + 1) * period
            while settlement <= now:
                amount = position.sign * position.quantity * marks[coin] * self.funding_rate
                amount = min(amount, self.cash + position.margin)
                from_cash = min(amount, self.cash)
                self.cash -= from_cash
                position.margin -= amount - from_cash
                self.trades.append(
                    SlowTrade("funding", coin, now, position.quantity, marks[coin], amount)
                )
                settlement += period
