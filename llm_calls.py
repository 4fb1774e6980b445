"""The calls of one decision: each reserved, written down, sent, finished, repeated in reason.

A try is repeated after time-outs, 429 and server errors, with growing pauses or the one that the
provider asks for, as long as the decision's patience lasts. Where the provider takes no
`json_schema` the next form of output is tried, and the one it took is remembered for good. Every
try is a call of the budget, and before every try it is asked whether calls may be made. It is asked
while an answer is waited for as well: one that is no longer wanted is not waited for, and is spent.
"""

from __future__ import annotations

import logging
import random
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from typing import Any, Protocol

from clock import SystemClock
from database import Database
from domain import Clock
from errors import TradingSystemError
from llm_client import LLMAnswer, LLMClient, LLMError, Message, Question, QuestionRefused
from llm_usage import Usage, estimated_tokens
from log_context import with_these_ids
from repositories import conversations
from repositories.conversations import INTERRUPTED, FinishedConversation, NewConversation

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0
# Refused before a model saw the question: no token was used. Of everything else, a time-out or a
# broken line, the provider may have read and written all that was reserved.
UNUSED = frozenset(
    (
        "llm_unauthorized", "llm_rate_limited", "llm_question_refused", "llm_refused",
        "llm_redirect", "llm_address_refused",
    )
)  # fmt: skip
WATCH_SECONDS = 0.1  # how often whoever waits looks whether calls may still be made

log = logging.getLogger(__name__)


class OutputMode(StrEnum):
    """How a model is held to the form of its answer, strictest first."""

    JSON_SCHEMA = "json_schema"
    JSON_OBJECT = "json_object"
    PLAIN = "plain"


MODES = tuple(OutputMode)
_OF_FORMS = re.compile(r"format|schema|json|structured|grammar", re.IGNORECASE)


class CallBooks(Protocol):
    """Where calls are reserved before they are sent, and written down after it."""

    def reserve(self, call: NewConversation, input_tokens: int, max_tokens: int | None) -> int:
        """Write the call down as sent; its row's id. Raises where it may not be made."""

    def finish(self, row: int, done: FinishedConversation) -> None:
        """Write down what came of it."""

    def not_made(self, call: NewConversation, status: str, code: str, why: str) -> None:
        """Write down that a call is not made, and why."""

    def cost(self, usage: Usage) -> Decimal | None:
        """What a call has cost in US dollars; None where the prices are not known."""


class CallsHalted(TradingSystemError):
    """No call may be made just now: the kill switch is on, or this process may not trade."""

    code = "halted"
    http_status = 409


@dataclass(frozen=True, slots=True)
class CallTerms:
    """How the calls of one decision are made. Seconds are of real time.

    `patience_seconds` is for all of them together; `mode` None finds out what the model takes.
    """

    model_name: str
    timeout_seconds: float
    patience_seconds: float
    retries: int
    temperature: float | None = None
    max_tokens: int | None = None
    mode: OutputMode | None = None


@dataclass(frozen=True, slots=True)
class RecordedAnswer:
    """An answer and the row that it stands in."""

    conversation_id: int
    answer: LLMAnswer


class LLMCalls:
    """Makes the calls of one decision; `call` says whose they are."""

    def __init__(
        self,
        database: Database,
        client: LLMClient,
        books: CallBooks,
        call: NewConversation,
        terms: CallTerms,
        schema: Mapping[str, Any],
        may_call: Callable[[], bool],
        wall_clock: Clock | None = None,
    ):
        self._database = database
        self._client = client
        self._books = books
        self._call = call
        self._terms = terms
        self._schema = schema
        self._may_call = may_call
        self._wall_clock = wall_clock or SystemClock()
        self._deadline = time.monotonic() + terms.patience_seconds
        self._attempts = 0

    def ask(self, messages: Sequence[Message], purpose: str) -> RecordedAnswer:
        """The answer to `messages`. Raises LLMError, CallsHalted, and what its books raise."""
        found = self._found_mode()
        mode = self._terms.mode or found or MODES[0]
        tries = 0
        while True:
            try:
                answered = self._try(messages, purpose, mode)
            except QuestionRefused as refusal:
                if refusal.try_again:
                    continue  # the same in other words; a model has few peculiarities
                mode = self._next_mode(mode, found, refusal)
            except LLMError as error:
                tries += 1
                if not error.try_again or tries > self._terms.retries:
                    raise
                self._pause(tries, error)
            else:
                if self._terms.mode is None and mode is not found:
                    self._remember(mode)
                return answered

    def _found_mode(self) -> OutputMode | None:
        found = conversations.output_mode(
            self._database.connection, self._client.provider.api_url, self._terms.model_name
        )
        return None if found is None else OutputMode(found)

    def _next_mode(
        self, mode: OutputMode, found: OutputMode | None, refusal: QuestionRefused
    ) -> OutputMode:
        """The next form to ask for. Raises `refusal` where the form is not to blame.

        Refusals are vague, so that an unknown endpoint is asked in every form; one that took a
        form before must speak of it.
        """
        may_change = self._terms.mode is None and mode is not OutputMode.PLAIN
        if not may_change or (found is not None and not _OF_FORMS.search(refusal.message)):
            raise refusal
        return MODES[MODES.index(mode) + 1]

    def _remember(self, mode: OutputMode) -> None:
        with self._database.transaction() as connection:
            conversations.remember_output_mode(
                connection,
                self._client.provider.api_url,
                self._terms.model_name,
                mode.value,
                self._wall_clock.now_ms(),
            )

    # -------------------------------------------------------------------------------- a try

    def _try(self, messages: Sequence[Message], purpose: str, mode: OutputMode) -> RecordedAnswer:
        self._attempts += 1
        call = self._described(messages, purpose, mode)
        if not self._may_call():
            raise self._halted(call)
        # The form of output is sent, and counted, as well.
        asked = "".join(message["content"] for message in messages) + str(self._form(mode) or "")
        row = self._books.reserve(call, estimated_tokens(asked), self._terms.max_tokens)
        left = self._deadline - time.monotonic()
        question = Question(
            self._terms.model_name,
            messages,
            min(self._terms.timeout_seconds, max(left, 1.0)),
            self._form(mode),
            self._terms.temperature,
            self._terms.max_tokens,
        )
        started = time.monotonic()
        try:
            answer = self._answer(question)
        except LLMError as error:
            self._books.finish(row, _failed(error, started))
            raise
        except CallsHalted as halted:
            self._books.finish(row, _given_up(halted, started))
            raise
        except BaseException:
            self._books.finish(row, FinishedConversation("error", error_code="internal_error"))
            raise
        self._books.finish(
            row,
            FinishedConversation(
                "ok", answer.text or answer.refusal, answer.reasoning, answer.finish_reason,
                answer.usage, self._books.cost(answer.usage), _milliseconds_since(started),
            ),
        )  # fmt: skip
        return RecordedAnswer(row, answer)

    def _answer(self, question: Question) -> LLMAnswer:
        """The answer. Raises LLMError, and CallsHalted as soon as calls may not be made any more.

        The question is put by a thread of its own, which may outlive the one that waits for it.
        """
        answered: Future[LLMAnswer] = Future()
        threading.Thread(
            target=with_these_ids(_settle), args=(answered, self._client, question),
            name="llm-call", daemon=True,
        ).start()  # fmt: skip
        while not wait([answered], WATCH_SECONDS).done:
            if not self._may_call():
                raise CallsHalted("Calls to LLMs were stopped before the answer came.")
        return answered.result()

    def _described(
        self, messages: Sequence[Message], purpose: str, mode: OutputMode
    ) -> NewConversation:
        system, *rest = messages
        return replace(
            self._call,
            system_prompt=system["content"],
            prompt="\n\n".join(
                message["content"]
                if len(rest) == 1
                else f"[{message['role']}]\n{message['content']}"
                for message in rest
            ),
            attempt=self._attempts,
            purpose=purpose,
            output_mode=mode.value,
        )

    def _form(self, mode: OutputMode) -> Mapping[str, Any] | None:
        if mode is OutputMode.PLAIN:
            return None
        if mode is OutputMode.JSON_OBJECT:
            return {"type": "json_object"}
        named = {"name": "trading_decisions", "strict": True, "schema": dict(self._schema)}
        return {"type": "json_schema", "json_schema": named}

    def _halted(self, call: NewConversation) -> CallsHalted:
        halted = CallsHalted("Calls to LLMs are stopped.")
        self._books.not_made(call, "halted", halted.code, halted.message)
        return halted

    # ------------------------------------------------------------------------------- pauses

    def _pause(self, tries: int, error: LLMError) -> None:
        """Wait before the next try. Raises `error` where patience would end before it."""
        pause = min(FIRST_PAUSE_SECONDS * 2 ** (tries - 1), LONGEST_PAUSE_SECONDS)
        pause *= 1 + random.random() / 4  # many models are not to come back at one moment
        if error.retry_after is not None:
            pause = max(error.retry_after, WATCH_SECONDS)
        if time.monotonic() + pause >= self._deadline:
            raise error
        log.info("asking %s again in %.1f s: %s", self._call.provider, pause, error.message)
        until = time.monotonic() + pause
        while (left := until - time.monotonic()) > 0 and self._may_call():
            time.sleep(min(left, WATCH_SECONDS))


def _settle(answered: Future[LLMAnswer], client: LLMClient, question: Question) -> None:
    """Put the question; whatever becomes of it is told to whoever waits."""
    try:
        answered.set_result(client.ask(question))
    except BaseException as error:  # noqa: BLE001 - raised where it is waited for
        answered.set_exception(error)


def _given_up(halted: CallsHalted, started: float) -> FinishedConversation:
    """The provider may have answered all the same: what was reserved stays spent."""
    return FinishedConversation(
        INTERRUPTED, latency_ms=_milliseconds_since(started), error_code=INTERRUPTED,
        error=halted.message,
    )  # fmt: skip


def _failed(error: LLMError, started: float) -> FinishedConversation:
    status = "timeout" if error.code == "llm_timeout" else "http_error"
    unused = error.code in UNUSED
    return FinishedConversation(
        status,
        usage=Usage(0, 0) if unused else None,
        cost=Decimal(0) if unused else None,
        latency_ms=_milliseconds_since(started),
        error_code=error.code,
        error=error.message,
    )


def _milliseconds_since(started: float) -> int:
    return round((time.monotonic() - started) * 1000)
