"""Binance's streams by name, and the events that they send."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import partial
from typing import Any

from exchange_simulator import intervals
from exchange_simulator.bar_feed import BarFeed
from exchange_simulator.binance import Binance, average_price_text, change_texts, quote_text
from exchange_simulator.intervals import UnsupportedInterval
from exchange_simulator.market import Listing, RollingDay
from exchange_simulator.order_book import best_prices
from exchange_simulator.stream_hub import Feed

Json = Any
Event = dict[str, Json]

_OF_ALL = re.compile(r"!(miniTicker|ticker)@arr(?:@(?:1000|3000)ms)?")
_OF_ONE = re.compile(r"([a-z0-9]{1,20})@(miniTicker|ticker|bookTicker|kline_([0-9]{1,2}[smhdwM]))")


def is_stream_name(name: str) -> bool:
    """Whether it has the form of a stream's name; there may be no such pair all the same."""
    return bool(_OF_ALL.fullmatch(name) or _OF_ONE.fullmatch(name))


def feed_of(venue: Binance, name: str) -> Feed | None:
    """What goes by a stream's name; none if nothing does, as of a pair that is not listed."""
    of_all = _OF_ALL.fullmatch(name)
    if of_all:
        return AllTickersFeed(venue, TICKERS[of_all[1]])
    of_one = _OF_ONE.fullmatch(name)
    if of_one is None:
        return None
    now_ms = venue.clock.now_ms()
    listing = venue.find(of_one[1].upper(), now_ms)
    kind, interval = of_one[2], of_one[3]
    if listing is None:
        return None
    if kind in TICKERS:
        return TickerFeed(venue, listing, TICKERS[kind])
    try:
        venue.market.bars_until(listing.symbol, interval, now_ms, 1, now_ms)
    except UnsupportedInterval:
        return None
    return _kline_feed(venue, listing, interval)


class TickerFeed:
    """A `Feed` of one pair as it is at every beat, while it is traded."""

    def __init__(self, venue: Binance, listing: Listing, event: TickerEvent):
        self._venue = venue
        self._listing = listing
        self._event = event

    def start(self, now_ms: int) -> int:
        """It has no past."""
        return 0

    def due(self, position: int, now_ms: int) -> tuple[list[str], int]:
        """The event of now; none of a pair that is not traded."""
        if not self._listing.is_trading(now_ms):
            return [], 0
        return [json.dumps(self._event(self._venue, self._listing, now_ms))], 0


class AllTickersFeed:
    """A `Feed` of all pairs that are traded, as one list."""

    def __init__(self, venue: Binance, event: TickerEvent):
        self._venue = venue
        self._event = event

    def start(self, now_ms: int) -> int:
        """It has no past."""
        return 0

    def due(self, position: int, now_ms: int) -> tuple[list[str], int]:
        """The events of now."""
        events = [
            self._event(self._venue, listing, now_ms)
            for listing in self._venue.listings(now_ms).values()
            if listing.is_trading(now_ms)
        ]
        return [json.dumps(events)], 0


def _mini_ticker(venue: Binance, listing: Listing, now_ms: int) -> Event:
    day = venue.market.rolling_day(listing.symbol, now_ms)
    return {
        "e": "24hrMiniTicker",
        "E": day.close_time,
        "s": listing.symbol,
        **_day_texts(listing, day),
    }


def _day_texts(listing: Listing, day: RollingDay) -> dict[str, str]:
    return {
        "c": listing.price_text(day.last),
        "o": listing.price_text(day.open),
        "h": listing.price_text(day.high),
        "l": listing.price_text(day.low),
        "v": listing.quantity_text(day.volume),
        "q": quote_text(day.quote_volume),
    }


def _ticker(venue: Binance, listing: Listing, now_ms: int) -> Event:
    day = venue.market.rolling_day(listing.symbol, now_ms)
    change = change_texts(listing, day)
    bid, ask = best_prices(day.last)
    lot = listing.quantity_text(1)
    return {
        "e": "24hrTicker",
        "E": day.close_time,
        "s": listing.symbol,
        "p": change["priceChange"],
        "P": change["priceChangePercent"],
        "w": average_price_text(listing, day),
        "x": listing.price_text(day.open),
        "Q": lot,
        "b": listing.price_text(bid),
        "B": lot,
        "a": listing.price_text(ask),
        "A": lot,
        **_day_texts(listing, day),
        "O": day.open_time,
        "C": day.close_time,
        "F": 0,
        "L": day.trades,
        "n": day.trades,
    }


def _book_ticker(venue: Binance, listing: Listing, now_ms: int) -> Event:
    bid, ask = best_prices(venue.market.price(listing.symbol, now_ms))
    lot = listing.quantity_text(1)
    return {
        "u": now_ms,
        "s": listing.symbol,
        "b": listing.price_text(bid),
        "B": lot,
        "a": listing.price_text(ask),
        "A": lot,
    }


TickerEvent = Callable[[Binance, Listing, int], Event]
TICKERS: dict[str, TickerEvent] = {
    "miniTicker": _mini_ticker,
    "ticker": _ticker,
    "bookTicker": _book_ticker,
}


def _kline_feed(venue: Binance, listing: Listing, interval: str) -> BarFeed:
    market, symbol = venue.market, listing.symbol
    return BarFeed(
        seen=partial(market.seen_ms, symbol),
        floor=partial(intervals.floor, interval),
        end=lambda open_ms: intervals.shift(interval, open_ms, 1),
        bars_since=lambda start_ms, count, now_ms: market.bars_from(
            symbol, interval, start_ms, now_ms, count, now_ms
        ),
        write=lambda open_ms, column, has_closed, now_ms: json.dumps(
            _kline(venue, listing, interval, open_ms, column, has_closed, now_ms)
        ),
    )


def _kline(
    venue: Binance,
    listing: Listing,
    interval: str,
    open_ms: int,
    column: list[int],
    has_closed: bool,
    now_ms: int,
) -> Event:
    first, high, low, last, volume, quote, trades, taker_volume, taker_quote = column
    bar = {
        "t": open_ms,
        "T": intervals.shift(interval, open_ms, 1) - 1,
        "s": listing.symbol,
        "i": interval,
        "f": 0,
        "L": trades,
        "o": listing.price_text(first),
        "c": listing.price_text(last),
        "h": listing.price_text(high),
        "l": listing.price_text(low),
        "v": listing.quantity_text(volume),
        "n": trades,
        "x": has_closed,
        "q": quote_text(quote),
        "V": listing.quantity_text(taker_volume),
        "Q": quote_text(taker_quote),
        "B": "0",
    }
    return {"e": "kline", "E": venue.market.stamp_ms(now_ms), "s": listing.symbol, "k": bar}
