"""A stream's bars: each closed once, in order, as the market has it, however time leaps."""

from __future__ import annotations

from functools import partial

from hypothesis import given, settings
from hypothesis import strategies as st

from domain import DAY_MS, HOUR_MS, MINUTE_MS
from exchange_simulator import intervals
from exchange_simulator.bar_feed import BarFeed
from exchange_simulator.generated_market import GeneratedMarket

NOW_MS = 1_717_245_296_789  # 2024-06-01T12:34:56.789Z, a Saturday
MARKET = GeneratedMarket(seed=7)
Sent = tuple[int, tuple[int, ...], bool]


def feed_of(interval: str, sent: list[Sent]) -> BarFeed:
    """A feed that also keeps what it has made: open time, columns, whether it has closed."""

    def write(open_ms: int, column: list[int], has_closed: bool, now_ms: int) -> str:
        sent.append((open_ms, tuple(column), has_closed))
        return ""

    return BarFeed(
        seen=lambda now_ms: now_ms,
        floor=partial(intervals.floor, interval),
        end=lambda open_ms: intervals.shift(interval, open_ms, 1),
        bars_since=lambda start_ms, count, now_ms: MARKET.bars_from(
            "BTCUSDT", interval, start_ms, now_ms, count, now_ms
        ),
        write=write,
    )


def leaps(longest_ms: int) -> st.SearchStrategy[list[int]]:
    return st.lists(
        st.one_of(st.integers(0, 2 * MINUTE_MS), st.integers(0, longest_ms)),
        min_size=1,
        max_size=12,
    )


@settings(max_examples=60, deadline=None)
@given(interval=st.sampled_from(["1m", "5m", "1h", "1d", "1M"]), steps=leaps(3 * HOUR_MS))
def test_every_bar_closes_once_and_the_open_one_is_last(interval: str, steps: list[int]):
    sent: list[Sent] = []
    feed = feed_of(interval, sent)
    now_ms = NOW_MS
    position = feed.start(now_ms)
    for step in steps:
        now_ms += step
        _, position = feed.due(position, now_ms)
        assert sent[-1][2] is False
    first, current = intervals.floor(interval, NOW_MS), intervals.floor(interval, now_ms)
    market = MARKET.bars_from("BTCUSDT", interval, first, current - 1, 10**6, now_ms)
    closed = [(open_ms, column) for open_ms, column, has_closed in sent if has_closed]
    columns = [tuple(column) for column in market.columns.T.tolist()]
    assert closed == list(zip(market.open_time.tolist(), columns, strict=True))
    assert (sent[-1][0], position) == (current, current)


def test_long_arrears_come_in_parts():
    sent: list[Sent] = []
    feed = feed_of("1m", sent)
    position, now_ms = feed.start(NOW_MS), NOW_MS + 2 * DAY_MS
    sizes = []
    while not sent or sent[-1][2]:
        texts, position = feed.due(position, now_ms)
        sizes.append(len(texts))
    assert sizes == [1000, 1000, 881]
    assert [time_ms for time_ms, _, _ in sent] == list(range(sent[0][0], now_ms, MINUTE_MS))
