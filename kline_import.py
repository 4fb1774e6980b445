"""Taking candles from files in Binance's archive format: on the disk, in folders, behind URLs."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import requests

from binance_archive import ArchivedKlines, read_klines, symbol_and_interval
from database import Database
from errors import DataError, NotFound, SourceRefused, SourceUnavailable
from kline_store import KlineStore
from repositories import coins

ENDINGS = (".csv", ".csv.gz", ".zip")
MOST_DOWNLOADED_BYTES = 200 * 1024 * 1024  # packed: more than any file of the public archive
MOST_REDIRECTS = 3
CONNECT_SECONDS, READ_SECONDS, DOWNLOAD_SECONDS = 10.0, 30.0, 1800.0
PIECE_BYTES = 256 * 1024


def candle_files(path: Path) -> list[Path]:
    """The file itself, or the files with candles in a folder, by name."""
    if not path.is_dir():
        return [path]
    return sorted(file for file in path.iterdir() if file.name.endswith(ENDINGS))


def import_file(
    database: Database,
    store: KlineStore,
    path: Path,
    on_progress: Callable[[float], object] | None = None,
) -> ArchivedKlines:
    """Store a file's candles; what it held. Nothing is stored of a file that is not sound.

    A cut while they are stored leaves the first of them: taking the file again completes it.
    Raises DataError, and NotFound where no coin is known by the file's symbol.
    """
    archived = read_klines(path)
    series = archived.series
    coin = coins.find_by_venue_symbol(database.connection, series.source, archived.symbol)
    if coin is None:
        raise NotFound(f"{path.name}: no coin is known that Binance trades as {archived.symbol!r}.")
    stored = 0

    def tell(bars: int) -> None:
        nonlocal stored
        stored += bars
        if on_progress is not None:
            on_progress(stored / len(series))

    store.store_all(coin, series, tell)
    return archived


def check_name(name: str) -> None:
    """Raises DataError unless it is a bare name as Binance gives its files, without a folder."""
    if Path(name).name != name:
        raise DataError(f"{name!r} is no name of a file.")
    symbol_and_interval(Path(name))


# ----------------------------------------------------------------------------------- downloads


def is_url(text: str) -> bool:
    """Whether it names a place in the network and no file."""
    return "://" in text


def download(url: str, folder: Path, on_bytes: Callable[[int], object] | None = None) -> Path:
    """Fetch a file into `folder`, under its name in the URL; where it is.

    http and https alone, no more than `MOST_DOWNLOADED_BYTES`, and no redirect leads to another
    host. Raises DataError (a URL or a name that is none, too large), SourceUnavailable,
    SourceRefused.
    """
    name = unquote(urlsplit(url).path.rpartition("/")[2])
    check_name(name)
    try:
        with requests.Session() as session:
            response = _answer(session, url)
            with response:
                _check_length(name, int(response.headers.get("Content-Length") or 0))
                return _save(response, folder / name, on_bytes)
    except (requests.RequestException, OSError, ValueError) as error:
        raise SourceUnavailable(f"{url} cannot be fetched: {error}") from error


def _answer(session: requests.Session, url: str) -> requests.Response:
    """What stands at `url` in the end."""
    host = _host(url)
    for _ in range(1 + MOST_REDIRECTS):
        response = session.get(
            url, stream=True, allow_redirects=False, timeout=(CONNECT_SECONDS, READ_SECONDS),
            headers={"Accept-Encoding": "identity"},
        )  # fmt: skip
        if not response.is_redirect:
            if response.status_code != 200:
                raise SourceRefused(f"{url} answers with status {response.status_code}.")
            return response
        response.close()
        url = urljoin(url, response.headers["Location"])
        if _host(url) != host:
            raise SourceRefused(f"{host} leads to another host, {_host(url)}.")
    raise SourceRefused(f"{host} leads from one address to the next, and to no file.")


def _host(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise DataError(f"{url!r} is no http or https address.")
    return parts.hostname


def _save(
    response: requests.Response, path: Path, on_bytes: Callable[[int], object] | None
) -> Path:
    deadline = time.monotonic() + DOWNLOAD_SECONDS
    total = 0
    with path.open("wb") as file:
        # As it was sent: what is gzipped stays so.
        for piece in response.raw.stream(PIECE_BYTES, decode_content=False):
            total += len(piece)
            _check_length(path.name, total)
            if time.monotonic() > deadline:
                raise SourceUnavailable(f"{path.name} comes too slowly.")
            file.write(piece)
            if on_bytes is not None:
                on_bytes(len(piece))
    return path


def _check_length(name: str, length: int) -> None:
    if length > MOST_DOWNLOADED_BYTES:
        raise DataError(f"{name} is larger than {MOST_DOWNLOADED_BYTES // 2**20} MiB.")
