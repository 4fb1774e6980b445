"""Prices that are too old to be one, however freshly they were sent."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from decimal import Decimal

from domain import MINUTE_MS, Clock, Ticker
from errors import SourceBadAnswer
from source_answers import title

# By the market's clock, how far back the newest price of an answer may lie.
OLDEST_ANSWER_MS = {"coingecko": 15 * MINUTE_MS}  # which gathers prices for minutes
OLDEST_ANSWER_ELSEWHERE_MS = 30_000
OLDEST_PRICE_MS = 15 * MINUTE_MS  # of one coin: the last price of one that trades no more
# In real time, for a market that runs faster, where seconds on the way are minutes.
LEAST_WALL_SECONDS = 5.0
# So many coins do not all stand still for so long: what repeats itself has got stuck. The more
# coins there are, the sooner that is sure.
COINS_THAT_MOVE = 20
STUCK_AFTER_MS = 8_000
LEAST_STUCK_MS = 2_500

Moment = tuple[int, int]  # by the wall clock and by the market's


def without_old(
    source: str, tickers: Mapping[str, Ticker], clock: Clock
) -> tuple[dict[str, Ticker], int]:
    """The tickers that are young enough by the market's `clock`, and how many are not.

    Raises SourceBadAnswer when even the newest is old: the source has stopped.
    """
    if not tickers:
        return {}, 0
    now_ms = clock.now_ms()
    newest_ms = max(ticker.time_ms for ticker in tickers.values())
    oldest_ms = OLDEST_ANSWER_MS.get(source, OLDEST_ANSWER_ELSEWHERE_MS)
    if _is_older(now_ms - newest_ms, oldest_ms, clock):
        seconds = (now_ms - newest_ms) // 1000
        raise SourceBadAnswer(f"The newest price of {title(source)} is {seconds} s old.")
    young = {
        symbol: ticker
        for symbol, ticker in tickers.items()
        if not _is_older(now_ms - ticker.time_ms, max(OLDEST_PRICE_MS, oldest_ms), clock)
    }
    return young, len(tickers) - len(young)


def _is_older(age_ms: int, oldest_ms: int, clock: Clock) -> bool:
    if age_ms <= oldest_ms:
        return False
    return clock.wall_seconds_until(clock.now_ms() + age_ms) > LEAST_WALL_SECONDS


class StuckSource:
    """Notices that a source repeats the prices of many coins, whichever of them it is asked for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._prices: dict[str, Decimal] = {}
        self._since: dict[str, Moment] = {}  # when each was first what it is
        self._stood_ms: dict[str, int] = {}  # for how long each that was repeated had stood by then
        self._moved: Moment = (0, 0)  # when any of them did

    def examine(
        self, source: str, tickers: Mapping[str, Ticker], wall_ms: int, market_ms: int
    ) -> None:
        """Compare with the answers before. Raises SourceBadAnswer when none has moved for long.

        For long by the wall clock, and by the market's too: prices may stand while that does.
        """
        if source in OLDEST_ANSWER_MS:
            return  # it gathers prices for minutes, and repeats them meanwhile
        prices, now = {coin: ticker.price for coin, ticker in tickers.items()}, (wall_ms, market_ms)
        with self._lock:
            has_moved = any(
                self._prices.get(coin, price) != price for coin, price in prices.items()
            )
            known = self._prices.keys() & prices.keys()
            self._prices |= prices
            if has_moved or not self._since:
                self._begin(now)
                return
            for coin in prices:
                since = self._since.setdefault(coin, now)
                if coin in known:
                    self._stood_ms[coin] = _between(since, now)
            still_ms = _between(self._moved, now)
            enough = len(self._stood_ms) >= COINS_THAT_MOVE
            most_ms = max(2 * STUCK_AFTER_MS, 0)  # that one coin counts for
            standing_ms = sum(min(stood_ms, most_ms) for stood_ms in self._stood_ms.values())
        if not enough or still_ms <= min(LEAST_STUCK_MS, STUCK_AFTER_MS):
            return
        if standing_ms > COINS_THAT_MOVE * STUCK_AFTER_MS:
            seconds = still_ms // 1000
            raise SourceBadAnswer(f"{title(source)} has repeated the same prices for {seconds} s.")

    def adopt(self, other: StuckSource) -> None:
        """Go on from what is known on another way to the same source, which has stopped there."""
        with other._lock:
            prices, since = dict(other._prices), dict(other._since)
            stood_ms, moved = dict(other._stood_ms), other._moved
        with self._lock:
            self._prices, self._since, self._stood_ms = prices, since, stood_ms
            self._moved = moved

    def _begin(self, now: Moment) -> None:
        self._moved, self._stood_ms = now, {}
        self._since = dict.fromkeys(self._prices, now)


def _between(earlier: Moment, later: Moment) -> int:
    """Milliseconds by that clock which shows fewer."""
    return min(later[0] - earlier[0], later[1] - earlier[1])
