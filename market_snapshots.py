"""What traders are shown, put together once: models that ask at the same bar share its candles."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from data_aggregator import MultiSourceDataAggregator
from domain import Clock, CoinMarket, Interval, KlineSeries
from errors import SourceError

DECISION_PRICE_AGE_SECONDS = 1.0
MOST_APPENDED = 10  # bars; after a longer pause all of them are read anew

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Known:
    """Closed bars up to the one that opened before `forming`; `asked` is how many were wanted."""

    series: KlineSeries
    forming: int
    asked: int


class MarketSnapshots:
    """Candles by coin and interval, kept until the next bar closes; prices are always the latest."""

    def __init__(self, data_aggregator: MultiSourceDataAggregator, clock: Clock):
        self._data_aggregator = data_aggregator
        self._clock = clock
        self._known: dict[tuple[str, Interval], _Known] = {}
        self._locks: dict[Interval, threading.Lock] = {}
        self._locks_lock = threading.Lock()

    def take(
        self,
        symbols: Sequence[str],
        interval: Interval,
        history_bars: int,
        other_intervals: Iterable[Interval] = (),
    ) -> dict[str, CoinMarket]:
        """One snapshot for a decision: a fresh price and the last closed bars of each coin.

        A coin without a fresh price or with bars that are not up to date is left out.
        Raises SourceError when no coin can be priced at all.
        """
        prices = self._data_aggregator.get_prices(symbols, DECISION_PRICE_AGE_SECONDS)
        series = self._closed_bars(list(prices), interval, history_bars)
        others = {
            other: self._closed_bars(list(series), other, history_bars)
            for other in other_intervals
            if other is not interval
        }
        latest = self._data_aggregator.latest
        return {
            coin: CoinMarket(
                price=prices[coin].ticker.price,
                klines=bars,
                change_24h=prices[coin].ticker.change_24h,
                source=prices[coin].ticker.source,
                age_seconds=latest.age_seconds(prices[coin]),
                other_klines={i: known[coin] for i, known in others.items() if coin in known},
            )
            for coin, bars in series.items()
        }

    def _closed_bars(
        self, coins: Sequence[str], interval: Interval, bars: int
    ) -> dict[str, KlineSeries]:
        """The last `bars` closed bars of each coin; one question at a time for an interval."""
        forming = interval.floor(self._clock.now_ms())
        with self._lock(interval):
            for coin in coins:
                known = self._known.get((coin, interval))
                if known is None or known.forming != forming or known.asked < bars:
                    self._ask(coin, interval, bars, forming)
            found = {coin: self._known.get((coin, interval)) for coin in coins}
        return {
            coin: known.series.slice(max(0, len(known.series) - bars), len(known.series))
            for coin, known in found.items()
            if known is not None and known.forming == forming
        }

    def _ask(self, coin: str, interval: Interval, bars: int, forming: int) -> None:
        before = self._known.get((coin, interval))
        wanted = max(bars, before.asked if before is not None else 0)
        try:
            series = None if before is None else self._continued(coin, before, wanted, forming)
            if series is None:
                answer = self._data_aggregator.get_klines(coin, interval, limit=wanted)
                series = None if answer.stale else answer.series
        except SourceError as error:
            log.warning("no klines of %s: %s", coin, error.message)
            return
        if series is not None:
            self._known[coin, interval] = _Known(series, forming, wanted)

    def _continued(
        self, coin: str, before: _Known, wanted: int, forming: int
    ) -> KlineSeries | None:
        """What was known and the bars since; None where it has to be read anew."""
        known = before.series
        closed_since = (forming - before.forming) // known.interval.milliseconds
        if wanted > before.asked or not 0 < closed_since <= MOST_APPENDED or not len(known):
            return None
        answer = self._data_aggregator.get_klines(coin, known.interval, limit=closed_since + 1)
        newest = answer.series
        if answer.stale or newest.source != known.source or not len(newest):
            return None
        first, last = newest.bar(0), known.bar(-1)
        if (first.open_time, first.close) != (last.open_time, last.close):
            return None  # with a gap, or corrected since
        joined = known.followed_by(newest.slice(1, len(newest)))
        return joined.slice(max(0, len(joined) - wanted), len(joined))

    def _lock(self, interval: Interval) -> threading.Lock:
        with self._locks_lock:
            return self._locks.setdefault(interval, threading.Lock())
