"""The corpus of raw LLM answers with their labels: `data/llm_answers/*.txt`, a file a family.

    #### name of the answer
    = held ETH=long                                     (positions that are open; optional)
    = BTC buy_to_enter quantity=0.5 leverage=10         (a decision: its fields, all others unset)
    = ETH error missing_size                            (an error of a coin, or of `*`, the answer)
    = nothing                                           (neither decisions nor errors)
    the raw answer, to the next #### line

A field whose value has spaces is quoted. `why` (the justification) is compared where it is given.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from decision_parser import ParsedAnswer
from domain import Decision, Side, Signal

FOLDER = Path(__file__).parent / "data" / "llm_answers"
COINS = ("BTC", "ETH", "SOL", "BNB", "XRP", "DOGE", "PEPE")


@dataclass
class LabelledAnswer:
    """A raw answer and what it means."""

    family: str
    name: str
    text: str
    held: dict[str, Side] = field(default_factory=dict)
    decisions: dict[str, list[str]] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)


def corpus() -> list[LabelledAnswer]:
    """Every answer of every family."""
    return [answer for path in sorted(FOLDER.glob("*.txt")) for answer in _family(path)]


def _family(path: Path) -> Iterator[LabelledAnswer]:
    for piece in re.split(r"^#### ", path.read_text("utf-8"), flags=re.MULTILINE)[1:]:
        name, _, rest = piece.partition("\n")
        labels = []
        while rest.startswith("= "):
            line, _, rest = rest.partition("\n")
            labels.append(line[2:])
        assert labels, f"{path.name}: {name} has no label"
        yield _labelled(LabelledAnswer(path.stem, name.strip(), rest.removesuffix("\n")), labels)


def _labelled(answer: LabelledAnswer, labels: list[str]) -> LabelledAnswer:
    for label in labels:
        first, *words = shlex.split(label)
        if first == "nothing":
            continue
        if first == "held":
            answer.held |= {c: Side(s) for c, s in (word.split("=") for word in words)}
        elif words[0] == "error":
            answer.errors[first] = words[1]
        else:
            answer.decisions.setdefault(first, []).append(" ".join([words[0], *sorted(words[1:])]))
    return answer


def read_as(
    parsed: ParsedAnswer, like: LabelledAnswer
) -> tuple[dict[str, list[str]], dict[str, str]]:
    """What was parsed in the words of labels."""
    decisions = {
        coin: [
            _words(decision, "why=" in " ".join(like.decisions.get(coin, []))) for decision in said
        ]
        for coin, said in parsed.decisions.items()
    }
    return decisions, {coin: error.code for coin, error in parsed.errors.items()}


def _words(decision: Decision, with_why: bool) -> str:
    entry = decision.signal not in (Signal.HOLD, Signal.CLOSE_POSITION)
    fields = {
        "quantity": decision.quantity,
        "notional": decision.notional,
        "weight": decision.weight,
        "leverage": decision.leverage if entry and decision.leverage != 1 else None,
        "target": decision.profit_target,
        "stop": decision.stop_loss,
        "trailing": decision.trailing_stop_pct,
    }
    words = [f"{name}={value.normalize():f}" for name, value in fields.items() if value is not None]
    if decision.confidence is not None:
        words.append(f"confidence={decision.confidence:g}")
    if decision.invalidation_condition is not None:
        words.append(f"when={decision.invalidation_condition}")
    elif decision.invalidation:
        words.append("when=text")
    if with_why:
        words.append(f"why={decision.justification}")
    return " ".join([decision.signal.value, *sorted(words)])
