"""How a bar looks while it is open."""

from hypothesis import given
from hypothesis import strategies as st

from domain import HOUR_MS, MINUTE_MS
from exchange_simulator.bars import CLOSE, HIGH, LOW, OPEN, VOLUME, formed_so_far

LENGTHS = st.sampled_from([MINUTE_MS, HOUR_MS])


@st.composite
def bars(draw: st.DrawFn) -> list[int]:
    low, first, last, high = sorted(draw(st.tuples(*[st.integers(1, 10**9)] * 4)))
    first, last = draw(st.sampled_from([(first, last), (last, first)]))
    return [first, high, low, last, *draw(st.tuples(*[st.integers(0, 10**12)] * 5))]


@given(bars(), LENGTHS)
def test_it_begins_at_its_open_and_is_itself_in_its_last_millisecond(bar: list[int], length: int):
    assert formed_so_far(bar, 0, length)[: CLOSE + 1] == [bar[OPEN]] * 4
    assert formed_so_far(bar, length - 1, length) == bar


@given(bars(), LENGTHS, st.data())
def test_it_only_grows_and_stays_inside(bar: list[int], length: int, data: st.DataObject):
    moments = sorted(data.draw(st.lists(st.integers(0, length - 1), min_size=2, max_size=5)))
    seen = [formed_so_far(bar, elapsed, length) for elapsed in moments]
    for earlier, later in zip(seen, [*seen[1:], bar], strict=True):
        assert later[LOW] <= earlier[LOW] <= earlier[CLOSE] <= earlier[HIGH] <= later[HIGH]
        assert all(a <= b for a, b in zip(earlier[VOLUME:], later[VOLUME:], strict=True))
