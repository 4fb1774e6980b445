"""How many answers a second the REST API gives from its caches, with 50 clients at once."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import numpy as np

from scripts.running_app import demo_server

CLIENTS = 50
SECONDS = 8.0
WARM_UP_SECONDS = 2.0
PATHS = ("/api/market/prices", "/api/klines/BTC?interval=1m&limit=500")


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What one path took. Times are milliseconds."""

    path: str
    requests_per_second: float
    p50_ms: float
    p99_ms: float
    bytes_an_answer: int
    failures: int


def measure_api() -> list[LoadResult]:
    """The demo app as a process of its own, each path asked for by all clients without a pause."""
    with (
        tempfile.TemporaryDirectory(prefix="api-load-") as folder,
        demo_server(Path(folder) / "demo.db") as server,
    ):
        return [asyncio.run(_load(server.address, path)) for path in PATHS]


async def _load(address: str, path: str) -> LoadResult:
    connector = aiohttp.TCPConnector(limit=CLIENTS)
    async with aiohttp.ClientSession(address, connector=connector) as session:
        await _clients(session, path, WARM_UP_SECONDS)
        began = time.perf_counter()
        answers = await _clients(session, path, SECONDS)
        elapsed = time.perf_counter() - began
    milliseconds = np.array([answer[0] for answer in answers])
    return LoadResult(
        path,
        len(answers) / elapsed,
        float(np.quantile(milliseconds, 0.5)),
        float(np.quantile(milliseconds, 0.99)),
        max(answer[1] for answer in answers),
        sum(answer[2] != 200 for answer in answers),
    )


async def _clients(
    session: aiohttp.ClientSession, path: str, seconds: float
) -> list[tuple[float, int, int]]:
    """Every answer's milliseconds, size and status."""
    until = time.perf_counter() + seconds
    gathered = await asyncio.gather(*(_client(session, path, until) for _ in range(CLIENTS)))
    return [answer for answers in gathered for answer in answers]


async def _client(
    session: aiohttp.ClientSession, path: str, until: float
) -> list[tuple[float, int, int]]:
    answers = []
    while (asked := time.perf_counter()) < until:
        async with session.get(path) as response:
            body = await response.read()
        answers.append(((time.perf_counter() - asked) * 1000, len(body), response.status))
    return answers


def api_table(results: Sequence[LoadResult]) -> str:
    """A Markdown table."""
    lines = [
        "| path | requests/s | p50 | p99 | bytes | failures |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
        *(
            f"| `{one.path}` | {one.requests_per_second:,.0f} | {one.p50_ms:.0f} ms | "
            f"{one.p99_ms:.0f} ms | {one.bytes_an_answer:,} | {one.failures} |"
            for one in results
        ),
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    print(api_table(measure_api()))
