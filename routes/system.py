"""The process itself: health, version, and the stream of events."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Annotated, Any, Literal

from flask import Response, jsonify, make_response, request
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, ConfigDict, Field, RootModel

from clock import SystemClock
from domain import Interval
from errors import InvalidInput, TooManyRequests
from event_stream import KLINE, TOPICS, Listener
from health_report import Status, status_of
from kline_stream import Series
from owner_access import Caller
from repositories import backtests, coins
from routes import shapes
from routes.json_errors import ERROR_ANSWERS
from routes.schemas import Query
from routes.services import Services, services
from security import current_caller
from timestamps import iso_utc
from version import VERSION

blueprint = APIBlueprint(
    "system",
    __name__,
    url_prefix="/api",
    abp_tags=[Tag(name="System")],
    abp_responses=ERROR_ANSWERS,
)

HEARTBEAT_SECONDS = 15.0
ALLOWED_LOOKED_AT_EVERY_SECONDS = 5.0
MOST_SERIES = 10  # of candles, to one listener


class VersionAnswer(BaseModel):
    """The program's version."""

    version: str


class SourceState(BaseModel):
    """How a data source does."""

    name: str
    state: str = Field(description="up, down, limited, banned, blocked or unused")
    last_success: str | None
    last_error: str | None


class SchedulerState(BaseModel):
    """Whether cycles run in this process, and the real time of the next one."""

    running: bool
    next_cycle: str | None


class TradingHalted(BaseModel):
    """The kill switch: whether all trading is stopped, since when, and from where."""

    halted: bool
    since: str | None
    by: str | None


class LoopState(BaseModel):
    """Which process runs the trading loop."""

    holder: str | None = Field(description="host:pid:id, or null where none does")
    mine: bool = Field(description="Whether it is the one that answers")
    heartbeat_age_seconds: float | None


class PricesState(BaseModel):
    """The newest price there is."""

    age_seconds: float | None
    source: str | None
    stale: bool


class LiveStream(BaseModel):
    """How a venue's websocket does."""

    name: str
    state: str = Field(description="up, down, silent, or off when nothing is wanted of it")
    last_message: str | None = Field(description="By the real clock")
    reconnects: int
    renewals: int
    messages: int
    dropped: int = Field(description="Rows that were no sound price or candle")


class HealthReason(BaseModel):
    """Something that is wrong."""

    code: Literal[
        "database_unwritable", "disk_nearly_full", "no_loop", "scheduler_dead", "cycles_overdue",
        "no_prices", "prices_stale",
    ]  # fmt: skip
    message: str
    stops_trading: bool


class Queues(BaseModel):
    """What is queued or under way."""

    backtests: int
    data_jobs: int


class Health(BaseModel):
    """What a monitor and the pages' status bar need to know."""

    status: Status = Field(description="unable, with 503, where trading cannot go on")
    reasons: list[HealthReason] = Field(description="Why it is not ok, the worst first")
    market: str = Field(description="live or demo")
    now: str = Field(description="The market's time")
    version: str
    uptime_seconds: float
    database: dict[str, bool] = Field(
        description="ok: whether it could be written when last wanted"
    )
    disk: dict[str, int]
    scheduler: SchedulerState
    trading: TradingHalted
    loop: LoopState
    prices: PricesState
    queues: Queues
    streams: list[LiveStream]
    sources: list[SourceState]


class Alive(BaseModel):
    """What is told to who has not signed in."""

    model_config = ConfigDict(extra="forbid")

    status: Status


class HealthAnswer(RootModel[Health | Alive]):
    """All of it to who may read, the status alone to others."""


class StreamQuery(Query):
    """Which events."""

    topics: list[Annotated[str, Field(max_length=1000)]] | None = Field(
        None,
        max_length=20,
        description=f"By commas or repeated, of {', '.join(TOPICS)}, and {KLINE}:COIN:INTERVAL for "
        f"live candles, as in {KLINE}:BTC:1m; all without candles by default",
    )


@blueprint.get("/version", responses={200: VersionAnswer})
def get_version() -> Response:
    """The program's version."""
    return jsonify({"version": VERSION})


@blueprint.get("/health", responses={200: HealthAnswer, 503: HealthAnswer})
def get_health() -> Response:
    """Whether trading can go on: 503 with the reasons where not. The status alone to strangers."""
    app = services()
    reasons = app.health.reasons()
    status = status_of(reasons)
    told = {"status": status}
    if current_caller() is not None:
        told |= {"reasons": [asdict(reason) for reason in reasons]} | _state(app)
    return make_response(told, 503 if status is Status.UNABLE else 200)


def _state(app: Services) -> dict[str, Any]:
    """How everything stands that health is told of."""
    next_cycle = app.loop.next_cycle_at() if app.loop.running else None
    return {
        "market": app.config.MARKET.value,
        "now": iso_utc(app.clock.now_ms()),
        "version": VERSION,
        "uptime_seconds": (SystemClock().now_ms() - app.started_ms) / 1000,
        "database": {"ok": app.database.trouble is None},
        "disk": {"free_bytes": app.health.free_bytes()},
        "scheduler": {
            "running": app.loop.running,
            "next_cycle": (
                None if next_cycle is None else iso_utc(int(next_cycle.timestamp() * 1000))
            ),
        },
        "trading": shapes.halt(app.desk.halt.state()),
        "loop": _loop_state(app),
        "prices": _prices_state(app),
        "queues": {
            "backtests": backtests.count_unfinished(app.database.connection),
            "data_jobs": app.data_jobs.count_unfinished(),
        },
        "streams": [
            {
                "name": stream.name,
                "state": stream.state,
                "last_message": shapes.time(stream.last_message_ms),
                "reconnects": stream.reconnects,
                "renewals": stream.renewals,
                "messages": stream.messages,
                "dropped": stream.dropped,
            }
            for stream in app.prices.streams()
        ],
        "sources": [
            {
                "name": source.name,
                "state": source.state,
                "last_success": shapes.time(source.last_success_ms),
                "last_error": source.last_error,
            }
            for source in app.data_aggregator.health()
        ],
    }


@blueprint.get("/stream", responses={200: {"content": {"text/event-stream": {}}}})
def stream(query: StreamQuery) -> Response:
    """Server-sent events, each with an id; `Last-Event-ID` brings what was missed since."""
    app = services()
    topics, candles = _asked_topics(app, query.topics)
    after_id = _last_event_id()
    if not app.stream_places.acquire(blocking=False):
        raise TooManyRequests("Too many pages listen already.", retry_after=10)
    listener = app.events.listen([*topics, *(series.topic for series in candles)], after_id)
    for series in candles:
        app.klines.watch(series)
    events = _while_allowed(app, current_caller(), _events(app, listener))
    response = Response(events, mimetype="text/event-stream")
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Accel-Buffering"] = "no"
    response.call_on_close(lambda: _leave(app, listener, candles))
    return response


def _events(app: Services, listener: Listener) -> Iterator[str]:
    yield "retry: 2000\n\n"
    while not (listener.overflowed or listener.closed):
        event = listener.next(HEARTBEAT_SECONDS)
        if event is None:
            yield ": still here\n\n"
            continue
        text = event.text or event_text(app, event.topic, event.payload)
        yield f"id: {event.id}\n{text}"


def event_text(app: Services, topic: str, payload: Mapping[str, Any]) -> str:
    """An event as pages are told it, without its id."""
    kind = topic.split(":")[0]  # `kline` for the candles of any series
    shown = json.dumps(_EVENT_SHAPES[kind](app, payload), ensure_ascii=False)
    return f"event: {kind}\ndata: {shown}\n\n"


def _while_allowed(app: Services, caller: Caller | None, lines: Iterator[str]) -> Iterator[str]:
    """`lines`, until who listens has signed out, or their token has ended."""
    looked_at = time.monotonic()
    for line in lines:
        if time.monotonic() - looked_at >= ALLOWED_LOOKED_AT_EVERY_SECONDS:
            looked_at = time.monotonic()
            if caller is None or not app.access.may_go_on(caller):
                return
        yield line


def _leave(app: Services, listener: Listener, candles: Iterable[Series]) -> None:
    app.events.leave(listener)
    for series in candles:
        app.klines.leave(series)
    app.stream_places.release()


def _price_event(app: Services, payload: Mapping[str, Any]) -> dict[str, Any]:
    aggregator = app.data_aggregator
    return {
        coin: shapes.price(
            price, aggregator.latest.age_seconds(price), aggregator.latest.is_stale(price)
        )
        for coin, price in payload["prices"].items()
    }


def _kline_event(app: Services, payload: Mapping[str, Any]) -> dict[str, Any]:
    series, bar = payload["series"], payload["bar"]
    return {
        "coin": series.coin,
        "interval": series.interval.value,
        "bar": {
            "timestamp": bar.open_time,
            "open": bar.open,
            "high": bar.high,
            "low": bar.low,
            "close": bar.close,
            "volume": bar.volume,
            "closed": bar.closed,
        },
        "source": payload["source"],
    }


def _trade_event(app: Services, payload: Mapping[str, Any]) -> dict[str, Any]:
    return shapes.trade(payload["trade"]) | {"model_name": payload["model_name"]}


def _value_event(app: Services, payload: Mapping[str, Any]) -> dict[str, Any]:
    portfolio = payload["portfolio"]
    return {
        "model_id": payload["model_id"],
        "timestamp": iso_utc(payload["time_ms"]),
        "total_value": float(portfolio.total_value),
        "cash": float(portfolio.cash),
        "positions_value": float(portfolio.positions_value),
    }


def _cycle_event(app: Services, payload: Mapping[str, Any]) -> dict[str, Any]:
    cycle = payload["cycle"]
    return {"model_id": cycle.model_id, **(shapes.cycle(cycle) or {})}


def _backtest_event(app: Services, payload: Mapping[str, Any]) -> dict[str, Any]:
    shown = shapes.backtest(payload["record"])
    return {name: value for name, value in shown.items() if name != "config"}


def _data_event(app: Services, payload: Mapping[str, Any]) -> dict[str, Any]:
    return shapes.data_job(payload["job"])


def _health_event(app: Services, payload: Mapping[str, Any]) -> dict[str, Any]:
    return dict(payload)


_EVENT_SHAPES = {
    "health": _health_event,
    "price": _price_event,
    KLINE: _kline_event,
    "trade": _trade_event,
    "account_value": _value_event,
    "cycle": _cycle_event,
    "backtest": _backtest_event,
    "data": _data_event,
}


def _asked_topics(app: Services, texts: Sequence[str] | None) -> tuple[list[str], list[Series]]:
    """The topics asked for, and the series of those that are candles. Raises InvalidInput."""
    if texts is None:
        return list(TOPICS), []
    names = [name.strip() for text in texts for name in text.split(",") if name.strip()]
    candles = [name for name in names if name.startswith(f"{KLINE}:")]
    topics = [name for name in names if name not in candles]
    unknown = [topic for topic in topics if topic not in TOPICS]
    if unknown or not names:
        raise InvalidInput(
            f"There is no topic {unknown[0] if unknown else ''!r}.",
            fields={"topics": f"of {', '.join(TOPICS)}, {KLINE}:COIN:INTERVAL"},
        )
    if len(set(candles)) > MOST_SERIES:
        raise InvalidInput(
            f"At most {MOST_SERIES} series of candles are streamed to one page.",
            fields={"topics": f"at most {MOST_SERIES} series"},
        )
    return topics, list(dict.fromkeys(_series(app, name) for name in candles))


def _series(app: Services, topic: str) -> Series:
    """The series that a topic like `kline:BTC:1m` names. Raises InvalidInput."""
    _, symbol, interval = topic.split(":", 2) if topic.count(":") == 2 else (topic, "", "")
    coin = coins.find(app.database.connection, symbol)
    if coin is None or interval not in set(Interval):
        wrong = "interval" if coin is not None else "coin"
        raise InvalidInput(
            f"{topic!r} names no series of candles: there is no such {wrong}.",
            fields={"topics": f"{KLINE}:COIN:INTERVAL, as in {KLINE}:BTC:1m"},
        )
    return Series(coin.symbol, Interval(interval))


def _last_event_id() -> int | None:
    text = request.headers.get("Last-Event-ID", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def _prices_state(app: Services) -> dict[str, Any]:
    newest = app.data_aggregator.latest.newest()
    if newest is None:
        return {"age_seconds": None, "source": None, "stale": app.prices.running}
    return {
        "age_seconds": round(app.data_aggregator.latest.age_seconds(newest), 3),
        "source": newest.ticker.source,
        "stale": app.data_aggregator.latest.is_stale(newest),
    }


def _loop_state(app: Services) -> dict[str, Any]:
    lease = app.desk.lease
    holder = lease.holder
    age = lease.heartbeat_age_seconds()
    return {
        "holder": holder,
        "mine": holder == lease.process,
        "heartbeat_age_seconds": None if holder is None or age is None else round(age, 3),
    }
