"""The real candles that some tests stand on: in KLINES_DIR, or beside the checkout."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import pytest

from binance_archive import read_klines
from domain import KlineSeries

ROOT = Path(__file__).resolve().parent.parent
FOLDER = Path(os.environ.get("KLINES_DIR") or ROOT.parent / "shared" / "data" / "klines")


@cache
def real_series(coin: str) -> KlineSeries:
    """All real hourly bars of `coin` against USDT; skips the test where they are absent."""
    found = sorted(FOLDER.glob(f"{coin}USDT-1h-*.csv.gz"))
    if not found:
        pytest.skip(f"the real candles of {coin} are not at {FOLDER}")
    return read_klines(found[0]).series
