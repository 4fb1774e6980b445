"""What the simulated language models say: a plausible trader that reads its prompt, and no more.

It knows nothing of the app but the words on the page: it looks for coins, prices and closes in the
user message, in English or Chinese, and trades with the trend of what it finds. The same prompt
gets the same answer.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

STEADY = "sim-steady"  # answers in clean JSON, within reason
BOLD = "sim-bold"  # asks now and then for far too much
THINKER = "sim-thinker"  # thinks aloud, then answers in a fence
MODELS = (STEADY, BOLD, THINKER)

CLOSES_READ = 8
TREND_TO_ENTER = 0.0008  # the last close over the mean of those before, less one
MOST_POSITIONS = 3
BOLD_EVERY = 2
TOO_MUCH_LEVERAGE = 40
TOO_MUCH_OF_EQUITY = 5

_SYMBOL = r"^(?P<coin>[A-Za-z0-9._-]+)"
_PRICE = re.compile(
    rf"{_SYMBOL}(?: «[^»\n]*»)?[:：]\s*(?:price|现价)\s*(?P<price>\d+(?:\.\d+)?)", re.MULTILINE
)
_CLOSES = re.compile(rf"{_SYMBOL} \d+[mhdw] [^\n]*UTC[:：]\s*(?P<closes>\d[\d., ]*)$", re.MULTILINE)
_EQUITY = re.compile(r"(?:Equity|权益)\s*(?P<equity>\d+(?:\.\d+)?)")
_POSITION = re.compile(r"^(?P<coin>[A-Za-z0-9._-]+)[:：]\s*(?P<side>long|short)\b", re.MULTILINE)
_CHINESE = re.compile(r"[\u4e00-\u9fff]")


@dataclass(frozen=True, slots=True)
class SimulatedAnswer:
    """What a model says: the answer, its thinking apart, and why it stopped."""

    content: str | None
    reasoning: str | None = None
    finish_reason: str = "stop"
    refusal: str | None = None


@dataclass(frozen=True, slots=True)
class _Seen:
    """A coin on the page."""

    coin: str
    price: float
    trend: float


def answer_by_rule(model: str, messages: list[dict[str, Any]]) -> SimulatedAnswer:
    """The rule's answer to a conversation."""
    page = "\n".join(str(m.get("content", "")) for m in messages if m.get("role") == "user")
    chinese = len(_CHINESE.findall(page)) > 40
    chance = int.from_bytes(hashlib.sha256(page.encode()).digest()[:4], "big")
    decisions = _decisions(page, model, chance, chinese)
    if not decisions:
        return SimulatedAnswer("OK" if len(page) < 200 else '{"decisions": []}')
    text = json.dumps({"decisions": decisions}, ensure_ascii=False)
    if model != THINKER:
        return SimulatedAnswer(text)
    thought = "先看趋势，再看持仓。" if chinese else "First the trend, then what is held."
    lead = "我的决策如下：" if chinese else "Here are my decisions:"
    return SimulatedAnswer(f"{lead}\n```json\n{text}\n```", reasoning=thought)


def _decisions(page: str, model: str, chance: int, chinese: bool) -> list[dict[str, Any]]:
    held = {match["coin"]: match["side"] for match in _POSITION.finditer(page)}
    equity_said = _EQUITY.search(page)
    equity = float(equity_said["equity"]) if equity_said else 10_000.0
    free = MOST_POSITIONS - len(held)
    decisions = []
    for number, seen in enumerate(_coins_on(page)):
        decision: dict[str, Any] = _decide(seen, held.get(seen.coin), free > 0, chinese)
        if decision["signal"].endswith("to_enter"):
            free -= 1
            if model == BOLD and (chance + number) % BOLD_EVERY == 0:
                _ask_too_much(decision, equity, chinese)
        decisions.append(decision)
    return decisions


def _coins_on(page: str) -> list[_Seen]:
    """Every coin that has a price, with the trend of its first series."""
    closes: dict[str, list[float]] = {}
    for match in _CLOSES.finditer(page):
        values = [float(text) for text in match["closes"].split(", ")]
        closes.setdefault(match["coin"], values[-CLOSES_READ:])
    return [
        _Seen(match["coin"], float(match["price"]), _trend(closes.get(match["coin"], [])))
        for match in _PRICE.finditer(page)
        if float(match["price"]) > 0
    ]


def _trend(closes: list[float]) -> float:
    if len(closes) < 3:
        return 0.0
    before = sum(closes[:-1]) / (len(closes) - 1)
    return closes[-1] / before - 1 if before else 0.0


def _decide(seen: _Seen, held: str | None, may_enter: bool, chinese: bool) -> dict[str, Any]:
    up, down = seen.trend > TREND_TO_ENTER, seen.trend < -TREND_TO_ENTER
    if (held == "long" and down) or (held == "short" and up):
        return _said(seen, "close_position", "趋势反转。" if chinese else "The trend has turned.")
    if held is None and may_enter and (up or down):
        return _entry(seen, up, chinese)
    return _said(seen, "hold", "没有明确趋势。" if chinese else "No clear trend.")


def _said(seen: _Seen, signal: str, why: str) -> dict[str, Any]:
    fields = (
        "quantity", "notional", "weight", "leverage", "profit_target", "stop_loss",
        "trailing_stop_pct",
    )  # fmt: skip
    return {
        "coin": seen.coin,
        "signal": signal,
        **dict.fromkeys(fields),
        "confidence": 0.5,
        "invalidation": None,
        "justification": why,
    }


def _entry(seen: _Seen, long: bool, chinese: bool) -> dict[str, Any]:
    sign = 1 if long else -1
    stop, target = seen.price * (1 - 0.01 * sign), seen.price * (1 + 0.02 * sign)
    why = f"{seen.trend * 100:+.2f} %"
    entry = _said(
        seen,
        "buy_to_enter" if long else "sell_to_enter",
        f"收盘价偏离均值 {why}，顺势。"
        if chinese
        else f"The close is {why} off its mean: with the trend.",
    )
    return entry | {
        "weight": 0.1,
        "leverage": 3,
        "stop_loss": _price(stop),
        "profit_target": _price(target),
        "confidence": round(min(0.95, 0.55 + abs(seen.trend) * 20), 2),
        "invalidation": f"price {'<' if long else '>'} {Decimal(repr(_price(stop))):f}",
    }


def _ask_too_much(entry: dict[str, Any], equity: float, chinese: bool) -> None:
    entry.update(
        weight=None,
        notional=round(equity * TOO_MUCH_OF_EQUITY, 2),
        leverage=TOO_MUCH_LEVERAGE,
        justification="机会难得，全力以赴！"
        if chinese
        else "A chance like this: all in, and more.",
    )


def _price(value: float) -> float:
    return float(f"{value:.6g}")
