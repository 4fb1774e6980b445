"""The lengths of averages that a sweep tries: the same thousand for every subject."""

from __future__ import annotations


def moving_average_lengths() -> list[tuple[int, int]]:
    """(fast, slow) pairs in bars: 40 fast ones from 5, 25 slow ones from 50 on."""
    return [(fast, slow) for fast in range(5, 45) for slow in range(50, 175, 5)]
