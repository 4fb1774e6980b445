"""How a prompt shows numbers, series and indicators of a coin. Pure.

Prices have the digits of the venue's tick (PEPE is 0.00000712), everything else a few significant
ones, and never an exponent. Names that people gave are untrusted: `label` leaves no way out of «».
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal

import indicators
from ai_params import Indicator
from coin_decision import clean_text
from domain import KlineSeries

INDICATOR_BARS = 150  # what an indicator is shown from; most have forgotten their start by then
LONGEST_LABEL = 40
SIGNIFICANT = 6
UNKNOWN = "?"

_SYMBOL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,19}")
_MARKS = re.compile(r"[«»<>{}\[\]`|#\\\"\n\r\t]")


def label(text: str) -> str:
    """A name that somebody gave, as one short quoted line."""
    plain = " ".join(_MARKS.sub(" ", clean_text(text, 10 * LONGEST_LABEL)).split())
    return f"«{plain[:LONGEST_LABEL]}»"


def symbol_text(symbol: str) -> str:
    """A coin's symbol; one that is no plain word is quoted as a name is."""
    return symbol if _SYMBOL.fullmatch(symbol) else label(symbol)


def price_text(price: Decimal | float, tick_size: Decimal | None) -> str:
    """A price with the digits of its tick; with eight significant ones where that is not known."""
    return f"{price:.{_decimals(tick_size)}f}" if tick_size else number_text(price, 8)


def _decimals(tick_size: Decimal) -> int:
    return max(0, -int(tick_size.normalize().as_tuple().exponent))


def number_text(number: Decimal | float, digits: int = SIGNIFICANT) -> str:
    """A number with a few significant digits and no exponent; "?" where there is none."""
    if not math.isfinite(number):
        return UNKNOWN
    short = Decimal(f"{number:.{digits}g}")
    text = f"{short:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def percent_text(share: float | None) -> str:
    """A percentage with its sign."""
    return UNKNOWN if share is None or not math.isfinite(share) else f"{share:+.2f} %"


def time_text(time_ms: int) -> str:
    """`2026-11-24 15:00 UTC`."""
    return f"{datetime.fromtimestamp(time_ms / 1000, UTC):%Y-%m-%d %H:%M} UTC"


def closes_text(klines: KlineSeries, bars: int, tick_size: Decimal | None) -> str:
    """The closes of the last bars, oldest first."""
    closes = klines.close[max(0, len(klines) - bars) :].tolist()
    if not tick_size:
        return ", ".join(number_text(close, 8) for close in closes)
    decimals = _decimals(tick_size)
    return ", ".join(f"{close:.{decimals}f}" for close in closes)


def closed_at_ms(klines: KlineSeries) -> int:
    """When the last bar closed."""
    return int(klines.open_time[-1]) + klines.interval.milliseconds


def indicators_text(
    klines: KlineSeries, wanted: Sequence[Indicator], tick_size: Decimal | None
) -> str:
    """The wanted indicators at the last bar, computed from the last `INDICATOR_BARS`."""
    recent = klines.slice(max(0, len(klines) - INDICATOR_BARS), len(klines))
    if not len(recent):
        return UNKNOWN
    return ", ".join(_TEXTS[indicator](recent, tick_size) for indicator in wanted)


def _ema(klines: KlineSeries, tick: Decimal | None) -> str:
    values = [indicators.exponential_moving_average(klines.close, n)[-1] for n in (20, 50)]
    return f"EMA20 {_price(values[0], tick)}, EMA50 {_price(values[1], tick)}"


def _sma(klines: KlineSeries, tick: Decimal | None) -> str:
    values = [indicators.simple_moving_average(klines.close, n)[-1] for n in (20, 50)]
    return f"SMA20 {_price(values[0], tick)}, SMA50 {_price(values[1], tick)}"


def _rsi(klines: KlineSeries, tick: Decimal | None) -> str:
    values = [indicators.relative_strength_index(klines.close, n)[-1] for n in (7, 14)]
    return f"RSI7 {_short(values[0])}, RSI14 {_short(values[1])}"


def _macd(klines: KlineSeries, tick: Decimal | None) -> str:
    macd = indicators.macd(klines.close, 12, 26, 9)
    line, signal, histogram = (number_text(float(part[-1]), 4) for part in macd)
    return f"MACD {line}, signal {signal}, histogram {histogram}"


def _bollinger(klines: KlineSeries, tick: Decimal | None) -> str:
    bands = indicators.bollinger_bands(klines.close, 20, 2.0)
    lower, middle, upper = (_price(part[-1], tick) for part in bands)
    return f"Bollinger {lower} / {middle} / {upper}"


def _atr(klines: KlineSeries, tick: Decimal | None) -> str:
    atr = indicators.average_true_range(klines.high, klines.low, klines.close, 14)
    return f"ATR14 {number_text(float(atr[-1]), 4)}"


def _adx(klines: KlineSeries, tick: Decimal | None) -> str:
    adx = indicators.average_directional_index(klines.high, klines.low, klines.close, 14)
    return f"ADX14 {_short(adx[-1])}"


def _stochastic(klines: KlineSeries, tick: Decimal | None) -> str:
    fast, slow = indicators.stochastic(klines.high, klines.low, klines.close, 14, 3)
    return f"stochastic %K {_short(fast[-1])}, %D {_short(slow[-1])}"


def _obv(klines: KlineSeries, tick: Decimal | None) -> str:
    obv = indicators.on_balance_volume(klines.close, klines.volume)
    change = float(obv[-1] - obv[-21]) if len(obv) > 20 else math.nan
    return f"OBV change over 20 bars {number_text(change, 4)}"


def _vwap(klines: KlineSeries, tick: Decimal | None) -> str:
    vwap = indicators.volume_weighted_average_price(
        klines.high, klines.low, klines.close, klines.volume, 20
    )
    return f"VWAP20 {_price(vwap[-1], tick)}"


def _volume_ratio(klines: KlineSeries, tick: Decimal | None) -> str:
    return f"volume ratio {_short(indicators.volume_ratio(klines.volume, 20)[-1])}"


_TEXTS: Mapping[Indicator, Callable[[KlineSeries, Decimal | None], str]] = {
    Indicator.EMA: _ema,
    Indicator.SMA: _sma,
    Indicator.RSI: _rsi,
    Indicator.MACD: _macd,
    Indicator.BOLLINGER: _bollinger,
    Indicator.ATR: _atr,
    Indicator.ADX: _adx,
    Indicator.STOCHASTIC: _stochastic,
    Indicator.OBV: _obv,
    Indicator.VWAP: _vwap,
    Indicator.VOLUME_RATIO: _volume_ratio,
}


def _price(value: float, tick: Decimal | None) -> str:
    return price_text(float(value), tick) if math.isfinite(value) else UNKNOWN


def _short(value: float) -> str:
    return f"{value:.2f}" if math.isfinite(value) else UNKNOWN
