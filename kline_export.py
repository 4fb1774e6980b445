"""Stored candles as a file for other programs: CSV or Parquet, columns as the API names them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as parquet

from domain import Coin, Interval, KlineSeries
from errors import DataError, NotFound
from kline_archive import COLUMNS
from kline_archiver import month_of
from kline_store import KlineStore

FORMATS = ("csv", "parquet")
_SCHEMA = pa.schema(
    [(name, pa.int64() if name == "open_time" else pa.float64()) for name in COLUMNS]
)


def export(
    store: KlineStore,
    coin: Coin,
    source: str,
    interval: Interval,
    start_ms: int,
    end_ms: int,
    target: Path,
    on_bars: Callable[[int], object],
) -> int:
    """Write bars with start_ms ≤ open_time < end_ms to `target`, ending .csv or .parquet; how many.

    Open times in ms UTC, numbers with all their digits. The file stands there when it is whole.
    Raises NotFound (nothing is stored of that), DataError (cannot be written), ArchiveUnavailable.
    """
    coverage = store.coverage(coin, source, interval)
    first = start_ms if coverage is None else max(start_ms, coverage.first)
    stop = first if coverage is None else min(end_ms, coverage.last + 1)
    unfinished = target.with_name(f"{target.name}.part")
    written = 0
    try:
        with _writer(unfinished, target.suffix) as writer:
            while first < stop:
                until = min(month_of(first)[1], stop)
                series = store.read(coin, source, interval, first, until)
                if len(series):
                    writer.write_table(_table(series))
                    written += len(series)
                    on_bars(len(series))
                first = until
        if written:
            unfinished.replace(target)
    except OSError as error:
        raise DataError(f"{target} cannot be written: {error.strerror or error}.") from error
    finally:
        unfinished.unlink(missing_ok=True)
    if not written:
        raise NotFound(f"No {interval} candles of {coin.symbol} from {source} are stored there.")
    return written


def _writer(path: Path, ending: str) -> csv.CSVWriter | parquet.ParquetWriter:
    if ending == ".csv":
        return csv.CSVWriter(path, _SCHEMA, write_options=csv.WriteOptions(quoting_header="none"))
    return parquet.ParquetWriter(path, _SCHEMA, compression="zstd", use_dictionary=False)


def _table(series: KlineSeries) -> pa.Table:
    return pa.table({name: getattr(series, name) for name in COLUMNS}, schema=_SCHEMA)
