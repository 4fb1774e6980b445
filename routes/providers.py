"""Providers of language models. Their keys go in and never come out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Annotated, Any

from flask import Response, jsonify, make_response
from flask_openapi3 import APIBlueprint, Tag
from pydantic import AfterValidator, BaseModel, Field, RootModel, StringConstraints, model_validator

import audit_log
from api_address import LONGEST_ADDRESS, same_origin
from audit_log import Action, Audited
from database import Connection
from domain import LLMProvider, TokenPrices
from errors import Conflict, InvalidInput, SecretUnreadable
from provider_questions import list_models, try_model
from repositories import providers
from repositories.providers import Provider
from routes.callers import caller
from routes.json_errors import ERROR_ANSWERS
from routes.schemas import Body, Created, Identifier, Message, one_line
from routes.services import services
from timestamps import iso_utc
from trading_halt import check_not_halted

blueprint = APIBlueprint(
    "providers",
    __name__,
    url_prefix="/api",
    abp_tags=[Tag(name="Providers")],
    abp_responses=ERROR_ANSWERS,
)

MOST_MODELS = 2000
LAST_CHARACTERS = 4
SHORTEST_KEY_SHOWN = 12  # of a shorter one, its last characters would be too much of it
ISO_DAY = r"^\d{4}-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?$"


def _fits_a_header(key: str) -> str:
    if not (key.isascii() and key.isprintable()):
        raise ValueError("has characters that no key has")
    return key


ProviderName = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=100),
    AfterValidator(one_line),
]
ApiUrl = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=LONGEST_ADDRESS)
]
ApiKey = Annotated[
    str,
    StringConstraints(strip_whitespace=True, max_length=1000),
    AfterValidator(_fits_a_header),
]
ModelName = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=200),
    AfterValidator(one_line),
]
ModelNames = Annotated[list[ModelName], Field(max_length=MOST_MODELS)]
Price = Annotated[Decimal, Field(ge=0, le=1_000_000, allow_inf_nan=False, decimal_places=6)]


class PricesOfModel(Body):
    """US dollars per million tokens; what is not given is not known."""

    input: Price | None = None
    output: Price | None = None
    cached: Price | None = Field(None, description="Of input that the provider had in its cache")


Prices = Annotated[dict[ModelName, PricesOfModel], Field(max_length=MOST_MODELS)]
Cutoffs = Annotated[
    dict[ModelName, Annotated[str, StringConstraints(pattern=ISO_DAY)]],
    Field(max_length=MOST_MODELS, description="YYYY-MM or YYYY-MM-DD by model"),
]


class NewProvider(Body):
    """A provider to be added."""

    name: ProviderName
    api_url: ApiUrl = Field(description="Base of an OpenAI-compatible API, as …/v1")
    api_key: ApiKey | None = None
    models: ModelNames = Field(default_factory=list)
    prices: Prices = Field(default_factory=dict)
    knowledge_cutoffs: Cutoffs = Field(default_factory=dict)


class ProviderChanges(Body):
    """What is to change of a provider; the rest stays."""

    name: ProviderName | None = None
    api_url: ApiUrl | None = None
    api_key: ApiKey | None = Field(None, description="Empty or null forgets the stored one")
    models: ModelNames | None = None
    prices: Prices | None = None
    knowledge_cutoffs: Cutoffs | None = None


class ModelsQuestion(Body):
    """Whose models: a stored provider's, or those at an address."""

    provider_id: Identifier | None = None
    api_url: ApiUrl | None = None
    api_key: ApiKey | None = None

    @model_validator(mode="after")
    def _one_of_them(self) -> ModelsQuestion:
        if (self.provider_id is None) == (self.api_url is None):
            raise ValueError("takes either provider_id or api_url")
        if self.provider_id is not None and self.api_key is not None:
            raise ValueError("takes api_key with api_url alone")
        return self


class TestQuestion(Body):
    """Which of its models to try; by default the first."""

    model: ModelName | None = None


class ProviderPath(BaseModel):
    """A provider by its id."""

    provider_id: Identifier = Field(description="Provider id")


class TokenPricesAnswer(BaseModel):
    """US dollars per million tokens; null where it is not known."""

    input: float | None
    output: float | None
    cached: float | None


class ProviderAnswer(BaseModel):
    """A provider. Its key is never sent."""

    id: int
    name: str
    api_url: str
    api_key_set: bool
    api_key_last_four: str | None = Field(description="Null also where it cannot be opened")
    api_key_error: str | None = Field(description="Why the stored key cannot be opened")
    models: list[str]
    prices: dict[str, TokenPricesAnswer]
    knowledge_cutoffs: dict[str, str]
    used_by: int = Field(description="Models that are not archived")
    created_at: str
    updated_at: str


class Providers(RootModel[list[ProviderAnswer]]):
    """Providers in the order of their making."""


class ModelNamesAnswer(BaseModel):
    """What models a provider says it has."""

    models: list[str]


class TestAnswer(BaseModel):
    """What came of one tiny completion."""

    ok: bool
    latency_ms: int
    model: str
    error: str | None = None
    code: str | None = Field(None, description="Why, as a stable word")


@blueprint.get("/providers", responses={200: Providers})
def list_all_providers() -> Response:
    """Every provider."""
    connection = services().database.connection
    users = providers.count_users(connection)
    found = providers.list_providers(connection)
    return jsonify([_answer(provider, users.get(provider.id, 0)) for provider in found])


@blueprint.post("/providers", responses={201: Created})
def add_provider(body: NewProvider) -> Response:
    """Add a provider. Its address is looked at, and not asked."""
    app = services()
    provider = Provider(
        name=body.name,
        api_url=app.provider_addresses.check(body.api_url),
        sealed_key=app.secrets.seal(body.api_key) if body.api_key else None,
        models=_distinct(body.models),
        prices=_prices(body.prices),
        knowledge_cutoffs=body.knowledge_cutoffs,
    )
    with app.database.transaction() as connection:
        provider = providers.add(connection, provider, app.clock.now_ms())
        _note(connection, Action.ADD, None, provider)
    return make_response({"id": provider.id, "message": f"{provider.name} has been added."}, 201)


@blueprint.put("/providers/<int:provider_id>", responses={200: Message})
def change_provider(path: ProviderPath, body: ProviderChanges) -> Response:
    """Change what the body names. A key goes to no other host than it was entered for."""
    app = services()
    with app.database.transaction() as connection:
        provider = providers.get(connection, path.provider_id)
        changed = replace(provider, **_changes(provider, body))
        providers.update(connection, changed, app.clock.now_ms())
        _note(connection, Action.CHANGE, provider, changed)
    return jsonify({"message": f"{changed.name} has been changed."})


@blueprint.delete("/providers/<int:provider_id>", responses={200: Message})
def delete_provider(path: ProviderPath) -> Response:
    """Forget a provider and its key; 409 while a model uses it."""
    with services().database.transaction() as connection:
        provider = providers.get(connection, path.provider_id)
        providers.delete(connection, provider.id)
        _note(connection, Action.DELETE, provider, None)
    return jsonify({"message": f"{provider.name} has been deleted."})


@blueprint.post("/providers/models", responses={200: ModelNamesAnswer})
def ask_for_models(body: ModelsQuestion) -> Response:
    """Ask a provider which models it has."""
    app = services()
    if body.provider_id is not None:
        asked = providers.provider_for_calls(app.database, app.secrets, body.provider_id)
    else:
        asked = LLMProvider(0, "", body.api_url or "", body.api_key or "")
        app.redactor.learn(asked.api_key)
    return jsonify({"models": list_models(asked, app.provider_addresses)})


@blueprint.post("/providers/<int:provider_id>/test", responses={200: TestAnswer})
def test_provider(path: ProviderPath, body: TestQuestion) -> Response:
    """One tiny completion, which the provider may charge for; 409 while trading is stopped."""
    app = services()
    check_not_halted(app.database.connection)
    provider = providers.provider_for_calls(app.database, app.secrets, path.provider_id)
    named = body.model or next(iter(provider.models), None)
    if named is None:
        raise Conflict("It has no models yet: fetch or enter one first.", code="no_models")
    result = try_model(provider, app.provider_addresses, named)
    answer = {"ok": result.error is None, "latency_ms": result.latency_ms, "model": result.model}
    if result.error is not None:
        answer["error"] = app.redactor.redact(result.error)
        answer["code"] = result.error_code
    return jsonify(answer)


def _note(
    connection: Connection, action: Action, before: Provider | None, after: Provider | None
) -> None:
    """The row of the audit log for a provider."""
    named = after or before
    assert named is not None
    audit_log.record(
        connection, caller(), action, Audited.PROVIDER, named.id, named.name,
        before=_fields(before), after=_fields(after),
    )  # fmt: skip


def _fields(provider: Provider | None) -> dict[str, Any]:
    """What a person can change of a provider."""
    if provider is None:
        return {}
    prices = {name: _price_numbers(price) for name, price in provider.prices.items()}
    return {
        "name": provider.name,
        "api_url": provider.api_url,
        "api_key": provider.sealed_key,  # the log says whether there is one, and that it changed
        "models": list(provider.models),
        "prices": prices,
        "knowledge_cutoffs": dict(provider.knowledge_cutoffs),
    }


def _changes(provider: Provider, body: ProviderChanges) -> dict[str, Any]:
    """The named changes; null clears only the key."""
    app = services()
    named = body.model_dump(include=body.model_fields_set)
    for name, value in named.items():
        if value is None and name != "api_key":
            raise InvalidInput(f"{name} cannot be empty.", fields={name: "cannot be empty"})
    if body.api_url is not None:
        named["api_url"] = app.provider_addresses.check(body.api_url)
        moved = not same_origin(named["api_url"], provider.api_url)
        if moved and provider.sealed_key and "api_key" not in named:
            why = "Enter the key again: the stored one was given for another host."
            raise InvalidInput(
                why, fields={"api_key": why}, reasons={"api_key": {"code": "key_of_another_host"}}
            )
    if "api_key" in named:
        key = named.pop("api_key")
        named["sealed_key"] = app.secrets.seal(key) if key else None
    if body.models is not None:
        named["models"] = _distinct(body.models)
    if body.prices is not None:
        named["prices"] = _prices(body.prices)
    return named


def _distinct(names: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def _prices(prices: Mapping[str, PricesOfModel]) -> dict[str, TokenPrices]:
    return {
        name: TokenPrices(price.input, price.output, price.cached) for name, price in prices.items()
    }


def _answer(provider: Provider, used_by: int) -> dict[str, Any]:
    last_four, error = _last_four(provider)
    return {
        "id": provider.id,
        "name": provider.name,
        "api_url": provider.api_url,
        "api_key_set": provider.sealed_key is not None,
        "api_key_last_four": last_four,
        "api_key_error": error,
        "models": list(provider.models),
        "prices": {name: _price_numbers(price) for name, price in provider.prices.items()},
        "knowledge_cutoffs": dict(provider.knowledge_cutoffs),
        "used_by": used_by,
        "created_at": iso_utc(provider.created_at),
        "updated_at": iso_utc(provider.updated_at),
    }


def _last_four(provider: Provider) -> tuple[str | None, str | None]:
    """The end of its key, or why that cannot be said."""
    if provider.sealed_key is None:
        return None, None
    try:
        key = services().secrets.open(provider.sealed_key)
    except SecretUnreadable as error:
        return None, error.message
    return (key[-LAST_CHARACTERS:] if len(key) >= SHORTEST_KEY_SHOWN else None), None


def _price_numbers(price: TokenPrices) -> dict[str, float | None]:
    amounts = {"input": price.input, "output": price.output, "cached": price.cached}
    return {key: None if amount is None else float(amount) for key, amount in amounts.items()}
