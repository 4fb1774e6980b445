"""Files of the pages that browsers keep: their addresses change when any of them does.

The version in an address is made of all the files' contents. An address of another version, as an
open page has it after an upgrade, gives what there is now, to be asked for again the next time.
"""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

from flask import Flask, Response, current_app, send_from_directory

STATIC = "static"
MESSAGES = "pages.messages"
EXTENSION = "pages-version"
KEPT_SECONDS = 365 * 86_400
#: Where `import` and `export … from` statements import by a relative address.
IMPORTED = re.compile(r"""(?:\bfrom|^import)\s*['"](\.{1,2}/[^'"]+)['"]""", re.MULTILINE)


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

    app.add_template_global(imported_modules)
    app.add_url_rule("/static/<version>/<path:filename>", STATIC, static_file)


def imported_modules(*names: str) -> list[str]:
    """These modules of static/js and all that they import, by their names in static/.

    A page that names them lets the browser ask for all at once. Otherwise it learns of each when
    it has read the one that imports it.
    """
    return _imported(Path(current_app.root_path, "static"), names)


@lru_cache
def _imported(static: Path, names: tuple[str, ...]) -> list[str]:
    found = [f"js/{name}.js" for name in names]
    for module in found:  # grows meanwhile
        for address in IMPORTED.findall((static / module).read_text("utf-8")):
            imported = posixpath.normpath(posixpath.join(posixpath.dirname(module), address))
            if imported not in found:
                found.append(imported)
    return found


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
