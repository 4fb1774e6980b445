"""What is asked of a provider outside of trading: which models it has, and whether one answers.

Its answers are untrusted: bounded in size, number and length, and its key is cut out of what it
says of its errors.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx2

from api_address import AddressRefused, AddressRule, http_client
from domain import LLMProvider
from errors import SourceBadAnswer, SourceError, SourceRateLimited, SourceRefused, SourceUnavailable

LISTING_SECONDS = 15.0
TEST_SECONDS = 60.0
MOST_MODELS = 2000
LONGEST_NAME = 200
LONGEST_ERROR = 300
TINY_QUESTION = [{"role": "user", "content": "Answer with the word OK."}]
TINY_ANSWER_TOKENS = 16


@dataclass(frozen=True, slots=True)
class TestResult:
    """Whether one tiny completion was answered, and how soon; `error` says why it was not."""

    model: str
    latency_ms: int
    error: str | None = None
    error_code: str | None = None


def list_models(provider: LLMProvider, addresses: AddressRule) -> list[str]:
    """The names of its models in its order. Raises AddressRefused and SourceErrors."""
    answer = _ask(provider, addresses, "GET", "/models", None, LISTING_SECONDS)
    rows = answer.get("data", answer.get("models")) if isinstance(answer, dict) else answer
    if not isinstance(rows, list):
        raise SourceBadAnswer("The provider's list of models is none.")
    names = [_name_in(row) for row in rows[:MOST_MODELS]]
    return list(dict.fromkeys(name for name in names if name))


def try_model(provider: LLMProvider, addresses: AddressRule, model: str) -> TestResult:
    """Ask one of its models for a word. Raises AddressRefused."""
    body: dict[str, Any] = {"model": model, "messages": TINY_QUESTION}
    started = time.monotonic()
    error = code = None
    try:
        answer = _ask_briefly(provider, addresses, body)
        if not _has_choice(answer):
            error, code = "The answer holds no completion.", "llm_empty_choice"
    except SourceError as failed:
        error, code = failed.message, failed.code
    return TestResult(model, round((time.monotonic() - started) * 1000), error, code)


def _ask_briefly(provider: LLMProvider, addresses: AddressRule, body: Mapping[str, Any]) -> Any:
    """The completion; a limit is called by two names, of which each model knows one."""
    path = "/chat/completions"
    limited = {**body, "max_tokens": TINY_ANSWER_TOKENS}
    try:
        return _ask(provider, addresses, "POST", path, limited, TEST_SECONDS)
    except SourceRefused as refused:
        if "max_completion_tokens" not in refused.message:
            raise
    limited = {**body, "max_completion_tokens": TINY_ANSWER_TOKENS}
    return _ask(provider, addresses, "POST", path, limited, TEST_SECONDS)


def _ask(
    provider: LLMProvider, addresses: AddressRule, method: str, path: str,
    body: Mapping[str, Any] | None, seconds: float,
) -> Any:  # fmt: skip
    """The JSON of an answer of 200. Raises AddressRefused and SourceErrors."""
    url = addresses.check(provider.api_url) + path
    headers = {"Accept": "application/json"}
    if provider.api_key:
        headers["Authorization"] = f"Bearer {provider.api_key}"
    try:
        with http_client(addresses, seconds) as client:
            response = client.request(method, url, json=body, headers=headers)
    except httpx2.UnsupportedProtocol as error:  # the name resolves to something else now
        raise AddressRefused(str(error)) from error
    except httpx2.TimeoutException as error:
        raise SourceUnavailable("The provider does not answer in time.") from error
    except httpx2.HTTPError as error:
        reason = _plain(str(error), provider.api_key) or type(error).__name__
        raise SourceUnavailable(f"The provider cannot be reached: {reason}") from error
    if response.status_code != 200:
        raise _refusal(response, provider.api_key)
    return _json(response)


def _refusal(response: httpx2.Response, api_key: str) -> SourceError:
    status = response.status_code
    if response.is_redirect:
        return SourceRefused("The provider sends on to another address: enter that one.")
    said = _plain(_message_of(response), api_key)
    text = f"The provider answers {status}{f': {said}' if said else '.'}"
    if status == 429:
        return SourceRateLimited(text)
    return SourceUnavailable(text) if status >= 500 else SourceRefused(text)


def _message_of(response: httpx2.Response) -> str:
    """What an error says of itself, in one of the usual places."""
    try:
        answer = _json(response)
    except SourceBadAnswer:
        return ""
    error = answer.get("error", answer.get("message")) if isinstance(answer, dict) else None
    message = error.get("message") if isinstance(error, dict) else error
    return message if isinstance(message, str) else ""


def _json(response: httpx2.Response) -> Any:
    try:
        return json.loads(response.content)
    except (ValueError, RecursionError) as error:
        raise SourceBadAnswer("The provider's answer is no JSON.") from error


def _plain(text: str, api_key: str) -> str:
    """One line of bounded length, without the key."""
    if api_key:
        text = text.replace(api_key, "…")
    line = "".join(char if char.isprintable() else " " for char in text)
    return " ".join(line.split())[:LONGEST_ERROR]


def _name_in(row: object) -> str | None:
    """The model's name in a row of a listing; None where it has none that can be used."""
    name = row.get("id", row.get("name")) if isinstance(row, dict) else row
    if not isinstance(name, str):
        return None
    name = name.strip()
    return name if 0 < len(name) <= LONGEST_NAME and name.isprintable() else None


def _has_choice(answer: object) -> bool:
    choices = answer.get("choices") if isinstance(answer, dict) else None
    return isinstance(choices, list) and bool(choices) and isinstance(choices[0], dict)
