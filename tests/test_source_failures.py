"""What every fetcher does when its source cannot be reached, is slow, or speaks something else."""

import socket
import threading
import time

import pytest
from scripted_venue import ScriptedVenue
from source_cases import SOURCES, Question, SourceCase, assert_no_key_in

from errors import SourceBadAnswer, SourceRateLimited, SourceUnavailable

every_source = pytest.mark.parametrize("case", SOURCES, ids=[case.name for case in SOURCES])
every_question = pytest.mark.parametrize(
    ("case", "question"),
    [(case, question) for case in SOURCES for question in case.questions.values()],
    ids=[f"{case.name} {name}" for case in SOURCES for name in case.questions],
)


@every_question
def test_an_answer_that_breaks_off_is_unavailable(
    venue: ScriptedVenue, case: SourceCase, question: Question
):
    for status in (200, 400):
        venue.says({}, status, Content_Length="1000")  # and then nothing more
        with pytest.raises(SourceUnavailable) as broken:
            question(case.make(venue.url, 0.3))
        assert_no_key_in(broken.value)


@every_question
def test_a_slow_answer_is_unavailable_after_one_attempt(
    venue: ScriptedVenue, case: SourceCase, question: Question
):
    venue.delay = 1.0
    fetcher = case.make(venue.url, 0.3)
    started = time.perf_counter()
    with pytest.raises(SourceUnavailable, match=f"{case.name} did not answer in time") as slow:
        question(fetcher)
    assert time.perf_counter() - started < 0.95
    assert len(venue.paths) == 1
    assert_no_key_in(slow.value)


@every_question
def test_no_connection_is_unavailable(case: SourceCase, question: Question):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    with pytest.raises(SourceUnavailable, match=f"{case.name} cannot be reached") as unreachable:
        question(case.make(url, 4.0))
    assert_no_key_in(unreachable.value)


@every_source
def test_a_redirect_is_not_followed(venue: ScriptedVenue, case: SourceCase):
    venue.says(b"", 302, Location=f"{venue.url}/elsewhere")
    fetcher = case.make(venue.url, 4.0)
    for question in case.questions.values():
        with pytest.raises(SourceBadAnswer, match="302"):
            question(fetcher)
    assert not any("elsewhere" in path for path in venue.paths)


@every_source
def test_what_is_not_http_is_unavailable(case: SourceCase):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def talk() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"220 mail.example.com ESMTP\r\n")

        threading.Thread(target=talk, daemon=True).start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(SourceUnavailable):
            case.questions["price"](case.make(url, 4.0))


@every_source
@pytest.mark.parametrize(
    ("header", "seconds"), [("17", 17.0), ("", None), ("soon", None), ("-1", None), ("nan", None)]
)
def test_retry_after_is_handed_on(
    venue: ScriptedVenue, case: SourceCase, header: str, seconds: float | None
):
    venue.says({}, 429, Retry_After=header)
    with pytest.raises(SourceRateLimited) as limited:
        case.questions["price"](case.make(venue.url, 4.0))
    assert limited.value.retry_after == seconds
    assert len(venue.paths) == 1
