"""What a report says of chance, in short: `python -m benchmarks.honesty` plays 200 markets."""

from benchmarks.honesty import Honesty, measure


def test_intervals_hold_the_truth_and_luck_is_evenly_spread_for_a_random_trader():
    found = measure(seeds=60, days=60)
    assert 52 <= found.covered <= 60, found.lines()
    assert found.distance < 1.36 / 60**0.5, found.lines()


def test_a_luck_test_that_always_says_the_same_is_far_from_even():
    assert Honesty(100, 95, (0.5,) * 100).distance == 0.5
