"""Lines of the log: text or JSON, without a key, each with the ids of what it is about."""

from __future__ import annotations

import io
import json
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import pytest
from flask import Flask
from trading_world import World, buy, opened_world

from log_context import current_ids, logged_with, with_these_ids
from log_lines import JsonLines, LogTerms, TextLines, log_what_nobody_caught, write_log
from redaction import Redactor

KEY = "my-very-own-key-42"


class Written:
    """A handler's lines, and the logger that writes them."""

    def __init__(self, form: logging.Formatter):
        self.text = io.StringIO()
        self.handler = logging.StreamHandler(self.text)
        self.handler.setFormatter(form)
        self.redactor = Redactor()
        self.redactor.learn(KEY)
        self.handler.addFilter(self.redactor)
        self.logger = logging.Logger("somebody", logging.DEBUG)
        self.logger.addHandler(self.handler)

    def objects(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.getvalue().splitlines()]


@pytest.fixture
def as_json() -> Written:
    return Written(JsonLines())


@pytest.fixture
def root_as_json() -> Iterator[Written]:
    """Whatever the process logs at DEBUG."""
    written, root = Written(JsonLines()), logging.getLogger()
    level = root.level
    root.addHandler(written.handler)
    root.setLevel(logging.DEBUG)
    yield written
    root.removeHandler(written.handler)
    root.setLevel(level)


def test_a_line_of_json_says_when_how_bad_who_and_what(as_json: Written):
    as_json.logger.info("cut %s, 行情 \n", KEY, extra={"headers": {"x-api-key": KEY}})
    (line,) = as_json.objects()
    assert line.pop("time").endswith("Z")
    assert line == {"level": "INFO", "logger": "somebody", "message": "cut …, 行情 \n"}
    assert "行情" in as_json.text.getvalue()


def test_a_trace_is_in_its_line_without_a_key(as_json: Written):
    try:
        raise ValueError(f"bad key {KEY}")
    except ValueError:
        as_json.logger.exception("failed", stack_info=True)
    (line,) = as_json.objects()
    assert line["exception"].endswith("ValueError: bad key …")
    assert line["stack"].startswith("Stack (most recent call last)")


def test_text_is_one_line_whatever_it_says():
    written = Written(TextLines())
    with logged_with(cycle_id=7):
        written.logger.warning("no\n2026-01-01 INFO forged: \x1b[31mline")
    assert written.text.getvalue().count("\n") == 1
    assert written.text.getvalue().endswith(
        r"WARNING somebody: no\n2026-01-01 INFO forged: \x1b[31mline [cycle_id=7]" + "\n"
    )


def test_what_a_library_logs_wrongly_stops_nobody(as_json: Written):
    as_json.logger.debug("%d bytes", f"many of {KEY}")
    assert as_json.objects()[0]["message"] == "'%d bytes' ('many of …',)"


@pytest.mark.parametrize("secret", ["pass word&'s\\way", "пароль-длинный", 'a"quoted"one'])
def test_a_secret_is_cut_in_every_spelling(as_json: Written, secret: str):
    as_json.redactor.learn(secret)
    body = {"said": secret}
    as_json.logger.info("%s %r %s", secret, secret, json.dumps(body))
    as_json.logger.info("%r %s", secret.encode(), json.dumps(body, ensure_ascii=False))
    as_json.logger.info("/x?q=%s", quote_plus(secret))
    messages = [line["message"] for line in as_json.objects()]
    assert sum(message.count("…") for message in messages) == 6
    assert not any(part in "".join(messages) for part in (secret, "way", "quoted", "%D0"))


def test_ids_nest_end_and_go_to_other_threads_where_they_are_carried():
    seen: list[dict[str, Any]] = []
    with logged_with(request_id="r"):
        with logged_with(cycle_id=1, model_id=2):
            carried = with_these_ids(lambda: seen.append(dict(current_ids())))
        assert current_ids() == {"request_id": "r"}
    for work in (carried, lambda: seen.append(dict(current_ids()))):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert seen == [{"request_id": "r", "cycle_id": 1, "model_id": 2}, {}]


def test_every_line_of_a_cycle_carries_its_id(tmp_path: Path, root_as_json: Written):
    """Of the trader, of the threads that ask sources, of what is booked, and of failures."""
    for world in opened_world(tmp_path):
        tell_of_questions(world)
        world.trader.before_answering = lambda: logging.getLogger("trader").debug("thinking")
        done = world.cycle({"BTC": buy()}).cycle
        world.trader.before_answering = lambda: 1 / 0  # type: ignore[assignment]
        failed = world.cycle().cycle
    lines = root_as_json.objects()
    assert {"trader", "source", "model_books", "trading_engine"} <= {row["logger"] for row in lines}
    ids = [(row.get("cycle_id"), row.get("model_id")) for row in lines]
    assert sorted(set(ids)) == [(done.id, 1), (failed.id, 1)]
    assert lines[-1]["exception"].endswith("division by zero")


def tell_of_questions(world: World) -> None:
    """Let the source log as a venue's SDK does: in the thread that asks it."""
    asked = world.source.prices

    def prices(symbols: Any) -> Any:
        logging.getLogger("source").debug("asked for %s", symbols)
        return asked(symbols)

    world.source.prices = prices  # type: ignore[method-assign]


def test_a_request_has_a_number_that_its_lines_carry(offline_app: Flask, root_as_json: Written):
    client = offline_app.test_client()
    answers = [client.get("/api/market/prices?coins=BTC"), client.get("/api/coins/99")]
    numbers = [answer.headers["X-Request-ID"] for answer in answers]
    assert len(set(numbers)) == 2
    logged = {row.get("request_id") for row in root_as_json.objects()}
    assert numbers[0] in logged  # that no source answers
    assert current_ids() == {}


def test_the_process_writes_as_it_is_told(monkeypatch: pytest.MonkeyPatch):
    root, text = logging.getLogger(), io.StringIO()
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(root, "level", root.level)
    monkeypatch.setattr("sys.stderr", text)
    libraries = ("httpx2", "binance.ws")
    before = {name: logging.getLogger(name).level for name in libraries}
    try:
        write_log(LogTerms("DEBUG", "json", "WARNING")).learn(KEY)
        logging.getLogger("httpx2").info("a request")
        logging.getLogger("binance.ws").error("mended by its supervisor")
        logging.getLogger("app").debug("asked with %s", KEY)
        assert [json.loads(line)["message"] for line in text.getvalue().splitlines()] == [
            "asked with …"
        ]
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)


def test_what_ends_a_thread_is_a_line_of_the_log(
    root_as_json: Written, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    log_what_nobody_caught()
    logging.captureWarnings(capture=False)

    def dies() -> None:
        raise ValueError(f"bad key {KEY}")

    thread = threading.Thread(target=dies, name="watch")
    thread.start()
    thread.join()
    (line,) = root_as_json.objects()
    assert (line["level"], line["message"]) == ("CRITICAL", "the thread watch has died")
    assert line["exception"].endswith("bad key …")
