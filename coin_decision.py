"""What an LLM's answer says of one coin, as a decision. Pure.

An entry needs its signal and one size; whatever else it gives must be readable. A hold needs
nothing but its signal, and a close may have a quantity.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from answer_json import DUPLICATED, TRUNCATED, NumberText
from decision_fields import (
    MONEY_UNITS,
    FieldError,
    is_absent,
    read_amount,
    read_condition,
    read_confidence,
    read_leverage,
    read_percent,
    read_price,
    read_share,
    read_signal,
)
from domain import Decision, Side, Signal

LONGEST_JUSTIFICATION = 2000
LONGEST_INVALIDATION = 500
TIGHTEST_TRAILING_STOP = Decimal("0.1")  # percent; what venues take as the least


def words(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


SIGNAL_NAMES = words("signal action decision operation trade_signal 信号 操作 动作 决策")
COIN_NAMES = words("coin symbol asset pair ticker instrument inst_id 币种 代币 交易对")
_INNER = words("trade_signal_args args decision trade order details")
_ALIASES = {
    "quantity": "quantity qty coin_quantity quantity_coins 数量",
    "notional": "notional notional_usd notional_usdt position_size_usd position_size_usdt "
    "position_value_usd notional_value 名义价值",
    "weight": "weight portfolio_weight equity_share",
    "weight_pct": "weight_pct weight_percent",
    "unclear_size": "size amount position_size amount_usd amount_usdt usd_amount margin_usd 仓位 金额",
    "leverage": "leverage lev 杠杆 杠杆倍数",
    "profit_target": "profit_target take_profit tp take_profit_price target_price target 止盈 止盈价",
    "stop_loss": "stop_loss sl stop stop_price stop_loss_price 止损 止损价",
    "trailing_stop_pct": "trailing_stop_pct trailing_stop_percent trailing_pct",
    "confidence": "confidence conviction confidence_score 信心 置信度 信心度",
    "justification": "justification reasoning reason rationale thesis explanation analysis 理由 原因",
    "invalidation": "invalidation invalidation_condition 失效条件",
    "side": "side direction position_side 方向",
}
_FIELD_OF = {alias: name for name, aliases in _ALIASES.items() for alias in aliases.split()}

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


def snake_case(key: str) -> str:
    """A key in snake_case: `stopLoss`, `Stop-Loss` and `stop loss` are all stop_loss."""
    separated = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", key.strip())
    return re.sub(r"[\s\-]+", "_", separated).lower()


def clean_text(value: Any, longest: int) -> str:
    """Untrusted text without control and direction characters, of bounded length."""
    if isinstance(value, list):
        value = " ".join(str(part) for part in value)
    elif isinstance(value, dict):
        value = json.dumps(value, ensure_ascii=False, default=str)
    text = _CONTROL.sub(" ", "" if value is None else str(value)).strip()
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def fields_of(value: Any) -> dict[str, Any]:
    """What is said of a coin, by snake_case names; a bare word is a signal."""
    if isinstance(value, str) and not isinstance(value, NumberText):
        return {"signal": value}
    if not isinstance(value, dict):
        return {}
    said = {snake_case(key) if key != TRUNCATED else key: inner for key, inner in value.items()}
    inner = [name for name in _INNER if isinstance(said.get(name), dict)]
    if len(inner) == 1 and not any(isinstance(said.get(name), str) for name in SIGNAL_NAMES):
        return {key: part for key, part in said.items() if key != inner[0]} | fields_of(
            said[inner[0]]
        )
    return said


def coin_of(said: Mapping[str, Any]) -> str | None:
    """The coin that an object names itself."""
    named = {said[name] for name in COIN_NAMES if isinstance(said.get(name), str)}
    return str(named.pop()) if len(named) == 1 else None


def decision_of(
    coin: str, said: Mapping[str, Any], held: Side | None, repairs: list[str]
) -> Decision:
    """The decision that `said` states. Raises FieldError."""
    if TRUNCATED in said:
        raise FieldError("truncated", f"What is said of {coin} was cut off.")
    if DUPLICATED in said:
        raise FieldError("duplicate_keys", f"The same key stands twice in what is said of {coin}.")
    words = [said[name] for name in sorted(SIGNAL_NAMES & said.keys()) if not is_absent(said[name])]
    if not words:
        raise FieldError("missing_signal", f"There is no signal for {coin}.")
    values = _by_field(said)
    read = {read_signal(word, values.get("side")) for word in words}
    if len(read) > 1:
        raise FieldError("ambiguous_signal", f"There is more than one signal for {coin}.")
    signal = read.pop()
    justification = clean_text(values.get("justification"), LONGEST_JUSTIFICATION)
    if signal.signal is Signal.HOLD:
        return Decision(
            Signal.HOLD, confidence=_lenient_confidence(values), justification=justification
        )
    if signal.signal is Signal.CLOSE_POSITION:
        if None not in (signal.closes, held) and signal.closes is not held:
            raise FieldError(
                "wrong_side", f"The position in {coin} is {held}, not {signal.closes}."
            )
        return Decision(
            Signal.CLOSE_POSITION,
            quantity=_closing_quantity(values, repairs),
            confidence=_lenient_confidence(values),
            justification=justification,
        )
    return _entry(coin, signal.signal, values, justification, repairs)


def _by_field(said: Mapping[str, Any]) -> dict[str, Any]:
    """Values by our names. Raises FieldError where two names of one field say different things."""
    values: dict[str, Any] = {}
    for key, value in said.items():
        name = _FIELD_OF.get(key)
        if name is None or is_absent(value):
            continue
        if name in values and name != "justification" and values[name] != value:
            raise FieldError("ambiguous_field", f"{name} is said twice and differently.")
        values.setdefault(name, value)
    return values


def _entry(
    coin: str, signal: Signal, values: Mapping[str, Any], justification: str, repairs: list[str]
) -> Decision:
    size_name, size = _size(values, repairs)
    invalidation = clean_text(values.get("invalidation"), LONGEST_INVALIDATION)

    def optional(name: str, read: Callable[[Any], Decimal]) -> Decimal | None:
        return read(values[name]) if name in values else None

    return Decision(
        signal,
        quantity=size if size_name == "quantity" else None,
        notional=size if size_name == "notional" else None,
        weight=size if size_name == "weight" else None,
        leverage=read_leverage(values["leverage"]) if "leverage" in values else Decimal(1),
        profit_target=optional("profit_target", lambda v: read_price("profit_target", v)),
        stop_loss=optional("stop_loss", lambda v: read_price("stop_loss", v)),
        trailing_stop_pct=optional("trailing_stop_pct", _trailing_stop),
        confidence=read_confidence(values["confidence"]) if "confidence" in values else None,
        justification=justification,
        invalidation=invalidation,
        invalidation_condition=read_condition(invalidation, coin),
    )


def _trailing_stop(value: Any) -> Decimal:
    return read_percent("trailing_stop_pct", value, TIGHTEST_TRAILING_STOP, Decimal(100))


def _size(values: Mapping[str, Any], repairs: list[str]) -> tuple[str, Decimal]:
    """The one size of an entry; a zero beside it says nothing."""
    sizes = _sizes(values)
    given = {name: size for name, size in sizes.items() if size}
    if len(given) > 1:
        raise FieldError("ambiguous_size", f"More than one size is given: {', '.join(given)}.")
    if not given:
        if "unclear_size" in values:
            raise FieldError(
                "ambiguous_size", "A size must be called quantity, notional or weight."
            )
        raise FieldError("missing_size", "An entry needs a quantity, a notional or a weight.")
    if len(sizes) > len(given):
        repairs.append("zero_size_dropped")
    return next(iter(given.items()))


def _sizes(values: Mapping[str, Any]) -> dict[str, Decimal]:
    sizes: dict[str, Decimal] = {}
    if "quantity" in values:
        sizes["quantity"] = read_amount("quantity", values["quantity"])
    if "notional" in values:
        sizes["notional"] = read_amount("notional", values["notional"], MONEY_UNITS)
    if "weight" in values:
        sizes["weight"] = read_share("weight", values["weight"])
    if "weight_pct" in values:
        if "weight" in values:
            raise FieldError("ambiguous_size", "Both weight and weight_pct are given.")
        sizes["weight"] = (
            read_percent("weight", values["weight_pct"], Decimal(0), Decimal(101)) / 100
        )
        if sizes["weight"] > 1:
            raise FieldError("invalid_weight", "The weight is more than 100 %.")
    return sizes


def _closing_quantity(values: Mapping[str, Any], repairs: list[str]) -> Decimal | None:
    """How much to close; None, for all of it, where no quantity is said or it is 0.

    A notional beside a close is what nofx prompts have models fill in, and means nothing; a share
    of less than all could mean equity or position, and is refused.
    """
    shares = {name: values[name] for name in ("weight", "weight_pct") if name in values}
    if _sizes(shares).get("weight", 0) not in (0, 1):
        raise FieldError("ambiguous_size", "A part to close must be given as a quantity.")
    if "notional" in values:
        repairs.append("size_of_close_dropped")
    if "quantity" not in values:
        return None
    return read_amount("quantity", values["quantity"]) or None


def _lenient_confidence(values: Mapping[str, Any]) -> float | None:
    """The confidence of a hold or a close, which nothing depends on."""
    try:
        return read_confidence(values["confidence"]) if "confidence" in values else None
    except FieldError:
        return None
