"""`python -m benchmarks.load`: pages and scripts on an app that trades and backtests.

Fifty browsers listen to the event stream and a hundred requests a second come at fixed times,
whatever became of those before, while twenty models trade every minute and a backtest always runs.
A request's time counts from when it was due. Prints percentiles by path and the app's memory.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import numpy as np

from benchmarks.memory import resident_mb
from scripts.running_app import demo_server
from security import CSRF_HEADER

COINS = ("BTC", "ETH", "SOL", "BNB", "XRP", "DOGE", "ADA", "AVAX", "LINK", "DOT")
STRATEGIES = ("ma_cross", "rsi", "macd", "bollinger", "donchian", "combined", "random", "dca")
#: What a dashboard, a chart and a script ask for, in turn.
PATHS = (
    "/api/market/prices",
    "/api/klines/BTC?interval=1m&limit=200",
    "/api/models",
    "/api/market/prices?coins=BTC,ETH,SOL",
    "/api/models/1/portfolio",
    "/api/health",
    "/api/klines/ETH?interval=1h&limit=100",
    "/api/models/2/trades?limit=50",
    "/api/coins",
    "/api/leaderboard",
)
BROWSER_CONNECTIONS = 3  # its stream, and what it asks for besides
WARM_UP_SECONDS = 20.0
LONGEST_WAIT_SECONDS = 20.0
MEMORY_LOOKS = 5
BACKTEST = {
    "trader": "random", "params": {}, "coins": ["BTC", "ETH", "SOL"], "interval": "1m",
    "start_date": time.strftime("%Y-%m-%d", time.gmtime(time.time() - 30 * 86400)),
    "end_date": time.strftime("%Y-%m-%d", time.gmtime(time.time() - 2 * 86400)),
}  # fmt: skip


@dataclass
class Load:
    """What was seen. Times are milliseconds, memory MB."""

    times: dict[str, list[float]] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    events: int = 0
    backtests: int = 0
    memory: list[float] = field(default_factory=list)


async def measure(
    address: str, process_id: int, *, browsers: int, rate: float, seconds: float
) -> Load:
    """Load the app at `address` for so many seconds."""
    load = Load()
    async with aiohttp.ClientSession(
        address,
        connector=aiohttp.TCPConnector(limit=BROWSER_CONNECTIONS * browsers),
        cookie_jar=aiohttp.CookieJar(unsafe=True),  # of an address without a name
        timeout=aiohttp.ClientTimeout(total=LONGEST_WAIT_SECONDS),
    ) as session:
        async with session.get("/api/session") as response:
            session.headers[CSRF_HEADER] = (await response.json())["csrf_token"]
        await _make_models(session)
        listeners = [asyncio.create_task(_listen(session, load)) for _ in range(browsers)]
        backtests = asyncio.create_task(_keep_backtesting(session, load))
        await _ask(session, Load(), rate, WARM_UP_SECONDS)
        watch = asyncio.create_task(_watch_memory(process_id, load, seconds))
        await _ask(session, load, rate, seconds)
        await watch
        for task in [*listeners, backtests]:
            task.cancel()
        await asyncio.gather(*listeners, backtests, return_exceptions=True)
    return load


async def _make_models(session: aiohttp.ClientSession, count: int = 20) -> None:
    async with session.get("/api/models") as response:
        present = len(await response.json())
    for number in range(present, count):
        body = {
            "name": f"Load {number}", "trader": STRATEGIES[number % len(STRATEGIES)],
            "coins": list(COINS), "interval": "1m", "cycle_minutes": 1, "initial_capital": 100_000,
        }  # fmt: skip
        async with session.post("/api/models", json=body) as response:
            assert response.status == 201, await response.text()


async def _listen(session: aiohttp.ClientSession, load: Load) -> None:
    path = "/api/stream?topics=price,trade,account_value,cycle,health,kline:BTC:1m"
    async with session.get(path, timeout=aiohttp.ClientTimeout(total=None)) as response:
        if response.status != 200:
            load.failures.append(f"stream: {response.status}")
        async for line in response.content:
            load.events += line.startswith(b"data:")


async def _keep_backtesting(session: aiohttp.ClientSession, load: Load) -> None:
    """A backtest always runs: the next is asked for when the one before is done."""
    while True:
        body = BACKTEST | {"slippage_bps": load.backtests / 10}
        async with session.post("/api/backtest/run", json=body) as response:
            answer = await response.json()
        if response.status != 202:
            load.failures.append(f"backtest: {response.status} {answer}")
            return
        while await _status(session, answer["id"]) in ("queued", "running"):
            await asyncio.sleep(1)
        load.backtests += 1


async def _status(session: aiohttp.ClientSession, backtest_id: int) -> str:
    async with session.get(f"/api/backtests/{backtest_id}") as response:
        return str((await response.json())["status"])


async def _ask(session: aiohttp.ClientSession, load: Load, rate: float, seconds: float) -> None:
    """Send `rate` requests a second at fixed times and wait for all answers."""
    began = time.perf_counter()
    tasks = []
    for number in range(int(rate * seconds)):
        due = began + number / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        tasks.append(asyncio.create_task(_one(session, load, PATHS[number % len(PATHS)], due)))
    await asyncio.gather(*tasks)


async def _one(session: aiohttp.ClientSession, load: Load, path: str, due: float) -> None:
    try:
        async with session.get(path) as response:
            await response.read()
            if response.status != 200:
                load.failures.append(f"{path}: {response.status}")
    except (aiohttp.ClientError, TimeoutError) as error:
        load.failures.append(f"{path}: {type(error).__name__}")
    load.times.setdefault(path, []).append((time.perf_counter() - due) * 1000)


async def _watch_memory(process_id: int, load: Load, seconds: float) -> None:
    for _ in range(MEMORY_LOOKS):
        load.memory.append(resident_mb(process_id))
        await asyncio.sleep(seconds / MEMORY_LOOKS)


def lines(load: Load) -> list[str]:
    """For a person."""
    every = [value for values in load.times.values() for value in values]
    rows = [("all", every), *load.times.items()]
    return [
        *(
            f"{path:45} {len(values):7,}  p50 {np.quantile(values, 0.5):5.0f}  "
            f"p99 {np.quantile(values, 0.99):5.0f}  most {max(values):5.0f} ms"
            for path, values in rows
        ),
        f"{load.events:,} events heard, {load.backtests} backtests, {len(load.failures)} failures "
        f"{sorted(set(load.failures))[:5]}",
        f"memory: {', '.join(f'{value:.0f}' for value in load.memory)} MB",
    ]


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--browsers", type=int, default=50)
    parser.add_argument("--rate", type=float, default=100.0)
    asked = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="load-") as folder,
        demo_server(Path(folder) / "demo.db", 1.0) as server,
    ):
        load = asyncio.run(
            measure(
                server.address,
                server.process.pid,
                browsers=asked.browsers,
                rate=asked.rate,
                seconds=asked.minutes * 60,
            )
        )
        print("\n".join(lines(load)), flush=True)


if __name__ == "__main__":
    main()
