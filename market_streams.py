"""The streams of all venues, on one asyncio loop in one thread; everybody else stays outside it.

Tickers are kept as the newest of each symbol until they are taken: a flood of them costs no
memory, and who takes late finds what is true now. Bars are handed on one by one.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from functools import partial

from binance_stream import MOST_STREAMS, BinanceStream
from domain import Clock, Interval, Ticker
from okx_stream import OkxStream
from stream_messages import Channel, Message, StreamConnection, StreamedBar
from stream_supervisor import StreamState, StreamTerms
from venue_stream import VenueStream

BINANCE, OKX, OKX_CANDLES = "binance", "okx", "okx_candles"
SOURCES = (BINANCE, OKX)
MOST_OKX_CHANNELS = 1000
STOP_SECONDS = 5.0

log = logging.getLogger(__name__)
Connect = Callable[[], StreamConnection]


class MarketStreams:
    """Started once, stopped once. `on_…` are told on the loop's thread and must be quick."""

    def __init__(
        self,
        binance_url: str | None,
        okx_url: str | None,
        wall_clock: Clock,
        terms: StreamTerms | None = None,
    ):
        """At these base URLs; an empty one is the venue's own, None leaves the venue out."""

        def stream(name: str, connect: Connect, heartbeat: Channel, most: int) -> VenueStream:
            return VenueStream(
                name, connect, heartbeat, self._take, self._tell_up, wall_clock,
                terms=terms, most_channels=most,
            )  # fmt: skip

        bitcoin = Channel("BTC-USDT")
        streams: list[VenueStream] = []
        if binance_url is not None:
            connect = partial(BinanceStream, binance_url)
            streams.append(stream(BINANCE, connect, Channel("BTCUSDT"), MOST_STREAMS))
        if okx_url is not None:
            tickers = partial(OkxStream.of_tickers, okx_url)
            candles = partial(OkxStream.of_candles, okx_url)
            minutes = replace(bitcoin, interval=Interval.M1)
            streams.append(stream(OKX, tickers, bitcoin, MOST_OKX_CHANNELS))
            streams.append(stream(OKX_CANDLES, candles, minutes, MOST_OKX_CHANNELS))
        self._streams = {each.name: each for each in streams}
        self._lock = threading.Lock()
        self._tickers: dict[str, dict[str, Ticker]] = {}
        self._wanted_tickers: Mapping[str, frozenset[Channel]] = {}
        self._wanted_bars: Mapping[str, frozenset[Channel]] = {}
        self._on_tickers: Callable[[], None] = _nobody
        self._on_bar: Callable[[StreamedBar], None] = _nobody
        self._on_up: list[Callable[[str], None]] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended: asyncio.Event | None = None
        self._thread: threading.Thread | None = None
        self._stopped = False

    def start(self) -> None:
        """Begin, if this has not begun yet; after `stop` it does not again."""
        with self._lock:
            if self._thread is not None or self._stopped:
                return
            self._thread = threading.Thread(target=self._run, name="market-streams", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Close every connection and end the thread."""
        with self._lock:
            self._stopped = True
            thread, loop, ended = self._thread, self._loop, self._ended
        if thread is None or not thread.is_alive():
            return
        if loop is not None and ended is not None:
            loop.call_soon_threadsafe(ended.set)
        thread.join(STOP_SECONDS)

    # ------------------------------------------------------------------- what is wanted, and had

    def want_tickers(self, symbols: Mapping[str, Collection[str]]) -> None:
        """Have the tickers of these symbols, by source, and no others."""
        wanted = {name: frozenset(map(Channel, names)) for name, names in symbols.items()}
        with self._lock:
            if wanted == self._wanted_tickers:
                return
            self._wanted_tickers = wanted
        self._ask()

    def want_bars(self, channels: Mapping[str, Collection[Channel]]) -> None:
        """Have these candles, by source, and no others."""
        wanted = {name: frozenset(each) for name, each in channels.items()}
        with self._lock:
            if wanted == self._wanted_bars:
                return
            self._wanted_bars = wanted
        self._ask()

    def take_tickers(self) -> dict[str, dict[str, Ticker]]:
        """The newest ticker of each symbol that has come since the last time, by source."""
        with self._lock:
            taken, self._tickers = self._tickers, {}
        return taken

    def on_tickers(self, listener: Callable[[], None]) -> None:
        """Tell when there are tickers to take."""
        self._on_tickers = listener

    def on_bar(self, listener: Callable[[StreamedBar], None]) -> None:
        """Hand on every bar."""
        self._on_bar = listener

    def on_up(self, listener: Callable[[str], None]) -> None:
        """Tell the name of a stream whenever it is up again: what came meanwhile was missed."""
        self._on_up.append(listener)

    def states(self) -> list[StreamState]:
        """How each stream does."""
        return [stream.state() for stream in self._streams.values()]

    def has_tickers(self, source: str) -> bool:
        """Whether tickers of a source come."""
        return source in self._streams and self._streams[source].is_up

    def has_bars(self, source: str) -> bool:
        """Whether candles of a source come."""
        return self.has_tickers(OKX_CANDLES if source == OKX else source)

    # ------------------------------------------------------------------------------ the thread

    def _run(self) -> None:
        asyncio.run(self._main())

    async def _main(self) -> None:
        ended = asyncio.Event()
        with self._lock:
            self._loop, self._ended = asyncio.get_running_loop(), ended
            if self._stopped:
                return
        self._apply()
        tasks = [asyncio.create_task(stream.run()) for stream in self._streams.values()]
        await ended.wait()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ask(self) -> None:
        """Have the loop look at what is wanted."""
        with self._lock:
            if self._loop is not None and not self._stopped:
                self._loop.call_soon_threadsafe(self._apply)

    def _apply(self) -> None:
        with self._lock:
            tickers, bars = self._wanted_tickers, self._wanted_bars
        none: frozenset[Channel] = frozenset()
        wanted = {
            BINANCE: tickers.get(BINANCE, none) | bars.get(BINANCE, none),
            OKX: tickers.get(OKX, none),
            OKX_CANDLES: bars.get(OKX, none),
        }
        for name, stream in self._streams.items():
            stream.want(wanted[name])

    def _take(self, stream: str, message: Message) -> None:
        if isinstance(message, StreamedBar):
            self._on_bar(message)
            return
        with self._lock:
            self._tickers.setdefault(stream, {})[message.symbol] = message
        self._on_tickers()

    def _tell_up(self, stream: str) -> None:
        log.info("the stream of %s is up", stream)
        for listener in self._on_up:
            listener(stream)


def _nobody(*_: object) -> None:
    """Stands for a listener that has not come yet."""
