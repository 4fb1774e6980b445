"""What can be found wrong with the sources' data: a code, values, and a sentence made of them.

Pages word a finding in their own language by its code and values; the sentence is for logs and
for programs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from source_answers import title

# By code: the kind that alerts are told apart by, and the sentence.
_SENTENCES: dict[str, tuple[str, str]] = {
    "apart": ("deviation", "{coin} is {price} at {source}, but {others}."),
    "held_back": (
        "deviation", "{coin} is {price} at {source}, but {others}; it is held back for a moment.",
    ),
    "outlier": (
        "deviation", "{coin} is {price} at {source}, but {others}; it is the outlier, left out.",
    ),
    "jumped_alone": (
        "jump",
        "{source}: {coin} jumped by {percent:+.1f} %, from {before} to {price}, but {others}; "
        "it is left out.",
    ),
    "jump_held": (
        "jump",
        "{source}: {coin} jumped by {percent:+.1f} %, from {before} to {price}; it is held back "
        "until a second look.",
    ),
    "gap": (
        "gap",
        "{source} has no {bars} {interval} candles of {coin} in {gaps} gaps, the first from "
        "{first}.",
    ),
    "dropped_candles": ("dropped", "{rows} {interval} candles of {coin} from {source} were not "
                                   "sound: left out."),
    "dropped_prices": ("dropped", "{rows} prices of {source} were old or not sound: left out."),
    "left_alone": ("source_down", "{said}"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about the data of `source` that its reader should know.

    `values` are what JSON knows. `others` among them are `{source, price, percent}` of those that
    it was held against, `percent` being how far the price is from theirs.
    """

    code: str
    source: str
    coin: str | None = None
    values: Mapping[str, Any] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """deviation, jump, gap, dropped or source_down."""
        return _SENTENCES[self.code][0]

    @property
    def message(self) -> str:
        """The sentence in English."""
        values = {**self.values, "source": title(self.source), "coin": self.coin}
        if "others" in values:
            values["others"] = _others_text(self.values["others"])
        return _SENTENCES[self.code][1].format(**values)


def apart(
    code: str, source: str, coin: str, price: Decimal, others: Mapping[str, Decimal]
) -> Finding:
    """A price that the others' are far from."""
    return Finding(code, source, coin, {"price": float(price), "others": held_to(price, others)})


def held_to(price: Decimal, others: Mapping[str, Decimal]) -> list[dict[str, Any]]:
    """What others say, and how far `price` is from it."""
    return [
        {
            "source": name,
            "price": float(other),
            "percent": round(float(price / other - 1) * 100, 1),
        }
        for name, other in others.items()
    ]


def _others_text(others: list[dict[str, Any]]) -> str:
    return ", ".join(
        f"{title(other['source'])} {other['price']} ({other['percent']:+.1f} %)" for other in others
    )
