"""From the raw text of an LLM's answer to decisions by coin, with what was repaired. Pure.

Read generously, interpreted strictly: what can mean two things (two sizes, a bare "sell", a
leverage of −3, `true` as a number) is an error of that coin with a stable code, never a guess that
trades. A hold needs nothing but its signal.

Of several blocks those that decide different coins are parts of one answer; one that decides a
coin again is a new draft, and what came before it is dropped. An answer that was cut off is an
error as a whole; what was complete in it is read all the same, so that it can be shown.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from answer_json import DUPLICATED, TRUNCATED, Block, UnreadableAnswer, json_blocks
from coin_decision import (
    COIN_NAMES,
    SIGNAL_NAMES,
    clean_text,
    coin_of,
    decision_of,
    fields_of,
    snake_case,
    words,
)
from decision_fields import FieldError, coin_named
from domain import Decision, Side, Signal

WHOLE_ANSWER = "*"  # the key of an error that is no coin's alone
MOST_COINS = 500
DEEPEST_WRAPPING = 4

_WRAPPERS = words(
    "decisions decision trades trade result results output outputs response answer data actions "
    "orders signals trading_decisions trading_decision final_decision final_decisions arguments "
    "parameters input function tool_calls positions_decisions coins 决策 交易决策 决策列表 结果"
)
_REFUSAL = re.compile(
    r"\b(?:I(?:'|’)?m sorry|I am sorry|I can(?:no|'|’)t|I am (?:unable|not able)"
    r"|I(?:'|’)m (?:unable|not able)|as an AI|I must decline|I won(?:'|’)t)\b"
    r"|抱歉|对不起|无法(?:提供|协助|帮助|满足)|不能提供|作为一个?(?:AI|人工智能)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class AnswerError:
    """What could not be read: a stable code, and a sentence to show to a person or an LLM."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class ParsedAnswer:
    """Decisions by coin (closes before entries), repairs by name, errors by coin or `"*"`."""

    decisions: Mapping[str, tuple[Decision, ...]] = field(default_factory=dict)
    repairs: tuple[str, ...] = ()
    errors: Mapping[str, AnswerError] = field(default_factory=dict)


_MESSAGES = {
    "empty": "The answer is empty.",
    "too_long": "The answer is too long.",
    "only_reasoning": "The answer holds reasoning alone and no decisions.",
    "no_json": "There is no JSON in the answer.",
    "refusal": "The model refuses to answer.",
    "no_decisions": "The JSON holds no decisions.",
    "truncated": "The answer was cut off before its end.",
    "ambiguous_answer": "The answer holds more than one set of decisions.",
    "duplicate_keys": "The same key stands twice in the JSON.",
}


def parse_answer(
    text: str, coins: Collection[str] = (), held: Mapping[str, Side] | None = None
) -> ParsedAnswer:
    """What an LLM's raw answer decides.

    `coins` are the symbols that were asked about, in our spelling; `held` the sides of the open
    positions, against which "close_long" is checked. Raises nothing, whatever the text.
    """
    try:
        blocks = json_blocks(text)
    except UnreadableAnswer as unreadable:
        refuses = unreadable.code == "no_json" and _REFUSAL.search(text) is not None
        return _failed("refusal" if refuses else unreadable.code)
    readings = (_Reading(coins, held or {}).read(block) for block in blocks)
    answers = [answer for answer in readings if answer is not None]
    if not answers:
        if _says_nothing(blocks):
            return ParsedAnswer(repairs=blocks[-1].repairs)
        return _failed("refusal" if _REFUSAL.search(text) else "no_decisions")
    return _together(answers)


def refused(refusal: str) -> ParsedAnswer:
    """The reading of an answer that the provider itself marks as a refusal."""
    return ParsedAnswer(errors={WHOLE_ANSWER: AnswerError("refusal", clean_text(refusal, 500))})


def _failed(code: str) -> ParsedAnswer:
    return ParsedAnswer(errors={WHOLE_ANSWER: AnswerError(code, _MESSAGES[code])})


def _says_nothing(blocks: list[Block]) -> bool:
    """A lone `{}` or `[]`, bare or under its wrapper, holds everything."""
    value = blocks[-1].value
    if isinstance(value, dict) and len(value) == 1:
        (name, inner), *_ = value.items()
        value = inner if snake_case(name) in _WRAPPERS else value
    return isinstance(value, dict | list) and not value and "text_removed" not in blocks[-1].repairs


def _together(answers: list[ParsedAnswer]) -> ParsedAnswer:
    """Parts of one answer, from the last draft on."""
    first = len(answers) - 1
    named = _named(answers[first])
    while first and not named & _named(answers[first - 1]):
        first -= 1
        named |= _named(answers[first])
    kept = answers[first:]
    repairs = [repair for answer in kept for repair in answer.repairs]
    if first:
        repairs.append("earlier_draft_dropped")
    return ParsedAnswer(
        {coin: said for answer in kept for coin, said in answer.decisions.items()},
        tuple(dict.fromkeys(repairs)),
        {coin: error for answer in kept for coin, error in answer.errors.items()},
    )


def _named(answer: ParsedAnswer) -> set[str]:
    return (set(answer.decisions) | set(answer.errors)) - {WHOLE_ANSWER}


# ----------------------------------------------------------------------------------- one block


class _Reading:
    """Reads one block: finds the objects that decide a coin, and reads each."""

    def __init__(self, coins: Collection[str], held: Mapping[str, Side]):
        self._coins = coins
        self._held = held
        self._decisions: dict[str, list[Decision]] = {}
        self._errors: dict[str, AnswerError] = {}
        self._repairs: list[str] = []

    def read(self, block: Block) -> ParsedAnswer | None:
        """What the block decides; None where it is about something else."""
        self._repairs.extend(block.repairs)
        if block.truncated:
            self._errors[WHOLE_ANSWER] = AnswerError("truncated", _MESSAGES["truncated"])
        for count, (name, value) in enumerate(self._entries(block.value, 0)):
            if count == MOST_COINS:
                self._errors[WHOLE_ANSWER] = AnswerError("too_long", _MESSAGES["too_long"])
                break
            self._take(name, value)
        for coin, decisions in list(self._decisions.items()):
            self._check_together(coin, decisions)
        if not self._decisions and not self._errors:
            return None
        for coin in self._errors:
            self._decisions.pop(coin, None)
        if self._errors.get(WHOLE_ANSWER, _FINE).code in ("ambiguous_answer", "duplicate_keys"):
            self._decisions.clear()
        return ParsedAnswer(
            {coin: tuple(said) for coin, said in self._decisions.items()},
            tuple(dict.fromkeys(self._repairs)),
            self._errors,
        )

    def _entries(self, value: Any, depth: int) -> Iterator[tuple[str | None, Any]]:
        """Pairs of what a coin is called and what is said of it, from any known shape."""
        if depth > DEEPEST_WRAPPING:
            return
        if isinstance(value, str):
            value = _decoded(value)
        if isinstance(value, list):
            if not depth:
                self._repairs.append("list_for_object")
            for item in value:
                yield from self._entries(item, depth + 1)
        elif isinstance(value, dict):
            yield from self._object_entries(value, depth)

    def _object_entries(
        self, value: dict[str, Any], depth: int
    ) -> Iterator[tuple[str | None, Any]]:
        for name in value.get(DUPLICATED, ()):
            self._duplicate(name)
        names = {snake_case(key): key for key in value}
        if _names_a_coin(value):
            yield None, value
            return
        wrapped = [key for name, key in names.items() if name in _WRAPPERS and _holds(value[key])]
        if len(wrapped) > 1:
            self._errors[WHOLE_ANSWER] = AnswerError(
                "ambiguous_answer", _MESSAGES["ambiguous_answer"]
            )
        elif wrapped and coin_named(wrapped[0], self._coins) not in self._coins:
            if wrapped[0] != "decisions":  # the form that the prompt asks for
                self._repairs.append("wrapper_removed")
            yield from self._entries(value[wrapped[0]], depth + 1)
        else:
            yield from self._coin_entries(value)

    def _coin_entries(self, value: dict[str, Any]) -> Iterator[tuple[str | None, Any]]:
        for key, said in value.items():
            if key in (TRUNCATED, DUPLICATED):
                continue
            known = coin_named(key, self._coins) in self._coins
            if known or _decides(said):
                yield key, said

    def _duplicate(self, name: str) -> None:
        coin = coin_named(name, self._coins)
        error = AnswerError("duplicate_keys", _MESSAGES["duplicate_keys"])
        self._errors[coin if coin in self._coins and coin is not None else WHOLE_ANSWER] = error

    def _take(self, name: str | None, value: Any) -> None:
        """Read what is said of one coin."""
        if isinstance(value, list):
            for item in value[:MOST_COINS]:
                self._take(name, item)
            return
        said = fields_of(value)
        if name is None:
            name = coin_of(said)
        coin = None if name is None else coin_named(name, self._coins)
        if coin is None:
            self._errors[clean_text(name, 20) or WHOLE_ANSWER] = AnswerError(
                "unknown_coin", f"{clean_text(name, 40)!r} is not the symbol of a coin."
            )
            return
        if coin != name:
            self._repairs.append("coin_name")
        inside = coin_of(said)
        try:
            if inside is not None and coin_named(inside, self._coins) != coin:
                raise FieldError("ambiguous_coin", f"{clean_text(inside, 20)} stands under {coin}.")
            decision = decision_of(coin, said, self._held.get(coin), self._repairs)
        except FieldError as error:
            self._errors[coin] = AnswerError(error.code, error.message)
        else:
            self._decisions.setdefault(coin, []).append(decision)

    def _check_together(self, coin: str, decisions: list[Decision]) -> None:
        """More than one decision on a coin can only be a close and then an entry."""
        distinct = list(dict.fromkeys(decisions))
        signals = [decision.signal for decision in distinct]
        if len(signals) > 1 and signals.count(Signal.HOLD) == len(signals):
            distinct = distinct[:1]
        elif len(signals) > 2 or (
            len(signals) == 2
            and (signals[0] is not Signal.CLOSE_POSITION or distinct[1].side is None)
        ):
            self._errors[coin] = AnswerError(
                "conflicting_decisions", f"There is more than one decision on {coin}."
            )
        if len(distinct) < len(decisions):
            self._repairs.append("repeated_decision")
        self._decisions[coin] = distinct


_FINE = AnswerError("", "")


def _holds(value: Any) -> bool:
    """Whether a value may hold decisions: objects, lists, or JSON in a text."""
    return isinstance(value, dict | list) or (
        isinstance(value, str) and value.lstrip()[:1] in ("{", "[")
    )


def _decoded(text: str) -> Any:
    """JSON that was put into a text once more, as function calls have it."""
    try:
        blocks = json_blocks(text)
    except UnreadableAnswer:
        return None
    return blocks[0].value if len(blocks) == 1 and not blocks[0].truncated else None


def _names_a_coin(value: dict[str, Any]) -> bool:
    said = {snake_case(key): inner for key, inner in value.items()}
    has_signal = any(isinstance(said.get(name), str) for name in SIGNAL_NAMES)
    return has_signal and any(isinstance(said.get(name), str) for name in COIN_NAMES)


def _decides(value: Any) -> bool:
    """Whether a value looks like what is said of a coin, whatever it is called."""
    if isinstance(value, list):
        return bool(value) and all(_decides(item) for item in value)
    if not isinstance(value, dict):
        return False
    return any(name in SIGNAL_NAMES for name in fields_of(value))
