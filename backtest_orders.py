"""What a run has decided and not yet filled, and what became of nothing."""

from __future__ import annotations

from collections import Counter

from backtest_exits import NEVER
from backtest_market import Grid
from domain import Decision
from paper_execution import Outcome, closes_first

MOST_REFUSALS_KEPT = 100  # of each reason; all are counted


class DueOrders:
    """Decisions that wait for the bar of their coin that fills them: the next one, at its open, or
    the one that they were made on, at its close."""

    def __init__(self, grid: Grid, at_open: bool):
        self.next_bar = NEVER  # the grid index of the first that is due
        self._coins = grid.coins
        self._later = 1 if at_open else 0
        self._due: dict[int, list[tuple[str, Decision]]] = {}

    def add(self, at: int, coin: str, decision: Decision) -> str | None:
        """Queue what was decided at the close of grid index `at`; why not, where it cannot be."""
        bars = self._coins.get(coin)
        if bars is None:
            return "not_in_pool"
        fills_at = bars.grid_index_from(at + self._later)
        if fills_at is None:
            return "no_next_bar"
        if fills_at in self._due:
            self._due[fills_at].append((coin, decision))
        else:
            self._due[fills_at] = [(coin, decision)]
            if fills_at < self.next_bar:
                self.next_bar = fills_at
        return None

    def take(self, at: int) -> list[tuple[str, Decision]]:
        """Those that fill at grid index `at`, closes first."""
        orders = self._due.pop(at)
        self.next_bar = min(self._due) if self._due else NEVER
        return closes_first(orders)


class Refusals:
    """The decisions that came to nothing: all counted by reason, the first of each kept."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.first: list[tuple[int, Outcome]] = []

    def add(self, time_ms: int, outcome: Outcome) -> None:
        """Another one."""
        reason = str(outcome.reason)
        self.counts[reason] += 1
        if self.counts[reason] <= MOST_REFUSALS_KEPT:
            self.first.append((time_ms, outcome))
