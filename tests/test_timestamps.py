"""Times as text and back."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from timestamps import iso_utc, parse_time_ms


@pytest.mark.parametrize(
    ("time_ms", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1_617_566_400_000, "2021-04-04T20:00:00Z"),
        (1_617_566_400_001, "2021-04-04T20:00:00.001Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
    ],
)
def test_iso_in_utc(time_ms: int, text: str) -> None:
    assert iso_utc(time_ms) == text
    assert parse_time_ms(text) == time_ms


@pytest.mark.parametrize(
    "text",
    [
        "2021-04-04T20:00:00Z",
        "2021-04-04T20:00",
        "2021-04-04 20:00:00",
        "2021-04-04T22:00:00+02:00",
        "1617566400000",
    ],
)
def test_what_is_understood(text: str) -> None:
    assert parse_time_ms(text) == 1_617_566_400_000


def test_a_day_begins_at_midnight_utc() -> None:
    assert iso_utc(parse_time_ms("2022-01-01")) == "2022-01-01T00:00:00Z"


@pytest.mark.parametrize("text", ["", "soon", "2022-13-01", "2022-02-30", "--5", "1.5", "²"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the contract is ValueError itself
        parse_time_ms(text)


@settings(deadline=None)
@given(st.integers(-2_000_000_000_000, 4_000_000_000_000))
def test_there_and_back(time_ms: int) -> None:
    assert parse_time_ms(iso_utc(time_ms)) == time_ms
