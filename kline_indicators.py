"""Indicators of candles by name, as a program asks for them: `ema_20`, `rsi`, `bollinger_20`. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import indicators
from domain import FloatArray, KlineSeries
from errors import InvalidInput

LONGEST = 200
MOST_INDICATORS = 10
# What is computed from more bars than are asked for; beyond, only the last digits still change.
MOST_WARM_UP_BARS = 3_000

Columns = dict[str, FloatArray]

_NAME = re.compile(r"([a-z][a-z_]*?)(?:_(\d{1,4}))?")


@dataclass(frozen=True, slots=True)
class Kind:
    """An indicator: its usual length, None where it has none of its own; how many lengths of bars
    it takes until its start is forgotten; and its values by what they are called, "" the one."""

    length: int | None
    lengths_to_forget: int
    compute: Callable[[KlineSeries, int], Columns]


@dataclass(frozen=True, slots=True)
class Wanted:
    """An indicator of some length, and how it was asked for."""

    name: str
    kind: Kind
    length: int


def _one(compute: Callable[[KlineSeries, int], FloatArray]) -> Callable[..., Columns]:
    return lambda klines, length: {"": compute(klines, length)}


def _macd(klines: KlineSeries, _: int) -> Columns:
    line, signal, histogram = indicators.macd(klines.close, 12, 26, 9)
    return {"": line, "_signal": signal, "_histogram": histogram}


def _bollinger(klines: KlineSeries, length: int) -> Columns:
    lower, middle, upper = indicators.bollinger_bands(klines.close, length, 2.0)
    return {"_lower": lower, "_middle": middle, "_upper": upper}


def _stochastic(klines: KlineSeries, length: int) -> Columns:
    fast, slow = indicators.stochastic(klines.high, klines.low, klines.close, length, 3)
    return {"_k": fast, "_d": slow}


_EXPONENTIAL = indicators.SPANS_TO_FORGET
_WILDER = indicators.WILDER_LENGTHS_TO_FORGET

KINDS: dict[str, Kind] = {
    "sma": Kind(20, 1, _one(lambda klines, n: indicators.simple_moving_average(klines.close, n))),
    "ema": Kind(
        20,
        _EXPONENTIAL,
        _one(lambda klines, n: indicators.exponential_moving_average(klines.close, n)),
    ),
    "rsi": Kind(
        14, _WILDER, _one(lambda klines, n: indicators.relative_strength_index(klines.close, n))
    ),
    "macd": Kind(None, (26 + 9) * _EXPONENTIAL, _macd),
    "bollinger": Kind(20, 1, _bollinger),
    "atr": Kind(
        14,
        _WILDER,
        _one(lambda k, n: indicators.average_true_range(k.high, k.low, k.close, n)),
    ),
    "adx": Kind(
        14,
        _WILDER,
        _one(lambda k, n: indicators.average_directional_index(k.high, k.low, k.close, n)),
    ),
    "stochastic": Kind(14, 2, _stochastic),
    "vwap": Kind(
        20,
        1,
        _one(
            lambda k, n: indicators.volume_weighted_average_price(
                k.high, k.low, k.close, k.volume, n
            )
        ),
    ),
    "volume_ratio": Kind(20, 2, _one(lambda klines, n: indicators.volume_ratio(klines.volume, n))),
}


def wanted_indicators(text: str) -> list[Wanted]:
    """The indicators of a comma-separated list. Raises InvalidInput."""
    names = list(dict.fromkeys(name.strip().lower() for name in text.split(",")))
    if len(names) > MOST_INDICATORS:
        raise _refusal(f"takes at most {MOST_INDICATORS}")
    return [_wanted(name) for name in names]


def warm_up_bars(wanted: Sequence[Wanted]) -> int:
    """How many bars before the first one have a part in the values."""
    bars = (each.length * each.kind.lengths_to_forget for each in wanted)
    return min(MOST_WARM_UP_BARS, max(bars, default=0))


def indicator_columns(klines: KlineSeries, wanted: Sequence[Wanted]) -> Columns:
    """The values at every bar by name, NaN where there are too few bars before."""
    return {
        each.name + part: column
        for each in wanted
        for part, column in each.kind.compute(klines, each.length).items()
    }


def _wanted(name: str) -> Wanted:
    match = _NAME.fullmatch(name)
    kind = KINDS.get(match[1]) if match else None
    if match is None or kind is None:
        raise _refusal(f"are of {', '.join(KINDS)}, with a length as in ema_20")
    if kind.length is None:
        if match[2] is not None:
            raise _refusal(f"{match[1]} takes no length")
        return Wanted(name, kind, 1)
    length = kind.length if match[2] is None else int(match[2])
    if not 2 <= length <= LONGEST:
        raise _refusal(f"have lengths from 2 to {LONGEST}")
    return Wanted(name, kind, length)


def _refusal(why: str) -> InvalidInput:
    return InvalidInput(f"Indicators {why}.", fields={"indicators": why})
