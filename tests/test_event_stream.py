"""Events reach every listener of their topic, in order, and a slow one hurts nobody else."""

import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from event_stream import (
    EVENTS_KEPT,
    LISTENER_QUEUE,
    PRICES_KEPT,
    Event,
    EventStream,
    Listener,
)


def drained(listener: Listener) -> list[Event]:
    events = []
    while (event := listener.next(0)) is not None:
        events.append(event)
    return events


def ids(listener: Listener) -> list[int]:
    return [event.id for event in drained(listener)]


def test_a_listener_hears_its_topics_in_order():
    events = EventStream()
    listener = events.listen(["trade", "cycle"])
    events.publish("trade", {"coin": "BTC"})
    events.publish("price", {})
    events.publish("cycle", {"model_id": 1})
    assert drained(listener) == [
        Event(1, "trade", {"coin": "BTC"}),
        Event(3, "cycle", {"model_id": 1}),
    ]
    assert listener.next(0.01) is None


def test_a_new_listener_hears_nothing_of_before():
    events = EventStream()
    events.publish("trade", {})
    assert ids(events.listen(["trade"])) == []


def test_who_comes_back_hears_what_it_missed_first():
    events = EventStream()
    for number in range(1, 6):
        events.publish("trade" if number % 2 else "price", {})
    listener = events.listen(["trade"], after_id=1)
    events.publish("trade", {})
    assert ids(listener) == [3, 5, 6]
    assert ids(events.listen(["trade"], after_id=6)) == []


def test_who_comes_back_late_hears_what_is_kept():
    events = EventStream()
    for _ in range(EVENTS_KEPT + 10):
        events.publish("trade", {})
    assert ids(events.listen(["trade"], after_id=1)) == list(range(11, EVENTS_KEPT + 11))


def test_prices_do_not_push_out_what_is_told_once():
    events = EventStream()
    events.publish("trade", {})
    for _ in range(EVENTS_KEPT + PRICES_KEPT):
        events.publish("price", {})
    back = ids(events.listen(["trade", "price"], after_id=0))
    assert back[0] == 1
    assert len(back) == 1 + PRICES_KEPT
    assert back == sorted(back)


def test_a_topic_that_has_ended_is_forgotten():
    events = EventStream()
    events.publish("kline:BTC:1m", {})
    events.forget("kline:BTC:1m")
    events.forget("kline:BTC:1m")
    assert ids(events.listen(["kline:BTC:1m"], after_id=0)) == []


def test_who_comes_back_after_a_restart_hears_what_there_is():
    """Its last id is of another process, and says nothing about this one's events."""
    events = EventStream()
    events.publish("trade", {})
    listener = events.listen(["trade"], after_id=5000)
    events.publish("trade", {})
    assert ids(listener) == [1, 2]


def test_who_has_left_hears_nothing_more():
    events = EventStream()
    listener = events.listen(["trade"])
    assert events.listener_count == 1
    events.leave(listener)
    events.leave(listener)
    events.publish("trade", {})
    assert (ids(listener), events.listener_count) == ([], 0)


def test_a_listener_that_does_not_read_overflows_alone():
    events = EventStream()
    slow, quick = events.listen(["trade"]), events.listen(["trade"])
    heard = []
    for _ in range(LISTENER_QUEUE + 1):
        events.publish("trade", {})
        heard += ids(quick)
    assert (slow.overflowed, quick.overflowed) == (True, False)
    assert heard == list(range(1, LISTENER_QUEUE + 2))


def test_events_of_many_threads_are_numbered_without_gaps():
    events = EventStream()
    listener = events.listen(["trade"])
    with ThreadPoolExecutor(8) as threads:
        for _ in range(400):
            threads.submit(events.publish, "trade", {})
    assert ids(listener) == list(range(1, 401))


def test_closing_ends_every_listener_that_waits():
    events = EventStream()
    waiting = events.listen(["trade"])
    ended = threading.Event()

    def read() -> None:
        while not waiting.closed:
            waiting.next(30)
        ended.set()

    thread = threading.Thread(target=read)
    thread.start()
    events.close()
    assert ended.wait(5)
    thread.join()
    assert events.listen(["trade"]).closed  # nobody can begin to listen afterwards
    events.publish("trade", {})


def test_a_text_is_written_once_for_all_who_listen():
    events, written = EventStream(), []

    def write(topic: str, payload: Mapping[str, Any]) -> str:
        written.append((topic, payload["coin"]))
        return f"{topic} of {payload['coin']}"

    events.write_with(write)
    events.publish("price", {"coin": "BTC"})
    assert written == []  # nobody listens
    listeners = [events.listen(["price"]) for _ in range(50)]
    events.publish("price", {"coin": "ETH"})
    events.publish("trade", {"coin": "SOL"})
    heard = [event.text for listener in listeners for event in drained(listener)]
    assert heard == ["price of ETH"] * 50
    assert written == [("price", "ETH")]
    (first, second) = drained(events.listen(["price"], after_id=0))
    assert (first.text, second.text) == (None, None)  # who comes later is told its age by then
