"""What Prometheus is told of how things stand, read when it asks: accounts, sources, queues, files."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from decimal import Decimal

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ai_params import AI_TRADER, read_params
from clock import SystemClock
from data_aggregator import MultiSourceDataAggregator
from data_jobs import DataJobs
from database import Database
from domain import TradingModel
from event_stream import EventStream
from repositories import backtests, conversations, models, sweeps
from source_report import SourceReport
from trading_desk import TradingDesk
from version import VERSION

Samples = Iterable[tuple[tuple[str, ...], float]]  # values of the labels, and the figure


class StateMetrics(Collector):
    """Reads everything afresh at each question; what cannot be read fails the whole answer."""

    def __init__(
        self,
        database: Database,
        data_aggregator: MultiSourceDataAggregator,
        desk: TradingDesk,
        events: EventStream,
        data_jobs: DataJobs,
    ):
        self._database = database
        self._data_aggregator = data_aggregator
        self._desk = desk
        self._events = events
        self._data_jobs = data_jobs

    def collect(self) -> Iterator[Metric]:
        """Every family of figures."""
        yield _gauges("app", "The program", ["version"], [((VERSION,), 1)])
        yield from self._trading()
        yield from self._models()
        yield from self._sources()
        yield from self._queues()
        yield from self._files()

    # ------------------------------------------------------------------------------ trading

    def _trading(self) -> Iterator[Metric]:
        lease, halt = self._desk.lease, self._desk.halt
        yield _gauge("trading_loop_mine", "Whether this process runs the loop", lease.mine)
        held = lease.holder is not None
        yield _gauge("trading_loop_held", "Whether any process does", held)
        yield _gauge("trading_halted", "Whether the kill switch is on", halt.is_on())

    def _models(self) -> Iterator[Metric]:
        current = models.list_models(self._database.connection)
        valued = [(model, self._desk.engine_of(model).valued_account()) for model in current]
        labels = ["model_id", "model"]
        yield _gauges(
            "trading_equity", "Account value at the last good marks", labels,
            ((_named(model), float(at.portfolio.total_value)) for model, at in valued),
        )  # fmt: skip
        yield _gauges(
            "trading_open_positions", "Positions that a model holds", labels,
            ((_named(model), len(at.account.positions)) for model, at in valued),
        )  # fmt: skip
        yield _gauges(
            "llm_budget_used_ratio", "Share of a model's daily budget that is used, 0 to 1",
            [*labels, "limit"], self._budgets(current),
        )  # fmt: skip

    def _budgets(self, current: list[TradingModel]) -> Samples:
        wall_ms = SystemClock().now_ms()
        for model in current:
            if model.trader != AI_TRADER or model.replica_of is not None:
                continue
            spent = conversations.spent_on_day(self._database.connection, model.id, wall_ms)
            limits = read_params(model.params)
            used: dict[str, tuple[float | Decimal, float | Decimal | None]] = {
                "calls": (spent.calls, limits.daily_calls),
                "tokens": (spent.tokens, limits.daily_tokens),
                "cost": (spent.cost, limits.daily_cost),
            }
            for name, (amount, limit) in used.items():
                if limit:
                    yield (*_named(model), name), float(amount) / float(limit)

    # ------------------------------------------------------------------------------ sources

    def _sources(self) -> Iterator[Metric]:
        reports = {report.health.name: report for report in self._data_aggregator.sources()}
        of_each: dict[str, tuple[str, dict[str, float]]] = {
            "source_up": (
                "Whether a source answers",
                {name: report.state == "up" for name, report in reports.items()},
            ),
            "source_error_ratio": (
                "Share of the last five minutes' questions that failed",
                {name: report.error_rate for name, report in reports.items()},
            ),
            "source_price_age_seconds": (
                "Age of the newest price of a source",
                self._price_ages(),
            ),
        }
        for metric, (words, values) in of_each.items():
            yield _gauges(metric, words, ["source"], (((k,), v) for k, v in values.items()))
        yield _gauges(
            "source_state", "1 for the state that a source is in", ["source", "state"],
            (((name, report.state), 1) for name, report in reports.items()),
        )  # fmt: skip
        yield _gauges(
            "source_latency_seconds", "Of the last five minutes' answers", ["source", "quantile"],
            _latencies(reports.values()),
        )  # fmt: skip
        yield _gauges(
            "source_budget_used_ratio", "Share of a source's limit that is used, 0 to 1",
            ["source", "budget"], _budgets_of(reports.values()),
        )  # fmt: skip
        dropped = CounterMetricFamily(
            "source_dropped_rows", "Rows that were not sound", labels=["source"]
        )
        for name, report in reports.items():
            dropped.add_metric([name], report.dropped_rows)
        yield dropped

    def _price_ages(self) -> dict[str, float]:
        latest = self._data_aggregator.latest
        newest = latest.newest_of_each()
        return {source: latest.age_seconds(price) for source, price in newest.items()}

    # -------------------------------------------------------------------- queues and files

    def _queues(self) -> Iterator[Metric]:
        connection = self._database.connection
        yield _gauge("event_listeners", "Streams of events", self._events.listener_count)
        waiting = {
            ("backtests",): backtests.count_unfinished(connection),
            ("sweeps",): len(sweeps.unfinished(connection)),
            ("data_jobs",): self._data_jobs.count_unfinished(),
        }
        words = "What is queued or under way"
        yield _gauges("queue_length", words, ["queue"], waiting.items())

    def _files(self) -> Iterator[Metric]:
        database = self._database.path
        wal = database.with_name(f"{database.name}-wal")
        sizes = {
            ("database",): database.stat().st_size,
            ("wal",): wal.stat().st_size if wal.exists() else 0,
        }
        yield _gauges("database_bytes", "Size of the database's files", ["file"], sizes.items())
        free = shutil.disk_usage(database.parent).free
        yield _gauge("disk_free_bytes", "Room on the database's disk", free)


def _gauge(name: str, words: str, value: float) -> Metric:
    return _gauges(name, words, [], [((), value)])


def _gauges(name: str, words: str, labels: list[str], samples: Samples) -> Metric:
    family = GaugeMetricFamily(name, words, labels=labels)
    for values, figure in samples:
        family.add_metric(values, float(figure))
    return family


def _named(model: TradingModel) -> tuple[str, str]:
    return str(model.id), model.name


def _latencies(reports: Iterable[SourceReport]) -> Samples:
    for report in reports:
        if report.latency is not None:
            yield (report.health.name, "0.5"), report.latency.p50 / 1000
            yield (report.health.name, "0.99"), report.latency.p99 / 1000


def _budgets_of(reports: Iterable[SourceReport]) -> Samples:
    for report in reports:
        for budget in report.budgets:
            yield (report.health.name, budget.name), budget.used / budget.limit
