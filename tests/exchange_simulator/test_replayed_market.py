"""Real klines replayed: exact texts, gaps, bars that form, larger intervals, listings."""

import gzip
from pathlib import Path

import pytest

from exchange_simulator.bars import CLOSE, HIGH, LOW, OPEN, VOLUME
from exchange_simulator.intervals import UnsupportedInterval
from exchange_simulator.kline_files import KlineFileError, read_klines
from exchange_simulator.replayed_market import ReplayedMarket

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
START_MS = 1_704_067_200_000  # 2024-01-01T00:00:00Z, a Monday
FAR_MS = START_MS + 1000 * DAY_MS


def row(hour: int, *prices: str, unit: int = 1) -> str:
    first, high, low, last = prices or ("100.5", "110.25", "90", "105.125")
    opens = (START_MS + hour * HOUR_MS) * unit
    return f"{opens},{first},{high},{low},{last},12.5,{opens + HOUR_MS * unit - 1},1250.5,7,6,600,0"


def write(folder: Path, rows: list[str], name: str = "BTCUSDT-1h-2024.csv") -> Path:
    path = folder / name
    content = "\n".join(rows).encode()
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return path


def market_of(*paths: Path) -> ReplayedMarket:
    return ReplayedMarket.from_files(paths)


@pytest.fixture
def day(tmp_path: Path) -> ReplayedMarket:
    """Two days of hours that lack 05:00 and 06:00 of the first."""
    return market_of(write(tmp_path, [row(hour) for hour in range(48) if hour not in (5, 6)]))


def test_prices_come_back_as_they_were_written(day: ReplayedMarket):
    listing = day.listings(FAR_MS)["BTCUSDT"]
    bar = day.bars_from("BTCUSDT", "1h", START_MS, START_MS, 1, FAR_MS).columns[:, 0].tolist()
    texts = [listing.price_text(ticks) for ticks in bar[: CLOSE + 1]]
    assert texts == ["100.50000000", "110.25000000", "90.00000000", "105.12500000"]
    assert listing.quantity_text(bar[VOLUME]) == "12.50000000"


def test_missing_bars_stay_missing(day: ReplayedMarket):
    bars = day.bars_from("BTCUSDT", "1h", START_MS, FAR_MS, 7, FAR_MS)
    assert [(time - START_MS) // HOUR_MS for time in bars.open_time] == [0, 1, 2, 3, 4, 7, 8]
    last = day.bars_until("BTCUSDT", "1h", START_MS + 7 * HOUR_MS, 2, FAR_MS)
    assert [(time - START_MS) // HOUR_MS for time in last.open_time] == [4, 7]


def test_a_bar_forms_inside_its_extremes_and_ends_at_its_close(day: ReplayedMarket):
    final = day.bars_until("BTCUSDT", "1h", START_MS, 1, FAR_MS).columns[:, 0].tolist()
    closes, volumes = [], []
    for elapsed in range(0, HOUR_MS, 60_000):
        (bar,) = day.bars_until("BTCUSDT", "1h", FAR_MS, 9, START_MS + elapsed).columns.T.tolist()
        assert bar[OPEN] == final[OPEN]
        assert final[LOW] <= bar[LOW] <= bar[CLOSE] <= bar[HIGH] <= final[HIGH]
        closes.append(bar[CLOSE])
        volumes.append(bar[VOLUME])
    assert closes[0] == final[OPEN]
    assert len(set(closes)) > 30
    assert volumes == sorted(volumes)
    (bar,) = day.bars_until("BTCUSDT", "1h", FAR_MS, 9, START_MS + HOUR_MS - 1).columns.T.tolist()
    assert bar == final


def test_a_larger_bar_is_the_aggregate_of_what_is_seen(tmp_path: Path):
    rows = [
        row(0, "10", "12", "9", "11"),
        row(1, "11", "15", "10", "14"),
        row(3, "14", "14", "7", "8"),
    ]
    market = market_of(write(tmp_path, rows))
    (bar,) = market.bars_until("BTCUSDT", "4h", FAR_MS, 9, FAR_MS).columns.T.tolist()
    assert bar[: VOLUME + 1] == [10, 15, 7, 8, 375]
    (bar,) = market.bars_until(
        "BTCUSDT", "4h", FAR_MS, 9, START_MS + 2 * HOUR_MS
    ).columns.T.tolist()
    assert bar[: VOLUME + 1] == [10, 15, 9, 14, 250]
    (week,) = market.bars_until("BTCUSDT", "1w", FAR_MS, 9, FAR_MS).open_time.tolist()
    assert week == START_MS


@pytest.mark.parametrize("interval", ["1m", "30m", "1s", "2d"])
def test_an_interval_that_the_bars_cannot_make_is_refused(day: ReplayedMarket, interval: str):
    with pytest.raises(UnsupportedInterval):
        day.bars_until("BTCUSDT", interval, FAR_MS, 1, FAR_MS)


def test_in_a_gap_the_last_close_stands(day: ReplayedMarket):
    assert day.price("BTCUSDT", START_MS + 5 * HOUR_MS + 1) == 105_125
    assert day.rolling_day("BTCUSDT", START_MS + 6 * HOUR_MS).last == 105_125
    # a week after its end nothing was traded for a day
    quiet = day.rolling_day("BTCUSDT", START_MS + 9 * DAY_MS)
    assert (quiet.open, quiet.last, quiet.volume, quiet.trades) == (105_125, 105_125, 0, 0)


def test_a_symbol_is_listed_with_its_first_bar_and_delisted_after_its_last(tmp_path: Path):
    market = market_of(
        write(tmp_path, [row(hour) for hour in range(10)]),
        write(tmp_path, [row(hour) for hour in range(2, 5)], "LUNAUSDT-1h.csv.gz"),
    )
    assert set(market.listings(START_MS)) == {"BTCUSDT"}
    luna = market.listings(START_MS + 2 * HOUR_MS)["LUNAUSDT"]
    assert (luna.base, luna.quote) == ("LUNA", "USDT")
    assert luna.is_trading(START_MS + 5 * HOUR_MS - 1)
    assert not luna.is_trading(START_MS + 5 * HOUR_MS)
    assert market.listings(FAR_MS)["BTCUSDT"].is_trading(FAR_MS)
    assert (market.first_ms, market.end_ms) == (START_MS, START_MS + 10 * HOUR_MS)


def test_files_of_a_symbol_are_merged_headers_and_microseconds_read(tmp_path: Path):
    header = "open_time,open,high,low,close,volume,close_time,qv,count,tbv,tbqv,ignore"
    early = write(tmp_path, [header, row(0), row(1)], "BTCUSDT-1h-a.csv")
    late = write(tmp_path, [row(1, unit=1000), row(2, unit=1000)], "BTCUSDT-1h-b.csv.gz")
    (recorded,) = read_klines([late, early])
    assert recorded.bars.open_time.tolist() == [START_MS + hour * HOUR_MS for hour in range(3)]


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        (["1,2,3"], "line 1: not the 12 columns"),
        ([row(0), row(1, "x", "1", "1", "1")], "line 2: not the 12 columns"),
        ([row(0, "NaN", "1", "1", "1")], "line 1: not the 12 columns"),
        ([row(0, "1", "2", "3", "1")], "impossible values"),
        ([row(0).replace(str(START_MS), str(START_MS + 1), 1)], "no opening of a bar of 1h"),
        ([row(0, *["1234567890123456.12345678"] * 4)], "a number is too large"),
        ([], "hold no klines"),
        (["what is this"], "line 1: not the 12 columns"),
        (["\x00\xff"], "cannot be read"),
    ],
)
def test_a_bad_file_is_refused(tmp_path: Path, rows: list[str], reason: str):
    path = tmp_path / "BTCUSDT-1h.csv"
    path.write_bytes("\n".join(rows).encode("latin-1"))
    with pytest.raises(KlineFileError, match=reason):
        read_klines([path])


def test_unreadable_files_and_names_are_refused(tmp_path: Path):
    packed = write(tmp_path, [row(hour) for hour in range(99)], "BTCUSDT-1h.csv.gz")
    packed.write_bytes(packed.read_bytes()[:-20])
    with pytest.raises(KlineFileError, match="cannot be read"):
        read_klines([packed])
    for path in (tmp_path / "ETHUSDT-1h.csv", tmp_path / "ETHUSDT.csv"):
        with pytest.raises(KlineFileError):
            read_klines([path])
    with pytest.raises(KlineFileError, match="no kline files"):
        read_klines([])
    hours = write(tmp_path, [row(0)], "XRPUSDT-1h.csv")
    days = write(tmp_path, [row(0)], "XRPUSDT-1d.csv")
    with pytest.raises(KlineFileError, match="different intervals"):
        read_klines([hours, days])


def test_the_real_candles_are_replayed_to_the_digit(real_klines: Path):
    path = next(real_klines.glob("SHIBUSDT-1h-*.csv.gz"))
    lines = [line.split(",") for line in gzip.decompress(path.read_bytes()).decode().splitlines()]
    market = market_of(path)
    listing = market.listings(market.end_ms)["SHIBUSDT"]
    bars = market.bars_from("SHIBUSDT", "1h", 0, market.end_ms, 10**6, market.end_ms)
    assert len(bars) == len(lines)
    for index in range(0, len(lines), 500):
        line, bar = lines[index], bars.columns[:, index].tolist()
        assert bars.open_time[index] == int(line[0])
        assert [listing.price_text(ticks) for ticks in bar[: CLOSE + 1]] == line[1:5]
        assert float(listing.quantity_text(bar[VOLUME])) == float(line[5])
