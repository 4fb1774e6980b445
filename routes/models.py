"""Models: who trades what, on which terms."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Annotated, Any

from flask import Response, jsonify, make_response
from flask_openapi3 import APIBlueprint, Tag
from pydantic import AfterValidator, BaseModel, Field, RootModel, StringConstraints

from ai_params import AI_TRADER, read_params
from audit_log import Action
from clock import SystemClock
from domain import Coin, Interval, TradingModel
from errors import InvalidInput, NotFound
from loss_limits import LossWatch
from model_replicas import MOST_REPLICAS, set_replicas
from repositories import (
    coins,
    conversations,
    cycles,
    loss_watches,
    models,
    pools,
    position_trades,
)
from repositories.cycles import Cycle
from risk_limits import RiskName, risk_words
from routes import shapes
from routes.audited_models import audited_terms, note_model
from routes.callers import caller
from routes.json_errors import ERROR_ANSWERS
from routes.schemas import (
    LARGEST_ID,
    Body,
    Created,
    CycleAnswer,
    DecisionAnswer,
    Empty,
    Message,
    ModelPath,
    Portfolio,
    Risk,
    Trade,
    one_line,
)
from routes.services import services
from routes.traders import check_trader, short_params, trader_name
from timestamps import iso_utc

blueprint = APIBlueprint(
    "models",
    __name__,
    url_prefix="/api",
    abp_tags=[Tag(name="Models")],
    abp_responses=ERROR_ANSWERS,
)

DEFAULT_COINS = ("BTC", "ETH", "SOL", "BNB", "XRP", "DOGE")
MOST_COINS = 500
WHAT_MAKES_A_TRADER = {"trader", "params", "provider_id", "model_name"}

Name = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=100),
    AfterValidator(one_line),
]
Symbols = Annotated[list[str], Field(max_length=MOST_COINS)]
Capital = Annotated[Decimal, Field(ge=1, le=Decimal("1e12"), allow_inf_nan=False)]
Minutes = Annotated[int, Field(ge=1, le=10_080)]
Replicas = Annotated[int, Field(ge=1, le=MOST_REPLICAS)]


class NewModel(Body):
    """A model to be made."""

    name: Name
    trader: str = Field(max_length=50, description="A key of GET /api/traders")
    params: dict[str, Any] = Field(default_factory=dict, description="By the trader's schema")
    coins: Symbols | None = Field(None, description="The pool; the six best-known by default")
    initial_capital: Capital = Decimal(10_000)
    interval: Interval = Interval.H1
    cycle_minutes: Minutes | None = Field(None, description="By default the setting")
    risk: Risk = RiskName.BALANCED.value
    enabled: bool = True
    prompt: str | None = Field(None, max_length=20_000)
    provider_id: int | None = Field(None, ge=1, le=LARGEST_ID)
    model_name: str | None = Field(None, max_length=200)
    replicas: Replicas = Field(1, description="Accounts that trade these terms side by side")


class ModelChanges(Body):
    """What is to change of a model; the rest stays."""

    name: Name | None = None
    trader: str | None = Field(None, max_length=50)
    params: dict[str, Any] | None = None
    coins: Symbols | None = None
    interval: Interval | None = None
    cycle_minutes: Minutes | None = None
    risk: Risk | None = None
    enabled: bool | None = None
    prompt: str | None = Field(None, max_length=20_000)
    provider_id: int | None = Field(None, ge=1, le=LARGEST_ID)
    model_name: str | None = Field(None, max_length=200)
    replicas: Replicas | None = None


class DailyBudgetAnswer(BaseModel):
    """What an LLM's calls have used this UTC day, and the most that they may (null: any)."""

    calls: int
    tokens: int
    cost: float = Field(description="US dollars, of calls whose prices are known")
    daily_calls: int | None
    daily_tokens: int | None
    daily_cost: float | None


class ModelAnswer(BaseModel):
    """A model as it stands; in the list of all without parameters that are long lists."""

    id: int
    name: str
    trader: str
    trader_name: str
    params: dict[str, Any]
    provider_id: int | None
    provider_name: str | None
    model_name: str | None
    prompt: str | None
    initial_capital: float
    interval: str
    cycle_minutes: int
    risk: str | dict[str, Any] = Field(description="A profile's name, or that with own limits")
    enabled: bool
    coins: list[str]
    created_at: str
    updated_at: str
    total_value: float
    return_percentage: float
    open_positions: int
    last_cycle: CycleAnswer | None
    replica_of: int | None = Field(description="The model whose further account this is")
    replica_number: int
    replicas: int = Field(description="How many accounts trade these terms")
    paused_until: str | None = Field(
        description="After the daily loss limit; no entries until then"
    )
    stopped_reason: str | None = Field(description="The limit that stopped it until it is resumed")
    budget: DailyBudgetAnswer | None = Field(description="Of models that ask an LLM")


class Models(RootModel[list[ModelAnswer]]):
    """Models in the order of their making."""


class CycleResult(BaseModel):
    """A cycle that has been run."""

    success: bool
    error: str | None = None
    code: str | None = None
    decisions: list[DecisionAnswer]
    executions: list[Trade]
    portfolio: Portfolio


@blueprint.get("/models", responses={200: Models})
def list_models() -> Response:
    """Every model that is not archived."""
    connection = services().database.connection
    symbols = pools.symbols_of_all(connection)
    last_cycles = cycles.last_of_all(connection)
    names = models.provider_names(connection)
    listed = models.list_models(connection)
    accounts = Counter(model.replica_of or model.id for model in listed)
    return jsonify(
        [
            _answer(
                model,
                symbols.get(model.id, []),
                last_cycles.get(model.id),
                names,
                accounts[model.replica_of or model.id],
            )
            | {"params": short_params(model)}
            for model in listed
        ]
    )


@blueprint.get("/models/<int:model_id>", responses={200: ModelAnswer})
def get_model(path: ModelPath) -> Response:
    """One model."""
    connection = services().database.connection
    model = models.get_current(connection, path.model_id)
    pool = [coin.symbol for coin in pools.enterable(connection, model.id)]
    last_cycle = cycles.last(connection, model.id)
    accounts = len(models.with_replicas(connection, model.replica_of or model.id))
    names = models.provider_names(connection)
    return jsonify(_answer(model, pool, last_cycle, names, accounts))


@blueprint.post("/models", responses={201: Created})
def add_model(body: NewModel) -> Response:
    """Make a model with its account and pool."""
    app = services()
    pool = chosen_coins(DEFAULT_COINS if body.coins is None else body.coins)
    frequency = app.settings.load().trading_frequency_minutes
    model = TradingModel(
        name=body.name,
        trader=body.trader,
        params=body.params,
        initial_capital=body.initial_capital,
        interval=body.interval,
        cycle_minutes=frequency if body.cycle_minutes is None else body.cycle_minutes,
        risk=body.risk,
        enabled=body.enabled,
        prompt=body.prompt,
        provider_id=body.provider_id,
        model_name=body.model_name,
    )
    check_trader(model, pool)
    now_ms = app.clock.now_ms()
    with app.database.transaction() as connection:
        model = models.add(connection, model, now_ms)
        pools.replace_members(connection, model.id, pool, now_ms)
        note_model(connection, Action.ADD, model.id, {})
    if body.replicas > 1:
        set_replicas(app.database, model.id, body.replicas, now_ms, caller())
    app.loop.sync()
    return make_response({"id": model.id, "message": f"{model.name} has been made."}, 201)


@blueprint.put("/models/<int:model_id>", responses={200: Message})
def change_model(path: ModelPath, body: ModelChanges) -> Response:
    """Change what the body names."""
    app = services()
    pool = None if body.coins is None else chosen_coins(body.coins)
    now_ms = app.clock.now_ms()
    with app.database.transaction() as connection:
        model = models.get_current(connection, path.model_id)
        changed = replace(model, **_changes(body))
        if changed.enabled or body.model_fields_set & WHAT_MAKES_A_TRADER:
            check_trader(changed, pools.enterable(connection, model.id) if pool is None else pool)
        before = audited_terms(connection, model)
        models.update(connection, changed, now_ms)
        if pool is not None:
            pools.replace_members(connection, model.id, pool, now_ms)
        note_model(connection, Action.CHANGE, model.id, before)
    if body.replicas is not None:
        set_replicas(app.database, model.id, body.replicas, now_ms, caller())
    app.loop.sync()
    return jsonify({"message": f"{changed.name} has been changed."})


@blueprint.delete("/models/<int:model_id>", responses={200: Message})
def archive_model(path: ModelPath) -> Response:
    """Take a model out of trading. Its history stays, and its name becomes free."""
    app = services()
    with app.database.transaction() as connection:
        model = models.get_current(connection, path.model_id)
        before = audited_terms(connection, model)
        models.archive(connection, model.id, app.clock.now_ms())
        note_model(connection, Action.ARCHIVE, model.id, before)
    app.loop.sync()
    return jsonify({"message": f"{model.name} has been archived."})


@blueprint.post("/models/<int:model_id>/pause", responses={200: Message})
def pause_model(path: ModelPath, body: Empty) -> Response:
    """Run no cycles until resumed; exits are still watched."""
    model = _set_enabled(path.model_id, enabled=False)
    return jsonify({"message": f"{model.name} is paused."})


@blueprint.post("/models/<int:model_id>/resume", responses={200: Message})
def resume_model(path: ModelPath, body: Empty) -> Response:
    """Run cycles again."""
    connection = services().database.connection
    model = models.get_current(connection, path.model_id)
    check_trader(model, pools.enterable(connection, model.id))  # what cannot trade stays paused
    model = _set_enabled(path.model_id, enabled=True)
    return jsonify({"message": f"{model.name} trades again."})


@blueprint.post("/models/<int:model_id>/execute", responses={200: CycleResult})
def execute_cycle(path: ModelPath, body: Empty) -> Response:
    """Run one cycle now; 409 while another one of this model is running."""
    app = services()
    models.get_current(app.database.connection, path.model_id)
    engine = app.desk.engine(path.model_id)
    report = engine.execute_trading_cycle(by=caller())
    openings = position_trades.openings(app.database.connection, path.model_id)
    return jsonify(
        {
            "success": report.cycle.status == "done",
            "error": report.cycle.error,
            "code": report.cycle.error_code,
            "decisions": [shapes.decision(record) for record in report.decisions],
            "executions": [shapes.trade(trade) for trade in report.trades],
            "portfolio": shapes.portfolio(engine, engine.valued_account(), openings),
        }
    )


@blueprint.post("/models/<int:model_id>/flatten", responses={200: Message})
def flatten_model(path: ModelPath, body: Empty) -> Response:
    """Close every open position at its price now."""
    app = services()
    models.get_current(app.database.connection, path.model_id)
    closed = app.desk.engine(path.model_id).flatten(caller())
    return jsonify({"message": f"{len(closed)} positions have been closed."})


def _set_enabled(model_id: int, *, enabled: bool) -> TradingModel:
    app = services()
    with app.database.transaction() as connection:
        model = models.get_current(connection, model_id)
        before = audited_terms(connection, model)
        models.update(connection, replace(model, enabled=enabled), app.clock.now_ms())
        if enabled:  # a person lets it trade again: losses count from here
            for one in models.with_replicas(connection, model_id):
                loss_watches.forget(connection, one.id)
        note_model(connection, Action.RESUME if enabled else Action.PAUSE, model_id, before)
    app.loop.sync()
    return model


def chosen_coins(symbols: Sequence[str]) -> list[Coin]:
    """The coins of `symbols`. Raises InvalidInput naming those that there are not."""
    connection = services().database.connection
    found = {symbol: coins.find(connection, symbol) for symbol in symbols}
    unknown = [symbol for symbol, coin in found.items() if coin is None]
    if unknown:
        named = ", ".join(repr(symbol) for symbol in unknown[:5])
        raise NotFound(
            f"There is no coin {named}.", code="unknown_coin", values={"coin": unknown[:5]}
        )
    return [coin for coin in found.values() if coin is not None]


def _changes(body: ModelChanges) -> dict[str, Any]:
    """The named changes; null clears only what may be empty."""
    named = body.model_dump(include=body.model_fields_set, exclude={"coins", "replicas"})
    clearable = {"prompt", "provider_id", "model_name"}
    for name, value in named.items():
        if value is None and name not in clearable:
            raise InvalidInput(f"{name} cannot be empty.", fields={name: "cannot be empty"})
    return named


def _answer(
    model: TradingModel,
    pool: Sequence[str],
    cycle: Cycle | None,
    provider_names: Mapping[int, str],
    replicas: int,
) -> dict[str, Any]:
    valued = services().desk.engine_of(model).valued_account()
    total = valued.portfolio.total_value
    watch = loss_watches.get(services().database.connection, model.id)
    return {
        "id": model.id,
        "name": model.name,
        "trader": model.trader,
        "trader_name": trader_name(model.trader),
        "params": dict(model.params),
        "provider_id": model.provider_id,
        "provider_name": provider_names.get(model.provider_id or 0),
        "model_name": model.model_name,
        "prompt": model.prompt,
        "initial_capital": float(model.initial_capital),
        "interval": model.interval.value,
        "cycle_minutes": model.cycle_minutes,
        "risk": risk_words(model.risk),
        "enabled": model.enabled,
        "coins": list(pool),
        "created_at": iso_utc(model.created_at),
        "updated_at": iso_utc(model.updated_at),
        "total_value": float(total),
        "return_percentage": float((total / model.initial_capital - 1) * 100),
        "open_positions": len(valued.account.positions),
        "last_cycle": shapes.cycle(cycle),
        "replica_of": model.replica_of,
        "replica_number": model.replica_number,
        "replicas": replicas,
        "paused_until": _paused_until(watch),
        "stopped_reason": None if watch is None else watch.stopped_reason,
        "budget": _budget(model) if model.trader == AI_TRADER else None,
    }


def _paused_until(watch: LossWatch | None) -> str | None:
    """When entries are taken again, where the daily loss limit keeps them back now."""
    if watch is None or watch.paused_until is None:
        return None
    is_over = watch.paused_until <= services().clock.now_ms()
    return None if is_over else iso_utc(watch.paused_until)


def _budget(model: TradingModel) -> dict[str, Any]:
    """What its calls have used today by the wall clock."""
    connection = services().database.connection
    whose = model.replica_of or model.id  # accounts of the same terms share one budget
    spent = conversations.spent_on_day(connection, whose, SystemClock().now_ms())
    params = read_params(model.params)  # fits: it was checked when it was stored
    return {
        "calls": spent.calls,
        "tokens": spent.tokens,
        "cost": float(spent.cost),
        "daily_calls": params.daily_calls,
        "daily_tokens": params.daily_tokens,
        "daily_cost": shapes.number(params.daily_cost),
    }
