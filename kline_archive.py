"""The cold tier's files: Parquet, one a coin, source, interval and month, in a folder or S3 bucket.

A file is written once under a name that nobody else uses, and read back before it counts. Which
files count stands in the database (`repositories.kline_archives`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import numpy as np
import pyarrow as pa
import pyarrow.fs as filesystems
import pyarrow.parquet as parquet

from domain import Interval, KlineSeries
from errors import ArchiveUnavailable

S3 = "s3://"
S3_OPTIONS = ("region", "scheme", "endpoint_override")
COLUMNS = ("open_time", "open", "high", "low", "close", "volume")


class KlineArchive:
    """The files below `root`: an absolute folder, or `s3://bucket/prefix?region=…`.

    Other S3 services by `?endpoint_override=host:port&scheme=http`; keys come from the
    environment (AWS_ACCESS_KEY_ID …). Every method raises ArchiveUnavailable.
    """

    def __init__(self, root: str):
        self.root = root
        self._is_remote = root.startswith(S3)
        with self._errors("opened"):
            self._files, self._folder = _opened(root)

    def write(self, file: str, series: KlineSeries) -> None:
        """Write `series` to a new file; when this returns it is there whole, read back and equal."""
        columns = {name: getattr(series, name) for name in COLUMNS}
        with self._errors("written"):
            if self._is_remote:  # an object appears when it is complete
                self._write_table(self._path(file), pa.table(columns))
            else:
                self._write_and_rename(Path(self._path(file)), pa.table(columns))
        if not same_bars(self.read(file, series.interval, series.source), series):
            raise ArchiveUnavailable(f"{file} in {self.root} is not what was written.")

    def read(self, file: str, interval: Interval, source: str) -> KlineSeries:
        """The bars of a file."""
        with self._errors("read"), self._files.open_input_file(self._path(file)) as stream:
            table = parquet.ParquetFile(stream).read(columns=list(COLUMNS), use_threads=False)
            open_time, first, high, low, last, volume = (
                table.column(name).to_numpy() for name in COLUMNS
            )
        return KlineSeries(interval, open_time, first, high, low, last, volume, source=source)

    def delete(self, file: str) -> None:
        """Delete a file, and what a cut left of its writing, if they are there."""
        with self._errors("deleted"):
            for path in (self._path(file), _unfinished(self._path(file))):
                if self._files.get_file_info(path).type != filesystems.FileType.NotFound:
                    self._files.delete_file(path)

    def holds(self, file: str) -> bool:
        """Whether the file is there."""
        with self._errors("read"):
            found = self._files.get_file_info(self._path(file)).type
        return bool(found == filesystems.FileType.File)

    def _path(self, file: str) -> str:
        return f"{self._folder}/{file}"

    def _write_table(self, path: str, table: pa.Table) -> None:
        with self._files.open_output_stream(path) as stream:
            parquet.write_table(table, stream, compression="zstd", use_dictionary=False)

    def _write_and_rename(self, path: Path, table: pa.Table) -> None:
        """Under its name it stands when it is on the disk, also after a power cut."""
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = Path(_unfinished(str(path)))
        self._write_table(str(unfinished), table)
        _flush(unfinished)
        unfinished.replace(path)
        if os.name == "posix":  # elsewhere a folder cannot be opened
            _flush(path.parent)

    @contextmanager
    def _errors(self, verb: str) -> Iterator[None]:
        try:
            yield
        except (pa.ArrowException, OSError, KeyError, TypeError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise ArchiveUnavailable(
                f"The archive of candles at {self.root} cannot be {verb}: {reason}"
            ) from error


def same_bars(first: KlineSeries, second: KlineSeries) -> bool:
    """Whether both hold the same bars, to the last bit."""
    return all(
        getattr(first, name).tobytes() == getattr(second, name).tobytes() for name in COLUMNS
    )


def joined(cold: list[KlineSeries], warm: KlineSeries) -> KlineSeries:
    """The bars of all, ascending, each once: one that is in `warm` as it is there."""
    pieces = [series for series in (*cold, warm) if len(series)]
    if len(pieces) < 2:
        return pieces[0] if pieces else warm
    columns = [np.concatenate([getattr(piece, name) for piece in pieces]) for name in COLUMNS]
    if not np.all(np.diff(columns[0]) > 0):
        order = np.argsort(columns[0], kind="stable")  # of equal ones the warm bar comes last
        times = columns[0][order]
        order = order[np.append(times[1:] != times[:-1], True)]
        columns = [column[order] for column in columns]
    open_time, first, high, low, last, volume = columns
    return KlineSeries(warm.interval, open_time, first, high, low, last, volume, source=warm.source)


def _opened(root: str) -> tuple[filesystems.FileSystem, str]:
    """The file system of a root, and the folder in it."""
    if not root.startswith(S3):
        return filesystems.LocalFileSystem(), root
    parts = urlsplit(root)
    options = dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
    unknown = set(options) - set(S3_OPTIONS)
    if unknown:
        raise KeyError(f"{unknown.pop()} is none of {', '.join(S3_OPTIONS)}")
    bucket = filesystems.S3FileSystem(**options)
    return bucket, f"{parts.netloc}{parts.path}".rstrip("/")


def _unfinished(path: str) -> str:
    return f"{path}.part"


def _flush(path: Path) -> None:
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
