"""No byte of a secret in the log at DEBUG, libraries included, in the database and its backups."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from addresses import sources_at
from conftest import running
from flask import Flask
from werkzeug.serving import make_server

from app import create_app
from benchmarks.planted_secrets import (
    DATABASE_NAME,
    LOG_NAME,
    Gardener,
    search,
    settings_to_plant,
)
from config import Config
from exchange_simulator.server import SimulatorServer
from log_lines import LIBRARIES, JsonLines
from routes.services import EXTENSION, Services


@contextmanager
def everything_logged(folder: Path, app: Flask) -> Iterator[None]:
    """The log of this process at DEBUG, as JSON, in a file; as `write_log` writes it."""
    services: Services = app.extensions[EXTENSION]
    handler = logging.FileHandler(folder / LOG_NAME, encoding="utf-8")
    handler.setFormatter(JsonLines())
    handler.addFilter(services.redactor)
    loggers = [logging.getLogger(), *map(logging.getLogger, LIBRARIES)]
    levels = [logger.level for logger in loggers]
    loggers[0].addHandler(handler)
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
    yield
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)
    loggers[0].removeHandler(handler)
    handler.close()


@contextmanager
def served(app: Flask) -> Iterator[str]:
    """The app behind a server; its address."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, name="server")
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()


def test_what_is_planted_is_in_nothing_that_is_written(
    tmp_path: Path, app_config: Config, simulator: SimulatorServer
):
    """In short: a process that trades for a day is `python -m benchmarks.planted_secrets`."""
    given = settings_to_plant()
    settings = app_config.model_dump() | given | sources_at(simulator.url)
    config = Config(**(settings | {"LOCAL_PROVIDERS": "on"}))
    for app in running(create_app(config, clock=simulator.clock)):
        with everything_logged(tmp_path, app), served(app) as address:
            gardener = Gardener(address, simulator.url, given)
            gardener.plant()
            gardener.back_up(with_keys=True)
    result = search(tmp_path, gardener.secrets)
    assert result.found == []
    assert len(gardener.secrets) == 16
    libraries = {"openai", "httpx2", "httpcore2", "urllib3", "owner_access"}
    assert libraries <= result.by_logger.keys()
    assert result.cut > 0  # libraries said headers, of which the keys were cut
    assert result.cycles == 3
    assert {DATABASE_NAME, LOG_NAME} < result.file_bytes.keys()
    assert any(name.startswith("backups/") for name in result.file_bytes)


def test_a_secret_that_is_written_is_found(tmp_path: Path):
    given = settings_to_plant()
    (tmp_path / LOG_NAME).write_text(f'{{"logger": "x", "message": "{given["OKX_PASSPHRASE"]}"}}\n')
    (tmp_path / f"{DATABASE_NAME}-wal").write_bytes(b"\x00" + given["SECRET_KEY"].encode())
    assert search(tmp_path, given).found == [
        f"OKX_PASSPHRASE in {LOG_NAME}", f"SECRET_KEY in {DATABASE_NAME}-wal",
    ]  # fmt: skip
