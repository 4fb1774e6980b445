"""Files of the pages that browsers keep: their addresses change when any of them does.

The version in an address is made of all the files' contents. An address of another version, as an
open page has it after an upgrade, gives what there is now, to be asked for again the next time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from flask import Flask, Response, current_app, send_from_directory

STATIC = "static"
MESSAGES = "pages.messages"
EXTENSION = "pages-version"
KEPT_SECONDS = 365 * 86_400


def serve_static(app: Flask) -> None:
    """Add the static files' route; `url_for` puts the version into addresses of what is kept."""
    root = Path(app.root_path)
    version = app.extensions[EXTENSION] = version_of(
        path
        for folder, pattern in (("static", "*"), ("translations", "*.mo"))
        for path in (root / folder).rglob(pattern)
    )

    @app.url_defaults
    def add_version(endpoint: str, values: dict[str, Any]) -> None:
        if endpoint in (STATIC, MESSAGES):
            values.setdefault("version", version)

    app.add_url_rule("/static/<version>/<path:filename>", STATIC, static_file)


def version_of(paths: Iterable[Path]) -> str:
    """Twelve hexadecimal digits of the files' names and contents."""
    digest = hashlib.sha256()
    for path in sorted(path for path in paths if path.is_file()):
        digest.update(f"{path.name}:{path.stat().st_size}:".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def static_file(version: str, filename: str) -> Response:
    """A script, a style sheet, a font or a picture."""
    return keep(send_from_directory(Path(current_app.root_path, "static"), filename), version)


def keep(response: Response, version: str) -> Response:
    """Let browsers keep an answer, where its address is of this version of the files.

    Not so where the app is being worked on: files change then while it runs.
    """
    response.cache_control.clear()
    if version == current_app.extensions[EXTENSION] and not current_app.debug:
        response.cache_control.public = True
        response.cache_control.max_age = KEPT_SECONDS
        response.cache_control.immutable = True
    else:
        response.cache_control.no_cache = True
    return response
