"""How long the one who asks waits, and what becomes of questions that are left behind."""

import threading
import time

import pytest

import time_budget
from errors import SourceUnavailable
from single_flight import SingleFlight
from time_budget import NOT_ASKED, Askers, Patience, TimeBudget, for_history, patience, patient


def test_a_budget_is_shared_by_those_who_may_have_to_answer():
    budget = TimeBudget(6)
    with budget.share(3):
        assert 1.9 < patience().seconds_left <= 2
        assert not patience().queues
    with budget.share(2):
        assert 2.9 < patience().seconds_left <= 3
    with budget.share(1):  # what the others have not used
        assert 5.9 < patience().seconds_left <= 6
        assert patience().queues


def test_history_has_the_patience_that_it_is_given():
    with for_history(300):
        asking = patience()
        assert (asking.is_history, asking.queues) == (True, True)
        assert asking.seconds_left > 299
    assert not patience().is_history


def test_an_answer_or_its_error_comes_from_the_other_thread_with_the_same_patience():
    def answer() -> tuple[str, float]:
        return threading.current_thread().name, patience().until

    with TimeBudget(5).share(1):
        asking = patience()
        assert Askers("venue").ask(answer) == ("ask-venue", asking.until)
    with pytest.raises(ZeroDivisionError):
        Askers("venue").ask(lambda: 1 // 0)


def test_a_time_out_of_the_questions_own_is_handed_on():
    def times_out() -> None:
        raise TimeoutError("its own")

    with pytest.raises(TimeoutError, match="its own"):
        Askers("venue").ask(times_out)


def test_so_many_are_left_behind_and_no_more(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(time_budget, "MOST_LEFT_BEHIND", 2)
    askers, released = Askers("venue"), threading.Event()

    def ask() -> str:
        with patient(Patience(time.monotonic() + 0.1)), pytest.raises(SourceUnavailable) as late:
            askers.ask(lambda: released.wait(10))
        return late.value.message

    assert [ask() for _ in range(3)] == [
        "venue did not answer in 0.1 s.",
        "venue did not answer in 0.1 s.",
        "venue has left too many questions unanswered.",
    ]
    released.set()
    assert askers.ask(lambda: "again") == "again"


def test_without_time_nobody_is_asked():
    with TimeBudget(0).share(1), pytest.raises(SourceUnavailable) as late:
        Askers("venue").ask(lambda: pytest.fail("it was asked"))
    assert late.value.code == NOT_ASKED


def test_a_question_waits_for_another_only_so_long():
    flight, began, released = SingleFlight(), threading.Event(), threading.Event()

    def slow() -> None:
        began.set()
        released.wait(10)

    other = threading.Thread(target=flight.run, args=(slow,))
    other.start()
    began.wait(5)
    with pytest.raises(SourceUnavailable, match="earlier question"):
        flight.run(lambda: pytest.fail("it was asked"), 0.05)
    released.set()
    other.join()
