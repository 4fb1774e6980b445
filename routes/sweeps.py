"""Searches over a strategy's parameters: asking for one, watching it, reading its table."""

from __future__ import annotations

from typing import Any

from flask import Response, jsonify, make_response, url_for
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, Field, RootModel

from repositories import sweeps
from repositories.sweeps import SweepRecord
from routes.json_errors import ERROR_ANSWERS
from routes.schemas import Empty, Identifier, Message, Query
from routes.services import services
from sweep_request import SweepRequest
from timestamps import iso_utc

blueprint = APIBlueprint(
    "sweeps",
    __name__,
    url_prefix="/api/backtests",
    abp_tags=[Tag(name="Backtests")],
    abp_responses=ERROR_ANSWERS,
)


class SweepPath(BaseModel):
    """A search by its id."""

    sweep_id: Identifier = Field(description="Search id")


class SweepsQuery(Query):
    """How many."""

    limit: int = Field(50, ge=1, description="500 at most")


class SweepAnswer(BaseModel):
    """A search."""

    id: int
    status: str = Field(description="queued, running, done, failed or cancelled")
    progress: float = Field(description="0 to 1")
    tries: int = Field(description="Combinations")
    skipped: int = Field(description="Combinations that do not fit together and are left out")
    config: dict[str, Any]
    error: str | None
    code: str | None
    values: dict[str, Any] = Field(description="What the error speaks of")
    created_at: str
    started_at: str | None
    finished_at: str | None


class SweepWithResult(SweepAnswer):
    """A search with its result once it is done."""

    result: dict[str, Any] | None = Field(
        description="rows (each with params, figures and the deflated Sharpe ratio), best (the "
        "place of the best row), axes, objective, walk_forward"
    )


class Sweeps(RootModel[list[SweepAnswer]]):
    """Searches, newest first."""


class AcceptedSweep(BaseModel):
    """A search that has been queued."""

    id: int
    tries: int
    skipped: int
    status_url: str


@blueprint.post("/sweep", responses={202: AcceptedSweep})
def start_sweep(body: SweepRequest) -> Response:
    """Search over parameters: every combination of a grid, or random ones."""
    record = services().sweeps.submit(body)
    answer = {
        "id": record.id,
        "tries": record.tries,
        "skipped": record.skipped,
        "status_url": url_for("sweeps.get_sweep", sweep_id=record.id),
    }
    return make_response(answer, 202)


@blueprint.get("/sweeps", responses={200: Sweeps})
def list_sweeps(query: SweepsQuery) -> Response:
    """Searches, newest first."""
    rows = sweeps.list_sweeps(services().database.connection, min(query.limit, 500))
    return jsonify([_shown(row) for row in rows])


@blueprint.get("/sweeps/<int:sweep_id>", responses={200: SweepWithResult})
def get_sweep(path: SweepPath) -> Response:
    """One search, with its table when it is done."""
    record = sweeps.get(services().database.connection, path.sweep_id, with_result=True)
    result = None if record.result is None else dict(record.result)
    return jsonify(_shown(record) | {"result": result})


@blueprint.post("/sweeps/<int:sweep_id>/cancel", responses={200: Message})
def cancel_sweep(path: SweepPath, body: Empty) -> Response:
    """End a search that is queued or running."""
    services().sweeps.cancel(path.sweep_id)
    return jsonify({"message": f"Search {path.sweep_id} has been cancelled."})


@blueprint.delete("/sweeps/<int:sweep_id>", responses={200: Message})
def delete_sweep(path: SweepPath) -> Response:
    """Forget a search; one that is under way ends."""
    with services().database.transaction() as connection:
        sweeps.get(connection, path.sweep_id)
        sweeps.delete(connection, path.sweep_id)
    return jsonify({"message": f"Search {path.sweep_id} has been deleted."})


def _shown(record: SweepRecord) -> dict[str, Any]:
    """A search without its result; a long script stays out of its terms."""
    run = dict(record.config["run"])
    run["params"] = {
        name: len(value) if name == "decisions" else value for name, value in run["params"].items()
    }
    return {
        "id": record.id,
        "status": record.status,
        "progress": record.progress,
        "tries": record.tries,
        "skipped": record.skipped,
        "config": {**record.config, "run": run},
        "error": record.error,
        "code": record.error_code,
        "values": dict(record.error_values),
        "created_at": iso_utc(record.created_at),
        "started_at": None if record.started_at is None else iso_utc(record.started_at),
        "finished_at": None if record.finished_at is None else iso_utc(record.finished_at),
    }
