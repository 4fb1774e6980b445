"""Stored candles: what there is of each series, and the jobs that bring more."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

from flask import Response, jsonify, request
from flask_openapi3 import APIBlueprint, FileStorage, Tag
from pydantic import BaseModel, Field, RootModel
from werkzeug.datastructures import FileStorage as Uploaded

from domain import Coin, Interval
from errors import InvalidInput
from kline_archiver import archive_root, month_name
from kline_import import MOST_DOWNLOADED_BYTES, check_name
from kline_store import KlineStore
from repositories import coins, kline_archives
from repositories.klines import KlineKey
from routes import shapes
from routes.json_errors import ERROR_ANSWERS
from routes.market import SymbolList
from routes.schemas import Body, Created, Identifier, Message, Query, TimeInput
from routes.services import services
from timestamps import iso_utc

blueprint = APIBlueprint(
    "data",
    __name__,
    url_prefix="/api/data",
    abp_tags=[Tag(name="Data")],
    abp_responses=ERROR_ANSWERS,
)

MOST_GAPS = 1000  # of one series
UPLOAD = "data.import_klines"
ENVELOPE_BYTES = 100_000  # of a multipart body around its file


class CoverageQuery(Query):
    """Of which series."""

    coins: SymbolList = None
    interval: Interval | None = None


class MissingRange(BaseModel):
    """Bars that are missing between stored ones, from `start` until before `end`."""

    start: str
    end: str
    bars: int
    asked: bool = Field(description="Whether a source was asked for them and has none")


class SeriesCoverage(BaseModel):
    """What is stored of a coin's candles of one interval from one source."""

    coin: str
    interval: str
    source: str
    start: str = Field(alias="from", description="First open time")
    to: str = Field(description="Last open time")
    bars: int
    missing_bars: int
    gaps: list[MissingRange] = Field(description="The first 1,000")
    archived_months: list[str] = Field(description="Like 2024-01")


class Coverages(RootModel[list[SeriesCoverage]]):
    """Every stored series."""


class ArchiveAnswer(BaseModel):
    """The archive of old candles."""

    place: str = Field(description="A folder, seen from the database's, or an s3:// address")
    months: int = Field(description="Files, each a month of a series")
    series: int
    bars: int
    start: str | None = Field(alias="from", description="First open time")
    to: str | None = Field(description="Last open time")


class NewSync(Body):
    """A range of candles to be fetched."""

    coins: list[Annotated[str, Field(min_length=1, max_length=20)]] = Field(
        min_length=1, max_length=100
    )
    interval: Interval
    start: TimeInput = Field(description="First open time: ms or ISO 8601")
    end: TimeInput | None = Field(None, description="Open times before this; now by default")


class Upload(BaseModel):
    """A file in the format of Binance's public archive, under its own name."""

    file: FileStorage = Field(description="Like BTCUSDT-1m-2024-01.zip; 200 MB at most")


class JobPath(BaseModel):
    """A job by its id."""

    job_id: Identifier = Field(description="Job id")


class JobAnswer(BaseModel):
    """A sync or an import."""

    id: int
    kind: str = Field(description="sync or import")
    status: str = Field(description="queued, running, done, failed or cancelled")
    progress: float = Field(description="0 to 1")
    detail: str
    error: str | None
    code: str | None = Field(description="Why it failed, as a stable word")
    created_at: str
    finished_at: str | None


class Jobs(RootModel[list[JobAnswer]]):
    """Jobs, newest first."""


@blueprint.before_request
def allow_large_uploads() -> None:
    """The one route whose body may be large; it is kept on the disk while it comes."""
    if request.endpoint == UPLOAD:
        request.max_content_length = MOST_DOWNLOADED_BYTES + ENVELOPE_BYTES


@blueprint.get("/coverage", responses={200: Coverages})
def get_coverage(query: CoverageQuery) -> Response:
    """What is stored, with its gaps; of every coin and interval unless some are named."""
    connection, store = services().database.connection, services().kline_store
    by_id = {coin.id: coin for coin in coins.list_coins(connection, is_active=None)}
    chosen = None if query.coins is None else {coin.id for coin in _named(query.coins.split(","))}
    return jsonify(
        [
            shown
            for key in store.series_keys()
            if (chosen is None or key.coin_id in chosen) and query.interval in (None, key.interval)
            for shown in _coverage_of(store, by_id[key.coin_id], key)
        ]
    )


@blueprint.get("/archive", responses={200: ArchiveAnswer})
def get_archive() -> Response:
    """Where months of candles go that are archived, and how much is there."""
    app = services()
    found = kline_archives.totals(app.database.connection)
    return jsonify(
        {
            "place": archive_root(app.config.KLINE_ARCHIVE_URL, app.database),
            "months": found.months,
            "series": found.series,
            "bars": found.bars,
            "from": shapes.time(found.first),
            "to": shapes.time(found.last),
        }
    )


@blueprint.post("/sync", responses={202: Created})
def sync(body: NewSync) -> tuple[dict[str, Any], int]:
    """Fetch what is missing of a range, in the background."""
    app = services()
    if not _names(body.coins):
        raise InvalidInput(
            "No coin is named.",
            fields={"coins": "name at least one"},
            reasons={"coins": {"code": "missing"}},
        )
    end_ms = app.clock.now_ms() if body.end is None else body.end
    if end_ms <= body.start:
        raise InvalidInput(
            "end must be after start.",
            fields={"end": "must be after start"},
            reasons={"end": {"code": "end_before_start"}},
        )
    job = app.data_jobs.sync(_named(body.coins), body.interval, body.start, end_ms)
    return {"id": job.id, "message": f"{job.detail} will be fetched."}, 202


@blueprint.post("/import", responses={202: Created})
def import_klines(form: Upload) -> tuple[dict[str, Any], int]:
    """Take candles from a file, in the background."""
    if not isinstance(form.file, Uploaded):  # a text of that name
        raise InvalidInput(
            "The file is missing.",
            fields={"file": "must be a file"},
            reasons={"file": {"code": "missing"}},
        )
    name = form.file.filename or ""
    check_name(name)
    folder = Path(tempfile.mkdtemp(prefix="klines-"))
    try:
        form.file.save(folder / name)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    job = services().data_jobs.import_file(folder / name, folder)
    return {"id": job.id, "message": f"{name} will be taken."}, 202


@blueprint.get("/jobs", responses={200: Jobs})
def list_jobs() -> Response:
    """Syncs and imports since the start of the process."""
    return jsonify([shapes.data_job(job) for job in services().data_jobs.jobs()])


@blueprint.post("/jobs/<int:job_id>/cancel", responses={200: Message})
def cancel_job(path: JobPath) -> Response:
    """End a job; what it has stored stays."""
    job = services().data_jobs.cancel(path.job_id)
    return jsonify({"message": f"{job.detail} is being cancelled."})


def _coverage_of(store: KlineStore, coin: Coin, key: KlineKey) -> list[dict[str, Any]]:
    """What is stored of a series; nothing where it has just gone."""
    stored = store.coverage(coin, key.source, key.interval)
    if stored is None:
        return []
    gaps = store.gaps(coin, key.source, key.interval) if stored.missing_bars else []
    months = store.archived_months(coin, key.source, key.interval)
    return [
        {
            "coin": coin.symbol,
            "interval": key.interval.value,
            "source": key.source,
            "from": iso_utc(stored.first),
            "to": iso_utc(stored.last),
            "bars": stored.bars,
            "missing_bars": stored.missing_bars,
            "gaps": [
                {
                    "start": iso_utc(gap.start_ms), "end": iso_utc(gap.end_ms), "bars": gap.bars,
                    "asked": gap.asked,
                }
                for gap in gaps[:MOST_GAPS]
            ],
            "archived_months": [month_name(month.start_ms) for month in months],
        }
    ]  # fmt: skip


def _named(symbols: list[str]) -> list[Coin]:
    """The coins, each once. Raises NotFound."""
    connection = services().database.connection
    return [coins.get(connection, name) for name in dict.fromkeys(_names(symbols))]


def _names(symbols: Iterable[str]) -> list[str]:
    return [name.strip().upper() for name in symbols if name.strip()]
