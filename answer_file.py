"""A run's recorded answers as a file of JSON lines, so that another machine can replay it. Pure.

The first line says what the file is and holds the run's terms; each other one is an answer with its
question, whose hash must fit.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from errors import DataError
from llm_usage import Usage
from recorded_answers import question_hash
from repositories.llm_answers import StoredAnswer
from timestamps import iso_utc, parse_time_ms
from version import VERSION

FORMAT = "ai-crypto-trading-system/llm-answers"
FORMAT_VERSION = 1
LONGEST_LINE = 4_000_000

Tokens = Annotated[int, Field(ge=0, le=1_000_000_000)]
Text = Annotated[str, Field(max_length=LONGEST_LINE)]


class _Said(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    text: Text
    reasoning: Text
    finish_reason: Text
    refusal: Text


class _Counted(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    input: Tokens
    output: Tokens
    cached: Tokens
    reasoning: Tokens
    estimated: bool


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    bar_time: str
    hash: str
    question: dict[str, Any]
    answer: _Said
    usage: _Counted
    cost: str | None
    recorded_at: str


def write_lines(
    config: Mapping[str, Any], answers: Iterable[tuple[int, StoredAnswer]]
) -> Iterator[str]:
    """The file's lines: its head with the run's `config`, then bar time and answer of each."""
    yield _json(
        {"format": FORMAT, "format_version": FORMAT_VERSION, "version": VERSION, "config": config}
    )
    for bar_time, stored in answers:
        usage = stored.usage
        yield _json(
            {
                "bar_time": iso_utc(bar_time),
                "hash": stored.hash,
                "question": stored.question,
                "answer": stored.answer,
                "usage": {
                    "input": usage.input,
                    "output": usage.output,
                    "cached": usage.cached,
                    "reasoning": usage.reasoning,
                    "estimated": usage.estimated,
                },
                "cost": None if stored.cost is None else f"{stored.cost:f}",
                "recorded_at": iso_utc(stored.recorded_at),
            }
        )


def read_head(line: str) -> Mapping[str, Any]:
    """The run's terms. Raises DataError where this is no such file."""
    head = _parsed(line, 1)
    if not isinstance(head, dict) or head.get("format") != FORMAT:
        raise DataError("This is no file of recorded answers.")
    if head.get("format_version") != FORMAT_VERSION:
        raise DataError("This file of recorded answers is of another version of the format.")
    config = head.get("config")
    if not isinstance(config, dict):
        raise DataError("This file of recorded answers lacks the run's terms.")
    return config


def read_answer(line: str, number: int) -> StoredAnswer:
    """The answer in line `number`. Raises DataError where it is damaged or its hash does not fit."""
    try:
        row = _Line.model_validate(_parsed(line, number))
        cost = None if row.cost is None else Decimal(row.cost)
        recorded_at = parse_time_ms(row.recorded_at)
        api_url, model_name = str(row.question["api_url"]), str(row.question["model"])
    except (ValidationError, InvalidOperation, ValueError, KeyError, OverflowError) as error:
        raise DataError(f"Line {number} holds no recorded answer.") from error
    if question_hash(row.question) != row.hash:
        raise DataError(f"Line {number}: the hash is not that of the question.")
    if cost is not None and not (cost.is_finite() and cost >= 0):
        raise DataError(f"Line {number}: {row.cost} is no cost.")
    usage = row.usage
    return StoredAnswer(
        row.hash, api_url, model_name, row.question, row.answer.model_dump(),
        Usage(usage.input, usage.output, usage.cached, usage.reasoning, usage.estimated), cost,
        recorded_at,
    )  # fmt: skip


def _parsed(line: str, number: int) -> Any:
    if len(line) > LONGEST_LINE:
        raise DataError(f"Line {number} is too long.")
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"Line {number} is no JSON.") from error


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n"
