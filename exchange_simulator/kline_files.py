"""Reading klines from files in the format of Binance's public archive.

A file is named `SYMBOL-INTERVAL-anything.csv` or `.csv.gz` and has the twelve columns of a
kline, with or without a header, with times in milliseconds or microseconds UTC.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from domain import TimeArray
from exchange_simulator import intervals
from exchange_simulator.bars import CLOSE, HIGH, LOW, OPEN, VOLUME, Bars, Columns
from exchange_simulator.market import QUOTE_DECIMALS

MAX_DECIMALS = 8
LARGEST_MILLISECONDS = 10**14  # the year 5138; anything larger is microseconds
_KLINE_ROW = re.compile(
    r"[0-9]{1,16}(?:,[0-9]{1,16}(?:\.[0-9]*)?){10},[^,]*"
)  # the last is ignored
_HEADER = re.compile(r"[A-Za-z_ ]+(?:,[A-Za-z_ ]+){11}")


class KlineFileError(ValueError):
    """A file that is not what it must be; the message names it."""


@dataclass(frozen=True, slots=True)
class RecordedKlines:
    """The klines of one symbol at the interval of its files, with the grid they lie on."""

    symbol: str
    interval: str
    price_decimals: int
    quantity_decimals: int
    bars: Bars


def read_klines(paths: Iterable[Path]) -> list[RecordedKlines]:
    """The klines of `paths` (files, or folders of them), merged by symbol.

    Raises KlineFileError for a file that is malformed, for files of one symbol that differ in
    their interval, and when there is no file at all.
    """
    files_of: dict[tuple[str, str], list[Path]] = {}
    for path in _kline_files(paths):
        files_of.setdefault(_symbol_and_interval(path), []).append(path)
    if not files_of:
        raise KlineFileError("there are no kline files (*.csv, *.csv.gz)")
    symbols = [symbol for symbol, _ in files_of]
    for symbol in symbols:
        if symbols.count(symbol) > 1:
            raise KlineFileError(f"{symbol} has files of different intervals")
    return [
        _recorded(symbol, interval, files) for (symbol, interval), files in sorted(files_of.items())
    ]


def _kline_files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from sorted([*path.glob("*.csv"), *path.glob("*.csv.gz")])
        else:
            yield path


def _symbol_and_interval(path: Path) -> tuple[str, str]:
    parts = path.name.removesuffix(".gz").removesuffix(".csv").split("-")
    if len(parts) < 2 or parts[1] not in intervals.FIXED_MS:
        raise KlineFileError(f"{path.name} is not named SYMBOL-INTERVAL-….csv or .csv.gz")
    return parts[0].upper(), parts[1]


def _recorded(symbol: str, interval: str, files: Sequence[Path]) -> RecordedKlines:
    rows = [row for path in files for row in _rows(path)]
    if not rows:
        raise KlineFileError(f"the files of {symbol} hold no klines")
    texts = list(zip(*rows, strict=True))
    price_decimals = max(_decimals(texts[column]) for column in range(1, 5))
    quantity_decimals = max(_decimals(texts[5]), _decimals(texts[9]))
    prices = [_units(texts[column], price_decimals) for column in range(1, 5)]
    activity = [
        _units(texts[5], quantity_decimals),
        _units(texts[7], QUOTE_DECIMALS),
        _units(texts[8], 0),
        _units(texts[9], quantity_decimals),
        _units(texts[10], QUOTE_DECIMALS),
    ]
    times = np.array([_milliseconds(text) for text in texts[0]], dtype=np.int64)
    times, kept = np.unique(times, return_index=True)
    try:
        columns = np.array([*prices, *activity], dtype=np.int64)[:, kept]
    except OverflowError:
        raise KlineFileError(
            f"{symbol}: a number is too large for its number of decimals"
        ) from None
    _check(symbol, interval, times, columns)
    return RecordedKlines(symbol, interval, price_decimals, quantity_decimals, Bars(times, columns))


def _rows(path: Path) -> Iterator[list[str]]:
    for number, line in enumerate(_lines(path), start=1):
        row = line.strip()
        if not row or (number == 1 and _HEADER.fullmatch(row)):
            continue  # a blank line or the header
        if not _KLINE_ROW.fullmatch(row):
            raise KlineFileError(f"{path.name}, line {number}: not the 12 columns of a kline")
        yield row.split(",")


def _lines(path: Path) -> Iterator[str]:
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", encoding="ascii") as lines:
            yield from lines
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise KlineFileError(f"{path.name} cannot be read: {error}") from error


def _decimals(texts: Iterable[str]) -> int:
    """How many digits after the point `texts` need, at most 8."""
    longest = max(len(text.partition(".")[2].rstrip("0")) for text in texts)
    return min(longest, MAX_DECIMALS)


def _units(texts: Iterable[str], decimals: int) -> list[int]:
    """`texts` in units of 10^-`decimals`, exactly; further digits are cut."""
    units = []
    for text in texts:
        whole, _, fraction = text.partition(".")
        units.append(int(whole + fraction[:decimals].ljust(decimals, "0")))
    return units


def _milliseconds(text: str) -> int:
    time = int(text)
    return time // 1000 if time > LARGEST_MILLISECONDS else time


def _check(symbol: str, interval: str, times: TimeArray, columns: Columns) -> None:
    """Refuse bars off their interval's grid and impossible prices."""
    for time_ms in times.tolist():
        if intervals.floor(interval, time_ms) != time_ms:
            raise KlineFileError(f"{symbol}: {time_ms} is no opening of a bar of {interval}")
    bottom = np.minimum(columns[OPEN], columns[CLOSE])
    top = np.maximum(columns[OPEN], columns[CLOSE])
    sound = (
        (columns[LOW] > 0)
        & (columns[LOW] <= bottom)
        & (top <= columns[HIGH])
        & (columns[VOLUME] >= 0)
    )
    if not sound.all():
        time_ms = int(times[~sound][0])
        raise KlineFileError(f"{symbol}: the bar that opens at {time_ms} has impossible values")
