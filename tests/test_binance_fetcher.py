"""BinanceDataFetcher: the unmodified SDK against the simulated exchange, and every kind of failure."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import requests
import responses
from scripted_venue import ScriptedVenue
from source_cases import BINANCE_QUESTIONS

from binance_fetcher import BinanceDataFetcher, weight_limiter
from clock import ManualClock, SteadyClock
from domain import Interval, Ticker
from errors import (
    InvalidInput,
    SourceBadAnswer,
    SourceError,
    SourceRateLimited,
    SourceRefused,
    SourceUnavailable,
)
from exchange_simulator.generated_market import GeneratedMarket
from exchange_simulator.replayed_market import ReplayedMarket
from exchange_simulator.server import SimulatorServer

HOUR_MS = 3_600_000
NOW_MS = 1_717_245_296_789  # 2024-06-01T12:34:56.789Z
SIX = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "BNBUSDT", "XRPUSDT", "DOGEUSDT")


@pytest.fixture
def fetcher(simulator: SimulatorServer) -> Iterator[BinanceDataFetcher]:
    fetcher = BinanceDataFetcher(base_url=simulator.url, clock=simulator.clock)
    yield fetcher
    fetcher.close()


def raw(simulator: SimulatorServer, path: str) -> Any:
    """What the venue itself says, without the fetcher."""
    return requests.get(f"{simulator.url}/api/v3/{path}", timeout=5).json()


def weight_of(simulator: SimulatorServer, question: Callable[[], object]) -> int:
    """What `question` adds to the weight that the venue counts."""
    state = f"{simulator.url}/control/state"
    before = requests.get(state, timeout=5).json()["binance_used_weight"]
    question()
    return int(requests.get(state, timeout=5).json()["binance_used_weight"] - before)


# ------------------------------------------------------------------------------------- prices


def test_a_price_is_the_venues_own_text_with_its_time(
    simulator: SimulatorServer, fetcher: BinanceDataFetcher
):
    ticker = fetcher.price("BTCUSDT")
    said = raw(simulator, "ticker/24hr?symbol=BTCUSDT")
    assert ticker.price == Decimal(said["lastPrice"])
    assert ticker.change_24h == float(said["priceChangePercent"])
    assert (ticker.symbol, ticker.source) == ("BTCUSDT", "binance")
    assert ticker.time_ms == simulator.clock.now_ms()


def test_several_prices_are_one_call_of_little_weight(
    simulator: SimulatorServer, fetcher: BinanceDataFetcher
):
    prices = {}
    assert weight_of(simulator, lambda: prices.update(fetcher.prices(SIX))) == 2
    assert set(prices) == set(SIX)
    for symbol, ticker in prices.items():
        said = raw(simulator, f"ticker/price?symbol={symbol}")["price"]
        assert (ticker.symbol, ticker.price) == (symbol, Decimal(said))
    assert fetcher.prices([]) == {}
    assert list(fetcher.prices(["ETHUSDT", "ETHUSDT"])) == ["ETHUSDT"]


def test_all_symbols_are_one_call(simulator: SimulatorServer, fetcher: BinanceDataFetcher):
    symbols = [row["symbol"] for row in raw(simulator, "ticker/price")]
    assert len(symbols) > 100
    assert weight_of(simulator, lambda: fetcher.prices(symbols)) == 80
    assert set(fetcher.prices(symbols)) == set(symbols)


def test_unknown_symbols_spoil_no_others_and_cost_once(
    simulator: SimulatorServer, fetcher: BinanceDataFetcher
):
    wanted = ["BTCUSDT", "NOSUCHUSDT", "no such&symbol=ETHUSDT", "ETHUSDT"]
    prices = {}
    assert weight_of(simulator, lambda: prices.update(fetcher.prices(wanted))) == 2 + 80
    assert set(prices) == {"BTCUSDT", "ETHUSDT"}
    assert weight_of(simulator, lambda: fetcher.prices(wanted)) == 2
    with pytest.raises(SourceRefused, match="NOSUCHUSDT") as refused:
        fetcher.prices(["NOSUCHUSDT"])
    assert refused.value.code == "unknown_symbol"


@pytest.mark.parametrize("symbol", ["NOSUCHUSDT", "btcusdt", "BTC/USDT", "BTC&limit=1", "", "币"])
def test_an_unknown_symbol_is_refused_everywhere(fetcher: BinanceDataFetcher, symbol: str):
    questions: list[Callable[[], object]] = [
        lambda: fetcher.price(symbol),
        lambda: fetcher.prices([symbol]),
        lambda: fetcher.klines(symbol, Interval.H1, None, None, 10),
        lambda: fetcher.depth(symbol, 10),
    ]
    for question in questions:
        with pytest.raises(SourceRefused) as refused:
            question()
        assert refused.value.code == "unknown_symbol"


# ------------------------------------------------------------------------------------- klines


@pytest.mark.parametrize("interval", Interval)
def test_the_latest_bars_of_every_interval(
    simulator: SimulatorServer, fetcher: BinanceDataFetcher, interval: Interval
):
    series = fetcher.klines("BTCUSDT", interval, None, None, 50)
    now_ms = simulator.clock.now_ms()
    opens = [interval.floor(now_ms) - back * interval.milliseconds for back in range(49, -1, -1)]
    assert series.open_time.tolist() == opens
    assert (series.source, series.interval, series.last_is_open) == ("binance", interval, True)
    rows = raw(simulator, f"klines?symbol=BTCUSDT&interval={interval}&limit=50")
    for bar, said in zip(series, rows, strict=True):
        values = (bar.open, bar.high, bar.low, bar.close, bar.volume)
        assert [Decimal(repr(value)) for value in values] == [Decimal(text) for text in said[1:6]]
    assert fetcher.dropped_rows == 0


def test_a_read_of_2500_bars_is_its_pages_put_together(
    simulator: SimulatorServer, fetcher: BinanceDataFetcher
):
    end = Interval.M15.floor(NOW_MS)
    start = end - 2500 * 15 * 60_000
    whole = fetcher.klines("SOLUSDT", Interval.M15, start, end, None)
    assert len(whole) == 2500
    one_by_one = []
    for at in range(start, end, 250 * 15 * 60_000):
        url = f"klines?symbol=SOLUSDT&interval=15m&startTime={at}&limit=250"
        one_by_one += raw(simulator, url)
    assert whole.open_time.tolist() == [row[0] for row in one_by_one]
    assert whole.close.tolist() == [float(row[4]) for row in one_by_one]
    latest = fetcher.klines("SOLUSDT", Interval.M15, None, end, 2500)
    limited = fetcher.klines("SOLUSDT", Interval.M15, start, None, 2500)
    for series in (latest, limited):
        assert series.open_time.tolist() == whole.open_time.tolist()
        assert series.volume.tolist() == whole.volume.tolist()
    assert (
        weight_of(simulator, lambda: fetcher.klines("SOLUSDT", Interval.M15, start, end, None)) == 6
    )


def test_the_end_is_exclusive_and_the_start_inclusive_by_open_time(fetcher: BinanceDataFetcher):
    noon = Interval.H1.floor(NOW_MS) - 100 * HOUR_MS
    hours = [noon, noon + HOUR_MS]
    assert klines_at(fetcher, noon, noon + 2 * HOUR_MS) == hours
    assert klines_at(fetcher, noon - 1, noon + 2 * HOUR_MS - 1) == hours
    assert klines_at(fetcher, noon + 1, noon + 2 * HOUR_MS + 1) == [
        noon + HOUR_MS,
        noon + 2 * HOUR_MS,
    ]
    assert klines_at(fetcher, noon, noon) == []
    assert klines_at(fetcher, noon, noon - HOUR_MS) == []
    assert klines_at(fetcher, NOW_MS + HOUR_MS, None) == []


def klines_at(fetcher: BinanceDataFetcher, start: int, end: int | None) -> list[int]:
    opens: list[int] = fetcher.klines("ETHUSDT", Interval.H1, start, end, None).open_time.tolist()
    return opens


def test_the_open_bar_is_flagged_by_the_clock(simulator: SimulatorServer):
    clock = ManualClock(NOW_MS)
    fetcher = BinanceDataFetcher(base_url=simulator.url, clock=clock)
    opens = Interval.H1.floor(NOW_MS)
    assert fetcher.klines("BTCUSDT", Interval.H1, opens - HOUR_MS, None, None).last_is_open
    assert not fetcher.klines("BTCUSDT", Interval.H1, None, opens, 3).last_is_open
    clock.set(opens + HOUR_MS - 1)
    assert fetcher.klines("BTCUSDT", Interval.H1, opens, None, None).last_is_open
    clock.set(opens + HOUR_MS)
    assert not fetcher.klines("BTCUSDT", Interval.H1, opens, None, 1).last_is_open
    clock.set(opens - 1)  # the venue is ahead: what opens after now is not seen
    series = fetcher.klines("BTCUSDT", Interval.H1, None, None, 2)
    assert series.open_time.tolist() == [opens - 2 * HOUR_MS, opens - HOUR_MS]
    assert series.last_is_open
    assert fetcher.dropped_rows == 0


def test_a_range_from_before_the_listing_begins_with_it(fetcher: BinanceDataFetcher):
    listed = 1_679_529_600_000  # ARB, 2023-03-23
    series = fetcher.klines("ARBUSDT", Interval.D1, 0, listed + 3 * 24 * HOUR_MS, None)
    assert series.open_time.tolist() == [listed + day * 24 * HOUR_MS for day in range(3)]
    before = fetcher.klines("ARBUSDT", Interval.D1, None, listed, 100)
    assert (len(before), before.interval, before.last_is_open) == (0, Interval.D1, False)
    assert len(fetcher.klines("ARBUSDT", Interval.D1, None, listed + 24 * HOUR_MS, 2000)) == 1


def test_gaps_of_real_candles_are_paged_over(real_klines: Path):
    market = ReplayedMarket.from_files(real_klines.glob("LUNAUSDT-*.csv.gz"))
    with SimulatorServer(market, ManualClock(market.end_ms)) as server:
        fetcher = BinanceDataFetcher(base_url=server.url, clock=server.clock)
        series = fetcher.klines("LUNAUSDT", Interval.H1, market.first_ms, None, None)
        assert len(series) == 10_403
        assert len(fetcher.klines("LUNAUSDT", Interval.H1, None, None, 11_000)) == 10_403
        outage = 1_652_500_800_000  # 2022-05-14: trading was suspended
        assert klines_in(fetcher, outage, outage + 24 * HOUR_MS) == 0
        assert fetcher.dropped_rows == 0


def klines_in(fetcher: BinanceDataFetcher, start: int, end: int) -> int:
    return len(fetcher.klines("LUNAUSDT", Interval.H1, start, end, None))


# ------------------------------------------------------------------ depth, listings, the limit


def test_depth_is_exact_and_ordered(simulator: SimulatorServer, fetcher: BinanceDataFetcher):
    book = fetcher.depth("ETHUSDT", 20)
    said = raw(simulator, "depth?symbol=ETHUSDT&limit=20")
    assert [list(level) for level in book.bids] == [
        [Decimal(t) for t in row] for row in said["bids"]
    ]
    assert [list(level) for level in book.asks] == [
        [Decimal(t) for t in row] for row in said["asks"]
    ]
    assert len(book.bids) == len(book.asks) == 20
    assert book.bids[0][0] < book.asks[0][0]
    assert (book.source, book.time_ms) == ("binance", simulator.clock.now_ms())


def test_instruments_have_the_venues_rules(simulator: SimulatorServer, fetcher: BinanceDataFetcher):
    instruments = fetcher.instruments()
    assert len(instruments) > 100
    bitcoin = instruments["BTCUSDT"]
    assert (bitcoin.base, bitcoin.quote, bitcoin.is_trading) == ("BTC", "USDT", True)
    assert bitcoin.instrument.lot_size == Decimal("0.00001")
    assert bitcoin.instrument.tick_size == Decimal("0.01")
    assert bitcoin.instrument.min_notional == Decimal(5)


def test_every_question_has_the_weight_that_the_venue_counts(simulator: SimulatorServer):
    limiter = weight_limiter(6000, SteadyClock())
    limiter.observe("weight", used_weight(simulator))  # by the tests before
    fetcher = BinanceDataFetcher(base_url=simulator.url, clock=simulator.clock, limiter=limiter)
    everything = [f"{coin}USDT" for coin in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"] + [*SIX]
    for question in (
        lambda: fetcher.price("BTCUSDT"),
        lambda: fetcher.prices(SIX),
        lambda: fetcher.prices(everything),
        lambda: fetcher.klines("BTCUSDT", Interval.H1, None, None, 10),
        lambda: fetcher.depth("BTCUSDT", 100),
        lambda: fetcher.depth("BTCUSDT", 1000),
        lambda: fetcher.instruments(),
    ):
        before, counted = limiter.budgets()[0].used, used_weight(simulator)
        question()
        after = used_weight(simulator)
        if after > counted:  # the venue's minute has not turned
            assert limiter.budgets()[0].used - before == after - counted


def used_weight(simulator: SimulatorServer) -> int:
    state = requests.get(f"{simulator.url}/control/state", timeout=5).json()
    return int(state["binance_used_weight"])


def test_many_threads_share_one_fetcher(simulator: SimulatorServer, fetcher: BinanceDataFetcher):
    symbols = SIX * 10
    with ThreadPoolExecutor(20) as pool:
        tickers = list(pool.map(fetcher.price, symbols))
    assert [ticker.symbol for ticker in tickers] == list(symbols)


def test_too_much_weight_is_a_rate_limit_with_the_seconds_to_wait():
    market, clock = GeneratedMarket(seed=7), ManualClock(NOW_MS)
    with SimulatorServer(market, clock, weight_limit=5) as server:
        fetcher = BinanceDataFetcher(base_url=server.url, clock=clock)
        prices = (fetcher.price("BTCUSDT") for _ in range(8))  # the minute may turn in between
        with pytest.raises(SourceRateLimited) as limited:
            list(prices)
        assert limited.value.retry_after is not None
        assert 0 < limited.value.retry_after <= 60


def test_construction_touches_no_network():
    with responses.RequestsMock() as network:
        BinanceDataFetcher(clock=ManualClock(NOW_MS))
        BinanceDataFetcher(clock=ManualClock(NOW_MS), api_key="key", api_secret="secret").close()
        assert len(network.calls) == 0


# ----------------------------------------------------------------------------------- failures


@pytest.fixture
def asking(venue: ScriptedVenue) -> BinanceDataFetcher:
    return BinanceDataFetcher(base_url=venue.url, clock=ManualClock(NOW_MS))


HTML = b"<html><body>Service unavailable</body></html>"
REFUSALS: dict[str, tuple[int, Any, type[SourceError], str]] = {
    "418": (418, {"code": -1003, "msg": "banned"}, SourceRateLimited, "source_banned"),
    "429": (429, {"code": -1003, "msg": "slow down"}, SourceRateLimited, "source_rate_limited"),
    "429 html": (429, HTML, SourceRateLimited, "source_rate_limited"),
    "1003": (400, {"code": -1003, "msg": "slow down"}, SourceRateLimited, "source_rate_limited"),
    "451": (451, {"code": 0, "msg": "restricted location"}, SourceRefused, "geo_blocked"),
    "403 html": (403, HTML, SourceRefused, "geo_blocked"),
    "500": (500, {"code": -1000, "msg": "unknown"}, SourceUnavailable, "source_unavailable"),
    "502 html": (502, HTML, SourceUnavailable, "source_unavailable"),
    "503 list": (503, ["down"], SourceUnavailable, "source_unavailable"),
    "504 empty": (504, b"", SourceUnavailable, "source_unavailable"),
    "bad key": (401, {"code": -2015, "msg": "Invalid API-key"}, SourceRefused, "bad_key"),
    "bad key format": (400, {"code": -2014, "msg": "format"}, SourceRefused, "bad_key"),
    "1100": (400, {"code": -1100, "msg": "Illegal"}, SourceRefused, "source_refused"),
    "400 list": (400, [1, 2], SourceBadAnswer, "source_bad_answer"),
    "400 text": (400, "no", SourceBadAnswer, "source_bad_answer"),
    "400 html": (400, HTML, SourceBadAnswer, "source_bad_answer"),
    "404 html": (404, HTML, SourceBadAnswer, "source_bad_answer"),
    "400 odd code": (400, {"code": "x", "msg": None}, SourceBadAnswer, "source_bad_answer"),
    "200 html": (200, HTML, SourceBadAnswer, "source_bad_answer"),
    "200 empty": (200, b"", SourceBadAnswer, "source_bad_answer"),
    "200 null": (200, None, SourceBadAnswer, "source_bad_answer"),
    "200 number": (200, 17, SourceBadAnswer, "source_bad_answer"),
    "200 text": (200, "ok", SourceBadAnswer, "source_bad_answer"),
    "200 empty list": (200, [], SourceBadAnswer, "source_bad_answer"),
    "200 list of lists": (200, [[]], SourceBadAnswer, "source_bad_answer"),
    "200 empty object": (200, {}, SourceBadAnswer, "source_bad_answer"),
    "200 error": (200, {"code": -1000, "msg": "x"}, SourceBadAnswer, "source_bad_answer"),
    "200 truncated": (200, b'[{"symbol": "BTCUSDT", "lastP', SourceBadAnswer, "source_bad_answer"),
    "200 bytes": (200, bytes(range(256)), SourceBadAnswer, "source_bad_answer"),
    "200 deep": (200, b"[" * 100_000, SourceBadAnswer, "source_bad_answer"),
    "204": (204, b"", SourceBadAnswer, "source_bad_answer"),
    "304": (304, b"", SourceBadAnswer, "source_bad_answer"),
}


@pytest.mark.parametrize(
    ("status", "body", "error", "code"), REFUSALS.values(), ids=REFUSALS.keys()
)
def test_every_bad_answer_is_a_typed_error(
    venue: ScriptedVenue,
    asking: BinanceDataFetcher,
    status: int,
    body: Any,
    error: type[SourceError],
    code: str,
):
    venue.says(body, status)
    for name, question in BINANCE_QUESTIONS.items():
        if body == [] and name == "klines from":
            assert len(question(asking)) == 0  # a range in which nothing was traded
            continue
        expected = (error, code)
        if body in ([], [[]]) and name == "prices":
            expected = (SourceRefused, "unknown_symbol")  # not listed
        with pytest.raises(SourceError) as raised:
            question(asking)
        assert (name, type(raised.value), raised.value.code) == (name, *expected)
        assert raised.value.message.startswith("Binance")


def test_a_refusal_tells_the_used_weight_too(venue: ScriptedVenue):
    limiter = weight_limiter(5400, SteadyClock())
    asking = BinanceDataFetcher(base_url=venue.url, clock=ManualClock(NOW_MS), limiter=limiter)
    venue.says({"code": -1003, "msg": ""}, 429, Retry_After="17", X_MBX_USED_WEIGHT_1M="6001")
    with pytest.raises(SourceRateLimited) as limited:
        asking.price("BTCUSDT")
    assert limited.value.retry_after == 17
    assert limiter.budgets()[0].used == 5400


def test_the_key_goes_to_the_venue_and_into_no_message(venue: ScriptedVenue):
    clock = ManualClock(NOW_MS)
    fetcher = BinanceDataFetcher("sesame", "open", base_url=venue.url, clock=clock)
    venue.says({"code": -2015, "msg": "Invalid API-key, IP, or permissions"}, 401)
    with pytest.raises(SourceRefused) as refused:
        fetcher.price("BTCUSDT")
    assert venue.sent_headers[0]["X-MBX-APIKEY"] == "sesame"
    assert "sesame" not in refused.value.message
    for key in ("clé", "a\nb"):
        with pytest.raises(InvalidInput):
            BinanceDataFetcher(key, base_url=venue.url, clock=clock)


# ------------------------------------------------------------------- sound answers, and unsound


def ticker(
    symbol: str = "BTCUSDT", price: Any = "64000.01000000", **changes: Any
) -> dict[str, Any]:
    fields = {"lastPrice": price, "priceChangePercent": "-1.250", "closeTime": NOW_MS - 500}
    return {"symbol": symbol} | fields | changes


BAD_PRICES = [
    "0.00000000",
    "-1.0",
    "NaN",
    "Infinity",
    "",
    "1e5",
    None,
    64000.0,
    0,
    [],
    "1 000",
    "٣",
]


@pytest.mark.parametrize("price", BAD_PRICES, ids=repr)
def test_a_price_that_is_none_is_a_bad_answer(
    venue: ScriptedVenue, asking: BinanceDataFetcher, price: Any
):
    venue.says(ticker(price=price))
    with pytest.raises(SourceBadAnswer):
        asking.price("BTCUSDT")
    venue.says([ticker(price=price)])
    with pytest.raises(SourceBadAnswer):
        asking.prices(["BTCUSDT"])
    venue.says([ticker(price=price), ticker("ETHUSDT", "3000.5")])
    assert {name: t.price for name, t in asking.prices(["BTCUSDT", "ETHUSDT"]).items()} == {
        "ETHUSDT": Decimal("3000.5")
    }
    assert asking.dropped_rows == 2


def test_a_ticker_of_another_symbol_or_without_time_is_a_bad_answer(
    venue: ScriptedVenue, asking: BinanceDataFetcher
):
    for answer in (ticker("ETHUSDT"), ticker(closeTime=None), ticker(closeTime="1"), [ticker()]):
        venue.says(answer)
        with pytest.raises(SourceBadAnswer):
            asking.price("BTCUSDT")
    venue.says(ticker(priceChangePercent="NaN"))
    assert asking.price("BTCUSDT").change_24h is None


def kline(open_time: Any, *values: Any) -> list[Any]:
    prices = values or ("100.00000000", "110.00000000", "90.00000000", "105.00000000", "12.5")
    return [open_time, *prices, 0, "1250.0", 40, "6.0", "600.0", "0"]


HOURS = [Interval.H1.floor(NOW_MS) - back * HOUR_MS for back in range(5, -1, -1)]
UNSOUND = {
    "zero": kline(HOURS[2], "0.0", "0.0", "0.0", "0.0", "0.0"),
    "negative": kline(HOURS[2], "-100.0", "110.0", "-100.0", "105.0", "1.0"),
    "low above open": kline(HOURS[2], "100.0", "110.0", "101.0", "105.0", "1.0"),
    "high below close": kline(HOURS[2], "100.0", "104.0", "90.0", "105.0", "1.0"),
    "negative volume": kline(HOURS[2], "100.0", "110.0", "90.0", "105.0", "-1.0"),
    "NaN": kline(HOURS[2], "NaN", "110.0", "90.0", "105.0", "1.0"),
    "infinite": kline(HOURS[2], "100.0", "Infinity", "90.0", "105.0", "1.0"),
    "numbers": kline(HOURS[2], 100.0, 110.0, 90.0, 105.0, 1.0),
    "null": kline(HOURS[2], None, "110.0", "90.0", "105.0", "1.0"),
    "sixteen digits": kline(HOURS[2], "100.0000000000001", "110.0", "90.0", "105.0", "1.0"),
    "off the grid": kline(HOURS[2] + 1),
    "in the future": kline(HOURS[-1] + HOUR_MS),
    "time is text": kline(str(HOURS[2])),
    "time is a float": kline(float(HOURS[2])),
    "time is endless": kline(10**30),
    "time is true": kline(True),
    "short": [HOURS[2], "100.0", "110.0", "90.0", "105.0"],
    "no row": {"open_time": HOURS[2]},
    "nothing": None,
    "duplicate": kline(HOURS[3]),
}


@pytest.mark.parametrize("row", UNSOUND.values(), ids=UNSOUND.keys())
def test_an_unsound_row_is_dropped_and_counted(
    venue: ScriptedVenue, asking: BinanceDataFetcher, row: Any
):
    venue.says([kline(HOURS[0]), kline(HOURS[1]), row, *map(kline, HOURS[3:])])
    series = asking.klines("BTCUSDT", Interval.H1, None, None, 10)
    assert series.open_time.tolist() == [*HOURS[:2], *HOURS[3:]]
    assert asking.dropped_rows == 1


@pytest.mark.parametrize("row", [row for name, row in UNSOUND.items() if name != "duplicate"])
def test_nothing_but_unsound_rows_is_a_bad_answer(
    venue: ScriptedVenue, asking: BinanceDataFetcher, row: Any
):
    venue.says([row])
    for start in (None, HOURS[0]):
        with pytest.raises(SourceBadAnswer, match="no sound"):
            asking.klines("BTCUSDT", Interval.H1, start, None, 10)


def test_rows_in_the_wrong_order_are_served_ascending(
    venue: ScriptedVenue, asking: BinanceDataFetcher
):
    venue.says([kline(opens) for opens in reversed(HOURS)])
    assert asking.klines("BTCUSDT", Interval.H1, None, None, 6).open_time.tolist() == HOURS


def test_rows_outside_the_range_are_dropped(venue: ScriptedVenue, asking: BinanceDataFetcher):
    venue.says(list(map(kline, HOURS)))  # whatever was asked
    series = asking.klines("BTCUSDT", Interval.H1, HOURS[1], HOURS[4], None)
    assert series.open_time.tolist() == HOURS[1:4]


def test_pages_that_repeat_end_in_an_error_not_in_a_loop(
    venue: ScriptedVenue, asking: BinanceDataFetcher
):
    first = HOURS[-1] - 5000 * HOUR_MS
    venue.says([kline(first + index * HOUR_MS) for index in range(1000)])
    with pytest.raises(SourceBadAnswer, match="do not advance"):
        asking.klines("BTCUSDT", Interval.H1, first, None, None)
    with pytest.raises(SourceBadAnswer, match="do not advance"):
        asking.klines("BTCUSDT", Interval.H1, None, None, 3000)
    assert len(venue.paths) == 4


@pytest.mark.parametrize("limit", [0, -5])
def test_a_limit_is_at_least_one(asking: BinanceDataFetcher, limit: int):
    with pytest.raises(InvalidInput):
        asking.klines("BTCUSDT", Interval.H1, None, None, limit)
    with pytest.raises(InvalidInput):
        asking.depth("BTCUSDT", limit)


@pytest.mark.parametrize(
    "book",
    [
        {"bids": [], "asks": []},
        {"bids": [["99.0", "1.0"]], "asks": []},
        {"bids": [["101.0", "1.0"]], "asks": [["100.0", "1.0"]]},  # crossed
        {"bids": [["99.0", "1.0"], ["99.5", "1.0"]], "asks": [["100.0", "1.0"]]},
        {"bids": [["99.0", "1.0"]], "asks": [["100.0", "1.0"], ["100.0", "1.0"]]},
        {"bids": [["0.0", "1.0"]], "asks": [["100.0", "1.0"]]},
        {"bids": [["99.0", "NaN"]], "asks": [["100.0", "1.0"]]},
        {"bids": [["99.0"]], "asks": [["100.0", "1.0"]]},
        {"bids": {"99.0": "1.0"}, "asks": [["100.0", "1.0"]]},
    ],
)
def test_an_impossible_order_book_is_a_bad_answer(
    venue: ScriptedVenue, asking: BinanceDataFetcher, book: Any
):
    venue.says(book)
    with pytest.raises(SourceBadAnswer):
        asking.depth("BTCUSDT", 10)


def test_instruments_without_usable_rules_are_left_out(
    venue: ScriptedVenue, asking: BinanceDataFetcher
):
    def listing(symbol: str, *filters: Any, **changes: Any) -> dict[str, Any]:
        assets = {"baseAsset": symbol[:-4], "quoteAsset": "USDT", "status": "TRADING"}
        return {"symbol": symbol} | assets | {"filters": list(filters)} | changes

    lot = {"filterType": "LOT_SIZE", "stepSize": "0.10000000"}
    market_lot = {"filterType": "MARKET_LOT_SIZE", "stepSize": "0.00000000"}
    old = {"filterType": "MIN_NOTIONAL", "minNotional": "10.00000000"}
    venue.says(
        {
            "symbols": [
                listing("AUSDT", lot, market_lot, old),
                listing("BUSDT", lot, status="BREAK"),
                listing("CUSDT"),
                listing("DUSDT", {"filterType": "LOT_SIZE", "stepSize": "0"}),
                listing("EUSDT", lot, baseAsset=None),
                "FUSDT",
            ]
        }
    )
    instruments = asking.instruments()
    assert set(instruments) == {"AUSDT", "BUSDT"}
    assert instruments["AUSDT"].instrument.lot_size == Decimal("0.1")
    assert instruments["AUSDT"].instrument.min_notional == Decimal(10)
    assert instruments["BUSDT"].is_trading is False


# ------------------------------------------------------------------------------- public hosts

FIRST = "https://data-api.binance.vision/api/v3/ticker/24hr"
SECOND = "https://api.binance.com/api/v3/ticker/24hr"


@responses.activate
def test_a_host_that_is_blocked_here_hands_over_to_the_other():
    fetcher = BinanceDataFetcher(clock=ManualClock(NOW_MS))
    responses.get(FIRST, status=451, json={"code": 0, "msg": "restricted location"})
    responses.get(SECOND, json=ticker())
    assert fetcher.price("BTCUSDT").price == Decimal("64000.01")
    assert fetcher.price("BTCUSDT").price == Decimal("64000.01")
    hosts = [call.request.url.split("/api/")[0] for call in responses.calls]
    assert hosts == [
        "https://data-api.binance.vision",
        "https://api.binance.com",
        "https://api.binance.com",  # the one that answered is asked first from then on
    ]


@responses.activate
def test_both_hosts_blocked_is_a_refusal():
    responses.get(FIRST, status=451)
    responses.get(SECOND, status=403)
    with pytest.raises(SourceRefused, match="403") as refused:
        BinanceDataFetcher(clock=ManualClock(NOW_MS)).price("BTCUSDT")
    assert refused.value.code == "geo_blocked"


@responses.activate
def test_a_host_that_is_down_or_limits_does_not_double_the_wait():
    responses.get(FIRST, status=429, headers={"Retry-After": "3"})
    with pytest.raises(SourceRateLimited):
        BinanceDataFetcher(clock=ManualClock(NOW_MS)).price("BTCUSDT")
    assert len(responses.calls) == 1


def test_prices_of_many_coins_cost_the_days_ticker_once_a_minute(simulator: SimulatorServer):
    venue = BinanceDataFetcher(base_url=simulator.url, clock=simulator.clock)
    symbols = list(simulator.market.listings(simulator.clock.now_ms()))[:60]
    whole: dict[str, Ticker] = {}
    assert weight_of(simulator, lambda: whole.update(venue.prices(symbols))) == 40
    again: dict[str, Ticker] = {}
    assert weight_of(simulator, lambda: again.update(venue.prices(symbols))) == 4
    assert list(again) == list(whole)
    for symbol, ticker in again.items():
        assert ticker.price == whole[symbol].price
        assert ticker.change_24h == pytest.approx(whole[symbol].change_24h, abs=0.002)
