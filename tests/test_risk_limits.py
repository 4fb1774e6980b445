"""A model's `risk`: a profile by its name, or with limits of the model's own."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from errors import InvalidInput
from risk_limits import PROFILES, RiskName, limits_of, risk_words, stored_risk


@pytest.mark.parametrize("name", list(RiskName))
def test_a_name_is_its_profile(name: RiskName):
    assert limits_of(name.value) == PROFILES.get(name)
    assert (stored_risk(name.value), risk_words(name.value)) == (name.value, name.value)


def test_own_limits_stand_in_the_place_of_the_profiles():
    own = {"profile": "conservative", "max_leverage": 3, "daily_loss_pct": 2.5}
    limits = limits_of(own)
    assert limits is not None
    assert (limits.max_leverage, limits.daily_loss_share) == (3, Decimal("0.025"))
    assert limits.max_open_positions == PROFILES[RiskName.CONSERVATIVE].max_open_positions
    assert limits_of({"max_leverage": 7}).max_position_share == Decimal("0.25")  # type: ignore[union-attr]


def test_what_is_stored_comes_back():
    own = {"profile": "balanced", "max_leverage": 3, "min_confidence": 0.5}
    text = stored_risk(own)
    assert limits_of(text) == limits_of(own)
    assert risk_words(text) == own
    assert stored_risk({"profile": "aggressive"}) == "aggressive"


def test_off_with_a_limit_has_that_one_alone():
    limits = limits_of({"profile": "off", "max_leverage": 2})
    assert limits is not None
    assert (limits.max_leverage, limits.max_position_share, limits.daily_loss_share) == (2, 1, 1)


@pytest.mark.parametrize(
    ("risk", "field"),
    [
        ("brave", "risk.profile"),
        ({"profile": "brave"}, "risk.profile"),
        ({"max_leverage": 0}, "risk.max_leverage"),
        ({"max_leverage": 1000}, "risk.max_leverage"),
        ({"max_leverage": "NaN"}, "risk.max_leverage"),
        ({"max_open_positions": 1.5}, "risk.max_open_positions"),
        ({"daily_loss_pct": 101}, "risk.daily_loss_pct"),
        ({"min_confidence": -1}, "risk.min_confidence"),
        ({"cool_down_minutes": -1}, "risk.cool_down_minutes"),
        ({"max_luck": 1}, "risk.max_luck"),
        ("{not json", "risk"),
    ],
)
def test_what_does_not_fit_is_refused_by_its_name(risk: Any, field: str):
    with pytest.raises(InvalidInput) as refused:
        limits_of(risk)
    assert set(refused.value.fields) == {field}
