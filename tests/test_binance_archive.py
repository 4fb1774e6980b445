"""Reading Binance's archive files: what is taken, and how each broken file is refused."""

import gzip
import io
import time
import zipfile
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import binance_archive
from binance_archive import read_klines
from binance_rows import plain_rows
from domain import Interval
from errors import DataError

HOUR_MS = 3_600_000
START_MS = 1_704_067_200_000  # 2024-01-01T00:00:00Z, a Monday
HEADER = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,"
    "taker_buy_volume,taker_buy_quote_volume,ignore"
)


def row(
    open_time: object,
    first: object = "42283.58000000",
    high: object = "42554.57000000",
    low: object = "42261.02000000",
    last: object = "42475.23000000",
    volume: object = "1271.68108000",
) -> str:
    return f"{open_time},{first},{high},{low},{last},{volume},1704070799999,53957248.9,47134,682.5,1.5,0"


def hourly_rows(count: int, unit: int = 1) -> list[str]:
    return [row((START_MS + index * HOUR_MS) * unit) for index in range(count)]


def write(folder: Path, lines: list[str], name: str = "BTCUSDT-1h-2024-01.csv") -> Path:
    path = folder / name
    path.write_text("".join(f"{line}\n" for line in lines), "ascii")
    return path


def refusal(path: Path) -> str:
    with pytest.raises(DataError) as refused:
        read_klines(path)
    assert refused.value.code == "bad_data"
    return refused.value.message


# -------------------------------------------------------------------------------- what is taken


def test_a_file_is_read_with_its_symbol_interval_and_exact_prices(tmp_path: Path):
    klines = read_klines(write(tmp_path, hourly_rows(3)))
    assert (klines.symbol, klines.interval) == ("BTCUSDT", Interval.H1)
    assert klines.series.open_time.tolist() == [START_MS + index * HOUR_MS for index in range(3)]
    bar = klines.series.bar(0)
    prices = [Decimal(repr(price)) for price in (bar.open, bar.high, bar.low, bar.close)]
    assert prices == [Decimal(text) for text in ("42283.58", "42554.57", "42261.02", "42475.23")]
    assert bar.volume == 1271.68108
    assert klines.series.source == "binance"
    assert klines.series.last_is_open is False


@pytest.mark.parametrize("packing", ["csv", "csv.gz", "zip", "csv.zip"])
@pytest.mark.parametrize("header", [[], [HEADER]], ids=["bare", "header"])
@pytest.mark.parametrize("unit", [1, 1000], ids=["ms", "us"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"], ids=["lf", "crlf"])
def test_every_packing_header_unit_and_line_end_gives_the_same(
    tmp_path: Path, packing: str, header: list[str], unit: int, line_end: str
):
    content = line_end.join(header + hourly_rows(5, unit)).encode()
    path = tmp_path / f"BTCUSDT-1h-2024-01.{packing}"
    if packing == "csv":
        path.write_bytes(content)
    elif packing == "csv.gz":
        path.write_bytes(gzip.compress(content))
    else:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("BTCUSDT-1h-2024-01.csv", content)
    expected = read_klines(write(tmp_path, hourly_rows(5), "BTCUSDT-1h.csv"))
    klines = read_klines(path)
    assert klines.series.open_time.tolist() == expected.series.open_time.tolist()
    assert klines.series.close.tolist() == expected.series.close.tolist()


def test_a_gap_stays_a_gap(tmp_path: Path):
    rows = hourly_rows(10)
    assert len(read_klines(write(tmp_path, rows[:3] + rows[7:])).series) == 6


def test_fifteen_digits_are_kept_at_any_size(tmp_path: Path):
    shib = row(START_MS, "0.00001412", "0.00005", "0.00001411", "0.00002971", "15274305779676.00")
    bar = read_klines(write(tmp_path, [shib], "SHIBUSDT-1h.csv")).series.bar(0)
    assert (bar.open, bar.close, bar.volume) == (0.00001412, 0.00002971, 15274305779676.0)
    rupiah = row(START_MS, *["1234567890.12345000"] * 4)
    assert (
        read_klines(write(tmp_path, [rupiah], "BTCIDR-1h.csv")).series.open[0] == 1234567890.12345
    )


def test_rows_that_span_several_chunks_are_read_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = write(tmp_path, hourly_rows(200))
    expected = read_klines(path).series
    monkeypatch.setattr(binance_archive, "CHUNK_BYTES", 777)
    series = read_klines(path).series
    assert series.open_time.tolist() == expected.open_time.tolist()
    assert series.volume.tolist() == expected.volume.tolist()
    rows = hourly_rows(200)
    rows[150] = rows[150].replace("42554.57", "4z554.57")
    message = refusal(write(tmp_path, rows))
    assert message.startswith("BTCUSDT-1h-2024-01.csv, line 151: its high is not a number")


@pytest.mark.parametrize("interval", Interval)
def test_every_interval_is_known_by_its_name(tmp_path: Path, interval: Interval):
    opens = START_MS  # a Monday's midnight: on every grid
    klines = read_klines(write(tmp_path, [row(opens)], f"ETHUSDT-{interval}-2024.csv"))
    assert klines.interval is interval
    message = refusal(write(tmp_path, [row(opens + 1)], f"ETHUSDT-{interval}-2024.csv"))
    assert message.endswith(f"line 1: its open time is no opening of a bar of {interval}")


def test_a_week_opens_on_monday(tmp_path: Path):
    thursday = START_MS + 3 * 24 * HOUR_MS  # on the grid of weeks counted from the epoch
    assert "no opening of a bar of 1w" in refusal(
        write(tmp_path, [row(thursday)], "BTCUSDT-1w-2024.csv")
    )


def test_the_real_candles_are_read_exactly_and_fast(real_klines: Path):
    slowest = 0.0
    for path in sorted(real_klines.glob("*.csv.gz")):
        started = time.process_time()
        klines = read_klines(path)
        slowest = max(slowest, time.process_time() - started)
        lines = gzip.decompress(path.read_bytes()).decode().splitlines()
        assert len(klines.series) == len(lines)
        assert np.all(np.diff(klines.series.open_time) > 0)
        for index in (0, len(lines) // 2, -1):
            written = [Decimal(text) for text in lines[index].split(",")[1:5]]
            bar = klines.series.bar(index)
            exact = [Decimal(repr(value)) for value in (bar.open, bar.high, bar.low, bar.close)]
            assert exact == written
    assert slowest < 0.5  # 15,257 rows take about 0.03 s on an idle core


# ------------------------------------------------------------------------------- broken rows

BROKEN = {
    "too few columns": (",".join(["1"] * 11), "has 11 columns, not 12"),
    "too many columns": (row(START_MS) + ",0", "has 13 columns, not 12"),
    "blank": ("", "has 1 columns, not 12"),
    "text": (row(START_MS, high="x"), "its high is not a number: 'x'"),
    "no price": (row(START_MS, high=""), "its high is not a number: ''"),
    "NaN": (row(START_MS, low="NaN"), "its low is not a number: 'NaN'"),
    "infinite": (row(START_MS, volume="inf"), "its volume is not a number: 'inf'"),
    "exponent": (row(START_MS, last="1e-05"), "its close is not a number: '1e-05'"),
    "no time": (row("2024-01-01"), "its open time is not a time: '2024-01-01'"),
    "negative time": (row(-HOUR_MS), "its open time is not a time: '-3600000'"),
    "fraction of a time": (row(f"{START_MS}.5"), f"its open time is not a time: '{START_MS}.5'"),
    "huge time": (row("9" * 30), f"its open time is not a time: '{'9' * 30}'"),
    "sixteen digits": (
        row(START_MS, "42283.58000000001", "42283.58000000001", "42283.5", "42283.5"),
        "42283.58000000001 has more than 15 significant digits",
    ),
}


@pytest.mark.parametrize(("line", "reason"), BROKEN.values(), ids=BROKEN.keys())
@pytest.mark.parametrize("header", [[], [HEADER]], ids=["bare", "header"])
def test_a_broken_row_is_named_by_file_and_line(
    tmp_path: Path, line: str, reason: str, header: list[str]
):
    rows = hourly_rows(30)
    rows[16] = line
    path = write(tmp_path, header + rows, "BTCUSDT-1h.csv")
    assert refusal(path) == f"BTCUSDT-1h.csv, line {17 + len(header)}: {reason}"


@pytest.mark.parametrize(
    "prices",
    [
        {"low": "42283.59"},  # above the open
        {"high": "42475.22"},  # below the close
        {"low": "0.0"},
        {"low": "-1.0"},
        {"first": "0", "high": "0", "low": "0", "last": "0"},
        {"volume": "-0.001"},
    ],
)
def test_impossible_prices_are_named_by_line(tmp_path: Path, prices: dict[str, str]):
    rows = hourly_rows(5)
    rows[3] = row(START_MS + 3 * HOUR_MS, **prices)
    message = refusal(write(tmp_path, [HEADER, *rows]))
    assert message == "BTCUSDT-1h-2024-01.csv, line 5: its prices or its volume are impossible"


def test_off_grid_out_of_order_and_duplicate_rows_are_named_by_line(tmp_path: Path):
    rows = hourly_rows(6)
    late = [*rows[:3], row(START_MS + 3 * HOUR_MS + 60_000), *rows[4:]]
    assert "line 4: its open time is no opening of a bar of 1h" in refusal(write(tmp_path, late))
    late = [row(f"{START_MS}001"), *rows]  # a microsecond past the hour
    assert "line 1: its open time is no opening of a bar of 1h" in refusal(write(tmp_path, late))
    swapped = [*rows[:3], rows[4], rows[3], rows[5]]
    assert "line 5: it is older than the line before" in refusal(write(tmp_path, swapped))
    doubled = [*rows[:3], rows[2], *rows[3:]]
    assert "line 4: its open time is the same" in refusal(write(tmp_path, doubled))


def test_a_header_is_a_header_on_the_first_line_alone(tmp_path: Path):
    rows = hourly_rows(3)
    assert "line 2: its open time" in refusal(write(tmp_path, [rows[0], HEADER, rows[1]]))
    assert "line 1: its open time" in refusal(write(tmp_path, ["x" + rows[0]]))


# ----------------------------------------------------------------------------- untrusted files


@pytest.mark.parametrize(
    "name",
    ["klines.csv", "BTCUSDT.csv", "BTCUSDT-1h.txt", "btcusdt-1h.csv", "-1h-2024.csv", "BTCUSDT-1h"],
)
def test_a_file_with_another_name_is_refused(tmp_path: Path, name: str):
    assert "not named SYMBOL-INTERVAL" in refusal(write(tmp_path, hourly_rows(1), name))


@pytest.mark.parametrize("interval", ["1s", "1M", "1mo", "8h", "3d", "90m"])
def test_an_interval_that_the_system_does_not_have_is_refused(tmp_path: Path, interval: str):
    path = write(tmp_path, hourly_rows(1), f"BTCUSDT-{interval}-2024.csv")
    assert refusal(path) == f"{path.name}: bars of {interval} are not supported"


@pytest.mark.parametrize("lines", [[], [HEADER]], ids=["empty", "header alone"])
def test_a_file_without_rows_is_refused(tmp_path: Path, lines: list[str]):
    assert refusal(write(tmp_path, lines)) == "BTCUSDT-1h-2024-01.csv: holds no klines"


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path):
    path = tmp_path / "BTCUSDT-1h.csv"
    assert refusal(path) == "BTCUSDT-1h.csv: cannot be read: No such file or directory"
    path.mkdir()
    assert refusal(path) == "BTCUSDT-1h.csv: cannot be read: Is a directory"


@pytest.mark.parametrize("name", ["BTCUSDT-1h.csv", "BTCUSDT-1h.csv.gz", "BTCUSDT-1h.zip"])
def test_binary_junk_and_nothing_at_all_are_refused(tmp_path: Path, name: str):
    path = tmp_path / name
    path.write_bytes(bytes(range(256)) * 20)
    assert refusal(path).startswith(f"{name}: ")
    path.write_bytes(b"")
    assert refusal(path).startswith(f"{name}: ")


def test_truncated_and_damaged_archives_are_refused(tmp_path: Path):
    content = "\n".join(hourly_rows(500)).encode()
    path = tmp_path / "BTCUSDT-1h.csv.gz"
    packed = gzip.compress(content)
    for length in (5, 15, len(packed) // 2, len(packed) - 1):
        path.write_bytes(packed[:length])
        assert refusal(path).startswith("BTCUSDT-1h.csv.gz: cannot be read: ")
    path.write_bytes(packed[:-6] + b"\x00" * 6)  # a wrong check sum
    assert refusal(path).startswith("BTCUSDT-1h.csv.gz: cannot be read: ")
    path = tmp_path / "BTCUSDT-1h.zip"
    packed = zipped({"BTCUSDT-1h.csv": content})
    damaged = bytearray(packed)
    damaged[200] ^= 0xFF
    for wrong in (packed[: len(packed) // 2], bytes(damaged)):
        path.write_bytes(wrong)
        assert refusal(path).startswith("BTCUSDT-1h.zip: cannot be read: ")


def zipped(members: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return packed.getvalue()


def test_a_zip_holds_exactly_one_file(tmp_path: Path):
    content = "\n".join(hourly_rows(3)).encode()
    path = tmp_path / "BTCUSDT-1h.zip"
    path.write_bytes(zipped({"a.csv": content, "b.csv": content}))
    assert refusal(path) == "BTCUSDT-1h.zip: must hold one file, and holds 2"
    path.write_bytes(zipped({}))
    assert refusal(path) == "BTCUSDT-1h.zip: must hold one file, and holds 0"
    path.write_bytes(zipped({"folder/": b""}))
    assert refusal(path).startswith("BTCUSDT-1h.zip: must hold one file")


def test_a_bomb_is_refused_before_it_unpacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "BTCUSDT-1h.zip"
    path.write_bytes(zipped({"a.csv": b"0" * 200_000_000}))
    started = time.process_time()
    assert refusal(path) == "BTCUSDT-1h.zip: has a line of more than 1000 characters"
    assert time.process_time() - started < 1
    monkeypatch.setattr(binance_archive, "MOST_BYTES", 2**20)
    monkeypatch.setattr(binance_archive, "CHUNK_BYTES", 2**16)
    path = tmp_path / "BTCUSDT-1h.csv.gz"
    path.write_bytes(gzip.compress("\n".join(hourly_rows(20_000)).encode()))
    assert refusal(path) == "BTCUSDT-1h.csv.gz: unpacks to more than 1 MiB"


# ----------------------------------------------------------------- many rows at a time, or line by line


MUTATIONS = b'0159.,-+ eE\n\r"xNaN\xff'


@settings(max_examples=300, deadline=None)
@given(
    edits=st.lists(
        st.tuples(st.integers(0, 600), st.sampled_from(MUTATIONS), st.booleans()), max_size=4
    ),
    prices=st.lists(st.decimals(0, 10**9, places=8), min_size=4, max_size=4),
)
def test_what_is_taken_at_once_is_what_the_lines_say(
    edits: list[tuple[int, int, bool]], prices: list[Decimal]
):
    text = bytearray(
        "".join(f"{line}\n" for line in [*hourly_rows(4), row(START_MS, *prices)]), "ascii"
    )
    for place, byte, inserts in edits:
        at = place % len(text)
        text[at : at + (not inserts)] = bytes([byte])
    block = bytes(text) if text.endswith(b"\n") else bytes(text) + b"\n"
    careful, quick = (binance_archive._Table("a.csv") for _ in range(2))
    rows = plain_rows(block)
    try:
        careful._add_line_by_line(block)
    except DataError:
        assert rows is None
        return
    if rows is None:
        assert edits or any(len(f"{price:f}") > 15 for price in prices)
        return
    quick.add(block)
    assert quick._line_count == careful._line_count
    assert np.array_equal(quick._times[0], careful._times[0])
    for taken, told in zip(quick._columns[0], careful._columns[0], strict=True):
        assert taken.tobytes() == told.tobytes()


def test_a_plain_file_is_taken_at_once_and_in_time(tmp_path: Path):
    lines = hourly_rows(50_000)
    assert plain_rows("".join(f"{line}\n" for line in lines).encode()) is not None
    path = write(tmp_path, [HEADER, *lines])
    began = time.process_time()
    assert len(read_klines(path).series) == 50_000
    assert time.process_time() - began < 0.5  # about 0.07 s
