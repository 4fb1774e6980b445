"""A source in full, for those who look after it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from market_sources import PriceSource
from rate_limiter import BudgetUse
from source_health import Latency, SourceHealth, SourceRecord
from venue_fetcher import VenueFetcher


@dataclass(frozen=True, slots=True)
class SourceReport:
    """How a source does, and what it may be asked. `kinds`: its place for each kind of data."""

    health: SourceHealth
    state: str  # that of its health, or limited or quarantined
    error_rate: float
    latency: Latency | None
    budgets: Sequence[BudgetUse]
    dropped_rows: int
    quarantined: Sequence[str]
    kinds: Mapping[str, int]


def report_of(
    source: PriceSource, record: SourceRecord, quarantined: Sequence[str], kinds: Mapping[str, int]
) -> SourceReport:
    """The report of one source."""
    budgets = source.budgets() if isinstance(source, VenueFetcher) else []
    health = record.health()
    state = health.state
    if state == "up" and any(budget.used >= budget.limit for budget in budgets):
        state = "limited"
    elif state == "up" and quarantined:
        state = "quarantined"
    return SourceReport(
        health=health,
        state=state,
        error_rate=record.error_rate(),
        latency=record.latency(),
        budgets=budgets,
        dropped_rows=source.dropped_rows,
        quarantined=quarantined,
        kinds=kinds,
    )
