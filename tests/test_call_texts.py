"""Texts of calls: stored small, read as they were, forgotten after their days; figures stay."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from llm_inputs import NOW_MS, database_at

from audit_log import THE_APP
from call_texts import forget_old_texts
from clock import ManualClock
from database import Database
from domain import DAY_MS
from llm_usage import Usage
from owner_settings import SettingsStore
from repositories import conversations
from repositories.conversations import FinishedConversation, NewConversation

PROMPT = "\n".join(f"BTC {price} 行情 {price * 1.7:.2f}" for price in range(60_000, 61_000))
CALL = NewConversation(
    1, 1, None, NOW_MS, "Simulated", "sim-steady", "en-1", "You trade.", PROMPT
)  # fmt: skip


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = database_at(tmp_path / "calls.db")
    with database.transaction() as connection:
        connection.execute(
            "INSERT INTO models (id, name, trader, params, initial_capital, interval, "
            "cycle_minutes, risk, enabled, created_at, updated_at) "
            "VALUES (1, 'One', 'ai', '{}', '10000', '1h', 60, 'balanced', 1, 0, 0)"
        )
    yield database
    database.close()


def called(database: Database, timestamp: int, answer: str = "[]") -> int:
    with database.transaction() as connection:
        row = conversations.add_sent(connection, replace(CALL, timestamp=timestamp), timestamp)
        done = FinishedConversation("ok", answer, "It rises.", usage=Usage(5000, 100))
        conversations.finish(connection, row, done)
    return row


def test_long_texts_take_a_third_of_their_room_and_come_back_as_they_were(database: Database):
    row = called(database, NOW_MS, PROMPT)
    (stored,) = database.connection.execute("SELECT prompt, answer FROM conversations")
    assert len(stored["prompt"]) < len(PROMPT.encode()) / 3
    assert isinstance(stored["answer"], bytes)
    call = conversations.get(database.connection, row)
    assert (call.system_prompt, call.prompt) == ("You trade.", PROMPT)
    assert (call.answer, call.reasoning) == (PROMPT, "It rises.")


def test_texts_that_were_stored_before_are_read_as_they_are(database: Database):
    row = called(database, NOW_MS)
    database.connection.execute("UPDATE conversations SET prompt = ?", (PROMPT,))
    assert conversations.get(database.connection, row).prompt == PROMPT


def test_old_texts_are_forgotten_and_their_figures_stay(database: Database):
    old, young = called(database, NOW_MS - 31 * DAY_MS), called(database, NOW_MS - 29 * DAY_MS)
    settings = SettingsStore(database, 0.001)
    assert forget_old_texts(database, settings, ManualClock(NOW_MS)) == 0
    settings.change({"llm_text_days": 30}, THE_APP)
    assert forget_old_texts(database, settings, ManualClock(NOW_MS)) == 1
    forgotten = conversations.get(database.connection, old)
    texts = (forgotten.system_prompt, forgotten.prompt, forgotten.answer, forgotten.reasoning)
    assert texts == (None, None, None, None)
    assert (forgotten.input_tokens, forgotten.output_tokens) == (5000, 100)
    assert conversations.get(database.connection, young).prompt == PROMPT
    assert forget_old_texts(database, settings, ManualClock(NOW_MS)) == 0


def test_what_an_import_brought_is_kept(database: Database):
    with database.transaction() as connection:
        connection.execute(
            "INSERT INTO conversations (model_id, timestamp, prompt, answer) VALUES (1, 0, 'Q', 'A')"
        )
    assert forget_old_texts(database, SettingsStore(database, 0.001), ManualClock(NOW_MS)) == 0


def test_what_was_not_sent_has_no_texts(database: Database):
    with database.transaction() as connection:
        row = conversations.add_unsent(connection, CALL, "budget", "budget", "Spent.")
    call = conversations.get(database.connection, row)
    assert (call.prompt, call.system_prompt, call.error) == (None, None, "Spent.")
