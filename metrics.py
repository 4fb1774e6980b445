"""What this process counts for Prometheus, in a registry of its own: requests, cycles, fills, calls.

What can be read when it is asked for is read then: see `state_metrics`. Labels are routes, states,
sources, models and providers, of which there are a few; never paths, coins or what callers make up.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client import generate_latest as prometheus_text
from prometheus_client.registry import Collector

from event_stream import Event
from llm_client import CallOutcome

METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})
REQUEST_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
CYCLE_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


class Metrics:
    """Counters and histograms since the start of the process; `text` is all there is."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._requests = Counter(
            "http_requests", "Requests answered",
            ["method", "route", "status"], registry=self.registry,
        )  # fmt: skip
        self._request_seconds = Histogram(
            "http_request_seconds", "Seconds until an answer began",
            ["method", "route"], buckets=REQUEST_SECONDS, registry=self.registry,
        )  # fmt: skip
        self._cycles = Counter(
            "trading_cycles", "Cycles ended", ["status"], registry=self.registry
        )  # fmt: skip
        self._cycle_seconds = Histogram(
            "trading_cycle_seconds", "Real seconds of a cycle, its LLM included",
            ["status"], buckets=CYCLE_SECONDS, registry=self.registry,
        )  # fmt: skip
        self._fills = Counter(
            "trading_fills", "Fills booked: orders by their signal, exits by what they met",
            ["kind", "reason"], registry=self.registry,
        )  # fmt: skip
        self._calls = Counter(
            "llm_calls", "Calls put to LLMs, by what came of them",
            ["provider", "outcome"], registry=self.registry,
        )  # fmt: skip
        self._call_seconds = Histogram(
            "llm_call_seconds", "Seconds of a call to an LLM",
            ["provider"], buckets=CYCLE_SECONDS, registry=self.registry,
        )  # fmt: skip
        self._tokens = Counter(
            "llm_tokens", "Tokens of answered calls", ["provider", "kind"], registry=self.registry
        )
        self._cost = Counter(
            "llm_cost_dollars", "Cost of answered calls whose prices are known",
            ["provider"], registry=self.registry,
        )  # fmt: skip

    def add(self, collector: Collector) -> None:
        """Also tell what `collector` finds when it is asked."""
        self.registry.register(collector)

    def text(self) -> bytes:
        """Everything in Prometheus' text format."""
        return prometheus_text(self.registry)

    def count_request(self, method: str, route: str | None, status: int, seconds: float) -> None:
        """An answer has begun; `route` is the pattern of its path, None where there is no such."""
        method, route = method if method in METHODS else "other", route or "none"
        self._requests.labels(method, route, str(status)).inc()
        self._request_seconds.labels(method, route).observe(seconds)

    def count_event(self, event: Event) -> None:
        """A cycle has ended, or a fill was booked: of the event stream."""
        if event.topic == "trade":
            fill = event.payload["trade"].entry.fill
            self._fills.labels(fill.kind.value, fill.reason.value).inc()
        elif event.topic == "cycle" and event.payload["seconds"] is not None:
            status = event.payload["cycle"].status
            self._cycles.labels(status).inc()
            self._cycle_seconds.labels(status).observe(event.payload["seconds"])

    def count_call(self, call: CallOutcome) -> None:
        """An LLM has answered, or not."""
        self._calls.labels(call.provider, call.outcome).inc()
        self._call_seconds.labels(call.provider).observe(call.seconds)
        if call.usage is not None:
            self._tokens.labels(call.provider, "input").inc(call.usage.input)
            self._tokens.labels(call.provider, "output").inc(call.usage.output)
        if call.cost is not None:
            self._cost.labels(call.provider).inc(float(call.cost))
