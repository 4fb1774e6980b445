"""What the reader of a backtest's figures should know: a code, values, and a sentence made of them.

Pages word a warning in their own language by its code and values; the sentence is for scripts.
Pure. The sentences here stand in `static/js/backtest-warnings.js` too, where they are found for
translation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SENTENCES: Mapping[str, str] = {
    "few_trades": (
        "Only %(count)s round trips closed: with fewer than %(fewest)s, figures about trades mean "
        "little."
    ),
    "luck": (
        "Random entries of the same number, length and size did as well in %(percent)s of runs: "
        "this result may be luck."
    ),
    "sharpe_interval": "The interval of 95 of 100 for the Sharpe ratio reaches below zero.",
    "still_open": (
        "Still open at the end, valued at the last price and not among the trades: %(coins)s."
    ),
    "liquidations": "Positions that were liquidated: %(count)s.",
    "refused": "Decisions that were refused: %(count)s.",
    "short_warmup": (
        "%(coin)s has %(bars)s bars before the start where %(wanted)s were wanted: its first "
        "decisions had less to go by."
    ),
    "missing_bars": "%(coin)s lacks %(bars)s bars inside the range; it kept its last price.",
    "begins_late": "The candles of %(coin)s begin after the range: %(time)s.",
    "ends_early": "The candles of %(coin)s end before the range: %(time)s.",
    "no_lots": "No lot size is known of %(coins)s: quantities were not rounded.",
    "cutoff_unknown": (
        "It is not known until when %(model)s has learnt: it may remember these prices, and then "
        "this result is no evidence."
    ),
    "inside_knowledge": (
        "%(model)s has learnt from texts up to %(cutoff)s: %(bars)s bars lie before that, and what "
        "it earned on them is no evidence. Only the figures after it are."
    ),
    "unusable_answers": (
        "Answers that could not be used, so that nothing was traded: %(count)s."
    ),
}  # fmt: skip

ReportWarning = dict[
    str, Any
]  # code, values (percent is in percent, time and cutoff ISO 8601), message


def warning(code: str, **values: Any) -> ReportWarning:
    """A warning as it stands in a report."""
    return {"code": code, "values": values, "message": SENTENCES[code] % written(values)}


def sentence_of(found: ReportWarning | str) -> str:
    """Its sentence in English; reports of earlier versions hold nothing else."""
    return found if isinstance(found, str) else str(found["message"])


def written(values: Mapping[str, Any]) -> dict[str, str]:
    """Values as a sentence has them."""
    return {name: _written(name, value) for name, value in values.items()}


def _written(name: str, value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if name == "percent":
        return f"{value:.0f} %"
    return f"{value:,}" if isinstance(value, int) else str(value)
