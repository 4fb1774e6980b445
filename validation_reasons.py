"""What pydantic refuses of fields: a sentence for a person and a word for a program each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from errors import Reason


def sentences_of(error: ValidationError, *within: str) -> dict[str, str]:
    """Why each field is refused; names are dotted, below `within`. The whole is called body."""
    said: dict[str, str] = {}
    for name, item in _items(error, within):
        said.setdefault(name, item["msg"].removeprefix("Value error, "))
    return said


def reasons_of(error: ValidationError, *within: str) -> dict[str, Reason]:
    """The same for pages that have words of their own: pydantic's types and their limits."""
    reasons: dict[str, Reason] = {}
    for name, item in _items(error, within):
        limits = {key: value for key, value in item.get("ctx", {}).items() if key != "error"}
        values = {key: _as_json(value) for key, value in limits.items()}
        reasons.setdefault(name, {"code": item["type"], "values": values})
    return reasons


def _items(
    error: ValidationError, within: tuple[str, ...]
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for item in error.errors(include_url=False, include_input=False):
        yield ".".join(str(part) for part in (*within, *item["loc"])) or "body", item


def _as_json(value: Any) -> Any:
    """A limit may be a Decimal or a date."""
    return value if isinstance(value, bool | int | float | str) else str(value)
