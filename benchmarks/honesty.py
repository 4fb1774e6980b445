"""`python -m benchmarks.honesty`: is what a report says of chance true of a trader that has only it?

A random trader plays as many markets as seeds. Their prices are a martingale (bars' returns have the
mean 0) and nothing costs a fee, so that its true mean return is 0 exactly, whatever it does. The
report's 95 % interval for the return has to hold 0 about as often as it says, and its luck test,
the share of random entries that did as well, has to be spread evenly over 0 to 1.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from backtest_report import build_report
from backtest_run import BacktestConfig
from backtesting import BacktestEngine
from domain import DAY_MS, HOUR_MS, Interval, KlineSeries
from paper_execution import ExecutionRules
from strategies import make_trader

START_MS = 1_704_067_200_000  # 2024-01-01T00:00:00Z
HOURLY_DEVIATION = 0.006
PRICE_DECIMALS = 4
FREE = ExecutionRules(fee_rate=Decimal(0), slippage_bps=Decimal(0))


@dataclass(frozen=True)
class Honesty:
    """Over all seeds: how many intervals held the truth, and the luck test's answers, ascending."""

    seeds: int
    covered: int
    luck: tuple[float, ...]

    @property
    def distance(self) -> float:
        """Kolmogorov's: how far the luck test's answers are from evenly spread, 0 to 1."""
        luck, count = np.array(self.luck), len(self.luck)
        steps = np.arange(count + 1) / count
        return float(max(np.max(steps[1:] - luck), np.max(luck - steps[:-1])))

    def lines(self) -> list[str]:
        """What was found, for people."""
        tenths = np.histogram(self.luck, bins=10, range=(0, 1))[0]
        chance = 1.36 / len(self.luck) ** 0.5
        return [
            f"{self.covered} of {self.seeds} 95 % intervals for the return hold the true mean, 0.",
            f"Luck test by tenths: {' '.join(map(str, tenths))}; distance from even "
            f"{self.distance:.3f} ({chance:.3f} is what 1 of 20 even samples is beyond).",
        ]


def fair_market(seed: int, days: int) -> KlineSeries:
    """Hourly candles whose next price is worth this one on average."""
    random = np.random.default_rng((seed, 7))
    bars = days * 24
    steps = random.normal(-(HOURLY_DEVIATION**2) / 2, HOURLY_DEVIATION, bars)
    closes = np.round(100 * np.exp(np.cumsum(steps)), PRICE_DECIMALS)
    opens = np.concatenate(([100.0], closes[:-1]))
    opened = START_MS + HOUR_MS * np.arange(bars, dtype=np.int64)
    return KlineSeries(
        interval=Interval.H1, open_time=opened, open=opens, high=np.maximum(opens, closes),
        low=np.minimum(opens, closes), close=closes, volume=np.full(bars, 1e6), source="made up",
    )  # fmt: skip


def measure(seeds: int, days: int) -> Honesty:
    """Play so many markets of so many days."""
    covered, luck = 0, []
    for seed in range(seeds):
        chances = {"seed": seed, "enter_chance": 0.1, "close_chance": 0.1, "allow_short": True}
        config = BacktestConfig(
            coins=("FAIR",), start_ms=START_MS, end_ms=START_MS + days * DAY_MS,
            interval=Interval.H1, initial_capital=Decimal(100_000), rules=FREE, seed=seed,
        )  # fmt: skip
        trader = make_trader("random", ("FAIR",), chances)
        result = BacktestEngine(trader, config).run_backtest({"FAIR": fair_market(seed, days)})
        summary = build_report(result)["summary"]
        low, high = summary["return_interval"]
        covered += low <= 0 <= high
        luck.append(summary["luck_probability"])
    return Honesty(seeds, covered, tuple(sorted(luck)))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--days", type=int, default=180)
    asked = parser.parse_args()
    print("\n".join(measure(asked.seeds, asked.days).lines()))


if __name__ == "__main__":
    main()
