"""The prompt of an LLM trader, from a versioned template with named sections. Pure.

What stays the same from cycle to cycle (role, rules, limits, output) is the system message, so that
providers can cache it; what changes is the user message. A prompt is kept under its limit of tokens
by showing fewer bars of every series, then no indicators.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import numpy as np

from ai_params import NO_ADVICE, AiParams
from coin_decision import clean_text
from domain import (
    AccountInfo,
    CoinMarket,
    Entry,
    Interval,
    JsonSchema,
    KlineSeries,
    MarketState,
    Portfolio,
    Position,
    Signal,
)
from errors import TradingSystemError
from llm_usage import estimated_tokens
from prompt_market import (
    UNKNOWN,
    closed_at_ms,
    closes_text,
    indicators_text,
    label,
    number_text,
    percent_text,
    price_text,
    symbol_text,
    time_text,
)
from prompt_words import TEMPLATE_VERSION, WORDS, PromptWords
from risk_limits import RiskProfile
from strategies import registry
from strategies.base import Signals, Strategy

LONGEST_OWN_PROMPT = 20_000
MOST_TRADES = 10
LONGEST_ANSWER_SHOWN = 8_000
MOST_ERRORS_SHOWN = 20


class PromptTooLong(TradingSystemError):
    """Even without series and indicators the prompt is over its limit of tokens."""

    code = "prompt_too_long"
    http_status = 409


@dataclass(frozen=True, slots=True)
class PromptTerms:
    """What a model's prompts have in common. `names` of coins are untrusted."""

    params: AiParams
    own_prompt: str
    interval: Interval
    cycle_minutes: int
    limits: RiskProfile | None
    coins: Sequence[str]  # those of the pool, which may be entered
    names: Mapping[str, str] = field(default_factory=dict)
    tick_sizes: Mapping[str, Decimal] = field(default_factory=dict)

    @property
    def words(self) -> PromptWords:
        """The texts of its language."""
        return WORDS[self.params.language]


@dataclass(frozen=True, slots=True)
class Prompt:
    """What is sent, to the byte."""

    system: str
    user: str
    template_version: str = TEMPLATE_VERSION

    @property
    def messages(self) -> list[dict[str, str]]:
        """As the API takes them."""
        return [
            {"role": "system", "content": self.system},
            {"role": "user", "content": self.user},
        ]

    @property
    def estimated_tokens(self) -> int:
        """About how many tokens it has."""
        return estimated_tokens(self.system) + estimated_tokens(self.user)


def build_prompt(
    terms: PromptTerms, market: MarketState, portfolio: Portfolio, account: AccountInfo
) -> Prompt:
    """The prompt of one decision. Raises PromptTooLong."""
    system = system_message(terms)
    most = terms.params.most_prompt_tokens - estimated_tokens(system)
    sections = _Sections(terms, market, portfolio, account)
    for bars in _fewer_and_fewer(terms.params.history_bars):
        user = sections.user_message(bars)
        if estimated_tokens(user) <= most:
            return Prompt(system, user)
    raise PromptTooLong(
        f"{len(market)} coins do not fit a prompt of {terms.params.most_prompt_tokens} tokens."
    )


def _fewer_and_fewer(bars: int) -> list[int | None]:
    """How many bars to try: all, half, …, none; then None, without indicators as well."""
    tries: list[int | None] = []
    while bars:
        tries.append(bars)
        bars //= 2
    return [*tries, 0, None]


def decision_schema(coins: Sequence[str]) -> JsonSchema:
    """The JSON Schema of an answer about these coins, as strict modes want it: all is required."""
    number = {"type": ["number", "null"]}
    properties: dict[str, Any] = {
        "coin": {"type": "string", "enum": list(coins)},
        "signal": {"type": "string", "enum": [signal.value for signal in Signal]},
        "quantity": number,
        "notional": number,
        "weight": number,
        "leverage": number,
        "profit_target": number,
        "stop_loss": number,
        "trailing_stop_pct": number,
        "confidence": number,
        "invalidation": {"type": ["string", "null"]},
        "justification": {"type": "string"},
    }
    item = {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": {"decisions": {"type": "array", "items": item}},
        "required": ["decisions"],
        "additionalProperties": False,
    }


def repair_messages(
    prompt: Prompt, answer: str, errors: Mapping[str, str], language: str
) -> list[dict[str, str]]:
    """The same question once more, with the answer that could not be used and why."""
    shown = "\n".join(
        f"- {clean_text(coin, 20)}: {clean_text(why, 300)}"
        for coin, why in list(errors.items())[:MOST_ERRORS_SHOWN]
    )
    said = answer[:LONGEST_ANSWER_SHOWN] or "…"
    return [
        *prompt.messages,
        {"role": "assistant", "content": said},
        {"role": "user", "content": WORDS[language].repair.format(errors=shown)},
    ]


# ------------------------------------------------------------------------------- system message


def system_message(terms: PromptTerms) -> str:
    """Role, rules, the owner's own, limits and output: the same in every cycle."""
    words = terms.words
    own = _own_prompt(terms.own_prompt)
    sections: list[tuple[str, str]] = []
    if not own or terms.params.prompt_use == "extend":
        role = words.role.format(cycle_minutes=terms.cycle_minutes, interval=terms.interval)
        sections = [(words.role_title, role), (words.rules_title, words.rules)]
    if own:
        sections.append((words.owner_title, own))
    sections += [
        (words.limits_title, _limits(words, terms.limits)),
        (words.output_title, words.output),
    ]
    return _joined(sections)


def _own_prompt(text: str) -> str:
    lines = (clean_text(line, LONGEST_OWN_PROMPT) for line in text.splitlines())
    return "\n".join(lines).strip()[:LONGEST_OWN_PROMPT]


def _limits(words: PromptWords, limits: RiskProfile | None) -> str:
    if limits is None:
        return words.no_limits
    return words.limits.format(
        max_leverage=number_text(limits.max_leverage),
        max_open_positions=limits.max_open_positions,
        max_position=number_text(limits.max_position_share * 100),
        max_notional=number_text(limits.max_notional_share * 100),
        max_risk=number_text(limits.max_risk_share * 100),
        min_confidence=number_text(limits.min_confidence),
    )


def _joined(sections: Sequence[tuple[str, str]]) -> str:
    return "\n\n".join(f"# {title}\n{text}" for title, text in sections)


# --------------------------------------------------------------------------------- user message


class _Sections:
    """The sections of one user message; what does not depend on the bars shown is made once."""

    def __init__(
        self, terms: PromptTerms, market: MarketState, portfolio: Portfolio, account: AccountInfo
    ):
        self._terms = terms
        self._words = terms.words
        self._market = market
        self._account = account
        self._indicators = self._indicator_lines()
        self._rest = [
            *self._advice(portfolio),
            (self._words.account_title, self._account_text(portfolio)),
            (self._words.positions_title, self._positions(portfolio)),
            (self._words.trades_title, self._trades()),
            (self._words.task_title, self._task(portfolio)),
        ]

    def user_message(self, bars: int | None) -> str:
        """The message with so many bars a series; None leaves the indicators out as well."""
        words = self._words
        sections = [(words.market_title, self._market_text(bars))]
        if bars:
            lines = [words.history_intro, *self._history_lines(bars)]
            sections.append((words.history_title, "\n".join(lines)))
        if self._indicators and bars is not None:
            lines = [words.indicators_intro, *self._indicators]
            sections.append((words.indicators_title, "\n".join(lines)))
        return _joined([*sections, *self._rest])

    def _market_text(self, bars: int | None) -> str:
        words = self._words
        now = time_text(self._account.time_ms)
        lines = [words.market_intro.format(time=now, interval=self._terms.interval)]
        if (bars or 0) < self._terms.params.history_bars:
            lines.append(words.shortened.format(bars=bars or 0))
        missing = [symbol_text(coin) for coin in self._terms.coins if coin not in self._market]
        if missing:
            lines.append(words.no_entry.format(coins=", ".join(missing)))
        lines += [self._coin_line(coin, seen) for coin, seen in self._market.items()]
        return "\n".join(lines)

    def _coin_line(self, coin: str, seen: CoinMarket) -> str:
        words, tick = self._words, self._terms.tick_sizes.get(coin)
        name = self._terms.names.get(coin)
        line = words.coin.format(
            coin=f"{symbol_text(coin)} {label(name)}" if name else symbol_text(coin),
            price=price_text(seen.price, tick),
            change=percent_text(seen.change_24h),
            share=UNKNOWN if seen.pool_share is None else f"{seen.pool_share * 100:.1f} %",
            tick=f"{tick.normalize():f}" if tick else UNKNOWN,
        )
        notes = [words.stale.format(age=round(seen.age_seconds))] if seen.stale else []
        if coin not in self._terms.coins:
            notes.append(words.close_only)
        return "; ".join([line, *notes])

    def _history_lines(self, bars: int) -> list[str]:
        return [
            self._words.history.format(
                coin=symbol_text(coin),
                interval=series.interval,
                time=time_text(closed_at_ms(series)),
                values=closes_text(series, bars, self._terms.tick_sizes.get(coin)),
            )
            for coin, seen in self._market.items()
            for series in _series(seen)
        ]

    def _indicator_lines(self) -> list[str]:
        wanted = self._terms.params.indicators
        return [
            self._words.indicators.format(
                coin=symbol_text(coin),
                interval=series.interval,
                values=indicators_text(series, wanted, self._terms.tick_sizes.get(coin)),
            )
            for coin, seen in self._market.items()
            for series in _series(seen)
            if wanted
        ]

    def _advice(self, portfolio: Portfolio) -> list[tuple[str, str]]:
        if self._terms.params.advice == NO_ADVICE:
            return []
        strategy = advice_strategy(self._terms.params, self._terms.coins)
        lines = [self._words.advice_intro]
        for coin, seen in self._market.items():
            bars = len(seen.klines)
            signals = strategy.signals(coin, seen.klines) if bars else Signals.none(0)
            lines.append(self._last_signal(coin, signals, bars))
        return [(self._words.advice_title.format(name=strategy.key), "\n".join(lines))]

    def _last_signal(self, coin: str, signals: Signals, bars: int) -> str:
        words, shown = self._words, symbol_text(coin)
        found = [
            (int(np.flatnonzero(where)[-1]), said)
            for where, said in (
                (signals.close, words.close),
                (signals.enter_short, words.enter_short),
                (signals.enter_long, words.enter_long),
            )
            if where.any()
        ]
        if not found:
            return words.advice_none.format(coin=shown)
        bar, said = max(found, key=lambda signal: signal[0])
        if bar == bars - 1:
            return words.advice_now.format(coin=shown, signal=said)
        return words.advice_last.format(coin=shown, signal=said, bars=bars - 1 - bar)

    def _account_text(self, portfolio: Portfolio) -> str:
        return self._words.account.format(
            equity=f"{portfolio.total_value:.2f}",
            cash=f"{portfolio.cash:.2f}",
            margin=f"{portfolio.margin_used:.2f}",
            unrealized=f"{portfolio.unrealized_pnl:+.2f}",
            total_return=f"{self._account.total_return:+.2f}",
            initial=f"{self._account.initial_capital:.2f}",
        )

    def _positions(self, portfolio: Portfolio) -> str:
        lines = [
            self._position(coin, position, portfolio.marks.get(coin))
            for coin, position in portfolio.positions.items()
        ]
        return "\n".join(lines) or self._words.none

    def _position(self, coin: str, position: Position, mark: Decimal | None) -> str:
        tick, none = self._terms.tick_sizes.get(coin), self._words.none
        exits = position.exits
        pnl = Decimal(0)
        if mark is not None:
            pnl = position.side.sign * (position.quantity * mark - position.cost)
        share = pnl / position.margin * 100 if position.margin else Decimal(0)

        def price(level: Decimal | None) -> str:
            return none if level is None else price_text(level, tick)

        return self._words.position.format(
            coin=symbol_text(coin),
            side=position.side.value,
            quantity=number_text(position.quantity, 10),
            entry=price(position.entry_price),
            mark=UNKNOWN if mark is None else price_text(mark, tick),
            leverage=number_text(position.leverage, 3),
            pnl=f"{pnl:+.2f}",
            pnl_pct=f"{share:+.2f}",
            opened=time_text(position.opened_at),
            stop=price(exits.stop_loss),
            target=price(exits.profit_target),
            trailing=none
            if exits.trailing_stop_pct is None
            else f"{number_text(exits.trailing_stop_pct)} %",
            invalidation=none if exits.invalidation is None else str(exits.invalidation),
        )

    def _trades(self) -> str:
        recent = self._account.recent_trades[-MOST_TRADES:]
        return "\n".join(self._trade(entry) for entry in recent) or self._words.none

    def _trade(self, entry: Entry) -> str:
        fill = entry.fill
        return self._words.trade.format(
            time=time_text(fill.time_ms),
            coin=symbol_text(fill.coin),
            kind=fill.kind.value,
            side=fill.side.value,
            quantity=number_text(fill.quantity, 10),
            price=price_text(fill.price, self._terms.tick_sizes.get(fill.coin)),
            pnl=f"{entry.pnl:+.2f}",
            reason=fill.reason.value,
        )

    def _task(self, portfolio: Portfolio) -> str:
        asked = asked_coins(self._terms.coins, self._market, portfolio)
        return self._words.task.format(coins=", ".join(symbol_text(coin) for coin in asked))


def asked_coins(coins: Sequence[str], market: MarketState, portfolio: Portfolio) -> list[str]:
    """The coins to decide on: those of the pool that have a price, and those that are held."""
    priced = [coin for coin in coins if coin in market]
    return list(dict.fromkeys([*priced, *portfolio.positions]))


def advice_strategy(params: AiParams, coins: Sequence[str]) -> Strategy:
    """The rule strategy whose signals are shown."""
    strategy = registry()[params.advice](coins, params.advice_params)
    assert isinstance(strategy, Strategy)  # AiParams takes no other
    return strategy


def _series(seen: CoinMarket) -> list[KlineSeries]:
    """The bars that are there, of the model's interval first."""
    others = sorted(seen.other_klines.values(), key=lambda series: series.interval.milliseconds)
    return [series for series in (seen.klines, *others) if len(series)]
