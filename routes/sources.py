"""The data sources: how each does, what it may be asked, and what was noticed about its data."""

from __future__ import annotations

from typing import Any, Literal

from flask import Response, jsonify
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, Field, RootModel

from routes import shapes
from routes.json_errors import ERROR_ANSWERS
from routes.schemas import LARGEST_ID, Query
from routes.services import services
from source_report import SourceReport
from stream_supervisor import StreamState
from timestamps import iso_utc

blueprint = APIBlueprint(
    "sources",
    __name__,
    url_prefix="/api",
    abp_tags=[Tag(name="Sources")],
    abp_responses=ERROR_ANSWERS,
)

MOST_ALERTS = 500


class LatencyAnswer(BaseModel):
    """Milliseconds that half, and 99 of 100, of the last five minutes' answers took at most."""

    p50: float
    p99: float


class BudgetAnswer(BaseModel):
    """How much of one of the source's limits is used now."""

    name: str
    used: int
    limit: int
    window_seconds: float


class StreamAnswer(BaseModel):
    """The source's websocket."""

    state: str = Field(description="up, down, silent or off")
    last_message: str | None
    reconnects: int


class SourceAnswer(BaseModel):
    """A data source. Times are of the wall clock."""

    name: str
    state: Literal["up", "down", "limited", "banned", "blocked", "quarantined", "unused"]
    breaker: Literal["closed", "open", "half_open"] = Field(
        description="open: it is left alone; half_open: one question tries it"
    )
    retry_at: str | None = Field(description="When it is asked again")
    last_success: str | None
    last_error: str | None
    last_error_at: str | None
    last_error_code: str | None = Field(description="Why, as a stable word")
    error_rate: float = Field(ge=0, le=1, description="Of the last five minutes")
    latency_ms: LatencyAnswer | None
    budgets: list[BudgetAnswer]
    dropped_rows: int = Field(description="Rows that were not sound, since the start")
    quarantined: list[str] = Field(description="Coins whose prices are not believed for now")
    kinds: dict[str, int] = Field(description="Its place for each kind of data, the first choice 1")
    stream: StreamAnswer | None


class Sources(RootModel[list[SourceAnswer]]):
    """Every data source."""


class AlertsQuery(Query):
    """How many, newest first."""

    limit: int = Field(100, ge=1, description="500 at most")
    before: int | None = Field(None, ge=1, le=LARGEST_ID, description="Only ids below this")


class AlertAnswer(BaseModel):
    """Something noticed about a source's data."""

    id: int
    time: str
    kind: Literal["deviation", "jump", "gap", "dropped", "source_down"]
    source: str
    coin: str | None
    message: str
    code: str | None = Field(description="What `message` says, with `values`; null in old alerts")
    values: dict[str, object]


class Alerts(RootModel[list[AlertAnswer]]):
    """Data alerts, newest first."""


@blueprint.get("/sources", responses={200: Sources})
def get_sources() -> Response:
    """Each data source: its state, errors, latency, and how much of its limits is used."""
    app = services()
    streams = {state.name: state for state in app.prices.streams()}
    return jsonify(
        [
            _source(report, streams.get(report.health.name))
            for report in app.data_aggregator.sources()
        ]
    )


@blueprint.get("/data-alerts", responses={200: Alerts})
def get_data_alerts(query: AlertsQuery) -> Response:
    """What was noticed about the sources' data: prices apart, jumps, gaps, rows left out."""
    newest = services().data_aggregator.alerts.newest(min(query.limit, MOST_ALERTS), query.before)
    return jsonify(
        [
            {
                "id": alert.id, "time": iso_utc(alert.time_ms), "kind": alert.kind,
                "source": alert.source, "coin": alert.coin, "message": alert.message,
                "code": alert.code, "values": alert.values,
            }
            for alert in newest
        ]
    )  # fmt: skip


def _source(report: SourceReport, stream: StreamState | None) -> dict[str, Any]:
    health, latency = report.health, report.latency
    return {
        "name": health.name,
        "state": report.state,
        "breaker": health.breaker.value,
        "retry_at": shapes.time(health.retry_at_ms),
        "last_success": shapes.time(health.last_success_ms),
        "last_error": health.last_error,
        "last_error_at": shapes.time(health.last_error_ms),
        "last_error_code": health.last_error_code,
        "error_rate": round(report.error_rate, 4),
        "latency_ms": None
        if latency is None
        else {"p50": round(latency.p50, 1), "p99": round(latency.p99, 1)},
        "budgets": [
            {
                "name": budget.name, "used": budget.used, "limit": budget.limit,
                "window_seconds": budget.window_seconds,
            }
            for budget in report.budgets
        ],
        "dropped_rows": report.dropped_rows,
        "quarantined": list(report.quarantined),
        "kinds": dict(report.kinds),
        "stream": None
        if stream is None
        else {
            "state": stream.state,
            "last_message": shapes.time(stream.last_message_ms),
            "reconnects": stream.reconnects,
        },
    }  # fmt: skip
