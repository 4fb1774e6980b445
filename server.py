"""Serving an app: the database brought up to date, the loop started, waitress in front of it all."""

from __future__ import annotations

import logging
import os
import shlex
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

from flask import Flask
from waitress.server import create_server

from config import LOOPBACK_HOSTS, Config
from errors import Conflict, PasswordNeeded
from few_at_once import FewAtOnce
from log_lines import log_what_nobody_caught
from repositories import stored_secrets
from repositories.providers import seal_plain_keys
from routes.services import EXTENSION, Services

PROXY_HEADERS = {"x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"}
# A browser keeps six open for each of its pages; at the limit nobody else is answered at all.
CONNECTIONS = 500
WORKED_ON_AT_ONCE = 2  # one that has the interpreter's lock, and one that reads or writes meanwhile
PATIENCE_SECONDS = 0.25
LARGEST_REQUEST_BYTES = 220_000_000  # an upload of candles; the app holds the others to 1 MB

log = logging.getLogger(__name__)


def serve(app: Flask) -> None:
    """Serve until SIGTERM or Ctrl-C; a cycle that is running is finished, nothing else starts.

    Raises MigrationError where the database cannot be used, SecretUnreadable where keys that an
    earlier version left in plain text cannot be sealed, Conflict where the port is taken,
    PasswordNeeded where others than this computer could call and no password is set.
    """
    log_what_nobody_caught()
    services: Services = app.extensions[EXTENSION]
    config = services.config
    if config.others_can_reach and not services.database.path.exists():
        raise PasswordNeeded(_others(config))
    services.database.upgrade()
    if config.others_can_reach and not services.access.password_is_set():
        raise PasswordNeeded(_others(config))
    seal_plain_keys(services.database, services.secrets)
    if not stored_secrets.are_stored(services.database.connection):
        services.secrets.make_key()  # now: sessions are signed with it, and end when it changes
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
        services.notification_watch.start()
    print(_first_words(_address(server), config), flush=True)  # noqa: T201
    try:
        server.run()
    except SystemExit:
        log.info("ending")
    finally:
        server.close()
        services.notification_watch.stop()
        services.loop.stop()
        services.klines.stop()
        services.sweeps.stop()
        services.backtests.stop()
        services.data_jobs.stop()


def _others(config: Config) -> str:
    """Why a password is needed, and how to set one."""
    reached = f"on {config.HOST}" if config.HOST not in LOOPBACK_HOSTS else "behind a proxy"
    return (
        f"Listening {reached}, others than this computer could trade here. Set a password first: "
        f"{_command(config)} user set-password"
    )


def _first_words(address: str, config: Config) -> str:
    return (
        f"\n  Open {address}\n"
        f"  Scripts need a token: {_command(config)} token create NAME --scope trade\n"
    )


def _command(config: Config) -> str:
    """How the command line of this very app begins, from the folder that it was started in."""
    program = os.path.relpath(Path(sys.executable).with_name("flask"))
    usual, path = Config.model_fields["DATABASE_PATH"].default, config.DATABASE_PATH
    named = "" if path == usual else f"DATABASE_PATH={shlex.quote(str(path))} "
    return f"{named}{program} --app app"


def _listening(app: Flask, config: Config) -> Any:
    try:
        return create_server(
            FewAtOnce(app, WORKED_ON_AT_ONCE, PATIENCE_SECONDS),
            host=config.HOST,
            port=config.PORT,
            threads=config.SERVER_THREADS,
            connection_limit=CONNECTIONS,
            ident=None,
            max_request_body_size=LARGEST_REQUEST_BYTES,
            clear_untrusted_proxy_headers=True,
            **_trusted_proxy(config),
        )
    except OSError as error:
        raise Conflict(
            f"Port {config.PORT} of {config.HOST} cannot be listened on: {error.strerror}.",
            code="port_taken",
        ) from error


def _trusted_proxy(config: Config) -> dict[str, Any]:
    """What the server believes of a request that comes from the proxy's own address."""
    if not config.TRUSTED_PROXY:
        return {}
    return {"trusted_proxy": config.TRUSTED_PROXY, "trusted_proxy_headers": PROXY_HEADERS}


def _address(server: Any) -> str:
    """Where it listens; `localhost` may be two addresses, of which this is the first."""
    if hasattr(server, "effective_listen"):
        host, port = server.effective_listen[0]
    else:
        host, port = server.effective_host, server.effective_port
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
