"""What the three fetchers have in common: a venue's limits, its connections, what is left out."""

from __future__ import annotations

import re
import threading
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import requests
import urllib3
from requests.adapters import HTTPAdapter

from domain import Clock, Interval, KlineSeries, Ticker
from errors import InvalidInput, SourceBadAnswer, SourceRateLimited, SourceUnavailable
from rate_limiter import BUDGET_USED, BudgetUse, RateLimiter
from source_answers import Json, ReadTicker, check_limit, kline_range, sound_tickers, unknown_symbol

CONNECTIONS = 32  # requests' own pool keeps 10, fewer than there are threads

Answer = TypeVar("Answer")


class VenueFetcher:
    """A venue that is asked by an SDK. `venue` is its name in sentences.

    Without a `limiter` it is asked as often as anybody likes.
    """

    def __init__(self, venue: str, clock: Clock, limiter: RateLimiter | None):
        self._venue = venue
        self._clock = clock
        self._limiter = limiter
        self._lock = threading.Lock()
        self._dropped_rows = 0

    @property
    def dropped_rows(self) -> int:
        """How many bars, tickers and listings were not sound, and so not served, since the start."""
        with self._lock:
            return self._dropped_rows

    def budgets(self) -> list[BudgetUse]:
        """How much of each of the venue's limits is used."""
        return [] if self._limiter is None else self._limiter.budgets()

    def _count_dropped(self, rows: int) -> None:
        with self._lock:
            self._dropped_rows += rows

    def _in_turn(self, endpoint: str, weight: int, question: Callable[[], Answer]) -> Answer:
        """Ask when an endpoint's limit allows it, and be silent when the venue asks for it."""
        if self._limiter is None:
            return question()
        self._limiter.take(endpoint, weight)
        try:
            return question()
        except SourceRateLimited as refusal:
            if refusal.code != BUDGET_USED:
                window_seconds = self._limiter.window_seconds(endpoint)
                asked = refusal.retry_after
                self._limiter.pause(endpoint, window_seconds if asked is None else asked)
            raise

    def _sound_prices(
        self,
        asked: Sequence[str],
        wanted: Sequence[str],
        rows: Mapping[str, Json],
        read: ReadTicker,
    ) -> dict[str, Ticker]:
        """Tickers of those `wanted` that `rows` has. Raises SourceError when none is left."""
        tickers, unsound = sound_tickers(wanted, rows, read)
        self._count_dropped(len(unsound))
        if tickers or not asked:
            return tickers
        raise unsound[-1] if unsound else unknown_symbol(", ".join(asked), self._venue)


class ExchangeFetcher(VenueFetcher):
    """A venue with candles, which it gives in pages of rows of its own."""

    name: str
    symbols: re.Pattern[str]  # which texts are symbols of the venue, and change no question
    rows_a_page: int

    def klines(
        self,
        symbol: str,
        interval: Interval,
        start_ms: int | None,
        end_ms: int | None,
        limit: int | None,
    ) -> KlineSeries:
        """Bars with start_ms ≤ open_time < end_ms, ascending, without duplicates, sound.

        With a start: the first `limit` of them (all up to now without one). Without: the last
        `limit` before the end, or now (one page without one). A range in which the venue has no
        bars is an empty series. The last bar is flagged as open while it may still change, and
        bars that open after now are cut. Rows that are not sound are dropped and counted.

        Raises SourceError, also when no row is sound, or when even the latest bars are none;
        InvalidInput for a limit under 1.
        """
        self._check_symbol(symbol)
        check_limit(limit)
        # Read before asking: a bar that has closed by now is final in any later answer.
        now_ms = self._clock.now_ms()
        first, stop = kline_range(interval, start_ms, end_ms, now_ms)
        if stop <= (first or 0):
            return KlineSeries.empty(interval, self.name)
        if first is None:
            rows = self._rows_before(symbol, interval, stop, limit or self.rows_a_page)
        else:
            rows = self._rows_from(symbol, interval, first, stop, limit)
        series = self._read_klines(rows, interval, first or 0, stop, now_ms)
        self._count_dropped(len(rows) - len(series))
        if not len(series) and (rows or (start_ms is None and end_ms is None)):
            raise SourceBadAnswer(
                f"{self._venue}'s answer has no sound {interval} bars of {symbol}."
            )
        return series if limit is None else series.slice(0, limit)

    def _check_symbol(self, symbol: str) -> None:
        """Refuse what is no symbol of the venue. Raises SourceRefused."""
        if not self.symbols.fullmatch(symbol):
            raise unknown_symbol(symbol, self._venue)

    @abstractmethod
    def _rows_from(
        self, symbol: str, interval: Interval, start_ms: int, end_ms: int, limit: int | None
    ) -> list[Json]:
        """Rows from `start_ms` on, up to the end or until there are `limit`."""

    @abstractmethod
    def _rows_before(self, symbol: str, interval: Interval, end_ms: int, limit: int) -> list[Json]:
        """The last `limit` rows before `end_ms`."""

    @abstractmethod
    def _read_klines(
        self, rows: Sequence[Json], interval: Interval, start_ms: int, end_ms: int, now_ms: int
    ) -> KlineSeries:
        """The sound bars of rows, ascending."""


def check_keys(venue: str, parts: Sequence[str | None]) -> None:
    """Refuse a key that no header or address could carry. Raises InvalidInput."""
    if not all(part.isascii() and part.isprintable() for part in parts if part):
        raise InvalidInput(f"{venue}'s API key has characters that no key has.")


def prepare_session(
    session: requests.Session, examine: Callable[..., None], connections: int = CONNECTIONS
) -> None:
    """Enough connections, no retries of its own, and `examine` before the SDK sees an answer."""
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(pool_maxsize=connections, max_retries=0))
    session.hooks["response"].append(examine)


def by_requests(venue: str, question: Callable[[], Answer]) -> Answer:
    """The answer, with what requests raises turned into SourceUnavailable.

    Without the error that it came from: its text has the whole address in it, key and all.
    """
    try:
        return question()
    except requests.Timeout:
        raise SourceUnavailable(f"{venue} did not answer in time.") from None
    except requests.exceptions.JSONDecodeError:
        raise  # a ValueError too: what is no JSON is for the caller to say
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        kind = type(error).__name__
        raise SourceUnavailable(f"{venue} cannot be reached ({kind}).") from None
