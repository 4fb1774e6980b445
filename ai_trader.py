"""`EnhancedAITrader`: an LLM as a trader, from the snapshot to decisions.

Prompt → budget → call → answer → decisions. An answer that cannot be read is sent back once with
what is wrong with it; what still cannot be read is a recorded `parse_error` and no trade. At the
limit of its budget, or while calls are stopped, it holds.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from ai_params import NO_ADVICE, AiParams, read_params
from clock import SystemClock
from database import Database
from decision_parser import WHOLE_ANSWER, AnswerError, ParsedAnswer, parse_answer, refused
from domain import (
    AccountInfo,
    Clock,
    Decisions,
    Interval,
    MarketState,
    Portfolio,
    TradingModel,
)
from errors import InvalidInput, TradingSystemError
from llm_budget import Budget, BudgetSpent, DailyBudget
from llm_calls import CallsHalted, CallTerms, LLMCalls, OutputMode, RecordedAnswer
from llm_client import LLMClient, LLMError, Message
from prompt_market import INDICATOR_BARS
from repositories import coins as coin_rows
from repositories import conversations, instruments
from repositories.conversations import NewConversation
from risk_limits import limits_of
from trading_prompt import (
    Prompt,
    PromptTerms,
    advice_strategy,
    asked_coins,
    build_prompt,
    decision_schema,
    repair_messages,
)

ClientFactory = Callable[[int], LLMClient]

log = logging.getLogger(__name__)


class AnswerUnusable(TradingSystemError):
    """The LLM answered twice and no decision can be taken from it; nothing is traded."""

    code = "parse_error"
    http_status = 502


class Calls(Protocol):
    """What a decision is asked through."""

    def ask(self, messages: Sequence[Message], purpose: str) -> RecordedAnswer:
        """The answer to `messages`, and the row that it stands in."""


class EnhancedAITrader:
    """Decides by asking an LLM. Made for one cycle of one model."""

    def __init__(
        self,
        model: TradingModel,
        terms: PromptTerms,
        cycle_id: int | None,
        database: Database,
        client_factory: ClientFactory,
        may_call: Callable[[], bool],
        wall_clock: Clock,
    ):
        self.model = model
        self.terms = terms
        self.params: AiParams = terms.params
        self._cycle_id = cycle_id
        self._database = database
        self._client_factory = client_factory
        self._may_call = may_call
        self._wall_clock = wall_clock
        self.llm_ms = 0.0  # spent waiting for answers

    @property
    def history_bars(self) -> int:
        """What is shown, and what indicators and the strategy are computed from."""
        needed = max(self.params.history_bars, 1)
        if self.params.indicators:
            needed = max(needed, INDICATOR_BARS)
        if self.params.advice != NO_ADVICE:
            needed = max(needed, advice_strategy(self.params, self.terms.coins).history_bars)
        return needed

    @property
    def other_intervals(self) -> Sequence[Interval]:
        """The intervals that are shown besides the model's own."""
        own = self.model.interval
        return tuple(interval for interval in self.params.other_intervals if interval is not own)

    def prompt(
        self, market_state: MarketState, portfolio: Portfolio, account_info: AccountInfo
    ) -> Prompt:
        """Exactly what would be sent. Raises PromptTooLong."""
        return build_prompt(self.terms, market_state, portfolio, account_info)

    def make_decision(
        self, market_state: MarketState, portfolio: Portfolio, account_info: AccountInfo
    ) -> Decisions:
        """What the LLM decides; nothing where it may not be asked.

        Raises LLMError where it does not answer, AnswerUnusable where it cannot be understood.
        """
        asked = asked_coins(self.terms.coins, market_state, portfolio)
        if not asked:
            return {}
        prompt = self.prompt(market_state, portfolio, account_info)
        calls = self._calls(asked, prompt, account_info)
        held = {coin: position.side for coin, position in portfolio.positions.items()}
        try:
            parsed = self._ask(calls, prompt, lambda text: parse_answer(text, asked, held), asked)
        except (BudgetSpent, CallsHalted) as holding:
            log.info("model %s holds: %s", self.model.id, holding.message)
            return {}
        if not self._may_call():  # stopped while the answer was on its way
            return {}
        return parsed.decisions

    def _ask(
        self,
        calls: Calls,
        prompt: Prompt,
        read: Callable[[str], ParsedAnswer],
        asked: Sequence[str],
    ) -> ParsedAnswer:
        """The decisions of the first answer, or of the second where it has to be sent back."""
        first = self._answer(calls, prompt.messages, "decide")
        parsed = _read(first, read)
        errors = _errors_that_matter(parsed, asked)
        self._record(first, parsed, errors)
        if not errors:
            return parsed
        said = {coin: error.message for coin, error in errors.items()}
        again = repair_messages(prompt, first.answer.text, said, self.params.language)
        try:
            second = self._answer(calls, again, "repair")
        except (LLMError, BudgetSpent, CallsHalted):
            # What was clear in the first answer stands.
            return _usable(parsed)
        parsed = _read(second, read)
        self._record(second, parsed, {WHOLE_ANSWER: parsed.errors[WHOLE_ANSWER]}
                     if WHOLE_ANSWER in parsed.errors else {})  # fmt: skip
        return _usable(parsed)

    def _answer(self, calls: Calls, messages: Sequence[Message], purpose: str) -> RecordedAnswer:
        began = time.perf_counter()
        try:
            return calls.ask(messages, purpose)
        finally:
            self.llm_ms += (time.perf_counter() - began) * 1000

    def _record(
        self, recorded: RecordedAnswer, parsed: ParsedAnswer, errors: Mapping[str, AnswerError]
    ) -> None:
        """Write down how an answer was read."""
        status, code, message = "ok", None, None
        if errors:
            coin, error = next(iter(errors.items()))
            status = "refused" if error.code == "refusal" else "parse_error"
            code = error.code
            message = error.message if coin == WHOLE_ANSWER else f"{coin}: {error.message}"
        words: dict[str, Any] = {
            "repairs": list(parsed.repairs),
            "errors": {
                name: {"code": error.code, "message": error.message}
                for name, error in parsed.errors.items()
            },
        }
        with self._database.transaction() as connection:
            conversations.set_parsed(
                connection, recorded.conversation_id, status, words, code, message
            )

    def _calls(self, asked: Sequence[str], prompt: Prompt, account: AccountInfo) -> Calls:
        model, params = self.model, self.params
        if model.provider_id is None or not model.model_name:
            raise InvalidInput(f"{model.name!r} has no provider and model.", code="no_provider")
        client = self._client_factory(model.provider_id)
        limits = DailyBudget(params.daily_calls, params.daily_tokens, params.daily_cost)
        prices = client.provider.prices.get(model.model_name)
        return LLMCalls(
            self._database,
            client,
            Budget(self._database, self._wall_clock, limits, prices),
            NewConversation(
                model_id=model.id,
                budget_model_id=model.replica_of or model.id,
                cycle_id=self._cycle_id,
                timestamp=account.time_ms,
                provider=client.provider.name,
                model_name=model.model_name,
                template_version=prompt.template_version,
                system_prompt=prompt.system,
                prompt=prompt.user,
            ),
            call_terms(model.model_name, params),
            decision_schema(asked),
            self._may_call,
            self._wall_clock,
        )


def make_ai_trader(
    model: TradingModel,
    coins: Sequence[str],
    cycle_id: int | None,
    database: Database,
    client_factory: ClientFactory,
    may_call: Callable[[], bool],
    *,
    wall_clock: Clock | None = None,
) -> EnhancedAITrader:
    """The trader of an `ai` model for one cycle, on the pool's `coins`.

    Days of a budget are told by `wall_clock`, never by the market's. Raises InvalidInput where the
    model's parameters do not fit.
    """
    connection = database.connection
    known = {symbol: coin_rows.find(connection, symbol) for symbol in coins}
    terms = PromptTerms(
        params=read_params(model.params),
        own_prompt=model.prompt or "",
        interval=model.interval,
        cycle_minutes=model.cycle_minutes,
        limits=limits_of(model.risk),
        coins=tuple(coins),
        names={symbol: coin.name for symbol, coin in known.items() if coin is not None},
        tick_sizes=instruments.tick_sizes(connection, coins),
    )
    return EnhancedAITrader(
        model, terms, cycle_id, database, client_factory, may_call, wall_clock or SystemClock()
    )


def call_terms(model_name: str, params: AiParams) -> CallTerms:
    """How a model with these parameters is asked."""
    return CallTerms(
        model_name=model_name,
        timeout_seconds=params.timeout_seconds,
        patience_seconds=params.patience_seconds,
        retries=params.retries,
        temperature=params.temperature,
        max_tokens=params.max_tokens,
        mode=None if params.output_mode == "auto" else OutputMode(params.output_mode),
    )


def _read(recorded: RecordedAnswer, read: Callable[[str], ParsedAnswer]) -> ParsedAnswer:
    answer = recorded.answer
    if answer.refusal and not answer.text:
        return refused(answer.refusal)
    return read(answer.text)


def _errors_that_matter(parsed: ParsedAnswer, asked: Sequence[str]) -> dict[str, AnswerError]:
    """The errors that are worth another call: of the whole answer, and of coins asked about."""
    return {
        name: error
        for name, error in parsed.errors.items()
        if name == WHOLE_ANSWER or name in asked
    }


def _usable(parsed: ParsedAnswer) -> ParsedAnswer:
    """`parsed` where it is an answer at all. Raises AnswerUnusable."""
    error = parsed.errors.get(WHOLE_ANSWER)
    if error is not None:
        code = "refused" if error.code == "refusal" else None
        raise AnswerUnusable(f"The LLM's answer cannot be used: {error.message}", code=code)
    return parsed
