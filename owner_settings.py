"""What the owner sets while the app runs, with bounds and defaults; kept in the settings table."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

import audit_log
from audit_log import Action, Actor, Audited
from database import Database
from errors import InvalidInput
from repositories import settings


class OwnerSettings(BaseModel):
    """Every setting by its name in the REST API."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    trading_fee_rate: float = Field(
        0.001,
        ge=0,
        le=0.1,
        title="Trading fee (share of notional)",
        description="What every paper fill costs from now on; 0.001 is 0.1 %",
    )
    slippage_bps: float = Field(
        0.0,
        ge=0,
        le=1000,
        title="Slippage (basis points)",
        description="How much worse than the price paper orders fill from now on; 1 is 0.01 %",
    )
    trading_frequency_minutes: int = Field(
        60,
        ge=1,
        le=10_080,
        title="Cycle of a new model (minutes)",
        description="Time from one decision to the next; each model may have its own",
    )

    llm_text_days: int = Field(
        90,
        ge=1,
        le=36_500,
        title="Days that texts are kept",
        description="Prompts and answers of language models; tokens, cost and times stay",
    )
    backup_hours: int = Field(
        24,
        ge=0,
        le=8760,
        title="Hours between backups",
        description="A copy of the database is made by itself so often; 0 makes none",
    )
    backups_kept: int = Field(
        14,
        ge=1,
        le=1000,
        title="Backups that are kept",
        description="The newest ones; older ones are deleted",
    )

    @property
    def exact_fee_rate(self) -> Decimal:
        """The fee rate as it was written."""
        return Decimal(repr(self.trading_fee_rate))

    @property
    def exact_slippage_bps(self) -> Decimal:
        """The slippage as it was written."""
        return Decimal(repr(self.slippage_bps))


class SettingsStore:
    """Reads and changes the owner's settings; `default_fee_rate` comes from the configuration."""

    def __init__(self, database: Database, default_fee_rate: float):
        self._database = database
        self._defaults = {"trading_fee_rate": default_fee_rate}

    def load(self) -> OwnerSettings:
        """The settings as they stand."""
        return OwnerSettings.model_validate(
            self._defaults | settings.load(self._database.connection)
        )

    def change(self, changes: dict[str, Any], by: Actor) -> OwnerSettings:
        """Set what `changes` names and leave the rest. Raises InvalidInput."""
        with self._database.transaction() as connection:
            before = self.load()
            stored = settings.load(connection) | changes
            try:
                changed = OwnerSettings.model_validate(self._defaults | stored)
            except ValidationError as error:
                raise InvalidInput(
                    "These settings do not fit.",
                    fields={
                        ".".join(str(part) for part in item["loc"]): item["msg"]
                        for item in error.errors(include_url=False, include_context=False)
                    },
                ) from error
            settings.store(connection, {name: getattr(changed, name) for name in changes})
            audit_log.record(
                connection, by, Action.CHANGE, Audited.SETTINGS,
                before=before.model_dump(), after=changed.model_dump(),
            )  # fmt: skip
        return changed
