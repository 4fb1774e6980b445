"""Finds for translation what the traders say of themselves: names, descriptions, parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ai_params import AI_DESCRIPTION, AI_NAME, params_schema
from strategies import registry


def extract(
    fileobj: object, keywords: object, comment_tags: object, options: object
) -> Iterator[tuple[int, str, str, list[str]]]:
    """Babel's extraction method: (line, function, message, comments) for each English string.

    The arguments are Babel's and not needed: the strategies are asked, not their files read.
    """
    for trader in registry().values():
        for word in (trader.name, trader.description):
            yield 1, "_", word, []
        for parameter in trader.params_schema().get("properties", {}).values():
            yield from ((1, "_", word, []) for word in parameter_words(parameter))
    yield from ((1, "_", word, []) for word in ai_words())


def ai_words() -> Iterator[str]:
    """What the trader that asks a language model says of itself."""
    yield from (AI_NAME, AI_DESCRIPTION)
    for parameter in params_schema()["properties"].values():
        yield from (parameter["title"], parameter["description"])


def parameter_words(parameter: Mapping[str, Any]) -> Iterator[str]:
    """Title, description and choices of one property of a JSON Schema."""
    yield parameter["title"]
    if "description" in parameter:
        yield parameter["description"]
    yield from (choice for choice in parameter.get("enum", ()) if isinstance(choice, str))
