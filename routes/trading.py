"""What the models hold, did and said, one by one and all together."""

from __future__ import annotations

import csv
import io
from typing import Any, Literal

import numpy as np
from flask import Response, jsonify
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, Field, RootModel

import performance
from domain import DAY_MS, TradingModel
from repositories import books, coins, conversations, models, position_trades
from routes import shapes
from routes.callers import caller
from routes.json_errors import ERROR_ANSWERS
from routes.schemas import (
    LARGEST_ID,
    AccountValue,
    Empty,
    Identifier,
    ModelPath,
    Portfolio,
    Position,
    Query,
    Trade,
    Trades,
)
from routes.services import services
from timestamps import iso_utc
from trading_engine import TradingEngine

blueprint = APIBlueprint(
    "trading",
    __name__,
    url_prefix="/api",
    abp_tags=[Tag(name="Trading")],
    abp_responses=ERROR_ANSWERS,
)

WINDOW_MS = {"1d": DAY_MS, "1w": 7 * DAY_MS, "1m": 30 * DAY_MS}
LEADERBOARD_POINTS = 2000

Window = Literal["1d", "1w", "1m", "all"]


class PortfolioQuery(Query):
    """How much of the value curve."""

    limit: int = Field(500, ge=1, description="Points of the value curve, 5,000 at most")


class PortfolioAnswer(BaseModel):
    """An account now and its value before, newest first."""

    portfolio: Portfolio
    account_value_history: list[AccountValue]


class TradesQuery(Query):
    """Which trades."""

    coin: str | None = Field(None, max_length=20)
    limit: int = Field(100, ge=1, description="1,000 at most")
    before: int | None = Field(None, ge=1, le=LARGEST_ID, description="Only ids below this")
    format: Literal["json", "csv"] = "json"


class AllTradesQuery(Query):
    """Which of all trades."""

    limit: int = Field(100, ge=1, description="1,000 at most")
    before: int | None = Field(None, ge=1, le=LARGEST_ID, description="Only ids below this")


class NamedTrade(Trade):
    """A trade with its model's name."""

    model_name: str


class NamedTrades(RootModel[list[NamedTrade]]):
    """Trades, newest first."""


class AllPortfolios(BaseModel):
    """Every account added up."""

    total_value: float
    initial_capital: float
    return_percentage: float
    today_pnl: float = Field(description="Against the value at midnight UTC")
    cash: float
    positions_value: float
    margin_used: float
    unrealized_pnl: float
    realized_pnl: float
    fees_paid: float
    token_cost: float = Field(description="US dollars of calls to LLMs whose prices are known")
    positions: list[Position]


class AllPortfoliosAnswer(BaseModel):
    """Every account added up."""

    portfolio: AllPortfolios
    model_count: int


class ChartQuery(Query):
    """Which value curves."""

    limit: int = Field(500, ge=2, description="Points a model, 5,000 at most")
    window: Window = "all"
    model_id: Identifier | None = None


class ChartPoint(BaseModel):
    """A value at a time."""

    timestamp: str
    value: float


class ValueCurve(BaseModel):
    """The value of one model over time, ascending."""

    model_id: int
    model_name: str
    trader: str
    initial_capital: float
    data: list[ChartPoint]


class ValueCurves(RootModel[list[ValueCurve]]):
    """The value of every model over time."""


class LeaderboardQuery(Query):
    """Over which time."""

    window: Window = "all"


class LeaderboardRow(BaseModel):
    """One model's rank by return."""

    rank: int
    model_id: int
    model_name: str
    trader: str
    replica_of: int | None
    replica_number: int
    total_value: float
    return_percentage: float
    max_drawdown: float | None
    sharpe: float | None
    trades: int = Field(description="Closed round trips")
    win_rate: float | None
    fees: float
    token_cost: float = Field(description="US dollars of calls to LLMs whose prices are known")


class TradingState(BaseModel):
    """The kill switch."""

    halted: bool
    since: str | None = Field(description="When it was turned on, by the wall clock")
    by: str | None = Field(description="From where")


class Leaderboard(RootModel[list[LeaderboardRow]]):
    """Models by return, best first."""


@blueprint.post("/trading/stop-all", responses={200: TradingState})
def stop_all(body: Empty) -> Response:
    """The kill switch: no model trades and no LLM is called until resumed; exits go on."""
    halted = services().desk.halt.stop_all(caller())
    services().events.publish("health", {"trading": {"halted": True}})
    return jsonify(shapes.halt(halted))


@blueprint.post("/trading/resume", responses={200: TradingState})
def resume_trading(body: Empty) -> Response:
    """Let the models trade again."""
    resumed = services().desk.halt.resume(caller())
    services().events.publish("health", {"trading": {"halted": False}})
    return jsonify(shapes.halt(resumed))


@blueprint.get("/models/<int:model_id>/portfolio", responses={200: PortfolioAnswer})
def get_portfolio(path: ModelPath, query: PortfolioQuery) -> Response:
    """A model's account at the last good marks."""
    app = services()
    engine = app.desk.engine(path.model_id)
    history = books.account_values(
        app.database.connection, path.model_id, limit=min(query.limit, 5000)
    )
    return jsonify(
        {
            "portfolio": _account_today(engine),
            "account_value_history": [shapes.account_value(value) for value in history],
        }
    )


@blueprint.get("/models/<int:model_id>/trades", responses={200: Trades})
def list_trades(path: ModelPath, query: TradesQuery) -> Response:
    """A model's trades, newest first."""
    connection = services().database.connection
    models.get(connection, path.model_id)
    symbol = None if query.coin is None else coins.get(connection, query.coin).symbol
    rows = books.list_trades(
        connection,
        [path.model_id],
        coin=symbol,
        limit=min(query.limit, 1000),
        before=query.before,
    )
    trades = [shapes.trade(row) for row in rows]
    if query.format == "json":
        return jsonify(trades)
    return _csv(trades, f"trades-{path.model_id}.csv")


@blueprint.get("/trades", responses={200: NamedTrades})
def list_all_trades(query: AllTradesQuery) -> Response:
    """The trades of every model that is not archived, newest first."""
    connection = services().database.connection
    names = {model.id: model.name for model in models.list_models(connection)}
    rows = books.list_trades(
        connection, list(names), limit=min(query.limit, 1000), before=query.before
    )
    return jsonify([shapes.trade(row) | {"model_name": names[row.model_id]} for row in rows])


@blueprint.get("/aggregated/portfolio", responses={200: AllPortfoliosAnswer})
def get_all_portfolios() -> Response:
    """All accounts together."""
    app = services()
    connection = app.database.connection
    summed = dict.fromkeys(
        (
            "total_value", "initial_capital", "cash", "positions_value", "margin_used",
            "unrealized_pnl", "realized_pnl", "fees_paid", "today_pnl", "token_cost",
        ),
        0.0,
    )  # fmt: skip
    positions: list[dict[str, Any]] = []
    current = models.list_models(connection)
    for model in current:
        engine = app.desk.engine_of(model)
        account = _account_today(engine)
        for name in summed:
            summed[name] += account[name]
        named = {"model_id": model.id, "model_name": model.name}
        positions += [position | named for position in account["positions"]]
    initial = summed["initial_capital"]
    gained = (summed["total_value"] / initial - 1) * 100 if initial else 0.0
    return jsonify(
        {
            "portfolio": {**summed, "return_percentage": gained, "positions": positions},
            "model_count": len(current),
        }
    )


def _account_today(engine: TradingEngine) -> dict[str, Any]:
    """A model's account, and what it has gained since midnight UTC."""
    app = services()
    openings = position_trades.openings(app.database.connection, engine.model.id)
    account = shapes.portfolio(engine, engine.valued_account(), openings)
    now_ms = app.clock.now_ms()
    at_midnight = books.value_at(app.database.connection, engine.model.id, now_ms - now_ms % DAY_MS)
    before = engine.model.initial_capital if at_midnight is None else at_midnight.total_value
    cost = conversations.total_cost(app.database.connection, engine.model.id)
    return account | {
        "today_pnl": account["total_value"] - float(before),
        "token_cost": float(cost),
    }


@blueprint.get("/models/chart-data", responses={200: ValueCurves})
def get_chart_data(query: ChartQuery) -> Response:
    """The value of every model over time."""
    app = services()
    connection = app.database.connection
    since_ms = _window_start(query.window)
    chosen = [
        model
        for model in models.list_models(connection)
        if query.model_id is None or model.id == query.model_id
    ]
    curves = []
    for model in chosen:
        values = books.thinned_account_values(
            connection, model.id, since_ms=since_ms, limit=min(query.limit, 5000)
        )
        curves.append(
            {
                "model_id": model.id,
                "model_name": model.name,
                "trader": model.trader,
                "initial_capital": float(model.initial_capital),
                "data": [
                    {"timestamp": iso_utc(value.time_ms), "value": float(value.total_value)}
                    for value in values
                ],
            }
        )
    return jsonify(curves)


@blueprint.get("/leaderboard", responses={200: Leaderboard})
def get_leaderboard(query: LeaderboardQuery) -> Response:
    """Models by return, best first."""
    since_ms = _window_start(query.window)
    current = models.list_models(services().database.connection)
    costs = conversations.total_costs(services().database.connection, since_ms)
    rows = [
        _standing(model, since_ms) | {"token_cost": float(costs.get(model.id, 0))}
        for model in current
    ]
    rows.sort(key=lambda row: row["return_percentage"], reverse=True)
    return jsonify([{"rank": place, **row} for place, row in enumerate(rows, start=1)])


def _standing(model: TradingModel, since_ms: int) -> dict[str, Any]:
    app = services()
    connection = app.database.connection
    total = float(app.desk.engine_of(model).valued_account().portfolio.total_value)
    values = books.thinned_account_values(
        connection, model.id, since_ms=since_ms, limit=LEADERBOARD_POINTS
    )
    before = books.value_at(connection, model.id, since_ms)
    start = float(model.initial_capital if before is None else before.total_value)
    equity = np.array([*(float(value.total_value) for value in values), total])
    close_time = np.array([*(value.time_ms for value in values), app.clock.now_ms()])
    history = app.trade_histories.of(model.id)
    figures = performance.trip_figures(history.trips_since(since_ms))
    drawdowns = performance.drawdown_series(np.concatenate(([start], equity)))
    return {
        "model_id": model.id,
        "model_name": model.name,
        "trader": model.trader,
        "replica_of": model.replica_of,
        "replica_number": model.replica_number,
        "total_value": total,
        "return_percentage": (total / start - 1) * 100 if start else 0.0,
        "max_drawdown": float(drawdowns.max()),
        "sharpe": performance.ratios(close_time, equity, start)["sharpe"],
        "trades": figures["total_trades"],
        "win_rate": figures["win_rate"],
        "fees": history.fees_since(since_ms),
    }


def _window_start(window: Window) -> int:
    length = WINDOW_MS.get(window)
    return 0 if length is None else services().clock.now_ms() - length


def _csv(rows: list[dict[str, Any]], file_name: str) -> Response:
    """Rows as a CSV file. Text that a spreadsheet would run as a formula is quoted."""
    columns = [
        "id", "timestamp", "coin", "signal", "side", "quantity", "price", "leverage", "fee",
        "pnl", "reason", "decision_id", "justification",
    ]  # fmt: skip
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_cell(row[column]) for column in columns])
    response = Response(text.getvalue(), mimetype="text/csv")
    response.headers["Content-Disposition"] = f'attachment; filename="{file_name}"'
    return response


def _cell(value: object) -> object:
    if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")):
        return f"'{value}"
    return value
