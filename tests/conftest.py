"""Fixtures that tests of several parts share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import real_klines as candles
from addresses import NOWHERE, sources_at
from argon2 import PasswordHasher
from flask import Flask
from new_database import lay_down
from page_client import PageClient
from scripted_venue import ScriptedVenue

import passwords
from app import create_app
from clock import ManualClock
from config import Config
from exchange_simulator.generated_market import GeneratedMarket
from exchange_simulator.server import SimulatorServer
from routes.services import EXTENSION, Services

Flask.test_client_class = PageClient  # every app's `test_client()`
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


@pytest.fixture
def venue() -> Iterator[ScriptedVenue]:
    """A venue that says what it is told to."""
    venue = ScriptedVenue()
    yield venue
    venue.close()


@pytest.fixture
def app_config(tmp_path: Path) -> Config:
    """An app on a database of its own, whose only source cannot be reached."""
    return Config(
        DATABASE_PATH=tmp_path / "trading.db",
        **NOWHERE,
        SOURCE_TIMEOUT_SECONDS=2.0,
        TRADING_LOOP="off",
    )


@pytest.fixture(scope="module")
def quick_hashes() -> Iterator[PasswordHasher]:
    """Passwords are hashed with as little work as there can be; what hashes them in earnest."""
    in_earnest = passwords._hasher
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "_hasher", PasswordHasher(1, 8, 1))
        yield in_earnest


@pytest.fixture
def offline_app(app_config: Config) -> Iterator[Flask]:
    """The app without any source: what is stored is all there is. Its answers are checked."""
    yield from running(create_app(app_config, check_answers=True))


@pytest.fixture
def app(app_config: Config, simulator: SimulatorServer) -> Iterator[Flask]:
    """The app on the simulated exchange and its clock. Its answers are checked."""
    config = app_config.model_copy(update=sources_at(simulator.url))
    yield from running(create_app(config, clock=simulator.clock, check_answers=True))


def running(app: Flask) -> Iterator[Flask]:
    """`app` with its database made, and its workers ended afterwards."""
    services: Services = app.extensions[EXTENSION]
    lay_down(services.database.path)
    services.database.upgrade()
    yield app
    services.loop.stop()
    services.klines.stop()
    services.sweeps.stop()
    services.backtests.stop()
    services.data_jobs.stop()
    services.database.close()
