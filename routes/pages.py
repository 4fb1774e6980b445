"""The pages: templates that the browser's modules fill from the REST API."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from babel.messages.mofile import read_mo
from flask import Blueprint, Response, current_app, jsonify, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import get_locale

from errors import NotFound
from owner_sessions import csrf_token
from repositories import backtests, models, sweeps
from routes.schemas import LARGEST_ID
from routes.services import services
from routes.static_files import keep
from security import current_caller
from version import VERSION

blueprint = Blueprint("pages", __name__)

LOCALES = ("en", "zh")
ROW_ID = f"int(max={LARGEST_ID})"  # what the database can be asked for


@blueprint.app_context_processor
def page_context() -> dict[str, Any]:
    """What every template is told."""
    return {
        "locale": str(get_locale() or "en"),
        "market": services().config.MARKET.value,
        "version": VERSION,
        "caller": current_caller(),
        "csrf_token": csrf_token,
    }


@blueprint.get("/")
def dashboard() -> str:
    """All models at a glance."""
    return render_template("dashboard.html")


@blueprint.get("/charts")
def charts() -> str:
    """Candles."""
    return render_template("charts.html")


@blueprint.get("/backtest")
def backtest() -> str:
    """Ask for backtests, and those that were."""
    return render_template("backtest.html")


@blueprint.get(f"/backtest/<{ROW_ID}:backtest_id>")
def backtest_result(backtest_id: int) -> str:
    """What came of one."""
    record = backtests.get(services().database.connection, backtest_id)
    return render_template("backtest_result.html", backtest_id=record.id)


@blueprint.get("/backtest/compare")
def compare_backtests() -> str:
    """Backtests side by side; the address names them."""
    return render_template("backtest_compare.html")


@blueprint.get(f"/backtest/sweeps/<{ROW_ID}:sweep_id>")
def sweep(sweep_id: int) -> str:
    """What came of a search over parameters."""
    record = sweeps.get(services().database.connection, sweep_id)
    return render_template("sweep.html", sweep_id=record.id)


@blueprint.get("/models")
def model_list() -> str:
    """Models: list and add."""
    return render_template("models.html")


@blueprint.get(f"/models/<{ROW_ID}:model_id>")
def model(model_id: int) -> str:
    """One model."""
    found = models.get_current(services().database.connection, model_id)
    return render_template("model.html", model_id=found.id)


@blueprint.get("/coins")
def coin_list() -> str:
    """Coins and groups."""
    return render_template("coin_management.html")


@blueprint.get("/data")
def market_data() -> str:
    """Sources, stored candles, alerts."""
    return render_template("data.html")


@blueprint.get("/settings")
def owner_settings() -> str:
    """What the owner sets, and what keeps the app safe."""
    return render_template("settings.html")


@blueprint.get(f"/models/<{ROW_ID}:model_id>/coins")
def model_pool(model_id: int) -> str:
    """A model's pool."""
    found = models.get_current(services().database.connection, model_id)
    return render_template("model_coins.html", model_id=found.id)


@blueprint.get("/api/docs")
def api_docs() -> str:
    """The REST API to read and to try."""
    return render_template("api_docs.html")


@blueprint.get("/messages/<version>/<locale>.json")
def messages(version: str, locale: str) -> Response:
    """The catalogue of a language, for the texts of the browser's modules."""
    if locale not in LOCALES:
        raise NotFound(f"There is no language {locale!r}.")
    return keep(jsonify(_catalogue(locale)), version)


@blueprint.get("/favicon.ico")
def favicon() -> ResponseReturnValue:
    """The icon for browsers that ask here."""
    return redirect(url_for("static", filename="favicon.svg"))


def _catalogue(locale: str) -> dict[str, str]:
    """Translations by their English; empty where the catalogue is English or not compiled."""
    path = Path(current_app.root_path, "translations", locale, "LC_MESSAGES", "messages.mo")
    if not path.exists():
        return {}
    with path.open("rb") as file:
        catalogue = read_mo(file)
    return {
        message.id: message.string
        for message in catalogue
        if isinstance(message.id, str) and isinstance(message.string, str) and message.id
    }
