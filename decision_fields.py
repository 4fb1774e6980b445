"""The single fields of a decision as LLMs write them: numbers, signals, coins, conditions. Pure.

What can be read in one way only is read; anything else is a `FieldError` with a stable code.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from answer_json import NumberText
from domain import Comparison, Interval, PriceCondition, Side, Signal

LARGEST_NUMBER = Decimal("1e15")
SMALLEST_NUMBER = Decimal("1e-15")
MOST_DIGITS = 40

_NUMBER = re.compile(
    r"(?P<sign>[-+]?)\$?\s?"
    r"(?P<digits>\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d{1,3}(?:_\d{3})+(?:\.\d+)?|\d+\.?\d*|\.\d+)"
    r"(?P<exponent>[eE][-+]?\d{1,4})?"
    r"\s?(?P<unit>%|x|X|倍|USDT|USDC|USD|usdt|usd|美元)?"
)
_TIMES_BEFORE = re.compile(r"[xX×]\s?(?=\d)")
_NOTHING_SAID = {"", "null", "none", "nil", "n/a", "na", "-", "--", "无", "空", "undefined"}


class FieldError(Exception):
    """A field that cannot be read in one way only; `code` is stable, `message` for a person."""

    def __init__(self, code: str, message: str):
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class WrittenNumber:
    """A number with the unit that stood behind it: "" or "%", "x", "USDT"."""

    value: Decimal
    unit: str


def is_absent(value: Any) -> bool:
    """Whether a field says nothing: null, an empty text, "none", "N/A"."""
    return value is None or (isinstance(value, str) and value.strip().lower() in _NOTHING_SAID)


def read_number(name: str, value: Any) -> WrittenNumber:
    """A finite number of a sane size. Raises FieldError `invalid_<name>`."""
    if isinstance(value, bool) or not isinstance(value, str):
        raise _not_a_number(name, value)
    text = _TIMES_BEFORE.sub("", value.strip(), count=1)
    match = _NUMBER.fullmatch(text) if len(text) <= 2 * MOST_DIGITS else None
    if match is None or len(match["digits"]) > MOST_DIGITS:
        raise _not_a_number(name, value)
    digits = match["digits"].replace(",", "").replace("_", "")
    number = Decimal(f"{match['sign']}{digits}{match['exponent'] or ''}")
    if number and not SMALLEST_NUMBER <= abs(number) <= LARGEST_NUMBER:
        raise FieldError(f"invalid_{name}", f"{name} {_shown(value)} is out of any sane range.")
    unit = {"X": "x", "倍": "x", None: ""}.get(match["unit"], match["unit"] or "")
    return WrittenNumber(number, unit)


def read_amount(name: str, value: Any, units: Collection[str] = ("",)) -> Decimal:
    """A number ≥ 0 in one of `units`. Raises FieldError `invalid_<name>`."""
    number = read_number(name, value)
    if number.unit not in units:
        raise FieldError(f"invalid_{name}", f"{name} {_shown(value)} has the wrong unit.")
    if number.value < 0:
        raise FieldError(f"invalid_{name}", f"{name} {_shown(value)} is negative.")
    return number.value


def read_price(name: str, value: Any) -> Decimal:
    """A price > 0 in quote currency; a percentage is none."""
    price = read_amount(name, value, MONEY_UNITS)
    if not price:
        raise FieldError(f"invalid_{name}", f"{name} is 0; leave it out where there is none.")
    return price


MONEY_UNITS = ("", "USDT", "USDC", "USD", "usdt", "usd", "美元")


def read_leverage(value: Any) -> Decimal:
    """Leverage ≥ 1, as 10, "10x" or "10倍"; how much is allowed is for risk to say."""
    leverage = read_amount("leverage", value, ("", "x"))
    if leverage < 1:
        raise FieldError("invalid_leverage", f"leverage {_shown(value)} is less than 1.")
    return leverage


def read_share(name: str, value: Any) -> Decimal:
    """A share of 1, as 0.25 or "25%"; 25 could be either of two things and is refused."""
    number = read_number(name, value)
    if number.unit not in ("", "%"):
        raise FieldError(f"invalid_{name}", f"{name} {_shown(value)} has the wrong unit.")
    share = number.value / 100 if number.unit else number.value
    if not 0 <= share <= 1:
        raise FieldError(f"invalid_{name}", f"{name} {_shown(value)} is not between 0 and 1.")
    return share


def read_percent(name: str, value: Any, smallest: Decimal, below: Decimal) -> Decimal:
    """Percent, as 1.5 or "1.5%", with smallest ≤ value < below."""
    percent = read_amount(name, value, ("", "%"))
    if not smallest <= percent < below:
        raise FieldError(
            f"invalid_{name}", f"{name} {_shown(value)} is not between {smallest} and {below} %."
        )
    return percent


def read_confidence(value: Any) -> float:
    """0 to 1, as 0.75, "75%" or, above 1, as 75 out of 100."""
    number = read_number("confidence", value)
    if number.unit not in ("", "%"):
        raise FieldError("invalid_confidence", f"confidence {_shown(value)} has the wrong unit.")
    share = number.value / 100 if number.unit or number.value > 1 else number.value
    if not 0 <= share <= 1:
        raise FieldError("invalid_confidence", f"confidence {_shown(value)} is not 0 to 1.")
    return float(share)


# ------------------------------------------------------------------------------------- signals


@dataclass(frozen=True, slots=True)
class ReadSignal:
    """A signal, and the side of the position that a close is meant for, where it is said."""

    signal: Signal
    closes: Side | None = None


_ENTER_LONG = ReadSignal(Signal.BUY_TO_ENTER)
_ENTER_SHORT = ReadSignal(Signal.SELL_TO_ENTER)
_HOLD = ReadSignal(Signal.HOLD)
_CLOSE = ReadSignal(Signal.CLOSE_POSITION)
_CLOSE_LONG = ReadSignal(Signal.CLOSE_POSITION, Side.LONG)
_CLOSE_SHORT = ReadSignal(Signal.CLOSE_POSITION, Side.SHORT)

_WORDS = {
    _ENTER_LONG: "buy_to_enter open_long enter_long go_long long buy buy_long 开多 做多 买入 买入开多",
    _ENTER_SHORT: "sell_to_enter open_short enter_short go_short short sell_short short_sell 开空 做空"
    " 卖出开空",
    _HOLD: "hold wait no_action do_nothing none stay stay_flat flat neutral keep keep_position skip"
    " hold_position hold_long hold_short 持有 观望 等待 不操作 空仓观望 继续持有",
    _CLOSE: "close_position close exit exit_position close_all close_out 平仓 全部平仓 清仓",
    _CLOSE_LONG: "close_long exit_long sell_to_close sell_to_exit 平多 卖出平多",
    _CLOSE_SHORT: "close_short exit_short buy_to_close buy_to_exit buy_to_cover 平空 买入平空",
}
_SIGNALS = {word: signal for signal, words in _WORDS.items() for word in words.split()}
_WITH_SIDE = {
    ("open", "long"): _ENTER_LONG,
    ("open", "short"): _ENTER_SHORT,
    ("enter", "long"): _ENTER_LONG,
    ("enter", "short"): _ENTER_SHORT,
    ("buy", "long"): _ENTER_LONG,
    ("sell", "short"): _ENTER_SHORT,
    ("close", "long"): _CLOSE_LONG,
    ("close", "short"): _CLOSE_SHORT,
    ("close_position", "long"): _CLOSE_LONG,
    ("close_position", "short"): _CLOSE_SHORT,
}
_AMBIGUOUS = {"sell", "卖出", "reduce", "add", "cover"}


def read_signal(value: Any, side: Any = None) -> ReadSignal:
    """The signal that a word means, with the side that stood beside it.

    Raises FieldError unknown_signal, or ambiguous_signal for a word that means two things (a
    bare "sell" closes a long or opens a short).
    """
    if not isinstance(value, str) or isinstance(value, NumberText):
        raise FieldError("unknown_signal", f"{_shown(value)} is no signal.")
    word = _as_name(value)
    side_word = _as_name(side) if isinstance(side, str) else ""
    if (word, side_word) in _WITH_SIDE:
        return _WITH_SIDE[word, side_word]
    if word in _AMBIGUOUS:
        raise FieldError(
            "ambiguous_signal", f"{_shown(value)} may open or close; say which of the two."
        )
    found = _SIGNALS.get(word)
    if found is None:
        raise FieldError("unknown_signal", f"{_shown(value)} is no signal.")
    said = {"long": Side.LONG, "short": Side.SHORT}.get(side_word)
    entered = {_ENTER_LONG: Side.LONG, _ENTER_SHORT: Side.SHORT}.get(found)
    if said is not None and entered not in (None, said):
        raise FieldError("ambiguous_signal", f"{_shown(value)} with side {side_word} is unclear.")
    return found


def _as_name(text: str) -> str:
    separated = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", text.strip().strip(".!*`'\""))
    return re.sub(r"[\s\-]+", "_", separated).lower()


# --------------------------------------------------------------------------------------- coins

_QUOTED_IN = r"(?:USDT|USDC|BUSD|USD)"
_PAIR = re.compile(
    rf"(?P<base>[A-Z0-9]{{1,20}}?)[/_\-]?{_QUOTED_IN}"
    rf"(?:[:_\-]?{_QUOTED_IN})?(?:[_\-]?(?:SWAP|PERP))?"
)
_DOLLAR_COINS = re.compile(r"[A-Z]{1,2}USD")  # TUSD and FDUSD are coins, and no pairs of T and FD
_SYMBOL = re.compile(r"[A-Z0-9]{1,20}")


def coin_named(name: str, known: Collection[str]) -> str | None:
    """Our symbol for `btc`, `$BTC`, `BTCUSDT`, `BTC-USDT-SWAP`, `BTC/USDT:USDT`; None for no name.

    `known` are the coins that were asked about; another symbol comes back in capitals, for risk
    to refuse.
    """
    text = name.strip().strip("$*`#").strip()
    by_name = {coin.upper(): coin for coin in known}
    upper = text.upper()
    if upper in by_name:
        return by_name[upper]
    pair = None if _DOLLAR_COINS.fullmatch(upper) else _PAIR.fullmatch(upper)
    if pair is not None:
        return by_name.get(pair["base"], pair["base"])
    return upper if _SYMBOL.fullmatch(upper) else None


# ---------------------------------------------------------------------------------- conditions

_OPERATOR = (
    r"(?P<operator><=|>=|<|>|≤|≥|is below|is above|falls below|drops below|breaks below|"
    r"breaks above|rises above|closes below|closes above|below|above|under|over|低于|高于|跌破|突破)"
)
_LENGTH = r"(?P<interval>1m|3m|5m|15m|30m|1h|2h|4h|6h|12h|1d|1w)"
_LENGTH_ZH = r"(?P<interval>1分钟|5分钟|15分钟|30分钟|1小时|2小时|4小时|日线|周线)"
_LEVEL = r"\$?\s?(?P<level>\d[\d,_]*\.?\d*(?:[eE]-?\d{1,2})?)\s?(?:USDT|USD|usdt|usd|美元)?[.。]?"
_CONDITIONS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"close_{_LENGTH}\s*{_OPERATOR}\s*{_LEVEL}",
        rf"{_LENGTH}[_ \-]?(?:candle |bar )?close[sd]?\s*{_OPERATOR}\s*{_LEVEL}",
        rf"close[sd]?\s*{_OPERATOR}\s*{_LEVEL}\s*(?:on|in) (?:the |a )?{_LENGTH}"
        r"(?: candle| chart)?[.]?",
        rf"{_LENGTH_ZH}\s*(?:K线)?收盘价?\s*{_OPERATOR}\s*{_LEVEL}",
        rf"(?:(?:mark |last )?price|价格)\s*{_OPERATOR}\s*{_LEVEL}",
    )
)
_OPERATORS = {
    "<=": Comparison.AT_OR_BELOW,
    "≤": Comparison.AT_OR_BELOW,
    ">=": Comparison.AT_OR_ABOVE,
    "≥": Comparison.AT_OR_ABOVE,
}
_UPWARDS = (">", "above", "over", "高于", "突破")
_INTERVALS_ZH = {
    "1分钟": Interval.M1,
    "5分钟": Interval.M5,
    "15分钟": Interval.M15,
    "30分钟": Interval.M30,
    "1小时": Interval.H1,
    "2小时": Interval.H2,
    "4小时": Interval.H4,
    "日线": Interval.D1,
    "周线": Interval.W1,
}


def read_condition(text: str, coin: str = "") -> PriceCondition | None:
    """The condition that a whole text states (`close_1h < 61200`); None for any other text."""
    text = text.strip()
    if coin and text.upper().startswith(f"{coin.upper()} "):
        text = text[len(coin) + 1 :].strip()
    if len(text) > 100:
        return None
    for pattern in _CONDITIONS:
        match = pattern.fullmatch(text)
        if match is None:
            continue
        try:
            level = read_price("level", match["level"])
        except FieldError:
            return None
        return PriceCondition(_interval(match), _comparison(match["operator"].lower()), level)
    return None


def _interval(match: re.Match[str]) -> Interval | None:
    written = match.groupdict().get("interval")
    if written is None:
        return None
    return _INTERVALS_ZH.get(written) or Interval(written.lower())


def _comparison(operator: str) -> Comparison:
    if operator in _OPERATORS:
        return _OPERATORS[operator]
    upwards = operator.endswith(_UPWARDS)
    return Comparison.ABOVE if upwards else Comparison.BELOW


def _not_a_number(name: str, value: Any) -> FieldError:
    return FieldError(f"invalid_{name}", f"{name} {_shown(value)} is not a plain number.")


def _shown(value: Any) -> str:
    text = re.sub(r"[\x00-\x1f\x7f-\x9f]", " ", str(value))
    return repr(text if len(text) <= 60 else f"{text[:60]}…")
