"""Tokens of a call to an LLM and what they cost. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from domain import TokenPrices

MILLION = Decimal(1_000_000)
COST_STEP = Decimal("1e-9")
ASCII_LETTERS_A_TOKEN = 3  # numbers and tables take more tokens a letter than prose


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call. `cached` is a part of `input`, `reasoning` one of `output`.

    `estimated` where the provider did not say: counted from the texts.
    """

    input: int
    output: int
    cached: int = 0
    reasoning: int = 0
    estimated: bool = False

    @property
    def total(self) -> int:
        """All of them."""
        return self.input + self.output


def estimated_tokens(text: str) -> int:
    """About how many tokens a text has, rather too many than too few.

    Tokenizers differ by model; a token of English, numbers and JSON is three to four letters, and a
    Chinese character is about one.
    """
    ascii_letters = len(text.encode("ascii", "ignore"))
    return -(-ascii_letters // ASCII_LETTERS_A_TOKEN) + len(text) - ascii_letters


def cost_of(usage: Usage, prices: TokenPrices | None) -> Decimal | None:
    """What a call costs in US dollars; None where the prices are not known.

    Cached input costs what the rest does where no price is known for it.
    """
    if prices is None or prices.input is None or prices.output is None:
        return None
    cached_price = prices.input if prices.cached is None else prices.cached
    cost = (
        (usage.input - usage.cached) * prices.input
        + usage.cached * cached_price
        + usage.output * prices.output
    )
    return (cost / MILLION).quantize(COST_STEP)
