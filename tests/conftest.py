"""Fixtures that tests of several parts share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import real_klines as candles

from clock import ManualClock
from exchange_simulator.generated_market import GeneratedMarket
from exchange_simulator.server import SimulatorServer

SIMULATED_NOW_MS = 1_717_245_296_789  # 2024-06-01T12:34:56.789Z, a Saturday


@pytest.fixture(scope="session")
def real_klines() -> Path:
    """The folder of the real candles; skips where it is absent."""
    if not any(candles.FOLDER.glob("*.csv.gz")):
        pytest.skip(f"the real candles are not at {candles.FOLDER}")
    return candles.FOLDER


@pytest.fixture(scope="module")
def simulator() -> Iterator[SimulatorServer]:
    """A running exchange on a generated market whose clock stands at `SIMULATED_NOW_MS`.

    One for a module: a test that moves `simulator.clock` sets it back.
    """
    with SimulatorServer(GeneratedMarket(seed=7), ManualClock(SIMULATED_NOW_MS)) as server:
        yield server
