"""Serving an app: the database brought up to date, the loop started, waitress in front of it all."""

from __future__ import annotations

import logging
import signal
from types import FrameType

from flask import Flask
from waitress.server import create_server

from routes.services import EXTENSION, Services

LARGEST_REQUEST_BYTES = 4_000_000

log = logging.getLogger(__name__)


def serve(app: Flask) -> None:
    """Serve until SIGTERM or Ctrl-C; a cycle that is running is finished, nothing else starts."""
    services: Services = app.extensions[EXTENSION]
    config = services.config
    services.database.upgrade()
    server = create_server(
        app,
        host=config.HOST,
        port=config.PORT,
        threads=config.SERVER_THREADS,
        ident=None,
        max_request_body_size=LARGEST_REQUEST_BYTES,
        clear_untrusted_proxy_headers=True,
    )
    signal.signal(signal.SIGTERM, _end)
    services.backtests.resume()
    if config.TRADING_LOOP == "on":
        services.loop.start()
    host = f"[{config.HOST}]" if ":" in config.HOST else config.HOST
    print(f"\n  Open http://{host}:{server.effective_port}\n", flush=True)  # noqa: T201
    try:
        server.run()
    except (KeyboardInterrupt, SystemExit):
        log.info("ending")
    finally:
        server.close()
        services.loop.stop()
        services.backtests.stop()


def _end(number: int, frame: FrameType | None) -> None:
    raise SystemExit(0)
