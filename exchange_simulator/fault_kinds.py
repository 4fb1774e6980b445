"""The faults that an exchange can have: their names, channels and parameters."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Protocol

EXCHANGES = ("binance", "okx", "coingecko")
BOTH = ("rest", "stream")


class InvalidFault(ValueError):
    """A fault that there is not, or a parameter that it does not have."""


class Parameter(Protocol):
    """A parameter: what it is unless given, and what it may be."""

    @property
    def default(self) -> Any:
        """Its value unless given."""

    def read(self, value: Any) -> Any:
        """A value that was given. Raises ValueError with what it must be."""


@dataclass(frozen=True, slots=True)
class Number:
    """A number from `least` to `most`; without a default it may be absent."""

    default: float | None
    least: float
    most: float = 1e15

    def read(self, value: Any) -> float:
        """The number itself."""
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not math.isfinite(value) or not self.least <= value <= self.most:
            raise ValueError(f"a number from {self.least:g} to {self.most:g}")
        return float(value) if isinstance(value, float) else int(value)


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number of at least `least`; without a default it may be absent."""

    default: int | None
    least: int

    def read(self, value: Any) -> int:
        """The number itself."""
        if type(value) is not int or not self.least <= value < 10**15:
            raise ValueError(f"a whole number of at least {self.least}")
        return value


@dataclass(frozen=True, slots=True)
class Choice:
    """One of some words."""

    default: str
    words: tuple[str, ...]

    def read(self, value: Any) -> str:
        """The word itself."""
        if value not in self.words:
            raise ValueError(f"one of {', '.join(self.words)}")
        return str(value)


@dataclass(frozen=True, slots=True)
class Texts:
    """A list of texts; none unless given."""

    default: tuple[str, ...] = ()

    def read(self, value: Any) -> tuple[str, ...]:
        """The texts, at least one."""
        if not isinstance(value, list | tuple) or not value:
            raise ValueError("a list of texts")
        if not all(isinstance(text, str) for text in value):
            raise ValueError("a list of texts")
        return tuple(value)


def no_duration(params: Mapping[str, Any]) -> None:
    """Of a fault that lasts until it is switched off."""
    return


def retry_after(params: Mapping[str, Any]) -> float | None:
    """Of a fault that lasts as long as it tells its callers to wait."""
    seconds: float = params["retry_after"]
    return seconds


@dataclass(frozen=True, slots=True)
class FaultKind:
    """What a fault of one name can be: its channels, parameters, and how long it lasts by itself.

    `duration` gives seconds of real time from its parameters, or none.
    """

    params: Mapping[str, Parameter] = field(default_factory=lambda: MappingProxyType({}))
    channels: tuple[str, ...] = BOTH
    duration: Callable[[Mapping[str, Any]], float | None] = no_duration

    def read(self, name: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """All parameters, from those given. Raises InvalidFault."""
        for unread in given.keys() - self.params.keys():
            known = ", ".join(self.params) or "none"
            raise InvalidFault(f"{name} has no parameter {unread!r}; it has: {known}")
        values = {key: parameter.default for key, parameter in self.params.items()}
        for key, value in given.items():
            try:
                values[key] = self.params[key].read(value)
            except ValueError as error:
                raise InvalidFault(f"{key} of {name} must be {error}") from None
        return values


ENDPOINTS = Texts()  # REST: only those whose path has one of these words in it
SYMBOLS = Texts()  # BTCUSDT, BTC-USDT or BTC; all unless given
YEAR_SECONDS = 366 * 86_400

EXCHANGE_KINDS: Mapping[str, FaultKind] = MappingProxyType({
    # Who asks gets no answer, or none of the venue's.
    "down": FaultKind({
        "how": Choice("page", ("page", "reset", "hang")),
        "endpoints": ENDPOINTS,
    }),
    "slow": FaultKind({"seconds": Number(10, 0, 3600), "endpoints": ENDPOINTS}),
    "429": FaultKind(
        {"retry_after": Number(5, 1, YEAR_SECONDS), "endpoints": ENDPOINTS}, duration=retry_after
    ),
    "418": FaultKind({"retry_after": Number(60, 1, YEAR_SECONDS)}, duration=retry_after),
    "451": FaultKind({"endpoints": ENDPOINTS}),
    "403": FaultKind({"endpoints": ENDPOINTS}),
    # An answer that has been spoiled on its way.
    "garbage": FaultKind({"endpoints": ENDPOINTS}),
    "truncated": FaultKind({
        "share": Number(0.5, 0, 1),
        "how": Choice("body", ("body", "connection")),
        "endpoints": ENDPOINTS,
    }),
    "wrong_order": FaultKind({"endpoints": ENDPOINTS}),
    "duplicates": FaultKind({"every": Whole(3, 1), "endpoints": ENDPOINTS}),
    # A market that is not what it should be.
    "gaps": FaultKind({
        "every": Whole(5, 2),
        "start_ms": Whole(None, 0),
        "end_ms": Whole(None, 0),
        "symbols": SYMBOLS,
    }),
    "zero_price": FaultKind({"every": Whole(10, 1), "symbols": SYMBOLS}),
    "negative_price": FaultKind({"every": Whole(10, 1), "symbols": SYMBOLS}),
    "nan_price": FaultKind({"every": Whole(10, 1), "symbols": SYMBOLS}),
    "spike": FaultKind({"percent": Number(50, -99.9, 1e6), "symbols": SYMBOLS}),
    "drift": FaultKind({"percent": Number(3, -99.9, 1e6), "symbols": SYMBOLS}),
    "stale": FaultKind({"stamps": Choice("old", ("old", "now")), "symbols": SYMBOLS}),
    "clock_skew": FaultKind({"seconds": Number(3600, -YEAR_SECONDS, YEAR_SECONDS)}),
    # A socket that does not do what it should.
    "socket_drop": FaultKind({"after_seconds": Number(None, 0)}, channels=("stream",)),
    "socket_silent": FaultKind({"replies": Choice("yes", ("yes", "no"))}, channels=("stream",)),
    "socket_flood": FaultKind({"rate": Number(1000, 1, 100_000)}, channels=("stream",)),
})  # fmt: skip
