"""Backtests: asking for a run, watching it, reading what came of it."""

from __future__ import annotations

from typing import Any, Literal

from flask import Response, jsonify, make_response, url_for
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, Field, RootModel

from backtest_export import MEDIA_TYPES, exported, file_name
from backtest_request import BacktestRequest
from errors import Conflict, InvalidInput, SourceUnavailable, TradingSystemError
from repositories import backtests
from repositories.backtests import BacktestRecord
from routes import shapes
from routes.json_errors import ERROR_ANSWERS
from routes.schemas import Empty, Identifier, Message, Query
from routes.services import services

blueprint = APIBlueprint(
    "backtests",
    __name__,
    url_prefix="/api",
    abp_tags=[Tag(name="Backtests")],
    abp_responses=ERROR_ANSWERS,
)


class BacktestPath(BaseModel):
    """A run by its id."""

    backtest_id: Identifier = Field(description="Backtest id")


class BacktestsQuery(Query):
    """How many."""

    limit: int = Field(50, ge=1, description="500 at most")


class ExportQuery(Query):
    """What kind of file."""

    format: Literal["json", "csv", "html"] = Field(
        "json", description="json: all, to run it again; csv: the trades; html: one page, offline"
    )


class BacktestAnswer(BaseModel):
    """A run."""

    id: int
    model_id: int | None
    status: str = Field(description="queued, running, done, failed or cancelled")
    progress: float = Field(description="0 to 1")
    config: dict[str, Any]
    error: str | None
    code: str | None
    values: dict[str, Any] = Field(description="What the error speaks of")
    created_at: str
    started_at: str | None
    finished_at: str | None
    summary: dict[str, Any] | None


class BacktestWithReport(BacktestAnswer):
    """A run with its report once it is done."""

    report: dict[str, Any] | None


class ExportedBacktest(BaseModel):
    """A run as a file of JSON; as CSV and HTML it has no such shape."""

    format: str
    format_version: int
    version: str
    id: int
    created_at: str
    finished_at: str | None
    config: dict[str, Any]
    data_hash: str
    report: dict[str, Any]


class Backtests(RootModel[list[BacktestAnswer]]):
    """Runs, newest first."""


class Accepted(BaseModel):
    """A run that has been queued."""

    id: int
    status_url: str


@blueprint.post("/backtest/run", responses={200: BacktestWithReport, 202: Accepted})
def run_backtest(body: BacktestRequest) -> Response:
    """Ask for a run. A run that has been made before is answered at once, from its store."""
    jobs = services().backtests
    record = jobs.submit(body)
    if body.wait and record.status != "done":
        jobs.wait(record.id)
        record = backtests.get(services().database.connection, record.id)
        _raise_failure(record)
    if record.status == "done":
        return jsonify(_with_report(record.id))
    status_url = url_for("backtests.get_backtest", backtest_id=record.id)
    return make_response({"id": record.id, "status_url": status_url}, 202)


@blueprint.get("/backtests", responses={200: Backtests})
def list_backtests(query: BacktestsQuery) -> Response:
    """Runs, newest first."""
    rows = backtests.list_backtests(services().database.connection, min(query.limit, 500))
    return jsonify([shapes.backtest(row) for row in rows])


@blueprint.get("/backtests/<int:backtest_id>", responses={200: BacktestWithReport})
def get_backtest(path: BacktestPath) -> Response:
    """One run, with its report when it is done."""
    return jsonify(_with_report(path.backtest_id))


@blueprint.get(
    "/backtests/<int:backtest_id>/export",
    responses={200: ExportedBacktest},
)
def export_backtest(path: BacktestPath, query: ExportQuery) -> Response:
    """A finished run as a file to keep or to send."""
    connection = services().database.connection
    record = backtests.get(connection, path.backtest_id, with_report=True)
    response = Response(exported(record, query.format), mimetype=MEDIA_TYPES[query.format])
    name = file_name(record, query.format)
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


@blueprint.post("/backtests/<int:backtest_id>/cancel", responses={200: Message})
def cancel_backtest(path: BacktestPath, body: Empty) -> Response:
    """End a run that is queued or running."""
    services().backtests.cancel(path.backtest_id)
    return jsonify({"message": f"Backtest {path.backtest_id} has been cancelled."})


@blueprint.delete("/backtests/<int:backtest_id>", responses={200: Message})
def delete_backtest(path: BacktestPath) -> Response:
    """Forget a run; one that is under way is cancelled."""
    with services().database.transaction() as connection:
        backtests.get(connection, path.backtest_id)
        backtests.delete(connection, path.backtest_id)
    return jsonify({"message": f"Backtest {path.backtest_id} has been deleted."})


def _with_report(backtest_id: int) -> dict[str, Any]:
    record = backtests.get(services().database.connection, backtest_id, with_report=True)
    report = None if record.report is None else dict(record.report)
    return shapes.backtest(record) | {"report": report}


def _raise_failure(record: BacktestRecord) -> None:
    """A run that was waited for and failed is the request's failure, by its code."""
    if record.status != "failed":
        return
    message, code = record.error or "The backtest failed.", record.error_code or ""
    kind: type[TradingSystemError] = InvalidInput
    if code in ("internal_error", "worker_died"):
        kind = TradingSystemError
    elif code in ("answer_missing", "run_cap"):
        kind = Conflict
    elif code.startswith(("source_", "llm_")):
        kind = SourceUnavailable
    raise kind(message, code=code, values=record.error_values)
