"""Raw answers of LLMs, as models really send them, become decisions or errors as labelled."""

import os
import random
from collections.abc import Callable
from decimal import Decimal

import pytest
from answer_mutations import mutated
from llm_answers import COINS, LabelledAnswer, corpus, read_as

import ledger
from answer_json import LONGEST_ANSWER
from decision_fields import read_condition
from decision_parser import ParsedAnswer, parse_answer
from domain import Comparison, Interval, PriceCondition, Side, Signal
from entry_terms import EntryTerms
from ledger import Account
from paper_execution import ExecutionRules, Outcome, execute, in_order
from risk_limits import PROFILES, RiskName, RiskProfile

CORPUS = corpus()
MUTATIONS = int(os.environ.get("MUTATIONS", "4000"))
BALANCED = PROFILES[RiskName.BALANCED]
MARKS = {
    "BTC": Decimal(66_000), "ETH": Decimal(3000), "SOL": Decimal(150), "BNB": Decimal(600),
    "XRP": Decimal("0.52"), "DOGE": Decimal("0.15"), "PEPE": Decimal("0.0000072"),
}  # fmt: skip
ROUNDING = Decimal("1e-9")


@pytest.mark.parametrize("answer", CORPUS, ids=lambda answer: f"{answer.family}: {answer.name}")
def test_an_answer_means_what_its_label_says(answer: LabelledAnswer) -> None:
    decisions, errors = read_as(parse_answer(answer.text, COINS, answer.held), answer)
    assert (decisions, errors) == (answer.decisions, answer.errors)


def test_the_corpus_is_large_and_no_answer_is_there_twice() -> None:
    assert len(CORPUS) >= 200
    assert len({answer.text for answer in CORPUS}) == len(CORPUS)


def test_what_was_repaired_is_said() -> None:
    def repairs(text: str) -> tuple[str, ...]:
        return parse_answer(text, COINS).repairs

    assert repairs('{"decisions": [{"coin": "BTC", "signal": "hold"}]}') == ()
    assert repairs('```json\n{"btc": {"signal": "hold",}}\n```') == (
        "fence_removed", "json_repaired", "coin_name",
    )  # fmt: skip
    assert "reasoning_removed" in repairs("<think>a</think>[]")
    assert "earlier_draft_dropped" in repairs('{"BTC": "hold"} {"BTC": "hold"}')


def test_an_error_says_what_is_wrong_in_words_for_the_model() -> None:
    error = parse_answer('{"BTC": {"signal": "sell", "quantity": 1}}', COINS).errors["BTC"]
    assert error.code == "ambiguous_signal"
    assert "'sell' may open or close" in error.message


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("close_1h < 61200", PriceCondition(Interval.H1, Comparison.BELOW, Decimal(61200))),
        ("1d close >= 70,000.5", PriceCondition(Interval.D1, Comparison.AT_OR_ABOVE, Decimal("70000.5"))),
        ("price ≤ 0.00000712", PriceCondition(None, Comparison.AT_OR_BELOW, Decimal("0.00000712"))),
        ("Price breaks above $70000", PriceCondition(None, Comparison.ABOVE, Decimal(70000))),
        ("4小时收盘价跌破 61200", PriceCondition(Interval.H4, Comparison.BELOW, Decimal(61200))),
        ("close_1h < 61200 or so", None),
        ("close_1h < 0", None),
        ("price < 65k", None),
        ("ETH price < 3000", None),  # another coin's
        ("", None),
    ],
)  # fmt: skip
def test_a_condition_is_read_where_it_is_nothing_but_one(
    text: str, condition: PriceCondition | None
) -> None:
    assert read_condition(text, "BTC") == condition


def test_a_condition_reads_back_from_its_own_words() -> None:
    condition = PriceCondition(Interval.H1, Comparison.BELOW, Decimal("0.00000712"))
    assert read_condition(str(condition)) == condition
    assert read_condition(str(PriceCondition(None, Comparison.ABOVE, Decimal(7)))) is not None


def test_an_answer_without_end_is_not_read() -> None:
    parsed = parse_answer("[" * (LONGEST_ANSWER + 1), COINS)
    assert parsed.errors["*"].code == "too_long"


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"a":' * 50_000,
        '"' * 200_000,
        "`" * 300_000,
        "<think>" * 40_000,
        "</think>" * 40_000,
        "<think" * 60_000,
        "<answer>" * 40_000,
        '{"BTC": ' + '"x",' * 50_000,
        ("{" + " " * 50) * 5_000,
        "{'a': " * 9_000,
        "{a: 1 " * 9_000 + "}" * 9_000,
        '{"BTC": {"signal": "hold", ' + '"a": 1,' * 8_000 + "}}",
        '{"BTC": "hold", "a": ' + "1 " * 25_000 + "}",
        '{"BTC": "hold", "a": ' + "a" * 50_000 + "}",
        '{"a": 1,}' + '\\"' * 100_000,
        '{"a": \\"' + '\\"' * 150_000 + "}",
        '{"a": ' + "/*" * 100_000 + "}",
        '{"a": ' + ", " * 100_000 + "}",
        '{"a": ' + '("' * 1_500 + "}",
    ],
    ids=range(20),
)
@pytest.mark.timeout(5)
def test_no_answer_takes_long_to_refuse(text: str) -> None:
    said = parse_answer(text, COINS).decisions.values()
    assert not any(decision.side for decisions in said for decision in decisions)


# ----------------------------------------------------------------------------------- mutations


@pytest.mark.timeout(max(120, MUTATIONS // 100))
def test_mutated_answers_raise_nothing_and_never_yield_an_order_beyond_risk(
    record_property: Callable[[str, object], None],
) -> None:
    """`MUTATIONS=100000 pytest tests/test_decision_parser.py -k mutated` is the long form."""
    chance = random.Random(20_240_601)
    filled = 0
    for _ in range(MUTATIONS):
        answer, other = chance.choice(CORPUS), chance.choice(CORPUS)
        text = mutated(answer.text, other.text, chance)
        try:
            parsed = parse_answer(text, COINS, answer.held)
            filled += _trade(parsed, answer.held)
        except Exception as error:
            raise AssertionError(f"{error!r} for {text!r}") from error
    assert filled > MUTATIONS / 20, "so few mutated answers trade that nothing has been tested"
    record_property("answers", MUTATIONS)
    record_property("orders", filled)
    record_property("exceptions", 0)  # as has been asserted of each
    record_property("beyond risk", 0)


def _trade(parsed: ParsedAnswer, held: dict[str, Side]) -> int:
    """Carry out what was parsed on an account that holds `held`, as the engine does."""
    shares = dict.fromkeys([coin for coin in COINS if coin != "BNB"], 1 / 6)
    coin_ids = {coin: number for number, coin in enumerate(COINS)}
    terms = EntryTerms(shares, {}, coin_ids=coin_ids)
    rules = ExecutionRules(fee_rate=Decimal("0.001"), risk=BALANCED)
    account = _holding(held)
    filled = 0
    for coin, decision in in_order(parsed.decisions):
        if decision.signal is Signal.HOLD or terms.refusal(coin, decision, coin in MARKS):
            continue
        before = account
        account, outcome = execute(account, coin, decision, MARKS, terms.rules(coin, rules), 0)
        if outcome.entry is not None:
            filled += 1
            _check(before, account, outcome, BALANCED)
    return filled


def _holding(held: dict[str, Side]) -> Account:
    account = Account.opened_with(Decimal(10_000))
    rules = ExecutionRules(fee_rate=Decimal(0))
    for coin, side in held.items():
        signal = "buy_to_enter" if side is Side.LONG else "sell_to_enter"
        entry = parse_answer(f'{{"{coin}": {{"signal": "{signal}", "weight": 0.05}}}}', COINS)
        account, outcome = execute(account, coin, entry.decisions[coin][0], MARKS, rules, 0)
        assert outcome.entry is not None
    return account


@ledger.exact
def _check(before: Account, after: Account, outcome: Outcome, limits: RiskProfile) -> None:
    """What was filled is within the limits of risk; the books are whole."""
    assert outcome.entry is not None
    fill, equity = outcome.entry.fill, ledger.value(before, MARKS).total_value
    assert after.cash >= 0
    assert fill.coin in COINS
    assert fill.quantity > 0
    if fill.kind == "close":
        assert fill.quantity <= before.positions[fill.coin].quantity
        return
    assert fill.coin != "BNB", "it is not in the pool"
    held = after.positions[fill.coin]
    assert fill.leverage <= limits.max_leverage
    assert len(after.positions) <= limits.max_open_positions
    assert held.margin <= limits.max_position_share * equity + ROUNDING
    notional = sum(p.quantity * MARKS[coin] for coin, p in after.positions.items())
    assert notional <= limits.max_notional_share * equity + ROUNDING
    if fill.exits.stop_loss is not None:
        sign = fill.side.sign
        assert sign * (fill.price - fill.exits.stop_loss) > 0
        loss = sign * (fill.price - fill.exits.stop_loss) * fill.quantity
        assert loss <= limits.max_risk_share * equity + ROUNDING
