"""`python -m exchange_simulator`: the simulated exchange as a process of its own."""

from __future__ import annotations

import argparse
import asyncio
import math
import os
import signal
import sys
from pathlib import Path

from clock import AcceleratedClock, ManualClock, SystemClock
from domain import HOUR_MS, Clock
from exchange_simulator.binance_streams import BinanceStreamTimes
from exchange_simulator.faults import Faults
from exchange_simulator.generated_market import GeneratedMarket
from exchange_simulator.kline_files import KlineFileError
from exchange_simulator.market import Market
from exchange_simulator.replayed_market import ReplayedMarket
from exchange_simulator.server import HOST, Settings, create_simulator, start

PARENT_POLL_SECONDS = 0.5
LARGEST_PORT = 65_535


def main() -> int:
    """Serve until a signal (or the parent's death) ends it; 1 when it cannot start."""
    parent = os.getppid()
    options = _parser().parse_args()
    try:
        market = _market(options)
        clock = _clock(options, market)
        parent_kept = parent if options.with_parent else None
        settings = _settings(options, clock)
        asyncio.run(_serve(market, clock, settings, options.port, parent_kept))
    except (KlineFileError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m exchange_simulator", description=__doc__)
    parser.add_argument("--port", type=_port, default=5001, help="0 takes a free one")
    parser.add_argument("--seed", type=_not_negative, default=7, help="of the generated market")
    parser.add_argument(
        "--files", type=Path, nargs="+", metavar="PATH", help="replay these kline files or folders"
    )
    parser.add_argument(
        "--start-ms",
        type=_not_negative,
        help="the market's time at the start (files: their first bar)",
    )
    parser.add_argument(
        "--wall-start-ms",
        type=_not_negative,
        help="the real time at which that start is shown (now)",
    )
    parser.add_argument("--speed", type=_speed, default=1.0, help="times as fast as real time")
    parser.add_argument(
        "--manual-clock", action="store_true", help="stand still until POST /control/clock"
    )
    parser.add_argument(
        "--pulse-seconds", type=_speed, default=1.0, help="between two messages of a stream"
    )
    parser.add_argument(
        "--stream-hours",
        type=_speed,
        default=24.0,
        help="of the market's time until Binance ends a websocket",
    )
    parser.add_argument(
        "--limits-by-market-clock",
        action="store_true",
        help="count the venues' limits by the market's time instead of real time",
    )
    parser.add_argument(
        "--with-parent", action="store_true", help="end when the process that started it ends"
    )
    return parser


def _port(text: str) -> int:
    port = _not_negative(text)
    if port > LARGEST_PORT:
        raise argparse.ArgumentTypeError(f"a port is at most {LARGEST_PORT}")
    return port


def _not_negative(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError("must not be negative")
    return number


def _speed(text: str) -> float:
    speed = float(text)
    if not (speed > 0 and math.isfinite(speed)):
        raise argparse.ArgumentTypeError("must be a positive number")
    return speed


def _market(options: argparse.Namespace) -> Market:
    if options.files:
        return ReplayedMarket.from_files(options.files)
    return GeneratedMarket(options.seed)


def _clock(options: argparse.Namespace, market: Market) -> Clock:
    wall_ms = SystemClock().now_ms()
    start_ms = options.start_ms
    if start_ms is None and isinstance(market, ReplayedMarket):
        start_ms = market.first_ms
    if options.manual_clock:
        return ManualClock(wall_ms if start_ms is None else start_ms)
    if start_ms is None and options.speed == 1:
        return SystemClock()
    wall_start_ms = wall_ms if options.wall_start_ms is None else options.wall_start_ms
    return AcceleratedClock(
        wall_start_ms if start_ms is None else start_ms, wall_start_ms, options.speed
    )


def _settings(options: argparse.Namespace, clock: Clock) -> Settings:
    return Settings(
        limit_clock=clock if options.limits_by_market_clock else SystemClock(),
        pulse_seconds=options.pulse_seconds,
        binance_stream_times=BinanceStreamTimes(round(options.stream_hours * HOUR_MS)),
    )


async def _serve(
    market: Market, clock: Clock, settings: Settings, port: int, parent: int | None
) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    app = create_simulator(market, clock, Faults(clock, SystemClock()), settings)
    runner, port = await start(app, port)
    print(f"Simulated exchange at http://{HOST}:{port}", flush=True)
    try:
        while not ended.is_set() and parent in (None, os.getppid()):
            await _wait(ended, PARENT_POLL_SECONDS)
    finally:
        await runner.cleanup()


async def _wait(event: asyncio.Event, seconds: float) -> None:
    """Until `event`, but not longer than `seconds`."""
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return


if __name__ == "__main__":
    sys.exit(main())
