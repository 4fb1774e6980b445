"""Candle files from folders and URLs: what is fetched, and which places are refused."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from test_binance_archive import hourly_rows

import kline_import
from errors import DataError, SourceRefused, SourceUnavailable
from kline_import import candle_files, download

CONTENT = gzip.compress("\n".join(hourly_rows(5)).encode())
NAME = "BTCUSDT-1h-2024-01.csv.gz"


@contextmanager
def serving(answers: dict[str, tuple[int, dict[str, str], bytes]]) -> Iterator[str]:
    """A web server that answers paths as told; its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, body = answers.get(self.path, (404, {}, b""))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_file_comes_as_it_was_sent_also_over_redirects_of_its_host(tmp_path: Path):
    answers = {
        f"/{NAME}": (302, {"Location": f"/moved/{NAME}?v=1"}, b""),
        f"/moved/{NAME}?v=1": (200, {"Content-Encoding": "gzip"}, CONTENT),
    }
    seen: list[int] = []
    with serving(answers) as address:
        path = download(f"{address}/{NAME}", tmp_path, seen.append)
    assert path == tmp_path / NAME
    assert path.read_bytes() == CONTENT
    assert sum(seen) == len(CONTENT)


@pytest.mark.parametrize(
    "place", ["http://localhost:{port}/{name}", "http://169.254.169.254/{name}", "file:///etc/{name}",
              "//evil.example/{name}", "ftp://127.0.0.1/{name}"],
)  # fmt: skip
def test_a_redirect_to_another_place_is_refused(tmp_path: Path, place: str):
    answers: dict[str, tuple[int, dict[str, str], bytes]] = {}
    with serving(answers) as address:
        port = address.rpartition(":")[2]
        answers[f"/{NAME}"] = (302, {"Location": place.format(port=port, name=NAME)}, b"")
        with pytest.raises((SourceRefused, DataError), match=r"another host|no http or https"):
            download(f"{address}/{NAME}", tmp_path)
    assert not list(tmp_path.iterdir())


def test_redirects_in_a_circle_and_refusals_end(tmp_path: Path):
    answers = {
        f"/{NAME}": (302, {"Location": f"/{NAME}"}, b""),
        f"/gone/{NAME}": (404, {}, b""),
    }
    with serving(answers) as address:
        with pytest.raises(SourceRefused, match="to no file"):
            download(f"{address}/{NAME}", tmp_path)
        with pytest.raises(SourceRefused, match="status 404"):
            download(f"{address}/gone/{NAME}", tmp_path)


def test_too_large_a_file_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(kline_import, "MOST_DOWNLOADED_BYTES", 2**20)
    large = b"0" * (2**20 + 1)
    answers = {
        f"/{NAME}": (200, {"Content-Length": str(10**12)}, b""),
        f"/silent/{NAME}": (200, {}, large),
        f"/odd/{NAME}": (200, {"Content-Length": "many"}, CONTENT),
    }
    with serving(answers) as address:
        for folder in ("", "/silent"):
            with pytest.raises(DataError, match="larger than 1 MiB"):
                download(f"{address}{folder}/{NAME}", tmp_path)
        with pytest.raises(SourceUnavailable, match="cannot be fetched"):
            download(f"{address}/odd/{NAME}", tmp_path)


@pytest.mark.parametrize(
    "url",
    ["file:///etc/passwd", f"file:///tmp/{NAME}", f"ftp://127.0.0.1/{NAME}", f"http:///{NAME}",
     "http://127.0.0.1:9/", "http://127.0.0.1:9/a%2F..%2FBTCUSDT-1h.csv", f"x://{NAME}",
     "http://127.0.0.1:9/BTCUSDT-1h.csv/.."],
)  # fmt: skip
def test_what_is_no_web_address_of_a_candle_file_is_refused(tmp_path: Path, url: str):
    with pytest.raises(DataError):
        download(url, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_server_that_is_not_there_is_unavailable(tmp_path: Path):
    with pytest.raises(SourceUnavailable, match="cannot be fetched"):
        download(f"http://127.0.0.1:9/{NAME}", tmp_path)


def test_a_folder_is_its_files_with_candles(tmp_path: Path):
    for name in ("b.csv", "a.zip", "c.csv.gz", "README.txt", "d.parquet"):
        (tmp_path / name).touch()
    assert [file.name for file in candle_files(tmp_path)] == ["a.zip", "b.csv", "c.csv.gz"]
    assert candle_files(tmp_path / "d.parquet") == [tmp_path / "d.parquet"]
