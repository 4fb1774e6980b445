"""Questions that have been answered before are answered from the record; others are asked and kept.

A question is known by the SHA-256 of where it goes, to which model, with which parameters and which
messages, byte for byte: the same question twice costs nothing the second time.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from ai_params import AiParams
from database import Database
from domain import Clock
from errors import TradingSystemError
from llm_calls import LLMCalls, RecordedAnswer
from llm_client import LLMAnswer, Message
from llm_usage import Usage
from repositories import llm_answers
from repositories.llm_answers import StoredAnswer
from timestamps import iso_utc


class Replay(StrEnum):
    """Whether recorded answers are used, and whether anything else may be asked."""

    USE = "use"
    ONLY = "only"
    OFF = "off"


class AnswerMissing(TradingSystemError):
    """A run may not ask, and an answer that it needs is not recorded."""

    code = "answer_missing"
    http_status = 409


@dataclass(frozen=True, slots=True)
class Asked:
    """Where a run stands when it asks: the close of a bar, and the coins it asks about."""

    bar_time: int
    coins: tuple[str, ...]

    def __str__(self) -> str:
        return f"{', '.join(self.coins)} at {iso_utc(self.bar_time)}"


def question(
    api_url: str, model_name: str, params: AiParams, schema: Mapping[str, Any],
    messages: Sequence[Message],
) -> dict[str, Any]:  # fmt: skip
    """All that an answer hangs on, as JSON. The form of output counts as it was asked for.

    Which form an endpoint turns out to take is found out by calling, and so cannot be a part.
    """
    return {
        "api_url": api_url,
        "model": model_name,
        "parameters": {
            "temperature": params.temperature,
            "max_tokens": params.max_tokens,
            "output_mode": params.output_mode,
            "schema": schema,
        },
        "messages": [{"role": said["role"], "content": said["content"]} for said in messages],
    }


def question_hash(asked: Mapping[str, Any]) -> str:
    """SHA-256 of a question, in hexadecimal."""
    text = json.dumps(asked, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


class RunRecord:
    """The answers of one run: those that it has used, and the newest of all others.

    Without a run (`backtest_id` None) nothing is written. `Replay.OFF` sees what this run itself
    has been answered before it was interrupted, and nothing else.
    """

    def __init__(
        self, database: Database, backtest_id: int | None, replay: Replay, wall_clock: Clock
    ):
        self._database = database
        self._backtest_id = backtest_id
        self._wall_clock = wall_clock
        self.replay = replay
        self.used: list[StoredAnswer] = []  # in the order of the run

    def find(self, asked_hash: str, bar_time: int) -> StoredAnswer | None:
        """The recorded answer to a question, now a part of the run."""
        connection = self._database.connection
        found = None
        if self._backtest_id is not None:
            found = llm_answers.used_by(connection, self._backtest_id, asked_hash)
        if found is None and self.replay is not Replay.OFF:
            found = llm_answers.newest(connection, asked_hash)
            if found is not None and self._backtest_id is not None:
                with self._database.transaction() as writing:
                    llm_answers.note_use(writing, self._backtest_id, found, bar_time)
        if found is not None:
            self.used.append(found)
        return found

    def keep(self, new: StoredAnswer, bar_time: int) -> None:
        """Record a new answer, on the disk: it has been paid for."""
        assert self._backtest_id is not None  # without a run nothing is asked
        with self._database.ledger_transaction() as connection:
            stored = replace(new, id=llm_answers.add(connection, new))
            llm_answers.note_use(connection, self._backtest_id, stored, bar_time)
        self.used.append(stored)

    def now_ms(self) -> int:
        """The wall clock, by which answers are dated."""
        return self._wall_clock.now_ms()


class RecordedCalls:
    """The calls of one decision, answered from the record where they can be.

    `live` makes what asks the provider, once it has to be asked.
    """

    def __init__(
        self,
        record: RunRecord,
        asked: Asked,
        describe: Callable[[Sequence[Message]], dict[str, Any]],
        live: Callable[[], LLMCalls],
        cost: Callable[[Usage], Any],
    ):
        self._record = record
        self._asked = asked
        self._describe = describe
        self._live = live
        self._cost = cost
        self._calls: LLMCalls | None = None

    def ask(self, messages: Sequence[Message], purpose: str) -> RecordedAnswer:
        """The answer. Raises AnswerMissing, and what asking raises."""
        described = self._describe(messages)
        asked_hash = question_hash(described)
        found = self._record.find(asked_hash, self._asked.bar_time)
        if found is not None:
            return RecordedAnswer(found.id, _answer_of(found))
        if self._record.replay is Replay.ONLY:
            raise AnswerMissing(
                f"No answer is recorded to the question about {self._asked} ({purpose}), whose "
                f"hash is {asked_hash}, and this run may not ask.",
                values={
                    "coins": list(self._asked.coins),
                    "time": iso_utc(self._asked.bar_time),
                    "hash": asked_hash,
                },
            )
        if self._calls is None:
            self._calls = self._live()
        answered = self._calls.ask(messages, purpose)
        self._keep(described, asked_hash, answered.answer)
        return answered

    def _keep(self, described: Mapping[str, Any], asked_hash: str, answer: LLMAnswer) -> None:
        new = StoredAnswer(
            hash=asked_hash,
            api_url=described["api_url"],
            model_name=described["model"],
            question=described,
            answer={
                "text": answer.text,
                "reasoning": answer.reasoning,
                "finish_reason": answer.finish_reason,
                "refusal": answer.refusal,
            },
            usage=answer.usage,
            cost=self._cost(answer.usage),
            recorded_at=self._record.now_ms(),
        )
        self._record.keep(new, self._asked.bar_time)


def _answer_of(stored: StoredAnswer) -> LLMAnswer:
    said = stored.answer
    return LLMAnswer(
        said["text"], said["reasoning"], said["finish_reason"], stored.usage, said["refusal"]
    )
