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
# So many coins do not all stand still for so long: what repeats itself has got stuck.
COINS_THAT_MOVE = 20
STUCK_AFTER_MS = 8_000


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
    """Notices that a source repeats the prices of many coins."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._prices: Mapping[str, Decimal] = {}
        self._since = (0, 0)

    def examine(
        self, source: str, tickers: Mapping[str, Ticker], wall_ms: int, market_ms: int
    ) -> None:
        """Compare with the answers before. Raises SourceBadAnswer when none has moved for long.

        For long by the wall clock, and by the market's too: prices may stand while that does.
        """
        if source in OLDEST_ANSWER_MS:
            return  # it gathers prices for minutes, and repeats them meanwhile
        prices = {symbol: ticker.price for symbol, ticker in tickers.items()}
        with self._lock:
            before, self._prices = self._prices, prices
            same = prices.keys() & before.keys()
            if len(same) < COINS_THAT_MOVE or any(prices[coin] != before[coin] for coin in same):
                self._since = (wall_ms, market_ms)
                return
            still_ms = min(wall_ms - self._since[0], market_ms - self._since[1])
        if still_ms > STUCK_AFTER_MS:
            seconds = still_ms // 1000
            raise SourceBadAnswer(f"{title(source)} has repeated the same prices for {seconds} s.")
