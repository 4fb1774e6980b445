"""Finds for translation what the owner's settings say of themselves: titles and descriptions."""

from __future__ import annotations

from collections.abc import Iterator

from owner_settings import OwnerSettings
from translations.trader_words import parameter_words


def extract(
    fileobj: object, keywords: object, comment_tags: object, options: object
) -> Iterator[tuple[int, str, str, list[str]]]:
    """Babel's extraction method, whose arguments are not needed: see `trader_words`."""
    for setting in OwnerSettings.model_json_schema()["properties"].values():
        yield from ((1, "_", word, []) for word in parameter_words(setting))
