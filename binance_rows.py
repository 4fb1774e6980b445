"""Many rows of Binance's twelve columns at a time, as numbers, where all of them are plain.

Whatever is not plain is left to the reader that goes line by line and can say what is wrong: so
this one may refuse what that one would take, and must never take what that one would refuse.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as csv

from domain import BoolArray, FloatArray, TimeArray
from kline_validation import MOST_SIGNIFICANT_DIGITS, float64_keeps

COLUMNS = 12
TIMES = (0, 6)  # open time and close time
PRICES = slice(1, 5)
LONGEST_TIME = 16
LONGEST_NUMBER = 25

_DIGIT, _DOT, _MINUS, _COMMA, _NEWLINE, _OTHER = range(6)
_KINDS = np.full(256, _OTHER, np.uint8)
_KINDS[list(b"0123456789")] = _DIGIT
for _character, _kind in zip(b".-,\n", (_DOT, _MINUS, _COMMA, _NEWLINE), strict=True):
    _KINDS[_character] = _kind

_TAKEN = ["open time", "open", "high", "low", "close", "volume"]
_TYPES = {name: pa.int64() if name == "open time" else pa.float64() for name in _TAKEN}
_NAMES = [*_TAKEN, *(f"column {number}" for number in range(len(_TAKEN), COLUMNS))]


def plain_rows(block: bytes) -> tuple[TimeArray, list[FloatArray]] | None:
    """Open times as written, and open, high, low, close, volume of complete lines.

    None unless every line is twelve numbers (the last of any length), no exponent, no space, no
    NaN, times without a sign, prices that a float64 keeps.
    """
    kinds = _KINDS[np.frombuffer(block, np.uint8)]
    separators = np.flatnonzero(kinds >= _COMMA)
    if len(separators) % COLUMNS or not _are_numbers(kinds, separators):
        return None
    starts = np.concatenate(([0], separators[:-1] + 1))
    lengths = (separators - starts).reshape(-1, COLUMNS)
    if not _are_sized(lengths) or not _are_kept(block, starts, lengths):
        return None
    return _parsed(block)


def _are_numbers(kinds: npt.NDArray[np.uint8], separators: npt.NDArray[np.int64]) -> bool:
    """Whether there is nothing but numbers of one sign and one point, twelve a line."""
    is_line_end = (kinds[separators] == _NEWLINE).reshape(-1, COLUMNS)
    if not is_line_end[:, -1].all() or is_line_end[:, :-1].any() or (kinds == _OTHER).any():
        return False
    points, signs = np.flatnonzero(kinds == _DOT), np.flatnonzero(kinds == _MINUS)
    # The block ends with a newline, so that there is a next byte, and one "before" the first.
    between_digits = (kinds[points - 1] == _DIGIT) & (kinds[points + 1] == _DIGIT)
    leading = (kinds[signs - 1] >= _COMMA) & (kinds[signs + 1] == _DIGIT)
    fields = np.searchsorted(separators, points)
    one_a_field = bool((np.diff(fields) != 0).all())
    fields = np.concatenate((fields, np.searchsorted(separators, signs)))
    in_times: BoolArray = np.isin(fields % COLUMNS, TIMES)
    return bool(between_digits.all() and leading.all() and one_a_field and not in_times.any())


def _are_sized(lengths: npt.NDArray[np.int64]) -> bool:
    numbers = lengths[:, :-1]
    return bool(
        (numbers > 0).all()
        and (numbers <= LONGEST_NUMBER).all()
        and (lengths[:, TIMES] <= LONGEST_TIME).all()
    )


def _are_kept(block: bytes, starts: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]) -> bool:
    """Whether no price has more significant digits than a float64 keeps."""
    prices = lengths[:, PRICES]
    if prices.max(initial=0) <= MOST_SIGNIFICANT_DIGITS:  # known by their lengths alone
        return True
    begins = starts.reshape(-1, COLUMNS)[:, PRICES]
    long = prices > MOST_SIGNIFICANT_DIGITS
    return all(
        float64_keeps(block[begin : begin + length].decode("ascii"))
        for begin, length in zip(begins[long].tolist(), prices[long].tolist(), strict=True)
    )


def _parsed(block: bytes) -> tuple[TimeArray, list[FloatArray]] | None:
    try:
        table = csv.read_csv(
            pa.py_buffer(block),
            csv.ReadOptions(use_threads=False, block_size=len(block) + 1, column_names=_NAMES),
            csv.ParseOptions(quote_char=False),
            csv.ConvertOptions(column_types=_TYPES, include_columns=_TAKEN, null_values=[]),
        )
    except pa.ArrowInvalid:
        return None
    open_time, *prices = (table.column(name).to_numpy() for name in _TAKEN)
    return open_time, prices
