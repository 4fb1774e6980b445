"""Prices, candles and depth."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from flask import Response, jsonify
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, Field, RootModel

from domain import Coin, Interval, KlineSeries
from errors import InvalidInput, SourceError
from kline_archive import joined
from kline_indicators import KINDS, Wanted, indicator_columns, wanted_indicators, warm_up_bars
from kline_routing import KlineAnswer
from repositories import coins
from routes import shapes
from routes.json_errors import ERROR_ANSWERS
from routes.schemas import Query, TimeInput
from routes.services import services
from timestamps import iso_utc

blueprint = APIBlueprint(
    "market",
    __name__,
    url_prefix="/api",
    abp_tags=[Tag(name="Market")],
    abp_responses=ERROR_ANSWERS,
)

KLINE_FIELDS = ("timestamp", "open", "high", "low", "close", "volume")
MOST_BARS = 1000

Symbol = Annotated[str, Field(min_length=1, max_length=20)]
SymbolList = Annotated[str | None, Field(max_length=10_000, description="Symbols, by commas")]


class SymbolPath(BaseModel):
    """A coin by its symbol."""

    symbol: Symbol


class PricesQuery(Query):
    """Which coins."""

    coins: SymbolList = None


class Price(BaseModel):
    """A coin's latest price."""

    price: float
    change_24h: float | None
    source: str
    age_seconds: float
    stale: bool
    timestamp: str


class Prices(RootModel[dict[str, Price]]):
    """Latest prices by symbol; a coin that no source prices is left out."""


class KlinesQuery(Query):
    """Which candles: the first from `start`, or the last before `end`, or the latest."""

    interval: Interval = Interval.H1
    limit: int = Field(100, ge=1, description="1,000 at most")
    start: TimeInput | None = Field(None, description="First open time: ms or ISO 8601")
    end: TimeInput | None = Field(None, description="Open times before this: ms or ISO 8601")
    include_open: bool = Field(False, description="With the bar that is still forming")
    indicators: str | None = Field(
        None, max_length=400, description=f"By commas, of {', '.join(KINDS)}; ema_50 is of 50 bars"
    )


class KlineRow(BaseModel):
    """A candle; `timestamp` is its open time in ms UTC."""

    timestamp: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    indicators: dict[str, float | None] | None = Field(
        None, description="Where asked for; null where there are too few bars before"
    )


class Klines(RootModel[list[KlineRow]]):
    """Candles, ascending."""


class DepthQuery(Query):
    """How deep."""

    limit: int = Field(20, ge=5, description="Levels a side, 100 at most")


class Depth(BaseModel):
    """The order book: (price, quantity), best first."""

    bids: list[list[float]]
    asks: list[list[float]]
    source: str


class CoverageQuery(Query):
    """Of which candles."""

    interval: Interval = Interval.H1
    coins: SymbolList = None


class StoredRange(BaseModel):
    """What is stored of a coin's candles."""

    source: str
    first: str
    last: str
    bars: int
    missing_bars: int


class Coverage(RootModel[dict[str, StoredRange | None]]):
    """What is stored, by symbol; null where nothing is."""


@blueprint.get("/market/prices", responses={200: Prices})
def get_prices(query: PricesQuery) -> Response:
    """Latest prices, of every active coin unless some are named; old ones say that they are."""
    aggregator = services().data_aggregator
    symbols = [coin.symbol for coin in _named(query.coins)]
    failure: SourceError | None = None
    try:
        aggregator.get_prices(symbols)
    except SourceError as error:
        failure = error
    known = aggregator.latest.last_known(symbols)
    if failure is not None and not known:
        raise failure
    return jsonify(
        {
            symbol: shapes.price(
                price, aggregator.latest.age_seconds(price), aggregator.latest.is_stale(price)
            )
            for symbol, price in known.items()
        }
    )


@blueprint.get("/klines/<symbol>", responses={200: Klines})
def get_klines(path: SymbolPath, query: KlinesQuery) -> Response:
    """Candles, ascending. The headers say whose they are and whether they may lack the newest."""
    app = services()
    if query.start is not None and query.end is not None and query.end <= query.start:
        raise InvalidInput(
            "end must be after start.",
            fields={"end": "must be after start"},
            reasons={"end": {"code": "end_before_start"}},
        )
    wanted = [] if query.indicators is None else wanted_indicators(query.indicators)
    answer = app.data_aggregator.get_klines(
        path.symbol,
        query.interval,
        start_ms=query.start,
        end_ms=query.end,
        limit=min(query.limit, MOST_BARS),
        include_open=query.include_open,
    )
    columns = _indicators(path.symbol, answer.series, wanted)
    return _kline_answer(answer, columns)


def _indicators(
    symbol: str, series: KlineSeries, wanted: Sequence[Wanted]
) -> dict[str, list[float | None]]:
    """Their values at each bar, from the bars before the first one too. Raises SourceError."""
    if not wanted or not len(series):
        return {}
    before = services().data_aggregator.get_klines(
        symbol, series.interval, end_ms=int(series.open_time[0]), limit=warm_up_bars(wanted)
    )
    whole = joined([before.series], series)
    return {
        name: [value if math.isfinite(value) else None for value in column[-len(series) :].tolist()]
        for name, column in indicator_columns(whole, wanted).items()
    }


def _kline_answer(answer: KlineAnswer, indicators: Mapping[str, list[float | None]]) -> Response:
    series = answer.series
    columns = (
        series.open_time, series.open, series.high, series.low, series.close, series.volume
    )  # fmt: skip
    rows = zip(*(column.tolist() for column in columns), strict=True)
    candles = [dict[str, Any](zip(KLINE_FIELDS, row, strict=True)) for row in rows]
    if indicators:
        for candle, values in zip(candles, zip(*indicators.values(), strict=True), strict=True):
            candle["indicators"] = dict(zip(indicators, values, strict=True))
    response = jsonify(candles)
    response.headers["X-Data-Source"] = series.source
    response.headers["X-Data-Stale"] = str(int(answer.stale))
    if len(series):
        # A bar that is still forming has just been fetched; a closed one is as old as its close.
        closed_at = int(series.open_time[-1]) + series.interval.milliseconds
        age = max(0.0, (services().clock.now_ms() - closed_at) / 1000)
        response.headers["X-Data-Age-Seconds"] = f"{age:.0f}"
    return response


@blueprint.get("/depth/<symbol>", responses={200: Depth})
def get_depth(path: SymbolPath, query: DepthQuery) -> Response:
    """The order book."""
    book = services().data_aggregator.get_depth(path.symbol, min(query.limit, 100))
    return jsonify(
        {
            "bids": [[float(price), float(quantity)] for price, quantity in book.bids],
            "asks": [[float(price), float(quantity)] for price, quantity in book.asks],
            "source": book.source,
        }
    )


@blueprint.get("/coverage", responses={200: Coverage})
def get_coverage(query: CoverageQuery) -> Response:
    """Which candles are stored."""
    app = services()
    answer = {}
    for coin in _named(query.coins):
        stored = app.data_aggregator.coverage(coin, query.interval)
        answer[coin.symbol] = (
            None
            if stored is None
            else {
                "source": stored.source,
                "first": iso_utc(stored.first),
                "last": iso_utc(stored.last),
                "bars": stored.bars,
                "missing_bars": stored.missing_bars,
            }
        )
    return jsonify(answer)


def _named(symbols: str | None) -> list[Coin]:
    """The coins of a comma-separated list, or every active one. Raises NotFound."""
    connection = services().database.connection
    if symbols is None:
        return coins.list_coins(connection)
    names = [name.strip() for name in symbols.split(",") if name.strip()]
    return [coins.get(connection, name) for name in names]
