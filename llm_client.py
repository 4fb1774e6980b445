"""One question to an OpenAI-compatible endpoint: sent once, its answer read, its errors typed.

Nothing is repeated here and nothing recorded: `llm_calls` does both. The key is cut out of every
text that comes back. What a model turns out not to take (a temperature, `max_tokens`) is
remembered as long as the process runs, and which form of output it takes is the caller's to keep.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import httpx2

from api_address import AddressRule, http_client
from domain import LLMProvider
from errors import TradingSystemError
from llm_usage import Usage, cost_of, estimated_tokens
from redaction import CUT, LEAST_LENGTH, Redactor

if TYPE_CHECKING:
    import openai

LARGEST_TOKENS = 1_000_000_000
LONGEST_ERROR = 500
LONGEST_RETRY_AFTER = 86_400.0
NO_KEY = "none"  # local servers want none, and the client insists on one
_KEY_SHAPE = re.compile(r"\bsk-[A-Za-z0-9_-]{12,}")

Message = Mapping[str, str]


class LLMError(TradingSystemError):
    """A call that gave no usable answer; `retry_after` in seconds, if the provider said.

    `try_again` tells whether the same question may be answered later.
    """

    code = "llm_error"
    http_status = 503

    def __init__(
        self, message: str, *, code: str | None = None, try_again: bool = False,
        retry_after: float | None = None,
    ):  # fmt: skip
        super().__init__(message, code=code)
        self.try_again = try_again
        self.retry_after = retry_after


class QuestionRefused(LLMError):
    """The provider takes no question of this form: 400 or 422."""

    code = "llm_question_refused"


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of which model. `response_format` as the API has it; None asks for none."""

    model: str
    messages: Sequence[Message]
    timeout_seconds: float
    response_format: Mapping[str, Any] | None = None
    temperature: float | None = None
    max_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class LLMAnswer:
    """What came back. `text` is empty where the model said nothing; `refusal` its own words."""

    text: str
    reasoning: str
    finish_reason: str
    usage: Usage
    refusal: str = ""

    @property
    def cut_off(self) -> bool:
        """Whether it was ended by the limit of tokens."""
        return self.finish_reason == "length"


@dataclass(slots=True)
class Peculiarities:
    """What the models of the endpoints do not take, by endpoint and model. Shared by threads."""

    no_temperature: set[tuple[str, str]] = field(default_factory=set)
    limit_by_completion_tokens: set[tuple[str, str]] = field(default_factory=set)

    def learn(self, key: tuple[str, str], message: str, options: Mapping[str, Any]) -> bool:
        """Whether a refusal of `options` tells of something to leave out or call otherwise."""
        if "max_completion_tokens" in message and "max_tokens" in options:
            self.limit_by_completion_tokens.add(key)
            return True
        if "temperature" in message and "temperature" in options:
            self.no_temperature.add(key)
            return True
        return False


@dataclass(frozen=True, slots=True)
class CallOutcome:
    """What came of a call: `ok` or the error's code; `cost` in US dollars where it is known."""

    provider: str
    outcome: str
    seconds: float
    usage: Usage | None = None
    cost: Decimal | None = None


OnCall = Callable[[CallOutcome], None]


class LLMClient:
    """Asks one provider's models; `on_call` is told of every call, in the thread that made it."""

    def __init__(
        self,
        provider: LLMProvider,
        addresses: AddressRule,
        peculiarities: Peculiarities,
        on_call: OnCall = lambda call: None,
    ):
        self.provider = provider
        self._on_call = on_call
        self._addresses = addresses
        self._peculiarities = peculiarities
        self._redactor = Redactor()
        self._redactor.learn(provider.api_key)

    def ask(self, question: Question) -> LLMAnswer:
        """The answer. Raises LLMError; of these QuestionRefused for what it does not take.

        A refusal that tells of a peculiarity has `try_again`: the same question is then put in
        another way.
        """
        name, began = self.provider.name, time.perf_counter()
        try:
            answer = self._answer_to(question)
        except LLMError as error:
            self._on_call(CallOutcome(name, error.code, time.perf_counter() - began))
            raise
        cost = cost_of(answer.usage, self.provider.prices.get(question.model))
        self._on_call(CallOutcome(name, "ok", time.perf_counter() - began, answer.usage, cost))
        return answer

    def _answer_to(self, question: Question) -> LLMAnswer:
        import openai  # not before it is needed: it takes a second to import

        key = (self.provider.api_url, question.model)
        options = self._options(key, question)
        try:
            with http_client(self._addresses, question.timeout_seconds) as http:
                completion = self._client(http, question).chat.completions.create(
                    model=question.model,
                    messages=list(question.messages),  # type: ignore[arg-type]
                    **options,
                )
        except openai.APIStatusError as error:
            raise self._status_error(error, key, options) from None
        except openai.APITimeoutError:
            raise LLMError(
                f"The provider did not answer within {question.timeout_seconds:g} s.",
                code="llm_timeout", try_again=True,
            ) from None  # fmt: skip
        except openai.APIConnectionError as error:
            raise self._connection_error(error) from None
        except (openai.OpenAIError, ValueError, RecursionError, httpx2.HTTPError) as error:
            raise LLMError(
                f"The provider's answer cannot be read ({type(error).__name__}).",
                code="llm_bad_answer", try_again=True,
            ) from None  # fmt: skip
        return self._answer(completion, question)

    def without_key(self, text: str) -> str:
        """An answer without this provider's key and what looks like one, otherwise as it is."""
        key = self.provider.api_key
        if len(key) >= LEAST_LENGTH:
            text = text.replace(key, CUT)
        return _KEY_SHAPE.sub(CUT, text)

    def _client(self, http: httpx2.Client, question: Question) -> openai.OpenAI:
        import openai

        client = openai.OpenAI(
            api_key=self.provider.api_key or NO_KEY,
            base_url=self.provider.api_url,
            timeout=question.timeout_seconds,
            max_retries=0,
            http_client=http,
        )
        # The environment's are meant for another account than this provider's.
        client.organization = client.project = client.admin_api_key = None
        return client

    def _options(self, key: tuple[str, str], question: Question) -> dict[str, Any]:
        options: dict[str, Any] = {}
        if question.response_format is not None:
            options["response_format"] = dict(question.response_format)
        if question.temperature is not None and key not in self._peculiarities.no_temperature:
            options["temperature"] = question.temperature
        if question.max_tokens is not None:
            by_completion = key in self._peculiarities.limit_by_completion_tokens
            name = "max_completion_tokens" if by_completion else "max_tokens"
            options[name] = question.max_tokens
        return options

    # ------------------------------------------------------------------------------- errors

    def _status_error(
        self, error: openai.APIStatusError, key: tuple[str, str], options: Mapping[str, Any]
    ) -> LLMError:
        status = error.status_code
        said = self._one_line(_message_of(error))
        text = f"The provider answers {status}{f': {said}' if said else '.'}"
        if status in (400, 422):
            new = self._peculiarities.learn(key, said, options)
            return QuestionRefused(text, try_again=new)
        if status in (401, 403):
            return LLMError(text, code="llm_unauthorized")
        if status == 429:
            wait = _retry_after(error.response.headers)
            return LLMError(text, code="llm_rate_limited", try_again=True, retry_after=wait)
        if 300 <= status < 400:
            message = "The provider sends on to another address, which is not followed."
            return LLMError(message, code="llm_redirect")
        if status in (408, 409) or status >= 500:
            wait = _retry_after(error.response.headers)
            return LLMError(text, code="llm_server_error", try_again=True, retry_after=wait)
        return LLMError(text, code="llm_refused")

    def _connection_error(self, error: openai.APIConnectionError) -> LLMError:
        cause = error.__cause__
        if isinstance(cause, httpx2.UnsupportedProtocol):
            return LLMError(self._one_line(str(cause)), code="llm_address_refused")
        reason = self._one_line(str(cause or error)) or type(cause).__name__
        return LLMError(
            f"The provider cannot be reached: {reason}", code="llm_unreachable", try_again=True
        )

    def _one_line(self, text: str) -> str:
        text = self._redactor.redact(self.without_key(text))
        line = "".join(char if char.isprintable() else " " for char in text)
        return " ".join(line.split())[:LONGEST_ERROR]

    # ------------------------------------------------------------------------------- answer

    def _answer(self, completion: Any, question: Question) -> LLMAnswer:
        """The first choice. Raises LLMError (llm_bad_answer, llm_empty_choice)."""
        choices = getattr(completion, "choices", None)
        if not isinstance(choices, list):
            raise LLMError(
                "The provider's answer is no completion.", code="llm_bad_answer", try_again=True
            )
        message = getattr(choices[0], "message", None) if choices else None
        if message is None:
            raise LLMError(
                "The provider's answer holds no choice.", code="llm_empty_choice", try_again=True
            )
        text = self.without_key(_text(getattr(message, "content", None)))
        reasoning = self.without_key(
            _text(getattr(message, "reasoning_content", None))
            or _text(getattr(message, "reasoning", None))
        )
        return LLMAnswer(
            text=text,
            reasoning=reasoning,
            finish_reason=_text(getattr(choices[0], "finish_reason", None))[:40],
            usage=_usage(getattr(completion, "usage", None), question, text + reasoning),
            refusal=self.without_key(_text(getattr(message, "refusal", None))),
        )


class LLMClients:
    """The clients of all providers, by id; `provider` reads one with its key in the clear."""

    def __init__(
        self,
        provider: Callable[[int], LLMProvider],
        addresses: AddressRule,
        on_call: OnCall = lambda call: None,
    ):
        self._provider = provider
        self._on_call = on_call
        self._addresses = addresses
        self._peculiarities = Peculiarities()

    def __call__(self, provider_id: int) -> LLMClient:
        """A client for the provider as it stands now. Raises what `provider` does."""
        return LLMClient(
            self._provider(provider_id), self._addresses, self._peculiarities, self._on_call
        )


def _text(value: Any) -> str:
    """A text, or the texts of a list of parts, as some gateways send them."""
    if isinstance(value, list):
        parts = (part.get("text") if isinstance(part, dict) else part for part in value)
        value = "".join(part for part in parts if isinstance(part, str))
    if not isinstance(value, str):
        return ""
    # JSON can spell halves of characters, which can be neither stored nor sent on.
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _message_of(error: openai.APIStatusError) -> str:
    body = error.body
    if isinstance(body, dict):
        message = body.get("message") or body.get("error")
        if isinstance(message, dict):
            message = message.get("message")
        if isinstance(message, str):
            return message
    return ""


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds, where the header says a number of them."""
    try:
        seconds = float(headers.get("retry-after", ""))
    except ValueError:
        return None
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER) if seconds == seconds else None


def _usage(reported: Any, question: Question, said: str) -> Usage:
    """What the provider counted, else an estimate from the texts."""
    counted_in = _count(getattr(reported, "prompt_tokens", None))
    counted_out = _count(getattr(reported, "completion_tokens", None))
    if counted_in is None or counted_out is None:
        asked = "".join(message["content"] for message in question.messages)
        return Usage(estimated_tokens(asked), estimated_tokens(said), estimated=True)
    details = getattr(reported, "prompt_tokens_details", None)
    cached = _count(getattr(details, "cached_tokens", None))
    if cached is None:  # as DeepSeek has it
        cached = _count(getattr(reported, "prompt_cache_hit_tokens", None))
    thought = getattr(reported, "completion_tokens_details", None)
    reasoning = _count(getattr(thought, "reasoning_tokens", None))
    return Usage(
        counted_in, counted_out, min(cached or 0, counted_in), min(reasoning or 0, counted_out)
    )


def _count(value: Any) -> int | None:
    is_count = isinstance(value, int) and not isinstance(value, bool)
    return value if is_count and 0 <= value <= LARGEST_TOKENS else None
