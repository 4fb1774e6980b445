"""Coins: what can be traded and charted, added by hand or found at the sources."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from flask import Response, jsonify, make_response
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, Field, RootModel, StringConstraints, model_validator

import audit_log
from audit_log import Action, Audited
from coin_discovery import Candidate
from database import Connection
from domain import Coin, Ticker
from errors import InvalidInput, SourceError
from repositories import coins, groups
from routes import shapes
from routes.callers import caller
from routes.json_errors import ERROR_ANSWERS
from routes.schemas import Body, CoinColumns, Created, Empty, Identifier, Message, Query
from routes.services import services

blueprint = APIBlueprint(
    "coins",
    __name__,
    url_prefix="/api",
    abp_tags=[Tag(name="Coins")],
    abp_responses=ERROR_ANSWERS,
)

MOST_BULK_COINS = 500

Symbol = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True, to_upper=True, min_length=1, max_length=20, pattern=r"^[A-Za-z0-9]+$"
    ),
]
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
Category = Annotated[str, StringConstraints(strip_whitespace=True, max_length=50)]
BinanceSymbol = Annotated[
    str, StringConstraints(strip_whitespace=True, to_upper=True, pattern=r"^[A-Za-z0-9]{2,20}$")
]
OkxSymbol = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True, to_upper=True, max_length=30, pattern=r"^[A-Za-z0-9]+-[A-Za-z0-9]+$"
    ),
]
CoingeckoId = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=100, pattern=r"^[a-zA-Z0-9._-]+$")
]
Rank = Annotated[int, Field(ge=1, le=1_000_000)]
Notes = Annotated[str, StringConstraints(max_length=2000)]


class NewCoin(Body):
    """A coin to be added. Empty text counts as not given."""

    symbol: Symbol
    name: Name
    category: Category | None = None
    binance_symbol: BinanceSymbol | None = Field(None, description="Like BTCUSDT")
    okx_symbol: OkxSymbol | None = Field(None, description="Like BTC-USDT")
    coingecko_id: CoingeckoId | None = Field(None, description="Like bitcoin")
    market_cap_rank: Rank | None = None
    notes: Notes | None = None

    @model_validator(mode="before")
    @classmethod
    def _empty_is_none(cls, given: Any) -> Any:
        return _without_empty_text(given)


class CoinChanges(Body):
    """What is to change of a coin; the rest stays."""

    symbol: Symbol | None = None
    name: Name | None = None
    category: Category | None = None
    binance_symbol: BinanceSymbol | None = None
    okx_symbol: OkxSymbol | None = None
    coingecko_id: CoingeckoId | None = None
    market_cap_rank: Rank | None = None
    notes: Notes | None = None
    is_active: bool | None = None

    @model_validator(mode="before")
    @classmethod
    def _empty_is_none(cls, given: Any) -> Any:
        return _without_empty_text(given)


def _without_empty_text(given: Any) -> Any:
    """Forms send empty text for what was left empty."""
    if not isinstance(given, dict):
        return given
    return {
        name: None if isinstance(value, str) and not value.strip() else value
        for name, value in given.items()
    }


class CoinsQuery(Query):
    """Which coins."""

    category: str | None = Field(None, max_length=50)
    is_active: Literal["1", "0", "all"] = "1"
    q: str | None = Field(None, max_length=100, description="Looked for in symbol and name")
    group: Identifier | None = Field(None, description="Id of a group")


class CoinPath(BaseModel):
    """A coin by its id."""

    coin_id: Identifier = Field(description="Coin id")


class CoinAnswer(CoinColumns):
    """A coin."""

    trading: dict[str, bool | None] = Field(
        description="Whether each venue trades it now; null where it is not known"
    )


class Coins(RootModel[list[CoinAnswer]]):
    """Coins by market cap rank, unranked last."""


class Categories(RootModel[list[str]]):
    """Categories in use."""


class CoinAdded(Created):
    """A coin that was added, or that was there inactive and is active again."""

    reactivated: bool


class SourceCheck(BaseModel):
    """What a source says of a coin now."""

    ok: bool
    symbol: str | None
    price: float | None
    error: str | None
    code: str | None = Field(description="The same as a stable word")


class CoinCheck(RootModel[dict[str, SourceCheck]]):
    """What each source says of a coin now."""


class DiscoverQuestion(Body):
    """By name, or the largest."""

    query: (
        Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
        | None
    ) = None
    top: int | None = Field(None, ge=1, le=500, description="So many by market cap")


class CandidateAnswer(BaseModel):
    """A coin that could be added."""

    symbol: str
    name: str
    category: str | None
    coingecko_id: str
    market_cap_rank: int | None
    binance_symbol: str | None
    okx_symbol: str | None
    known: bool
    coin_id: int | None


class Candidates(RootModel[list[CandidateAnswer]]):
    """Coins that could be added."""


class BulkCoins(Body):
    """Many coins at once."""

    coins: list[NewCoin] = Field(min_length=1, max_length=MOST_BULK_COINS)


class Skipped(BaseModel):
    """A coin that was not added, and why."""

    symbol: str
    reason: str


class BulkResult(BaseModel):
    """What became of many coins."""

    added: int
    reactivated: int
    skipped: list[Skipped]
    ids: list[int]


@blueprint.get("/coins", responses={200: Coins})
def list_coins(query: CoinsQuery) -> Response:
    """The coins."""
    connection = services().database.connection
    if query.group is not None:
        groups.get(connection, query.group)
    rows = coins.list_coins(
        connection,
        is_active={"1": True, "0": False, "all": None}[query.is_active],
        category=query.category,
        search=query.q,
        group_id=query.group,
    )
    return jsonify(_answers(rows))


@blueprint.get("/coins/categories", responses={200: Categories})
def list_categories() -> Response:
    """Every category that a coin has."""
    return jsonify(coins.categories(services().database.connection))


@blueprint.post("/coins", responses={201: CoinAdded})
def add_coin(body: NewCoin) -> Response:
    """Add a coin; one that was deactivated comes back with what is given."""
    with services().database.transaction() as connection:
        coin_id, reactivated = _add(connection, body)
    done = "is active again" if reactivated else "has been added"
    return make_response(
        {"id": coin_id, "message": f"{body.symbol} {done}.", "reactivated": reactivated}, 201
    )


@blueprint.get("/coins/<int:coin_id>", responses={200: CoinAnswer})
def get_coin(path: CoinPath) -> Response:
    """One coin."""
    (answer,) = _answers([coins.get_by_id(services().database.connection, path.coin_id)])
    return jsonify(answer)


@blueprint.put("/coins/<int:coin_id>", responses={200: Message})
def change_coin(path: CoinPath, body: CoinChanges) -> Response:
    """Change what the body names."""
    app = services()
    changes = body.model_dump(exclude_unset=True)
    for name in ("symbol", "name", "is_active"):
        if name in changes and changes[name] is None:
            raise InvalidInput(f"{name} cannot be empty.", fields={name: "cannot be empty"})
    with app.database.transaction() as connection:
        coin = coins.get_by_id(connection, path.coin_id)
        coins.change(connection, coin.id, changes, app.clock.now_ms())
        _note(connection, Action.CHANGE, coin.id, coin)
    return jsonify({"message": f"{changes.get('symbol', coin.symbol)} has been changed."})


@blueprint.delete("/coins/<int:coin_id>", responses={200: Message})
def deactivate_coin(path: CoinPath) -> Response:
    """Deactivate a coin: it can be closed where it is held, and nowhere entered."""
    app = services()
    with app.database.transaction() as connection:
        coin = coins.get_by_id(connection, path.coin_id)
        coins.change(connection, coin.id, {"is_active": False}, app.clock.now_ms())
        _note(connection, Action.CHANGE, coin.id, coin)
    return jsonify({"message": f"{coin.symbol} is inactive."})


@blueprint.post("/coins/<int:coin_id>/check", responses={200: CoinCheck})
def check_coin(path: CoinPath, body: Empty) -> Response:
    """Ask every source for the coin's price now."""
    app = services()
    coin = coins.get_by_id(app.database.connection, path.coin_id)
    names = {
        "binance": coin.binance_symbol, "okx": coin.okx_symbol, "coingecko": coin.coingecko_id,
    }  # fmt: skip
    return jsonify(
        {
            source: _check(answer, names[source])
            for source, answer in app.data_aggregator.check_sources(coin).items()
        }
    )


@blueprint.post("/coins/discover", responses={200: Candidates})
def discover_coins(body: DiscoverQuestion) -> Response:
    """Coins by name or by rank, with their symbols on each source, ready to be added."""
    if (body.query is None) == (body.top is None):
        raise InvalidInput(
            "Either query or top must be given.", fields={"query": "or top, exactly one"}
        )
    discovery = services().discovery
    found = discovery.top(body.top) if body.top else discovery.search(body.query or "")
    return jsonify([_candidate(candidate) for candidate in found])


@blueprint.post("/coins/bulk", responses={201: BulkResult})
def add_coins(body: BulkCoins) -> Response:
    """Add many coins in one step; active ones that are there already are skipped."""
    ids: list[int] = []
    reactivated = 0
    skipped: list[dict[str, str]] = []
    with services().database.transaction() as connection:
        for row in body.coins:
            known = coins.find(connection, row.symbol)
            if known is not None and known.is_active:
                skipped.append({"symbol": row.symbol, "reason": "symbol_taken"})
                continue
            coin_id, was_there = _add(connection, row)
            ids.append(coin_id)
            reactivated += was_there
    return make_response(
        {
            "added": len(ids) - reactivated,
            "reactivated": reactivated,
            "skipped": skipped,
            "ids": ids,
        },
        201,
    )


def _add(connection: Connection, body: NewCoin) -> tuple[int, bool]:
    """Store a coin, with its row of the audit log; a reactivated one keeps what is not given."""
    before = coins.find(connection, body.symbol)
    given = body.model_dump(exclude_unset=True)
    coin_id, reactivated = coins.add(connection, given, services().clock.now_ms())
    _note(connection, Action.CHANGE if reactivated else Action.ADD, coin_id, before)
    return coin_id, reactivated


def _note(connection: Connection, action: Action, coin_id: int, before: Coin | None) -> None:
    """The row of the audit log for a coin that was `before`, and is now as it is stored."""
    after = coins.get_by_id(connection, coin_id)
    audit_log.record(
        connection, caller(), action, Audited.COIN, coin_id, after.symbol,
        before=None if before is None else _columns(before), after=_columns(after),
    )  # fmt: skip


def _columns(coin: Coin) -> dict[str, Any]:
    """What a person can change of a coin."""
    return {name: getattr(coin, name) for name in (*coins.FIELDS, "is_active")}


def _answers(rows: list[Coin]) -> list[dict[str, Any]]:
    venues = services().data_aggregator.venues.trading_venues(rows)
    return [
        shapes.coin(row)
        | {
            "trading": {
                "binance": venues[row.symbol].get("binance"),
                "okx": venues[row.symbol].get("okx"),
            }
        }
        for row in rows
    ]


def _check(answer: Ticker | SourceError | None, symbol: str | None) -> dict[str, Any]:
    shown: dict[str, Any] = {"ok": False, "symbol": symbol, "price": None}
    if isinstance(answer, Ticker):
        return shown | {"ok": True, "price": float(answer.price), "error": None, "code": None}
    if answer is None:
        return shown | {"error": "It has no symbol on this source.", "code": "no_symbol"}
    return shown | {"error": answer.message, "code": answer.code}


def _candidate(candidate: Candidate) -> dict[str, Any]:
    return {
        "symbol": candidate.symbol,
        "name": candidate.name,
        "category": None,
        "coingecko_id": candidate.coingecko_id,
        "market_cap_rank": candidate.market_cap_rank,
        "binance_symbol": candidate.binance_symbol,
        "okx_symbol": candidate.okx_symbol,
        "known": candidate.coin_id is not None,
        "coin_id": candidate.coin_id,
    }
