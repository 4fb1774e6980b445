"""A market made from a seed: any time since a coin's listing, any interval, always the same.

Every bar is the aggregate of its 1-minute bars. Days of minutes are drawn when they are asked
for and kept while they are in use; hours, much smaller, are drawn some days at once and kept
longer, and all bars of an hour and more are built of those. A delisted pair is seen for ever as
in its last moment.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

import numpy as np

from domain import DAY_MS, HOUR_MS, MINUTE_MS, TimeArray
from exchange_simulator import intervals
from exchange_simulator.bars import CLOSE, Bars, Columns, aggregate, formed_so_far, seen_at
from exchange_simulator.coins import Coin, known_coins
from exchange_simulator.market import Listing, RollingDay, summarise_day
from exchange_simulator.price_process import PriceProcess

MINUTE_DAYS_KEPT = 512  # 104 kB each: two days of every coin and room for charts
DAYS_OF_HOURS = 8  # drawn at once: as many as the processor keeps at hand
HOURS_KEPT = 4096  # 14 kB each: 90 years of hours


class GeneratedMarket:
    """A `Market` of `coins` (all known ones unless given), drawn from `seed` ≥ 0."""

    kind = "generated"

    def __init__(self, seed: int, coins: Sequence[Coin] | None = None):
        self.seed = seed
        chosen = known_coins() if coins is None else coins
        self._coins = {coin.listing.symbol: coin for coin in chosen}
        self._process = PriceProcess(seed)
        self._minute_day = lru_cache(maxsize=MINUTE_DAYS_KEPT)(self._draw_minute_day)
        self._kept_hour_days = lru_cache(maxsize=HOURS_KEPT)(self._draw_hour_days)
        self._drawing = threading.Lock()

    def listings(self, now_ms: int) -> Mapping[str, Listing]:
        """The pairs that have been listed by `now_ms`, by symbol."""
        return {
            symbol: coin.listing
            for symbol, coin in self._coins.items()
            if coin.listing.listed_ms <= now_ms
        }

    def bars_from(
        self, symbol: str, interval: str, start_ms: int, end_ms: int, limit: int, now_ms: int
    ) -> Bars:
        """The first `limit` bars with start_ms ≤ open_time ≤ end_ms."""
        coin = self._coins[symbol]
        now_ms = _last_seen(coin, now_ms)
        end_ms = min(end_ms, now_ms)
        if start_ms > end_ms:
            intervals.floor(interval, 0)  # refuses an unknown interval all the same
            return Bars.empty()
        listed = intervals.floor(interval, coin.listing.listed_ms)
        first = max(intervals.ceil(interval, max(start_ms, 0)), listed)
        last = min(intervals.floor(interval, end_ms), intervals.shift(interval, first, limit - 1))
        return self._bars(coin, interval, first, last, now_ms)

    def bars_until(self, symbol: str, interval: str, end_ms: int, limit: int, now_ms: int) -> Bars:
        """The last `limit` bars with open_time ≤ end_ms."""
        coin = self._coins[symbol]
        now_ms = _last_seen(coin, now_ms)
        last = intervals.floor(interval, min(end_ms, now_ms))
        listed = intervals.floor(interval, coin.listing.listed_ms)
        first = max(intervals.shift(interval, last, 1 - limit), listed)
        return self._bars(coin, interval, first, last, now_ms)

    def price(self, symbol: str, now_ms: int) -> int:
        """The last price in ticks; of a delisted pair that of its last moment."""
        coin = self._coins[symbol]
        day, time_of_day = divmod(_last_seen(coin, now_ms), DAY_MS)
        minute, elapsed_ms = divmod(time_of_day, MINUTE_MS)
        bar = self._minute_day(coin, day)[:, minute].tolist()
        return formed_so_far(bar, elapsed_ms, MINUTE_MS)[CLOSE]

    def rolling_day(self, symbol: str, now_ms: int) -> RollingDay:
        """The last 24 hours, to the minute."""
        coin = self._coins[symbol]
        start_ms, seen_ms = intervals.ceil("1m", now_ms - DAY_MS), _last_seen(coin, now_ms)
        minutes = self._minutes_seen(coin, start_ms, seen_ms + 1, seen_ms)
        return summarise_day(minutes, self.price(symbol, now_ms), now_ms)

    def _bars(self, coin: Coin, interval: str, first: int, last: int, now_ms: int) -> Bars:
        """The bars that open from `first` to `last`, the one around `now_ms` as it forms."""
        if first > last:
            return Bars.empty()
        end_ms = intervals.shift(interval, last, 1)
        start_ms, pieces = first, []
        if intervals.FIXED_MS.get(interval, DAY_MS) >= HOUR_MS:
            whole_hours_end = min(end_ms, now_ms - now_ms % HOUR_MS)
            pieces.append(self._hours(coin, first, whole_hours_end))
            start_ms = max(first, whole_hours_end)
        pieces.append(self._minutes_seen(coin, start_ms, end_ms, now_ms))
        opens = intervals.open_times(interval, first, last)
        return aggregate(Bars.joined(pieces), opens)

    def _minutes_seen(self, coin: Coin, start_ms: int, end_ms: int, now_ms: int) -> Bars:
        """1-minute bars with start_ms ≤ open_time < end_ms, the one around `now_ms` as it forms."""
        end_ms = min(end_ms, now_ms + 1)
        minutes = _put_together(self._minute_day, 1, MINUTE_MS, coin, start_ms, end_ms)
        return seen_at(minutes, now_ms, MINUTE_MS)

    def _hours(self, coin: Coin, start_ms: int, end_ms: int) -> Bars:
        return _put_together(self._hour_days, DAYS_OF_HOURS, HOUR_MS, coin, start_ms, end_ms)

    def _draw_minute_day(self, coin: Coin, day: int) -> Columns:
        columns = self._process.minutes(coin, day)
        columns.setflags(write=False)
        return columns

    def _hour_days(self, coin: Coin, stretch: int) -> Columns:
        """Drawn once, where several ask for years of them at the same time."""
        with self._drawing:
            return self._kept_hour_days(coin, stretch)

    def _draw_hour_days(self, coin: Coin, stretch: int) -> Columns:
        minutes = self._process.minutes(coin, stretch * DAYS_OF_HOURS, DAYS_OF_HOURS)
        length_ms = DAYS_OF_HOURS * DAY_MS
        minute_opens = np.arange(0, length_ms, MINUTE_MS, dtype=np.int64)
        hour_opens = np.arange(0, length_ms, HOUR_MS, dtype=np.int64)
        columns = aggregate(Bars(minute_opens, minutes), hour_opens).columns
        columns.setflags(write=False)
        return columns


def _put_together(
    stretch_columns: Callable[[Coin, int], Columns],
    stretch_days: int,
    length_ms: int,
    coin: Coin,
    start_ms: int,
    end_ms: int,
) -> Bars:
    """Bars of `length_ms` with start_ms ≤ open_time < end_ms, out of whole stretches of days."""
    start_ms = max(start_ms, coin.listing.listed_ms)
    if start_ms >= end_ms:
        return Bars.empty()
    stretch_ms = stretch_days * DAY_MS
    first, last = start_ms // stretch_ms, (end_ms - 1) // stretch_ms
    stretches = [stretch_columns(coin, stretch) for stretch in range(first, last + 1)]
    columns = stretches[0] if len(stretches) == 1 else np.concatenate(stretches, axis=1)
    opens: TimeArray = np.arange(
        first * stretch_ms, (last + 1) * stretch_ms, length_ms, dtype=np.int64
    )
    return Bars(opens, columns).between(start_ms, end_ms)


def _last_seen(coin: Coin, now_ms: int) -> int:
    """`now_ms`, or the last millisecond in which the coin was traded."""
    delisted_ms = coin.listing.delisted_ms
    return now_ms if delisted_ms is None else min(now_ms, delisted_ms - 1)
