"""The owner's settings."""

from __future__ import annotations

from typing import Any

from flask import Response, jsonify
from flask_openapi3 import APIBlueprint, Tag
from pydantic import Field, RootModel

from owner_settings import OwnerSettings
from routes.callers import caller
from routes.json_errors import ERROR_ANSWERS
from routes.schemas import Body
from routes.services import services

blueprint = APIBlueprint(
    "settings",
    __name__,
    url_prefix="/api",
    abp_tags=[Tag(name="Settings")],
    abp_responses=ERROR_ANSWERS,
)


class SettingsChanges(Body):
    """What is to change; the rest stays."""

    trading_fee_rate: float | None = Field(None, ge=0, le=0.1)
    trading_frequency_minutes: int | None = Field(None, ge=1, le=10_080)
    slippage_bps: float | None = Field(None, ge=0, le=1000)
    llm_text_days: int | None = Field(None, ge=1, le=36_500)
    backup_hours: int | None = Field(None, ge=0, le=8760)
    backups_kept: int | None = Field(None, ge=1, le=1000)


class SettingsSchema(RootModel[dict[str, Any]]):
    """A JSON Schema of the settings."""


@blueprint.get("/settings", responses={200: OwnerSettings})
def get_settings() -> Response:
    """Every setting."""
    return jsonify(services().settings.load().model_dump())


@blueprint.get("/settings/schema", responses={200: SettingsSchema})
def get_settings_schema() -> Response:
    """What each setting is called, what it affects, its bounds and its default."""
    return jsonify(OwnerSettings.model_json_schema())


@blueprint.put("/settings", responses={200: OwnerSettings})
def change_settings(body: SettingsChanges) -> Response:
    """Change what the body names; the settings afterwards."""
    changed = services().settings.change(body.model_dump(exclude_unset=True), caller())
    return jsonify(changed.model_dump())
