"""The tiers of candles: a year of one-minute bars imported, archived, and read from either.

`python -m benchmarks.kline_tiers [COINS] [MONTHS]`: made in a temporary folder, through the commands
that an owner uses. Prints a table.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from clock import SystemClock
from database import Database
from domain import MINUTE_MS, Coin, Interval, KlineSeries
from kline_archive import same_bars
from kline_archiver import month_of
from kline_store import KlineStore
from repositories import coins
from timestamps import parse_time_ms

SYMBOLS = ("BTC", "ETH", "BNB", "SOL", "XRP", "DOGE", "ADA", "TRX", "AVAX", "LINK")
START_MS = parse_time_ms("2024-01-01")
FAR_MS = parse_time_ms("2030-01-01")
MILLION = 1_000_000

Seconds = tuple[float, float]  # by the clock on the wall, and of CPU


def main(coin_count: int = 10, months: int = 12) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="kline-tiers-") as folder:
        files = Path(folder, "files")
        files.mkdir()
        rows = sum(write_coin(files, symbol, months) for symbol in SYMBOLS[:coin_count])
        database = Database(Path(folder, "trading.db"), SystemClock())
        database.upgrade()
        imported = command(folder, "import", str(files))
        store, symbols = KlineStore(database), SYMBOLS[:coin_count]
        series = [coins.get(database.connection, symbol) for symbol in symbols]
        warm, warm_seconds = timed(lambda: read_all(store, series))
        database.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        full = database.path.stat().st_size
        archived = command(folder, "archive", "--before", "2030-01-01")
        cold, cold_seconds = timed(lambda: read_all(store, series))
        if not all(same_bars(a, b) for a, b in zip(warm, cold, strict=True)):
            raise SystemExit("The archive gives other bars than the database gave.")
        cold_bytes = sum(path.stat().st_size for path in Path(folder).rglob("*.parquet"))
        small = database.path.stat().st_size
        database.close()
    print(f"{rows:,} one-minute candles of {coin_count} coins, {months} files each\n")
    print("| | seconds | of CPU | candles/s | a million, seconds |")
    print("|---|---:|---:|---:|---:|")
    for name, (seconds, cpu) in (
        ("import (zip → SQLite)", imported), ("archive (SQLite → Parquet, verified)", archived),
        ("read warm (SQLite → numpy)", warm_seconds), ("read cold (Parquet → numpy)", cold_seconds),
    ):  # fmt: skip
        share = seconds * MILLION / rows
        print(f"| {name} | {seconds:.1f} | {cpu:.1f} | {rows / seconds:,.0f} | {share:.2f} |")
    print(
        f"\nThe database had {full / 2**20:,.0f} MiB and has {small / 2**20:,.0f} MiB; "
        f"the archive has {cold_bytes / 2**20:,.0f} MiB. Cold bars are those that were warm, bit by bit."
    )


def write_coin(folder: Path, symbol: str, months: int) -> int:
    """A zip a month in Binance's format; how many rows."""
    random = np.random.default_rng(list(symbol.encode()))
    at, rows, price = START_MS, 0, 10 ** random.uniform(-1, 4.8)
    for _ in range(months):
        start, end = month_of(at)
        times = np.arange(start, end, MINUTE_MS)
        last = price * np.exp(np.cumsum(random.normal(0, 0.0004, len(times))))
        first = np.concatenate(([price], last[:-1]))
        high = np.maximum(first, last) * (1 + np.abs(random.normal(0, 0.0002, len(times))))
        low = np.minimum(first, last) * (1 - np.abs(random.normal(0, 0.0002, len(times))))
        volume = random.exponential(12, len(times))
        lines = [
            f"{t},{a:.6f}00,{b:.6f}00,{c:.6f}00,{d:.6f}00,{v:.5f}000,{t + 59_999},"
            f"{v * d:.8f},{n},{v / 2:.5f}000,{v * d / 2:.8f},0"
            for t, a, b, c, d, v, n in zip(
                times.tolist(), first, high, low, last, volume,
                random.integers(1, 5000, len(times)), strict=True,
            )
        ]  # fmt: skip
        name = f"{symbol}USDT-1m-{time.strftime('%Y-%m', time.gmtime(start / 1000))}"
        with zipfile.ZipFile(folder / f"{name}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(f"{name}.csv", "\n".join(lines))
        at, rows, price = end, rows + len(times), last[-1]
    return rows


def command(folder: str, *words: str) -> Seconds:
    """Run `flask klines …` on the folder's database, from start to end."""
    environment = os.environ | {"DATABASE_PATH": str(Path(folder, "trading.db"))}
    before, began = children_cpu(), time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "flask", "--app", "app", "klines", *words],
        env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    return time.perf_counter() - began, children_cpu() - before


def children_cpu() -> float:
    """CPU seconds of the processes that have ended."""
    used = os.times()
    return used.children_user + used.children_system


def read_all(store: KlineStore, series: list[Coin]) -> list[KlineSeries]:
    """Every bar of each coin."""
    return [store.read(coin, "binance", Interval.M1, 0, FAR_MS) for coin in series]


def timed(ask: Callable[[], list[KlineSeries]]) -> tuple[list[KlineSeries], Seconds]:
    """The answer, and what it took."""
    began, cpu = time.perf_counter(), time.process_time()
    answer = ask()
    return answer, (time.perf_counter() - began, time.process_time() - cpu)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
