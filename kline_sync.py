"""Filling the store from the exchanges: a range that is asked for, and coins in use as time goes on."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from data_aggregator import MultiSourceDataAggregator
from database import Database
from domain import Coin, Interval
from errors import InvalidInput, SourceError, SourceRateLimited
from repositories import models, pools

STRETCH_BARS = 10_000  # asked for at once: ten pages of Binance's
TRIES = 4
LONGEST_WAIT_SECONDS = 60.0
BARS_KEPT_CURRENT = 500  # of coins in use: more than a chart or a trader looks at

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Synced:
    """What became of a range: the bars that nobody answered for, and why."""

    source: str
    unanswered_bars: int
    failure: SourceError | None


class KlineSync:
    """Asks the aggregator, stretch by stretch, for what the store lacks; each is stored at once."""

    def __init__(self, database: Database, data_aggregator: MultiSourceDataAggregator):
        self._database = database
        self._data_aggregator = data_aggregator

    def bars(self, interval: Interval, start_ms: int, end_ms: int) -> int:
        """How many bars of a range have closed, were none missing. Raises InvalidInput for none."""
        end_ms = min(end_ms, interval.floor(self._database.clock.now_ms()))
        bars = -((interval.ceil(start_ms) - end_ms) // interval.milliseconds)
        if bars < 1:
            raise InvalidInput(
                "No bar opened and closed in that time.",
                fields={"start": "is too late"},
                reasons={"start": {"code": "no_closed_bar"}},
            )
        return bars

    def sync(
        self,
        coin: Coin,
        interval: Interval,
        start_ms: int,
        end_ms: int,
        on_bars: Callable[[int], object],
        wait: Callable[[float], object],
    ) -> Synced:
        """Bring start_ms ≤ open_time < end_ms into the store; go on where an earlier one stopped.

        `on_bars` is told how many more bars of the range are done with; `wait` is given the
        seconds to wait before a question is asked again. Ends at the first stretch that no
        source answers for; both may raise to end it sooner.
        """
        source = self._data_aggregator.kline_source_name()
        for start, end in self._stretches(interval, start_ms, end_ms):
            history = self._ask(coin, interval, start, end, wait)
            source = history.source
            if history.failure is not None:
                left = self.bars(interval, start, end_ms) - self.bars(interval, start, end)
                return Synced(source, left + history.unanswered_bars, history.failure)
            on_bars(self.bars(interval, start, end))
        return Synced(source, 0, None)

    def sync_coins_in_use(self) -> None:
        """Fetch the newest bars of every coin that an enabled model trades, at its interval."""
        now_ms = self._database.clock.now_ms()
        for coin, interval in sorted(self._in_use(), key=lambda pair: (pair[0].id, pair[1])):
            start_ms = max(0, now_ms - BARS_KEPT_CURRENT * interval.milliseconds)
            history = self._data_aggregator.fetch_history(coin, interval, start_ms, now_ms)
            if history.failure is not None:
                log.info("%s %s is not current: %s", coin.symbol, interval, history.failure.message)

    def _in_use(self) -> set[tuple[Coin, Interval]]:
        connection = self._database.connection
        return {
            (coin, model.interval)
            for model in models.list_models(connection)
            if model.enabled
            for coin in pools.enterable(connection, model.id)
        }

    def _stretches(
        self, interval: Interval, start_ms: int, end_ms: int
    ) -> Iterator[tuple[int, int]]:
        first = interval.ceil(start_ms)
        stop = first + self.bars(interval, start_ms, end_ms) * interval.milliseconds
        step = STRETCH_BARS * interval.milliseconds
        for at in range(first, stop, step):
            yield at, min(at + step, stop)

    def _ask(
        self,
        coin: Coin,
        interval: Interval,
        start_ms: int,
        end_ms: int,
        wait: Callable[[float], object],
    ) -> Synced:
        """One stretch, asked for again after a pause where no source answers at first."""
        for turn in range(TRIES):
            history = self._data_aggregator.fetch_history(coin, interval, start_ms, end_ms)
            failure = history.failure
            if failure is None or turn == TRIES - 1:
                break
            asked_to_wait = failure.retry_after if isinstance(failure, SourceRateLimited) else None
            wait(min(LONGEST_WAIT_SECONDS, asked_to_wait or 2.0**turn))
        return Synced(history.source, history.unanswered_bars, history.failure)
