"""Serving an app: the database brought up to date, the loop started, waitress in front of it all."""

from __future__ import annotations

import logging
import signal
from types import FrameType
from typing import Any

from flask import Flask
from waitress.server import create_server

from config import Config
from errors import Conflict
from repositories.providers import seal_plain_keys
from routes.services import EXTENSION, Services

LARGEST_REQUEST_BYTES = 220_000_000  # an upload of candles; the app holds the others to 1 MB

log = logging.getLogger(__name__)


def serve(app: Flask) -> None:
    """Serve until SIGTERM or Ctrl-C; a cycle that is running is finished, nothing else starts.

    Raises MigrationError where the database cannot be used, SecretUnreadable where keys that an
    earlier version left in plain text cannot be sealed, Conflict where the port is taken.
    """
    services: Services = app.extensions[EXTENSION]
    config = services.config
    services.database.upgrade()
    seal_plain_keys(services.database, services.secrets)
    server = _listening(app, config)

    def end(number: int, frame: FrameType | None) -> None:
        services.events.close()  # the server waits for its answers, and a page's stream has no end
        services.desk.stop_calls()  # nor are those of LLMs waited for
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    services.backtests.resume()
    services.sweeps.resume()
    if config.TRADING_LOOP == "on":
        services.loop.start()
    print(f"\n  Open {_address(server)}\n", flush=True)  # noqa: T201
    try:
        server.run()
    except SystemExit:
        log.info("ending")
    finally:
        server.close()
        services.loop.stop()
        services.klines.stop()
        services.sweeps.stop()
        services.backtests.stop()
        services.data_jobs.stop()


def _listening(app: Flask, config: Config) -> Any:
    try:
        return create_server(
            app,
            host=config.HOST,
            port=config.PORT,
            threads=config.SERVER_THREADS,
            ident=None,
            max_request_body_size=LARGEST_REQUEST_BYTES,
            clear_untrusted_proxy_headers=True,
        )
    except OSError as error:
        raise Conflict(
            f"Port {config.PORT} of {config.HOST} cannot be listened on: {error.strerror}.",
            code="port_taken",
        ) from error


def _address(server: Any) -> str:
    """Where it listens; `localhost` may be two addresses, of which this is the first."""
    if hasattr(server, "effective_listen"):
        host, port = server.effective_listen[0]
    else:
        host, port = server.effective_host, server.effective_port
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
