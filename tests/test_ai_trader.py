"""`EnhancedAITrader` against the simulated provider: what is decided, recorded and held back."""

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from llm_inputs import (
    KEY,
    NOW_MS,
    LlmDesk,
    account_info,
    database_at,
    market,
    portfolio,
    position,
)

from ai_trader import AnswerUnusable, EnhancedAITrader
from clock import ManualClock
from domain import DAY_MS, HOUR_MS, Decisions, Portfolio, Side, Signal
from errors import InvalidInput
from exchange_simulator.llm_answers import BOLD, SimulatedAnswer
from exchange_simulator.server import SimulatorServer
from llm_budget import ASSUMED_OUTPUT_TOKENS
from llm_client import LLMError
from repositories import conversations, models
from repositories.conversations import Conversation

TARGET = Path(__file__).parent / "llm_kill_target.py"
HOLD = '{"decisions": [{"coin": "BTC", "signal": "hold"}]}'
LONG = (
    '{"decisions": [{"coin": "BTC", "signal": "buy_to_enter", "weight": 0.1, "stop_loss": 60000}]}'
)


@pytest.fixture
def desk(tmp_path: Path, simulator: SimulatorServer) -> Iterator[LlmDesk]:
    simulator.faults.clear()
    simulator.llm.script.clear()
    simulator.llm.asked.clear()
    database = database_at(tmp_path / "llm.db")
    yield LlmDesk(database, simulator.llm_url)
    simulator.faults.clear()
    database.close()


def decide(trader: EnhancedAITrader, held: Portfolio | None = None) -> Decisions:
    return trader.make_decision(market(), held or portfolio(), account_info())


def recorded(desk: LlmDesk) -> list[Conversation]:
    """The calls of the desk's model in their order."""
    rows = conversations.list_conversations(desk.database.connection, desk.model.id, limit=1000)
    return rows[::-1]


def calls_made(simulator: SimulatorServer) -> int:
    return len(simulator.llm.asked)


# ------------------------------------------------------------------------------------ answers


def test_an_answer_becomes_decisions_and_a_row(desk: LlmDesk, simulator: SimulatorServer) -> None:
    simulator.llm.say(SimulatedAnswer(LONG, reasoning="It rises."))
    decisions = decide(desk.trader())
    (decision,) = decisions["BTC"]
    assert (decision.signal, decision.weight) == (Signal.BUY_TO_ENTER, Decimal("0.1"))
    (row,) = recorded(desk)
    assert (row.status, row.purpose, row.attempt, row.output_mode) == (
        "ok",
        "decide",
        1,
        "json_schema",
    )
    assert (row.answer, row.reasoning, row.finish_reason) == (LONG, "It rises.", "stop")
    assert row.provider == "Simulated"
    assert row.cost is not None
    assert row.cost > 0
    assert row.latency_ms is not None
    assert row.timestamp == NOW_MS  # the market's time
    assert row.error is None


def test_the_preview_is_what_is_sent_to_the_byte(desk: LlmDesk, simulator: SimulatorServer) -> None:
    simulator.llm.say(HOLD)
    trader, held = desk.trader(language="zh"), portfolio(position("ETH", price="3000"))
    decide(trader, held)
    shown = desk.trader(language="zh").prompt(market(), held, account_info())
    assert simulator.llm.asked[-1].body["messages"] == shown.messages
    (row,) = recorded(desk)
    assert (row.system_prompt, row.prompt) == (shown.system, shown.user)
    assert row.template_version == shown.template_version


def test_an_answer_that_cannot_be_read_is_sent_back_once(
    desk: LlmDesk, simulator: SimulatorServer
) -> None:
    simulator.llm.say("I would buy some BTC here.", LONG)
    assert decide(desk.trader())["BTC"][0].signal is Signal.BUY_TO_ENTER
    first, second = recorded(desk)
    assert (first.status, first.error_code) == ("parse_error", "no_json")
    assert (second.status, second.purpose, second.attempt) == ("ok", "repair", 2)
    *_, said, complaint = simulator.llm.asked[-1].body["messages"]
    assert said == {"role": "assistant", "content": "I would buy some BTC here."}
    assert "There is no JSON in the answer." in complaint["content"]


def test_what_cannot_be_read_twice_is_a_parse_error_and_no_trade(
    desk: LlmDesk, simulator: SimulatorServer
) -> None:
    simulator.llm.say("Buy.", "Buy!", LONG)
    with pytest.raises(AnswerUnusable) as unusable:
        decide(desk.trader())
    assert unusable.value.code == "parse_error"
    assert [row.status for row in recorded(desk)] == ["parse_error", "parse_error"]
    assert calls_made(simulator) == 2  # and no third


def test_an_unclear_coin_does_not_stop_the_clear_ones(
    desk: LlmDesk, simulator: SimulatorServer
) -> None:
    unclear = '{"BTC": {"signal": "hold"}, "ETH": {"signal": "sell", "quantity": 1}}'
    simulator.llm.say(unclear, unclear)
    assert set(decide(desk.trader())) == {"BTC"}
    first, second = recorded(desk)
    assert (first.status, second.status) == ("parse_error", "ok")
    assert second.parsed["errors"]["ETH"]["code"] == "ambiguous_signal"


def test_what_was_clear_stands_where_the_second_call_fails(
    desk: LlmDesk, simulator: SimulatorServer
) -> None:
    simulator.llm.say('{"BTC": "hold", "ETH": {"signal": "sell"}}')
    assert set(decide(desk.trader(daily_calls=1))) == {"BTC"}
    assert [row.status for row in recorded(desk)] == ["parse_error", "budget"]


def test_a_refusal_is_recorded_as_one(desk: LlmDesk, simulator: SimulatorServer) -> None:
    simulator.faults.switch_on("llm", "refusal")
    with pytest.raises(AnswerUnusable) as unusable:
        decide(desk.trader())
    assert unusable.value.code == "refused"
    assert [row.status for row in recorded(desk)] == ["refused", "refused"]


@pytest.mark.parametrize("fault", ["empty", "garbage", "length"])
def test_a_spoiled_answer_trades_nothing(
    desk: LlmDesk, simulator: SimulatorServer, fault: str
) -> None:
    simulator.faults.switch_on("llm", fault)
    with pytest.raises(AnswerUnusable):
        decide(desk.trader())


def test_a_close_of_the_side_that_is_not_held_is_refused(
    desk: LlmDesk, simulator: SimulatorServer
) -> None:
    wrong = '[{"symbol": "BTCUSDT", "action": "close_long"}]'
    simulator.llm.say(wrong, wrong)
    held = portfolio(position("BTC", Side.SHORT))
    assert decide(desk.trader(), held) == {}
    assert recorded(desk)[-1].parsed["errors"]["BTC"]["code"] == "wrong_side"


def test_a_model_that_asks_too_much_is_passed_on_to_risk(
    desk: LlmDesk, simulator: SimulatorServer
) -> None:
    bold = replace(desk.model, model_name=BOLD)
    asked: list[Decimal] = []
    for hour in range(6):  # another page every time
        account = replace(account_info(), total_return=float(hour))
        decisions = desk.trader(model=bold).make_decision(market(), portfolio(), account)
        asked += [decision.leverage for said in decisions.values() for decision in said]
    assert max(asked) == 40
    assert min(asked) == 3


def test_a_model_without_a_provider_says_so(desk: LlmDesk) -> None:
    with pytest.raises(InvalidInput) as missing:
        decide(desk.trader(model=replace(desk.model, provider_id=None)))
    assert missing.value.code == "no_provider"


def test_parameters_that_do_not_fit_are_refused(desk: LlmDesk) -> None:
    with pytest.raises(InvalidInput) as refused:
        desk.trader(timeout_seconds=0, language="fr")
    assert refused.value.fields.keys() == {"params.timeout_seconds", "params.language"}


# ------------------------------------------------------------------------- calls and their form


@pytest.mark.parametrize(
    ("fault", "found"), [("no_json_schema", "json_object"), ("no_response_format", "plain")]
)
def test_the_form_that_a_model_takes_is_found_out_once(
    desk: LlmDesk, simulator: SimulatorServer, fault: str, found: str
) -> None:
    simulator.faults.switch_on("llm", fault)
    decide(desk.trader())
    tried = [row.output_mode for row in recorded(desk)]
    assert tried == ["json_schema", "json_object", "plain"][: len(tried)]
    assert tried[-1] == found
    decide(desk.trader())  # a new trader of a new cycle
    assert [row.output_mode for row in recorded(desk)][len(tried) :] == [found]


def test_a_form_that_is_asked_for_is_not_changed(desk: LlmDesk, simulator: SimulatorServer) -> None:
    simulator.faults.switch_on("llm", "no_json_schema")
    with pytest.raises(LLMError):
        decide(desk.trader(output_mode="json_schema"))
    assert calls_made(simulator) == 1


def test_a_call_is_repeated_in_reason(
    desk: LlmDesk, simulator: SimulatorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llm_calls.FIRST_PAUSE_SECONDS", 0.01)
    simulator.faults.switch_on("llm", "500")
    with pytest.raises(LLMError):
        decide(desk.trader(retries=2))
    assert [row.error_code for row in recorded(desk)] == ["llm_server_error"] * 3


def test_what_cannot_change_is_not_repeated(desk: LlmDesk, simulator: SimulatorServer) -> None:
    simulator.faults.switch_on("llm", "401")
    with pytest.raises(LLMError):
        decide(desk.trader(retries=5))
    assert len(recorded(desk)) == 1


def test_a_pause_longer_than_patience_is_not_waited_for(
    desk: LlmDesk, simulator: SimulatorServer
) -> None:
    simulator.faults.switch_on("llm", "429", retry_after=3600)
    started = time.monotonic()
    with pytest.raises(LLMError) as limited:
        decide(desk.trader(retries=5, patience_seconds=10))
    assert limited.value.code == "llm_rate_limited"
    assert time.monotonic() - started < 5


def test_a_pause_that_the_provider_asks_for_is_kept(
    desk: LlmDesk, simulator: SimulatorServer
) -> None:
    simulator.llm.say(HOLD)
    fault = simulator.faults.switch_on("llm", "429", retry_after=0.3)
    threading.Timer(0.15, lambda: simulator.faults.switch_off(fault)).start()
    started = time.monotonic()
    decide(desk.trader(retries=1))
    assert time.monotonic() - started >= 0.3
    assert [row.status for row in recorded(desk)] == ["http_error", "ok"]


# ------------------------------------------------------------------------------------- budgets


def test_ten_calls_a_day_are_ten_calls(
    desk: LlmDesk, simulator: SimulatorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Repeats, repairs and the search for a form count; then the model holds, until midnight UTC."""
    monkeypatch.setattr("llm_calls.FIRST_PAUSE_SECONDS", 0.01)
    simulator.faults.switch_on("llm", "no_json_schema")
    decide(desk.trader(daily_calls=10))  # two calls: the form is found out
    failing = simulator.faults.switch_on("llm", "500")
    with pytest.raises(LLMError):
        decide(desk.trader(daily_calls=10, retries=2))  # three
    simulator.faults.switch_off(failing)
    simulator.llm.say("What?", HOLD)
    decide(desk.trader(daily_calls=10))  # two: an answer and its repair
    decisions = [bool(decide(desk.trader(daily_calls=10))) for _ in range(6)]  # three more
    assert decisions == [True, True, True, False, False, False]
    sent = [row for row in recorded(desk) if row.sent_at is not None]
    assert len(sent) == 10
    assert [row.status for row in recorded(desk)][-3:] == ["budget"] * 3
    assert calls_made(simulator) == 10 - 3  # three 500s never came as far as a question
    desk.wall_clock.set(NOW_MS + DAY_MS)
    assert decide(desk.trader(daily_calls=10))


def test_calls_side_by_side_cannot_exceed_the_budget(
    desk: LlmDesk, simulator: SimulatorServer
) -> None:
    """A model and its replicas have one budget."""
    with desk.database.transaction() as connection:
        replicas = [
            models.add(
                connection,
                replace(
                    desk.model,
                    id=0,
                    name=f"An LLM #{n}",
                    replica_of=desk.model.id,
                    replica_number=n,
                ),
                NOW_MS,
            )
            for n in (2, 3)
        ]
    traders = [
        desk.trader(model=model, daily_calls=5)
        for model in (desk.model, *replicas)
        for _ in range(5)
    ]

    def run(trader: EnhancedAITrader) -> Decisions:
        try:
            return decide(trader)
        finally:
            desk.database.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(run, traders))
    assert calls_made(simulator) == 5
    spent = conversations.spent_on_day(desk.database.connection, desk.model.id, NOW_MS)
    assert spent.calls == 5


@pytest.mark.kill
def test_a_process_that_is_killed_in_a_call_has_spent_it(
    tmp_path: Path, simulator: SimulatorServer
) -> None:
    simulator.faults.clear()
    simulator.llm.asked.clear()
    slow = simulator.faults.switch_on("llm", "slow", seconds=0.5)
    path = tmp_path / "killed.db"
    command = [sys.executable, str(TARGET), str(path), simulator.llm_url]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "asking\n"
        database = database_at(path)
        _wait_until(lambda: conversations.list_conversations(database.connection, 1) != [])
        process.kill()
    simulator.faults.switch_off(slow)
    (left,) = conversations.list_conversations(database.connection, 1)
    assert (left.status, left.answer) == ("sent", None)
    spent = conversations.spent_on_day(database.connection, 1, NOW_MS)
    assert spent.calls == 1
    assert spent.tokens > 0
    with database.transaction() as connection:
        conversations.interrupt_sent(connection, 1, NOW_MS + 2 * HOUR_MS)
    (left,) = conversations.list_conversations(database.connection, 1)
    assert left.status == "interrupted"
    assert conversations.spent_on_day(database.connection, 1, NOW_MS) == spent
    database.close()


def _wait_until(reached: Callable[[], bool]) -> None:
    for _ in range(500):
        if reached():
            return
        time.sleep(0.01)
    raise AssertionError("it did not happen within five seconds")


@pytest.mark.parametrize("limited", ["daily_tokens", "daily_cost"])
def test_tokens_and_money_are_limited_by_what_a_call_may_use(
    desk: LlmDesk, simulator: SimulatorServer, limited: str
) -> None:
    """A call reserves its prompt and its longest answer; what it did not use comes back."""
    decide(desk.trader())
    reserved = desk.database.connection.execute("SELECT * FROM conversations").fetchone()
    most = reserved["reserved_tokens" if limited == "daily_tokens" else "reserved_cost"]
    desk.wall_clock.set(NOW_MS + DAY_MS)
    assert decide(desk.trader(**{limited: most}))
    assert decide(desk.trader(**{limited: most})) == {}
    assert calls_made(simulator) == 2
    used = conversations.spent_on_day(desk.database.connection, desk.model.id, NOW_MS + DAY_MS)
    assert 0 < used.tokens < reserved["reserved_tokens"]
    assert 0 < used.cost < Decimal(reserved["reserved_cost"])


@pytest.mark.parametrize(("fault", "used"), [("401", False), ("429", False), ("500", True)])
def test_a_call_that_was_refused_gives_back_what_it_reserved(
    desk: LlmDesk, simulator: SimulatorServer, fault: str, used: bool
) -> None:
    """It stays one of the day's calls; of a server's error nobody knows what it has cost."""
    simulator.faults.switch_on("llm", fault)
    with pytest.raises(LLMError):
        decide(desk.trader())
    spent = conversations.spent_on_day(desk.database.connection, desk.model.id, NOW_MS)
    assert spent.calls == 1
    assert (spent.tokens > 0) is used
    assert (spent.cost > 0) is used


def test_a_slow_answer_is_a_timeout(desk: LlmDesk, simulator: SimulatorServer) -> None:
    simulator.faults.switch_on("llm", "slow", seconds=1)
    trader = desk.trader()
    trader.params = trader.params.model_copy(update={"timeout_seconds": 0.2})
    with pytest.raises(LLMError):
        decide(trader)
    (row,) = recorded(desk)
    assert (row.status, row.error_code, row.answer) == ("timeout", "llm_timeout", "")


def test_a_budget_of_no_calls_makes_none(desk: LlmDesk, simulator: SimulatorServer) -> None:
    assert decide(desk.trader(daily_calls=0)) == {}
    assert calls_made(simulator) == 0


def test_a_limit_of_money_without_prices_makes_no_call(
    desk: LlmDesk, simulator: SimulatorServer
) -> None:
    desk.provider = replace(desk.provider, prices={})
    assert decide(desk.trader(daily_cost="5")) == {}
    assert calls_made(simulator) == 0
    assert "prices are not known" in (recorded(desk)[0].error or "")


def test_a_clock_set_back_frees_nothing(desk: LlmDesk, simulator: SimulatorServer) -> None:
    decide(desk.trader(daily_calls=1))
    desk.wall_clock.set(NOW_MS - 2 * DAY_MS)
    assert decide(desk.trader(daily_calls=1)) == {}
    assert calls_made(simulator) == 1


# ------------------------------------------------------------------------------ the kill switch


def test_no_call_is_made_while_calls_are_stopped(desk: LlmDesk, simulator: SimulatorServer) -> None:
    desk.halted = True
    assert decide(desk.trader()) == {}
    assert calls_made(simulator) == 0
    (row,) = recorded(desk)
    assert (row.status, row.sent_at) == ("halted", None)


def test_an_answer_that_comes_after_the_stop_enters_nothing(
    desk: LlmDesk, simulator: SimulatorServer
) -> None:
    simulator.llm.say(LONG)
    allowed = iter([True, False])
    assert decide(desk.trader(may_call=lambda: next(allowed))) == {}
    assert recorded(desk)[0].answer == LONG


def test_an_answer_that_is_waited_for_when_calls_stop_is_given_up_and_spent(
    desk: LlmDesk, simulator: SimulatorServer
) -> None:
    simulator.faults.switch_on("llm", "slow", seconds=5)

    def stop() -> None:
        desk.halted = True

    threading.Timer(0.2, stop).start()
    started = time.monotonic()
    assert decide(desk.trader(retries=3)) == {}
    assert time.monotonic() - started < 1
    (row,) = recorded(desk)
    assert (row.status, row.answer) == ("interrupted", "")
    spent = conversations.spent_on_day(
        desk.database.connection, desk.model.id, desk.wall_clock.now_ms()
    )
    assert spent.calls == 1
    assert spent.tokens > ASSUMED_OUTPUT_TOKENS


def test_a_pause_between_calls_ends_with_the_stop(
    desk: LlmDesk, simulator: SimulatorServer
) -> None:
    simulator.faults.switch_on("llm", "429", retry_after=60)

    def stop() -> None:
        desk.halted = True

    threading.Timer(0.2, stop).start()
    started = time.monotonic()
    assert decide(desk.trader(retries=3)) == {}
    assert time.monotonic() - started < 1
    assert [row.status for row in recorded(desk)] == ["http_error", "halted"]


# ------------------------------------------------------------------------------ a planted key


def test_the_key_is_in_no_row_prompt_error_or_log(
    desk: LlmDesk, simulator: SimulatorServer, caplog: pytest.LogCaptureFixture
) -> None:
    """The provider names it in an error, and a model repeats it: it is stored nowhere."""
    with caplog.at_level(logging.DEBUG):
        simulator.llm.say(f'The key is {KEY}. {{"BTC": {{"signal": "{KEY}"}}}}', HOLD)
        decide(desk.trader())
        errors = []
        for fault in ("401", "500", "down", "not_json", "garbage"):
            simulator.faults.switch_on("llm", fault)
            with pytest.raises((LLMError, AnswerUnusable)) as failed:
                decide(desk.trader())
            errors.append(f"{failed.value!r} {failed.value.message}")
            simulator.faults.clear()
    rows = desk.database.connection.execute("SELECT * FROM conversations").fetchall()
    assert len(rows) == 8
    for text in (*errors, caplog.text, *(str(tuple(row)) for row in rows), repr(desk.provider)):
        assert KEY not in text
    desk.database.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert KEY.encode() not in desk.database.path.read_bytes()


def test_a_clock_of_the_market_does_not_count_the_days(tmp_path: Path) -> None:
    """The budget's day is the wall's: the demo's market lives a month in one."""
    database = database_at(tmp_path / "days.db")
    trader = LlmDesk(database, "http://127.0.0.1:9/v1", ManualClock(NOW_MS + 5)).trader()
    assert trader._wall_clock.now_ms() == NOW_MS + 5
    database.close()
