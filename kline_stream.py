"""Live candles: of each series that somebody listens to, its open bar and every bar that closes.

A venue's stream pushes them; while none is up they are asked for over REST. Bars go out in order
and none is left out: where one is missing, after a cut or by the venue's fault, it is fetched on
the normal way of candles before the next one goes out.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from data_aggregator import MultiSourceDataAggregator
from database import Database
from domain import Coin, Interval, Kline
from errors import TradingSystemError
from event_stream import KLINE, EventStream
from market_sources import venue_symbols
from market_streams import OKX, OKX_CANDLES, MarketStreams
from repositories import coins
from stream_messages import Channel, StreamedBar

LOOK_SECONDS = 0.25
OPEN_BAR_PAUSE_SECONDS = 1.0  # an open bar is told at most so often
QUIET_SECONDS = 5.0  # a series of which no stream says anything for so long is asked for
MOST_WAITING_BARS = 20  # more are fetched over REST
MOST_BARS_AT_ONCE = 300
ASK_PAUSE_SECONDS = 1.0  # between two questions for one series
# A bar that a venue does not give when asked so often was never made: the next one goes out.
TRIES_A_GAP = 3
REMEMBERED_SECONDS = 120.0  # so that who comes back after a cut finds no bar missing

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Series:
    """A coin's candles of an interval; `coin` is our symbol."""

    coin: str
    interval: Interval

    @property
    def topic(self) -> str:
        """Its topic on the event stream."""
        return f"{KLINE}:{self.coin}:{self.interval.value}"


@dataclass(slots=True)
class Feed:
    """What is known of a series that is listened to. `source` is whose stream it is had from.

    Times are seconds of a clock that never goes back.
    """

    series: Series
    listeners: int = 0
    left_at: float = 0.0
    source: str | None = None
    heard_at: float = 0.0  # when its stream last brought a bar
    waiting: deque[StreamedBar] = field(default_factory=lambda: deque(maxlen=MOST_WAITING_BARS))
    last: StreamedBar | None = None  # the newest bar there is
    told: Kline | None = None  # the newest that listeners have been told
    told_at: float = 0.0
    must_fill: bool = True
    fill_at: float = 0.0  # no earlier
    poll_at: float = 0.0  # nor this, while nothing comes by itself
    tries: int = 0

    def fill_now(self) -> None:
        """Ask over REST for what may have been missed."""
        self.must_fill, self.fill_at = True, 0.0

    def leaves_a_gap(self, bar: Kline) -> bool:
        """Whether a bar's close, or whole bars, were missed before `bar`."""
        if self.last is None or bar.open_time <= self.last.bar.open_time:
            return False
        next_open = self.last.bar.open_time + self.series.interval.milliseconds
        return bar.open_time > next_open or not self.last.bar.closed

    def accept(self, streamed: StreamedBar) -> bool:
        """Take a bar if it is newer than what is known; whether it was."""
        if self.last is not None:
            known, bar = self.last.bar, streamed.bar
            if bar.open_time < known.open_time or (
                bar.open_time == known.open_time and known.closed
            ):
                return False
        self.last = streamed
        return True


class KlineStream:
    """Feeds of all series. Times by the real clock; the thread begins with the first listener."""

    def __init__(
        self,
        database: Database,
        data_aggregator: MultiSourceDataAggregator,
        events: EventStream,
        sources: Sequence[str],
        poll_seconds: float,
        streams: MarketStreams | None = None,
    ):
        self._database = database
        self._data_aggregator = data_aggregator
        self._events = events
        self._sources = sources
        self._poll_seconds = poll_seconds
        self._streams = streams
        self._lock = threading.Lock()
        self._feeds: dict[Series, Feed] = {}
        self._by_channel: dict[tuple[str, Channel], Feed] = {}
        self._ended = False
        self._look = threading.Event()
        self._thread: threading.Thread | None = None
        if streams is not None:
            streams.on_bar(self._take)
            streams.on_up(self._came_up)

    def watch(self, series: Series) -> None:
        """Somebody listens to the topic of `series`, whose coin there is."""
        if self._streams is not None:
            self._streams.start()
        with self._lock:
            feed = self._feeds.setdefault(series, Feed(series))
            feed.listeners += 1
            feed.told = None  # who has just come is told the bar as it stands
            feed.heard_at = time.monotonic()
            feed.fill_now()
            if self._thread is None and not self._ended:
                self._thread = threading.Thread(target=self._run, name="kline-stream", daemon=True)
                self._thread.start()
        self._look.set()

    def leave(self, series: Series) -> None:
        """One listener less."""
        with self._lock:
            feed = self._feeds[series]
            feed.listeners -= 1
            feed.left_at = time.monotonic()
        self._look.set()

    def stop(self) -> None:
        """End the thread."""
        with self._lock:
            self._ended = True
            thread = self._thread
        self._look.set()
        if thread is not None:
            thread.join()

    # ------------------------------------------------------------- told by the streams' thread

    def _take(self, streamed: StreamedBar) -> None:
        channel = Channel(streamed.symbol, streamed.interval)
        with self._lock:
            feed = self._by_channel.get((streamed.source, channel))
            if feed is None:
                return
            waiting = feed.waiting
            if waiting and waiting[-1].bar.open_time == streamed.bar.open_time:
                waiting.pop()  # the same bar, as it stood before
            waiting.append(streamed)
            feed.heard_at = time.monotonic()
        self._look.set()

    def _came_up(self, stream: str) -> None:
        """Bars may have been missed meanwhile."""
        source = OKX if stream == OKX_CANDLES else stream
        with self._lock:
            for feed in self._feeds.values():
                if feed.source == source:
                    feed.fill_now()
        self._look.set()

    # ------------------------------------------------------------------------------ the thread

    def _run(self) -> None:
        while not self._ended:
            self._look.wait(LOOK_SECONDS if self._feeds else None)
            self._look.clear()
            try:
                feeds = self._heard_feeds(time.monotonic())
                self._route(feeds)
                for feed in feeds:
                    self._advance(feed)
            except Exception:  # the edge: trouble once must not end all candles for good
                log.exception("candles could not be handed on")

    def _heard_feeds(self, now: float) -> list[Feed]:
        """Those that somebody listens to; the rest is forgotten after a while."""
        with self._lock:
            for series, feed in list(self._feeds.items()):
                if feed.listeners == 0 and now - feed.left_at > REMEMBERED_SECONDS:
                    del self._feeds[series]
                    self._events.forget(series.topic)
            return [feed for feed in self._feeds.values() if feed.listeners > 0]

    def _route(self, feeds: Sequence[Feed]) -> None:
        """Ask the venues' streams for what is listened to, and for nothing else."""
        if self._streams is None:
            return
        rows = coins.find_all(self._database.connection, [feed.series.coin for feed in feeds])
        found = {coin.symbol: coin for coin in rows}
        wanted: dict[str, set[Channel]] = {source: set() for source in self._sources}
        by_channel: dict[tuple[str, Channel], Feed] = {}
        for feed in feeds:
            channels = self._channels(found.get(feed.series.coin), feed.series.interval)
            up = [source for source in channels if self._streams.has_bars(source)]
            # The first choice is asked also while it is out, so that it comes back.
            asked = {*list(channels)[:1], *up[:1]} if up else set(channels)
            for source in asked:
                wanted[source].add(channels[source])
            serving = next(iter(up), None)
            if serving != feed.source:
                feed.source, feed.poll_at = serving, 0.0
                feed.fill_now()
            if serving is not None:
                by_channel[serving, channels[serving]] = feed
        with self._lock:
            self._by_channel = by_channel
        self._streams.want_bars(wanted)

    def _channels(self, coin: Coin | None, interval: Interval) -> dict[str, Channel]:
        """What the sources that list the coin call its candles, first choice first."""
        return {
            source: Channel(symbol, interval)
            for source in self._sources
            for symbol in (venue_symbols(source, [coin]) if coin is not None else ())
        }

    def _advance(self, feed: Feed) -> None:
        """Tell the listeners of one series what is new."""
        now = time.monotonic()
        # A coin that trades seldom, or one that its venue's stream does not have.
        is_quiet = now - feed.heard_at > QUIET_SECONDS
        if (feed.source is None or is_quiet) and now >= feed.poll_at:
            feed.poll_at = now + (self._poll_seconds if feed.source is None else QUIET_SECONDS)
            feed.must_fill = True
        if feed.must_fill and now >= feed.fill_at:
            self._fill(feed, None)
        while (streamed := self._next(feed)) is not None:
            if feed.leaves_a_gap(streamed.bar) and not self._close_gap(feed, streamed.bar):
                break
            self._accept(feed, streamed)
            with self._lock:
                if feed.waiting and feed.waiting[0] is streamed:
                    feed.waiting.popleft()
        if now - feed.told_at >= OPEN_BAR_PAUSE_SECONDS:
            self._tell(feed)

    def _next(self, feed: Feed) -> StreamedBar | None:
        with self._lock:
            return feed.waiting[0] if feed.waiting else None

    def _close_gap(self, feed: Feed, bar: Kline) -> bool:
        """Fetch what is missing before `bar`; whether that is done, so that `bar` may follow."""
        if time.monotonic() < feed.fill_at:
            return False
        if not self._fill(feed, bar.open_time):
            return False
        feed.tries += 1
        if feed.leaves_a_gap(bar) and feed.tries < TRIES_A_GAP:
            return False
        feed.tries = 0
        return True

    def _fill(self, feed: Feed, until: int | None) -> bool:
        """Fetch the last bar that is known and what follows, up to now or to `until`.

        Whether a source has answered.
        """
        interval = feed.series.interval
        feed.fill_at = time.monotonic() + ASK_PAUSE_SECONDS
        try:
            answer = self._data_aggregator.get_klines(
                feed.series.coin,
                interval,
                start_ms=None if feed.last is None else feed.last.bar.open_time,
                end_ms=until,
                limit=2 if feed.last is None else MOST_BARS_AT_ONCE,
                include_open=until is None,
            )
        except TradingSystemError as error:
            log.warning("no candles of %s: %s", feed.series.coin, error.message)
            return False
        if answer.stale:
            return False
        for bar in answer.series:
            self._accept(feed, StreamedBar(feed.series.coin, interval, bar, answer.series.source))
        feed.must_fill = len(answer.series) >= MOST_BARS_AT_ONCE
        return True

    def _accept(self, feed: Feed, streamed: StreamedBar) -> None:
        """A closed bar is told at once, an open one at its rate."""
        if feed.accept(streamed) and streamed.bar.closed:
            self._tell(feed)

    def _tell(self, feed: Feed) -> None:
        if feed.last is None or feed.last.bar == feed.told:
            return
        feed.told, feed.told_at = feed.last.bar, time.monotonic()
        payload = {"series": feed.series, "bar": feed.last.bar, "source": feed.last.source}
        self._events.publish(feed.series.topic, payload)
