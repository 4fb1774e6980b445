"""The real candles that some tests stand on, where they are present."""

from __future__ import annotations

import gzip
import os
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from domain import Interval, KlineSeries

ROOT = Path(__file__).resolve().parent.parent
FOLDER = Path(os.environ.get("KLINES_DIR") or ROOT.parent / "shared" / "data" / "klines")

needs_real_klines = pytest.mark.skipif(
    not any(FOLDER.glob("*.csv.gz")), reason=f"the real candles are not at {FOLDER}"
)


@cache
def real_series(coin: str) -> KlineSeries:
    """All hourly bars of `coin` against USDT in the folder's file."""
    (path,) = FOLDER.glob(f"{coin}USDT-1h-*.csv.gz")
    with gzip.open(path, "rt") as lines:
        table = np.loadtxt(lines, delimiter=",", usecols=range(6), dtype=np.float64)
    return KlineSeries(
        Interval.H1, table[:, 0].astype(np.int64), *table[:, 1:].T.copy(), source="binance"
    )
