"""`python -m benchmarks.stream_soak`: hours of streams in minutes, with every trouble they can have.

Market and messages run faster than real time by the same factor, so that what piles up in hours
does so in minutes; only the pauses of reconnecting are real. Ends with status 1 where a bar is
missing, prices do not come back in time, or memory grows.
"""

from __future__ import annotations

import argparse
import gc
import multiprocessing
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from clock import AcceleratedClock, SystemClock
from config import Config
from domain import HOUR_MS, Interval
from event_stream import Listener
from exchange_simulator.binance_streams import BinanceStreamTimes
from exchange_simulator.generated_market import GeneratedMarket
from exchange_simulator.server import SimulatorServer
from kline_stream import Series
from routes.services import Services
from stream_supervisor import Condition

COINS = ("BTC", "ETH", "SOL", "XRP", "DOGE", "ADA", "AVAX", "LINK", "LTC", "DOT")
SERIES = Series("BTC", Interval.M1)
BACK_SECONDS = 10.0
LONGEST_WAIT_SECONDS = 60.0
GROWTH_MB = 10.0  # that is noise
CUT_EVERY_MS = 2 * HOUR_MS  # of the market's time: the venue's 24 hours, so that there are several
# In turn: a fault, of a venue, for so many real seconds. A socket is silent for 30 before it is lost.
TROUBLES: tuple[tuple[str, str, float, dict[str, Any]], ...] = (
    ("binance", "socket_drop", 1, {}),
    ("okx", "socket_drop", 1, {}),
    ("all", "socket_drop", 1, {}),
    ("all", "socket_flood", 5, {"rate": 2000}),
    ("binance", "garbage", 5, {}),
    ("all", "down", 12, {}),
    ("all", "socket_silent", 36, {}),
)


def exchange(pipe: Connection, clock: AcceleratedClock, factor: float) -> None:
    """The simulated exchange in a process of its own: says its address, then does as told."""
    times = BinanceStreamTimes(lifetime_ms=CUT_EVERY_MS)
    with SimulatorServer(
        GeneratedMarket(seed=7), clock, pulse_seconds=1 / factor, binance_stream_times=times,
        okx_limit_factor=100, weight_limit=10**9,
    ) as server:  # fmt: skip
        pipe.send(server.url)
        while (order := pipe.recv()) is not None:
            venue, fault, params = order
            if fault is None:
                server.faults.clear()
            else:
                server.faults.switch_on(venue, fault, channel="stream", **params)
            pipe.send("done")


@contextmanager
def running_exchange(clock: AcceleratedClock, factor: float) -> Iterator[tuple[str, Any]]:
    """Its address, and a function that switches a fault on, or all off."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=exchange, args=(theirs, clock, factor), daemon=True)
    process.start()

    def order(venue: str, fault: str | None, params: dict[str, Any]) -> None:
        ours.send((venue, fault, params))
        ours.recv()

    try:
        yield ours.recv(), order
    finally:
        ours.send(None)
        process.join(10)


class Watcher:
    """Looks at ages all the time, and at every bar that is told."""

    def __init__(self, services: Services, listener: Listener):
        self.services = services
        self.oldest_seconds = 0.0
        self.closed: list[Any] = []
        self.events = 0
        self._listener = listener
        self._ended = threading.Event()
        self._threads = [
            threading.Thread(target=self._read), threading.Thread(target=self._look)
        ]  # fmt: skip
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End both threads."""
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _read(self) -> None:
        while not self._ended.is_set():
            event = self._listener.next(0.2)
            if event is None:
                continue
            self.events += 1
            if event.topic == SERIES.topic and event.payload["bar"].closed:
                self.closed.append(event.payload["bar"])

    def _look(self) -> None:
        latest = self.services.data_aggregator.latest
        while not self._ended.wait(0.05):
            known = latest.last_known(COINS)
            ages = [latest.age_seconds(price) for price in known.values()]
            self.oldest_seconds = max(self.oldest_seconds, *ages)


def main() -> int:
    """Run, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, default=8.0, help="of the market")
    parser.add_argument("--factor", type=float, default=90.0, help="times as fast as real time")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        problems = soak(Path(folder), options.hours, options.factor)
    print(*(problems or ["Nothing was missed, and memory is flat."]), sep="\n")
    return 1 if problems else 0


def soak(folder: Path, hours: float, factor: float, calm_seconds: float = 3.0) -> list[str]:
    """What was not as it must be, in `hours` of the market with so much calm between troubles."""
    now_ms = SystemClock().now_ms()
    clock = AcceleratedClock(now_ms - now_ms % HOUR_MS, now_ms, factor)
    with running_exchange(clock, factor) as (url, order):
        services = app_on(url, folder, clock)
        listener = services.events.listen(["price", SERIES.topic])
        services.klines.watch(SERIES)
        services.prices.start()
        wait_until_up(services)
        watcher = Watcher(services, listener)
        try:
            seconds = hours * 3600 / factor
            problems, memory = trouble(services, order, seconds, calm_seconds)
            time.sleep(calm_seconds)
        finally:
            watcher.stop()
            services.prices.stop()
            services.klines.stop()
        problems += missing_bars(watcher)
    report(services, watcher, memory)
    if memory[-1] - memory[len(memory) // 4] > GROWTH_MB:
        problems.append(f"memory grew from {memory[len(memory) // 4]:.1f} to {memory[-1]:.1f} MB")
    return problems


def app_on(url: str, folder: Path, clock: AcceleratedClock) -> Services:
    """The app's services on the exchange, with the ten coins in use."""
    from app import build_services

    websocket = url.replace("http", "ws", 1)
    config = Config(
        DATABASE_PATH=folder / "trading.db", BINANCE_API_URL=url, OKX_API_URL=url,
        COINGECKO_API_URL=f"{url}/coingecko", BINANCE_STREAM_URL=websocket,
        OKX_STREAM_URL=f"{websocket}/ws/v5", LOG_LEVEL="ERROR",
    )  # fmt: skip
    services = build_services(config, clock)
    services.database.upgrade()
    services.prices._coins_in_use = lambda: COINS
    return services


def trouble(
    services: Services, order: Any, seconds: float, calm_seconds: float
) -> tuple[list[str], list[float]]:
    """One trouble after the other; problems, and the memory in MB after each."""
    problems: list[str] = []
    memory = [resident_mb()]
    ending = time.monotonic() + seconds
    turn = 0
    while time.monotonic() < ending:
        venue, fault, lasting, params = TROUBLES[turn % len(TROUBLES)]
        turn += 1
        time.sleep(calm_seconds)
        order(venue, fault, params)
        time.sleep(min(lasting, max(0.0, ending - time.monotonic())))
        order(venue, None, {})
        back = wait_until_up(services)
        memory.append(resident_mb())
        sent = sum(state.messages for state in services.prices.streams())
        print(
            f"{venue:8}{fault:14}{lasting:4.0f} s  back after {back:5.2f} s  "
            f"{sent:>9,} messages  {memory[-1]:6.1f} MB",
            flush=True,
        )
        if back > BACK_SECONDS:
            problems.append(f"after {fault} of {venue} the streams were back in {back:.1f} s")
    return problems, memory


def wait_until_up(services: Services) -> float:
    """Seconds until every stream is up; at most a minute."""
    begun = time.monotonic()
    while any(state.state != Condition.UP for state in services.prices.streams()[:2]):
        if time.monotonic() - begun > LONGEST_WAIT_SECONDS:
            break
        time.sleep(0.01)
    return time.monotonic() - begun


def missing_bars(watcher: Watcher) -> list[str]:
    """Every closed minute must have been told once, in order, and as REST has it."""
    bars = watcher.closed
    times = [bar.open_time for bar in bars]
    expected = list(range(times[0], times[-1] + 1, SERIES.interval.milliseconds)) if times else []
    problems = [] if times == expected and len(times) > 1 else ["bars are missing or out of order"]
    answer = watcher.services.data_aggregator.get_klines(
        SERIES.coin, SERIES.interval, start_ms=times[0], limit=len(bars)
    )
    if list(answer.series) != bars:
        problems.append("bars differ from those of REST")
    return problems


def report(services: Services, watcher: Watcher, memory: list[float]) -> None:
    """Figures of the run."""
    for state in services.prices.streams():
        print(
            f"{state.name}: {state.messages:,} messages, {state.dropped:,} dropped, "
            f"{state.reconnects} reconnects, {state.renewals} renewals"
        )
    print(
        f"{len(watcher.closed)} closed bars told, {watcher.events} events; "
        f"the oldest price was {watcher.oldest_seconds:.1f} s old; memory "
        + " ".join(f"{size:.0f}" for size in memory)
        + " MB"
    )


def resident_mb() -> float:
    """Memory of this process, after a collection."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096 / 1e6


if __name__ == "__main__":
    sys.exit(main())
