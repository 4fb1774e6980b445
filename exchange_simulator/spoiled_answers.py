"""Answers that have been spoiled on their way: what becomes of a body of JSON."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

Json = Any

GARBAGE = "\x1f\ufffd<!-- \x00 %PDF-1.4 {]} 0xDEADBEEF"


def change_rows(content: Json, change: Callable[[list[Json]], list[Json]]) -> Json:
    """`content` with every list of rows in it (of lists or of objects) changed, at any depth."""
    if isinstance(content, dict):
        return {key: change_rows(value, change) for key, value in content.items()}
    if not isinstance(content, list) or not all(isinstance(row, list | dict) for row in content):
        return content
    return change([change_rows(row, change) for row in content])


def shuffled(rows: list[Json]) -> list[Json]:
    """The rows in an order that is wrong, and the same every time."""
    mixed = rows.copy()
    random.Random(len(rows)).shuffle(mixed)
    return rows[::-1] if mixed == rows else mixed


def with_duplicates(rows: list[Json], every: int) -> list[Json]:
    """The rows, the first and every `every`-th after it twice."""
    return [row for number, row in enumerate(rows) for _ in range(2 if number % every == 0 else 1)]
