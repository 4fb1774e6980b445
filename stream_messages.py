"""What the venues' streams carry, whichever the protocol: channels, tickers, bars, and trouble."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Protocol

from pyrate_limiter import InMemoryBucket, Limiter, Rate, SingleBucketFactory

from domain import Interval, Kline, Ticker
from errors import SourceUnavailable
from kline_validation import is_decimal
from source_answers import bar_of, is_time, sound_klines

LOOK_AGAIN_SECONDS = 0.05

Json = Any


@dataclass(frozen=True, slots=True)
class Channel:
    """What a venue is asked to send: a symbol's ticker, or its candles of an interval."""

    symbol: str
    interval: Interval | None = None


@dataclass(frozen=True, slots=True)
class StreamedBar:
    """A bar as it stands; `symbol` is the venue's own."""

    symbol: str
    interval: Interval
    bar: Kline
    source: str


Message = Ticker | StreamedBar


@dataclass(frozen=True, slots=True)
class Heard:
    """What one text of a venue says: sound messages, and how many rows of it had to be dropped.

    `ends_soon` is the venue's word that it is about to close the connection, `refusal` its word
    that it does not do what it was asked to.
    """

    messages: tuple[Message, ...] = ()
    dropped: int = 0
    ends_soon: bool = False
    refusal: str | None = None


NOTHING = Heard()
GARBAGE = Heard(dropped=1)


class StreamLost(SourceUnavailable):
    """A connection that cannot be opened, or that has ended."""


class RequestPace:
    """Lets requests to a venue out no faster than `rates` of a well-kept limiter."""

    def __init__(self, *rates: Rate):
        bucket = InMemoryBucket(list(rates))
        # Its items are few: a connection lives a day.
        self._limiter = Limiter(SingleBucketFactory(bucket, schedule_leak=False))

    async def wait(self) -> None:
        """Until the next request may go. The waiting is ours: the limiter's cannot be cancelled."""
        while not await self._limiter.try_acquire_async(blocking=False):
            await asyncio.sleep(LOOK_AGAIN_SECONDS)


class StreamConnection(Protocol):
    """One connection to a venue, opened once. Everything raises StreamLost when it is lost."""

    async def open(self, channels: Collection[Channel]) -> None:
        """Connect and ask for `channels`."""

    async def subscribe(self, channels: Collection[Channel]) -> None:
        """Ask for more."""

    async def unsubscribe(self, channels: Collection[Channel]) -> None:
        """Ask for less."""

    async def listen(self, hear: Callable[[Heard], None]) -> None:
        """Hand on what comes, until the connection is lost."""

    async def close(self) -> None:
        """End it, whatever its state."""


def channel_of(message: Message) -> Channel:
    """The channel that a message came by."""
    if isinstance(message, Ticker):
        return Channel(message.symbol)
    return Channel(message.symbol, message.interval)


def day_change(price: Json, opened: Json) -> float | None:
    """Per cent from the price of 24 hours ago, where both are decimal texts."""
    if not (is_decimal(price) and is_decimal(opened)) or float(opened) <= 0:
        return None
    return round(100 * (float(price) / float(opened) - 1), 3)


def streamed_bar(
    symbol: str, interval: Interval, opens: Json, values: list[Json], closed: bool, source: str
) -> StreamedBar | None:
    """The bar of the texts open, high, low, close, volume; None if it is no sound one."""
    if not is_time(opens):
        return None
    bar = bar_of(opens, values)
    if bar is None:
        return None
    sound = sound_klines([bar], interval, opens, opens + 1, opens, source)
    if not len(sound):
        return None
    kline = sound.bar(0)
    kept = Kline(opens, kline.open, kline.high, kline.low, kline.close, kline.volume, closed=closed)
    return StreamedBar(symbol, interval, kept, source)


def in_batches(channels: Collection[Channel], size: int) -> list[list[Channel]]:
    """`channels` in an order that is always the same, `size` at a time."""
    ordered = sorted(channels, key=lambda channel: (channel.interval or "", channel.symbol))
    return [ordered[at : at + size] for at in range(0, len(ordered), size)]
