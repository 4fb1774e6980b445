"""Reading Binance's public archive of klines: twelve columns of CSV, plain, gzipped or zipped.

Files are untrusted. A file is taken whole or not at all: the first thing that is wrong with it
is a `DataError` that names the file and, where there is one, the line.
"""

from __future__ import annotations

import gzip
import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

from binance_rows import plain_rows
from domain import BoolArray, FloatArray, Interval, KlineSeries, TimeArray
from errors import DataError
from kline_validation import (
    MOST_SIGNIFICANT_DIGITS,
    float64_keeps,
    impossible,
    is_decimal,
    off_grid,
)

SOURCE = "binance"
MOST_BYTES = 512 * 1024 * 1024  # unpacked: seven years of one-minute bars
LONGEST_LINE = 1000
CHUNK_BYTES = 4 * 1024 * 1024  # bounds what is held as text at a time
MICROSECONDS_FROM = 10**14  # a larger time is in microseconds (archives since 2025)

COLUMNS = (
    *("open time", "open", "high", "low", "close", "volume", "close time", "quote volume"),
    *("number of trades", "taker volume", "taker quote volume", "ignored column"),
)
_NAME = re.compile(r"([A-Z0-9]{2,20})-([0-9]+[a-zA-Z]+)(?:-.*)?\.(?:csv|csv\.gz|csv\.zip|zip)")
_ROW = re.compile(
    r"[0-9]{1,16}(?:,-?[0-9]{1,25}(?:\.[0-9]{1,25})?){5}"
    r",[0-9]{1,16}(?:,-?[0-9]{1,25}(?:\.[0-9]{1,25})?){4},[^,]*"
)
_HEADER = re.compile(rb"[A-Za-z_ ]+(?:,[A-Za-z_ ]+){11}")
# RuntimeError: an encrypted zip, or one packed in a way that is not implemented.
_UNREADABLE = (OSError, EOFError, RuntimeError, zlib.error, zipfile.BadZipFile)


@dataclass(frozen=True, slots=True)
class ArchivedKlines:
    """The klines of a file: of one symbol (the venue's name) at one interval, all closed."""

    symbol: str
    interval: Interval
    series: KlineSeries


def read_klines(path: Path) -> ArchivedKlines:
    """The klines of a file that is named as Binance names it, `BTCUSDT-1h-….csv[.gz]` or `.zip`.

    With or without a header row; times in milliseconds or microseconds. Prices come back exactly
    as they are written: more than 15 significant digits are an error. Gaps are allowed. Raises
    DataError, like "BTCUSDT-1h-2024.csv.gz, line 17: its high is not a number: 'x'".
    """
    symbol, interval = symbol_and_interval(path)
    table = _Table(path.name)
    try:
        with _opened(path) as stream:
            for block in _blocks(stream, path.name):
                table.add(block)
    except _UNREADABLE as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise DataError(f"{path.name}: cannot be read: {reason}") from error
    return ArchivedKlines(symbol, interval, table.series(interval))


def symbol_and_interval(path: Path) -> tuple[str, Interval]:
    """What a file's name says. Raises DataError for a name or an interval that is none."""
    named = _NAME.fullmatch(path.name)
    if named is None:
        raise DataError(
            f"{path.name}: not named SYMBOL-INTERVAL-….csv, .csv.gz or .zip, as Binance's are"
        )
    symbol, interval = named.groups()
    try:
        return symbol, Interval(interval)
    except ValueError:
        raise DataError(f"{path.name}: bars of {interval} are not supported") from None


# ------------------------------------------------------------------------------------- bytes


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """The unpacked bytes of a file, as a stream."""
    if path.suffix == ".gz":
        with gzip.open(path) as stream:
            yield cast(BinaryIO, stream)
    elif path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if len(members) != 1 or members[0].is_dir():
                raise DataError(f"{path.name}: must hold one file, and holds {len(members)}")
            with archive.open(members[0]) as stream:
                yield cast(BinaryIO, stream)
    else:
        with path.open("rb") as stream:
            yield stream


def _blocks(stream: BinaryIO, name: str) -> Iterator[bytes]:
    """The bytes of `stream` in pieces of complete lines, each with its end.

    Never more than `MOST_BYTES` and `LONGEST_LINE`: a bomb is noticed in its first chunk.
    """
    total, rest = 0, b""
    while chunk := stream.read(CHUNK_BYTES):
        total += len(chunk)
        if total > MOST_BYTES:
            raise DataError(f"{name}: unpacks to more than {MOST_BYTES // 2**20} MiB")
        lines, newline, rest = (rest + chunk).rpartition(b"\n")
        if len(rest) > LONGEST_LINE:
            raise DataError(f"{name}: has a line of more than {LONGEST_LINE} characters")
        if newline:
            yield (lines + newline).replace(b"\r\n", b"\n")
    if rest:
        yield rest.removesuffix(b"\r") + b"\n"


# -------------------------------------------------------------------------------------- rows


class _Table:
    """Rows as numbers, batch after batch, with the lines they came from."""

    def __init__(self, name: str):
        self._name = name
        self._line_count = 0
        self._first_row_line = 1
        self._times: list[TimeArray] = []
        self._columns: list[list[FloatArray]] = []

    def add(self, block: bytes) -> None:
        """Read more lines. Raises DataError for the first that is not twelve numbers."""
        if self._line_count == 0:
            block = self._without_header(block)
        if not block:
            return
        rows = plain_rows(block)
        if rows is None:
            self._add_line_by_line(block)
            return
        open_time, columns = rows
        self._times.append(open_time)
        self._columns.append(columns)
        self._line_count += len(open_time)

    def _without_header(self, block: bytes) -> bytes:
        first, _, rest = block.partition(b"\n")
        if not _HEADER.fullmatch(first):
            return block
        self._line_count, self._first_row_line = 1, 2
        return rest

    def _add_line_by_line(self, block: bytes) -> None:
        """The careful way: finds the first line that is wrong, and takes what is right."""
        try:
            lines = block.decode("ascii").split("\n")[:-1]
        except UnicodeDecodeError:
            raise DataError(f"{self._name}: is not text") from None
        for index, line in enumerate(lines):
            if not _ROW.fullmatch(line):
                raise self._error(self._line_count + index + 1, _what_is_wrong(line))
        times, *prices, volume = zip(*(line.split(",", 6)[:6] for line in lines), strict=True)
        self._check_digits(prices)
        self._times.append(np.fromiter(map(int, times), np.int64, len(lines)))
        self._columns.append(
            [np.fromiter(map(float, texts), np.float64, len(lines)) for texts in (*prices, volume)]
        )
        self._line_count += len(lines)

    def series(self, interval: Interval) -> KlineSeries:
        """All rows as a series. Raises DataError for the first row that cannot be one of it."""
        if not self._times:
            raise DataError(f"{self._name}: holds no klines")
        written = np.concatenate(self._times)
        scale = np.where(written >= MICROSECONDS_FROM, 1000, 1)
        first, high, low, last, volume = (
            np.concatenate(pieces) for pieces in zip(*self._columns, strict=True)
        )
        series = KlineSeries(interval, written // scale, first, high, low, last, volume, SOURCE)
        steps = np.diff(series.open_time, prepend=-1)
        off = off_grid(interval, series.open_time) | (written % scale != 0)
        self._refuse(off, f"its open time is no opening of a bar of {interval}")
        self._refuse(impossible(series), "its prices or its volume are impossible")
        self._refuse(steps == 0, "its open time is the same as the line's before")
        self._refuse(steps < 0, "it is older than the line before")
        return series

    def _check_digits(self, prices: Sequence[Sequence[str]]) -> None:
        # Most columns are known to be short enough by their longest text alone.
        if max(map(len, chain(*prices))) <= MOST_SIGNIFICANT_DIGITS:
            return
        for index, texts in enumerate(zip(*prices, strict=True)):
            for text in texts:
                if not float64_keeps(text):
                    reason = f"{text} has more than {MOST_SIGNIFICANT_DIGITS} significant digits"
                    raise self._error(self._line_count + index + 1, reason)

    def _refuse(self, wrong: BoolArray, reason: str) -> None:
        if wrong.any():
            raise self._error(self._first_row_line + int(np.argmax(wrong)), reason)

    def _error(self, line: int, reason: str) -> DataError:
        return DataError(f"{self._name}, line {line}: {reason}")


def _what_is_wrong(line: str) -> str:
    """Why a line is not the twelve numbers of a kline."""
    fields = line.split(",")
    if len(fields) != len(COLUMNS):
        return f"has {len(fields)} columns, not {len(COLUMNS)}"
    for name, field in zip(COLUMNS[:-1], fields[:-1], strict=True):
        is_time = name in ("open time", "close time")
        if not is_decimal(field) or (is_time and not re.fullmatch("[0-9]{1,16}", field)):
            return f"its {name} is not a {'time' if is_time else 'number'}: {field[:40]!r}"
    return "is not a kline"
