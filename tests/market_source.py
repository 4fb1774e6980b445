"""A market source whose answers a test sets, and which counts what it is asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal

import numpy as np

from domain import Clock, Instrument, Interval, KlineSeries, OrderBook, Ticker, VenueInstrument
from errors import SourceError, SourceUnavailable

FINEST = Instrument(Decimal("1e-12"), Decimal(0))


class SettableSource:
    """Prices as set; candles of any range that stand at the price; failing when told to."""

    def __init__(self, clock: Clock, name: str = "binance"):
        self.name = name
        self.clock = clock
        self.quotes: dict[str, Decimal] = {}
        self.lots: dict[str, Instrument] = {}
        self.failure: SourceError | None = None
        self.halted: set[str] = set()
        self.dropped_rows = 0
        self.asked: Counter[str] = Counter()

    def fail(self, message: str = "the test has cut it off") -> None:
        """Answer nothing from now on."""
        self.failure = SourceUnavailable(message)

    def prices(self, symbols: Sequence[str]) -> dict[str, Ticker]:
        """Those that have been set."""
        self._count("prices")
        now_ms = self.clock.now_ms()
        return {
            symbol: Ticker(symbol, self.quotes[symbol], now_ms, self.name)
            for symbol in symbols
            if symbol in self.quotes
        }

    def klines(
        self, symbol: str, interval: Interval, start_ms: int | None, end_ms: int | None,
        limit: int | None,
    ) -> KlineSeries:  # fmt: skip
        """Every bar of the range up to now, the last one open."""
        self._count("klines")
        now_ms = self.clock.now_ms()
        stop = now_ms + 1 if end_ms is None else min(end_ms, now_ms + 1)
        first = interval.ceil(0 if start_ms is None else start_ms)
        times = np.arange(first, stop, interval.milliseconds, dtype=np.int64)
        if limit is not None:
            times = times[-limit:] if start_ms is None else times[:limit]
        price = np.full(len(times), float(self.quotes[symbol]))
        last_is_open = bool(len(times)) and int(times[-1]) + interval.milliseconds > now_ms
        return KlineSeries(
            interval, times, price, price, price, price, price, self.name, last_is_open
        )

    def depth(self, symbol: str, limit: int) -> OrderBook:
        """One level a side."""
        self._count("depth")
        price = self.quotes[symbol]
        return OrderBook(((price, Decimal(1)),), ((price, Decimal(1)),), self.name, 0)

    def instruments(self) -> Mapping[str, VenueInstrument]:
        """A listing of everything that has a quote or lots, on the finest grid unless `lots` says otherwise."""
        self._count("instruments")
        listed = {}
        for symbol in self.quotes | self.lots:
            rules = self.lots.get(symbol, FINEST)
            trading = symbol not in self.halted
            base = symbol.removesuffix("USDT")
            listed[symbol] = VenueInstrument(symbol, base, "USDT", trading, rules)
        return listed

    def _count(self, what: str) -> None:
        self.asked[what] += 1
        if self.failure is not None:
            raise self.failure
