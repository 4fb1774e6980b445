"""OKXDataFetcher: the unmodified SDK against the simulated exchange, and every kind of failure."""

import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import requests
from scripted_venue import ScriptedVenue
from source_cases import OKX_QUESTIONS

from binance_fetcher import BinanceDataFetcher
from clock import ManualClock
from domain import Interval, KlineSeries
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
from okx_fetcher import OKXDataFetcher

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
NOW_MS = 1_717_245_296_789  # 2024-06-01T12:34:56.789Z
MATIC_ENDS_MS = 1_725_937_200_000  # 2024-09-10T03:00Z
UNLIMITED = {"okx_limit_factor": 10**6, "weight_limit": 10**9}


@pytest.fixture(scope="module")
def exchange() -> Iterator[SimulatorServer]:
    """An exchange that allows as many requests as a test makes."""
    with SimulatorServer(GeneratedMarket(seed=7), ManualClock(NOW_MS), **UNLIMITED) as server:
        yield server


@pytest.fixture
def fetcher(exchange: SimulatorServer) -> Iterator[OKXDataFetcher]:
    fetcher = OKXDataFetcher(domain=exchange.url, clock=exchange.clock)
    yield fetcher
    fetcher.close()


def raw(exchange: SimulatorServer, path: str) -> Any:
    """What the venue itself says, without the fetcher."""
    return requests.get(f"{exchange.url}/api/v5/{path}", timeout=5).json()["data"]


# ------------------------------------------------------------------------------------- prices


def test_a_price_is_the_venues_own_text_with_its_time(
    exchange: SimulatorServer, fetcher: OKXDataFetcher
):
    ticker = fetcher.price("BTC-USDT")
    (said,) = raw(exchange, "market/ticker?instId=BTC-USDT")
    assert ticker.price == Decimal(said["last"])
    assert ticker.change_24h == pytest.approx(
        100 * (float(said["last"]) / float(said["open24h"]) - 1)
    )
    assert (ticker.symbol, ticker.source) == ("BTC-USDT", "okx")
    assert ticker.time_ms == exchange.clock.now_ms()


def test_many_prices_are_one_call_and_unknown_symbols_spoil_no_others(
    exchange: SimulatorServer, fetcher: OKXDataFetcher, venue: ScriptedVenue
):
    symbols = [row["instId"] for row in raw(exchange, "market/tickers?instType=SPOT")]
    assert len(symbols) > 80
    prices = fetcher.prices([*symbols, "XMR-USDT", "no such&instType=SWAP", "BTC-USDT"])
    assert set(prices) == set(symbols)
    assert prices["ETH-USDT"] == fetcher.price("ETH-USDT")
    assert fetcher.prices([]) == {}
    venue.says(data(ticker("BTC-USDT"), ticker("ETH-USDT")))
    asking = OKXDataFetcher(domain=venue.url, clock=ManualClock(NOW_MS))
    assert len(asking.prices(["BTC-USDT", "ETH-USDT", "XMR-USDT"])) == 2
    assert venue.paths == ["/api/v5/market/tickers?instType=SPOT"]


@pytest.mark.parametrize("symbol", ["XMR-USDT", "BTCUSDT", "btc-usdt", "BTC-USDT&sz=1", "", "币"])
def test_an_unknown_symbol_is_refused_everywhere(fetcher: OKXDataFetcher, symbol: str):
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


def test_a_delisted_pair_is_suspended_and_then_gone():
    clock = ManualClock(MATIC_ENDS_MS + HOUR_MS)
    with SimulatorServer(GeneratedMarket(seed=7), clock) as server:
        fetcher = OKXDataFetcher(domain=server.url, clock=clock)
        assert fetcher.instruments()["MATIC-USDT"].is_trading is False
        series = fetcher.klines("MATIC-USDT", Interval.M1, None, None, 3)
        assert series.open_time.tolist() == [MATIC_ENDS_MS - back * 60_000 for back in (3, 2, 1)]
        assert not series.last_is_open
        assert float(fetcher.price("MATIC-USDT").price) == series.close[-1]
        clock.set(MATIC_ENDS_MS + 8 * DAY_MS)
        assert "MATIC-USDT" not in fetcher.instruments()
        with pytest.raises(SourceRefused) as refused:
            fetcher.price("MATIC-USDT")
        assert refused.value.code == "unknown_symbol"


# ------------------------------------------------------------- klines, the same as from Binance


def assert_same_bars(okx: KlineSeries, binance: KlineSeries) -> None:
    assert (okx.source, binance.source) == ("okx", "binance")
    assert okx.interval == binance.interval
    for column in ("open_time", "open", "high", "low", "close", "volume"):
        assert getattr(okx, column).tolist() == getattr(binance, column).tolist()
    assert okx.last_is_open == binance.last_is_open


@pytest.mark.parametrize("interval", Interval)
def test_every_interval_gives_the_same_bars_as_binance_across_page_limits(
    exchange: SimulatorServer, fetcher: OKXDataFetcher, interval: Interval
):
    binance = BinanceDataFetcher(base_url=exchange.url, clock=exchange.clock)
    latest = fetcher.klines("BTC-USDT", interval, None, None, 50)
    assert_same_bars(latest, binance.klines("BTCUSDT", interval, None, None, 50))
    current = interval.floor(NOW_MS)
    opens = [current - back * interval.milliseconds for back in range(49, -1, -1)]
    assert latest.open_time.tolist() == opens
    assert latest.last_is_open
    bars = 300 if interval is Interval.W1 else 2300
    start = current - bars * interval.milliseconds
    end = current - 3 * interval.milliseconds
    for question in (
        (start, None, None),
        (start, end, None),
        (start + 1, end + 1, None),
        (start, None, bars - 7),
        (None, None, bars),
        (None, end, bars),
    ):
        series = fetcher.klines("BTC-USDT", interval, *question)
        assert len(series) >= bars - 7
        assert_same_bars(series, binance.klines("BTCUSDT", interval, *question))
    assert fetcher.dropped_rows == 0
    binance.close()


def test_ten_thousand_bars_are_the_same(exchange: SimulatorServer, fetcher: OKXDataFetcher):
    binance = BinanceDataFetcher(base_url=exchange.url, clock=exchange.clock)
    start = Interval.M1.floor(NOW_MS) - 10_000 * 60_000
    series = fetcher.klines("ETH-USDT", Interval.M1, start, None, None)
    assert len(series) == 10_001
    assert_same_bars(series, binance.klines("ETHUSDT", Interval.M1, start, None, None))
    assert fetcher.dropped_rows == 0


def test_the_end_is_exclusive_and_the_start_inclusive_by_open_time(fetcher: OKXDataFetcher):
    for hours_back in (100, 5000):  # among the recent bars, and in the history
        noon = Interval.H1.floor(NOW_MS) - hours_back * HOUR_MS
        hours = [noon, noon + HOUR_MS]
        assert klines_at(fetcher, noon, noon + 2 * HOUR_MS) == hours
        assert klines_at(fetcher, noon - 1, noon + 2 * HOUR_MS - 1) == hours
        assert klines_at(fetcher, noon + 1, noon + HOUR_MS + 1) == hours[1:]
        assert klines_at(fetcher, noon, noon) == []
        assert klines_at(fetcher, noon, noon - HOUR_MS) == []
    assert klines_at(fetcher, NOW_MS + HOUR_MS, None) == []


def klines_at(fetcher: OKXDataFetcher, start: int, end: int | None) -> list[int]:
    opens: list[int] = fetcher.klines("ETH-USDT", Interval.H1, start, end, None).open_time.tolist()
    return opens


def test_bars_that_open_after_our_clock_are_cut(exchange: SimulatorServer):
    clock = ManualClock(NOW_MS)
    fetcher = OKXDataFetcher(domain=exchange.url, clock=clock)
    opens = Interval.H1.floor(NOW_MS)
    assert not fetcher.klines("BTC-USDT", Interval.H1, None, opens, 3).last_is_open
    clock.set(opens - 1)  # the venue is ahead
    series = fetcher.klines("BTC-USDT", Interval.H1, None, None, 2)
    assert series.open_time.tolist() == [opens - 2 * HOUR_MS, opens - HOUR_MS]
    assert not series.last_is_open  # the venue has confirmed it
    assert fetcher.dropped_rows == 0


def test_a_range_from_before_the_listing_begins_with_it_in_few_calls():
    listed = 1_679_529_600_000  # ARB, 2023-03-23
    market, clock = GeneratedMarket(seed=7), ManualClock(NOW_MS)
    with SimulatorServer(market, clock, okx_limit_factor=3) as server:  # 60 calls in 2 s
        fetcher = OKXDataFetcher(domain=server.url, clock=clock)
        days = fetcher.klines("ARB-USDT", Interval.D1, 0, listed + 3 * DAY_MS, None)
        assert days.open_time.tolist() == [listed + day * DAY_MS for day in range(3)]
        minutes = fetcher.klines("ARB-USDT", Interval.M1, 0, None, 150)
        assert minutes.open_time.tolist() == [listed + minute * 60_000 for minute in range(150)]
        before = fetcher.klines("ARB-USDT", Interval.D1, None, listed, 100)
        assert (len(before), before.interval, before.last_is_open) == (0, Interval.D1, False)
        assert len(fetcher.klines("ARB-USDT", Interval.D1, None, listed + DAY_MS, 2000)) == 1


def test_gaps_of_real_candles_are_paged_over(real_klines: Path):
    market = ReplayedMarket.from_files(real_klines.glob("LUNAUSDT-*.csv.gz"))
    with SimulatorServer(market, ManualClock(market.end_ms), **UNLIMITED) as server:
        okx = OKXDataFetcher(domain=server.url, clock=server.clock)
        binance = BinanceDataFetcher(base_url=server.url, clock=server.clock)
        for question in ((market.first_ms, None, None), (None, None, 11_000), (0, None, 9_000)):
            series = okx.klines("LUNA-USDT", Interval.H1, *question)
            assert_same_bars(series, binance.klines("LUNAUSDT", Interval.H1, *question))
        assert okx.dropped_rows == 0


# ------------------------------------------------------------------ depth, listings, the limit


def test_depth_is_exact_and_ordered(exchange: SimulatorServer, fetcher: OKXDataFetcher):
    book = fetcher.depth("ETH-USDT", 20)
    (said,) = raw(exchange, "market/books?instId=ETH-USDT&sz=20")
    for side, rows in ((book.bids, said["bids"]), (book.asks, said["asks"])):
        assert [list(level) for level in side] == [[Decimal(t) for t in row[:2]] for row in rows]
    assert len(book.bids) == len(book.asks) == 20
    assert book.bids[0][0] < book.asks[0][0]
    assert (book.source, book.time_ms) == ("okx", exchange.clock.now_ms())
    assert len(fetcher.depth("ETH-USDT", 5000).bids) == 400


def test_instruments_have_the_venues_rules(fetcher: OKXDataFetcher):
    instruments = fetcher.instruments()
    assert len(instruments) > 80
    bitcoin = instruments["BTC-USDT"]
    assert (bitcoin.base, bitcoin.quote, bitcoin.is_trading) == ("BTC", "USDT", True)
    assert bitcoin.instrument.lot_size == Decimal("0.00001")
    assert bitcoin.instrument.tick_size == Decimal("0.01")
    assert bitcoin.instrument.min_notional == 0
    assert "XMR-USDT" not in instruments


def test_many_threads_share_one_fetcher(fetcher: OKXDataFetcher):
    symbols = ["BTC-USDT", "ETH-USDT", "SOL-USDT", "XRP-USDT", "DOGE-USDT"] * 12
    with ThreadPoolExecutor(20) as pool:
        tickers = list(pool.map(fetcher.price, symbols))
    assert [ticker.symbol for ticker in tickers] == symbols


def test_too_many_requests_are_a_rate_limit():
    with SimulatorServer(GeneratedMarket(seed=7), ManualClock(NOW_MS)) as server:
        fetcher = OKXDataFetcher(domain=server.url, clock=server.clock)
        prices = (fetcher.price("BTC-USDT") for _ in range(60))  # 20 in 2 s, which may just end
        with pytest.raises(SourceRateLimited):
            list(prices)
        assert fetcher.depth("BTC-USDT", 5).bids  # each endpoint has its own


def test_construction_touches_no_network(monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object) -> None:
        raise AssertionError("a connection was made")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    OKXDataFetcher(clock=ManualClock(NOW_MS)).close()
    OKXDataFetcher("key", "secret", "words", clock=ManualClock(NOW_MS)).close()


# ----------------------------------------------------------------------------------- failures


@pytest.fixture
def asking(venue: ScriptedVenue) -> OKXDataFetcher:
    return OKXDataFetcher(domain=venue.url, clock=ManualClock(NOW_MS))


def data(*rows: Any) -> dict[str, Any]:
    """A success in OKX's form."""
    return {"code": "0", "msg": "", "data": list(rows)}


def refusal(code: Any, message: str = "words") -> dict[str, Any]:
    return {"code": code, "msg": message, "data": []}


HTML = b"<html><body>Service unavailable</body></html>"
LIMITED, REFUSED, OUT, BAD = SourceRateLimited, SourceRefused, SourceUnavailable, SourceBadAnswer
REFUSALS: dict[str, tuple[int, Any, type[SourceError], str]] = {
    "429": (429, refusal("50011"), LIMITED, "source_rate_limited"),
    "429 html": (429, HTML, LIMITED, "source_rate_limited"),
    "200 limit": (200, refusal("50011"), LIMITED, "source_rate_limited"),
    "200 limit of an account": (200, refusal("50061"), LIMITED, "source_rate_limited"),
    "451": (451, HTML, REFUSED, "geo_blocked"),
    "403 html": (403, HTML, REFUSED, "geo_blocked"),
    "500": (500, refusal("50026"), OUT, "source_unavailable"),
    "502 html": (502, HTML, OUT, "source_unavailable"),
    "503": (503, refusal("50001"), OUT, "source_unavailable"),
    "504 empty": (504, b"", OUT, "source_unavailable"),
    "200 busy": (200, refusal("50013"), OUT, "source_unavailable"),
    "bad key": (401, refusal("50111"), REFUSED, "bad_key"),
    "bad signature": (200, refusal("50113"), REFUSED, "bad_key"),
    "200 unknown": (200, refusal("51001"), REFUSED, "unknown_symbol"),
    "200 parameter": (200, refusal("51000"), REFUSED, "source_refused"),
    "400 parameter": (400, refusal("50014"), REFUSED, "source_refused"),
    "400 success": (400, data(), BAD, "source_bad_answer"),
    "400 list": (400, [1, 2], BAD, "source_bad_answer"),
    "404 number": (404, refusal(404), BAD, "source_bad_answer"),
    "404 html": (404, HTML, BAD, "source_bad_answer"),
    "200 html": (200, HTML, BAD, "source_bad_answer"),
    "200 empty": (200, b"", BAD, "source_bad_answer"),
    "200 null": (200, None, BAD, "source_bad_answer"),
    "200 text": (200, "ok", BAD, "source_bad_answer"),
    "200 list": (200, [], BAD, "source_bad_answer"),
    "200 empty object": (200, {}, BAD, "source_bad_answer"),
    "200 code is a number": (200, {"code": 0, "data": []}, BAD, "source_bad_answer"),
    "200 without data": (200, {"code": "0", "msg": ""}, BAD, "source_bad_answer"),
    "200 data is an object": (200, {"code": "0", "data": {}}, BAD, "source_bad_answer"),
    "200 no rows": (200, data(), BAD, "source_bad_answer"),
    "200 rows are none": (200, data(None, 1, "x", [], {}), BAD, "source_bad_answer"),
    "200 truncated": (200, b'{"code": "0", "data": [{"inst', BAD, "source_bad_answer"),
    "200 bytes": (200, bytes(range(256)), BAD, "source_bad_answer"),
    "200 deep": (200, b"[" * 100_000, BAD, "source_bad_answer"),
    "204": (204, b"", BAD, "source_bad_answer"),
    "304": (304, b"", BAD, "source_bad_answer"),
}


@pytest.mark.parametrize(
    ("status", "body", "error", "code"), REFUSALS.values(), ids=REFUSALS.keys()
)
def test_every_bad_answer_is_a_typed_error(
    venue: ScriptedVenue,
    asking: OKXDataFetcher,
    status: int,
    body: Any,
    error: type[SourceError],
    code: str,
):
    venue.says(body, status)
    for name, question in OKX_QUESTIONS.items():
        if (status, body, name) == (200, data(), "klines from"):
            assert len(question(asking)) == 0  # a range in which nothing was traded
            continue
        with pytest.raises(error) as raised:
            question(asking)
        assert (name, type(raised.value), raised.value.code) == (name, error, code)
        assert raised.value.message.startswith("OKX")


def test_the_key_goes_to_the_venue_and_into_no_message(
    venue: ScriptedVenue, capfd: pytest.CaptureFixture[str]
):
    clock = ManualClock(NOW_MS)
    fetcher = OKXDataFetcher("sesame", "open", "abracadabra", domain=venue.url, clock=clock)
    for status, code in ((401, "50111"), (200, "50105"), (400, "51000"), (200, "59999")):
        venue.says(refusal(code, "sesame, open and abracadabra are wrong"), status)
        with pytest.raises(SourceRefused) as refused:
            fetcher.price("BTC-USDT")
        for secret in ("sesame", "open", "abracadabra"):
            assert secret not in refused.value.message
    assert venue.sent_headers[0]["OK-ACCESS-KEY"] == "sesame"
    assert "sesame" not in "".join(capfd.readouterr())
    for key in (("clé", "a", "b"), ("a", "b\n", "c"), ("a", None, None), (None, "b", "c")):
        with pytest.raises(InvalidInput):
            OKXDataFetcher(*key, domain=venue.url, clock=clock)


def test_without_a_key_nothing_is_signed_and_the_market_is_the_real_one(
    venue: ScriptedVenue, asking: OKXDataFetcher
):
    venue.says(data(ticker()))
    asking.price("BTC-USDT")
    (sent,) = [{name.upper(): value for name, value in row.items()} for row in venue.sent_headers]
    assert sent["X-SIMULATED-TRADING"] == "0"
    assert not any(name.startswith("OK-ACCESS") for name in sent)


# ------------------------------------------------------------------- sound answers, and unsound


def ticker(symbol: str = "BTC-USDT", price: Any = "64000.1", **changes: Any) -> dict[str, Any]:
    fields = {"last": price, "open24h": "64500", "ts": str(NOW_MS - 500)}
    return {"instId": symbol} | fields | changes


BAD_PRICES = ["0", "-1.0", "NaN", "Infinity", "", "1e5", None, 64000.0, 0, [], "1 000", "٣"]


@pytest.mark.parametrize("price", BAD_PRICES, ids=repr)
def test_a_price_that_is_none_is_a_bad_answer(
    venue: ScriptedVenue, asking: OKXDataFetcher, price: Any
):
    venue.says(data(ticker(price=price)))
    with pytest.raises(SourceBadAnswer):
        asking.price("BTC-USDT")
    with pytest.raises(SourceBadAnswer):
        asking.prices(["BTC-USDT"])
    venue.says(data(ticker(price=price), ticker("ETH-USDT", "3000.5")))
    assert {name: t.price for name, t in asking.prices(["BTC-USDT", "ETH-USDT"]).items()} == {
        "ETH-USDT": Decimal("3000.5")
    }
    assert asking.dropped_rows == 2


def test_a_ticker_of_another_symbol_or_without_time_is_a_bad_answer(
    venue: ScriptedVenue, asking: OKXDataFetcher
):
    for row in (ticker("ETH-USDT"), ticker(ts=None), ticker(ts=1), ticker(ts="1e3"), [ticker()]):
        venue.says(data(row))
        with pytest.raises(SourceBadAnswer):
            asking.price("BTC-USDT")
    for opened in ("0", "", None):
        venue.says(data(ticker(open24h=opened)))
        assert asking.price("BTC-USDT").change_24h is None


def candle(open_time: Any, *values: Any, confirm: Any = "1") -> list[Any]:
    prices = values or ("100", "110.5", "90", "105", "12.5")
    text = str(open_time) if type(open_time) is int else open_time
    return [text, *prices, "1250.0", "1250.0", confirm]


HOURS = [Interval.H1.floor(NOW_MS) - back * HOUR_MS for back in range(5, -1, -1)]
UNSOUND = {
    "zero": candle(HOURS[2], "0", "0", "0", "0", "0"),
    "low above open": candle(HOURS[2], "100", "110", "101", "105", "1"),
    "high below close": candle(HOURS[2], "100", "104", "90", "105", "1"),
    "negative volume": candle(HOURS[2], "100", "110", "90", "105", "-1"),
    "NaN": candle(HOURS[2], "NaN", "110", "90", "105", "1"),
    "numbers": candle(HOURS[2], 100.0, 110.0, 90.0, 105.0, 1.0),
    "sixteen digits": candle(HOURS[2], "100.0000000000001", "110", "90", "105", "1"),
    "off the grid": candle(HOURS[2] + 1),
    "in the future": candle(HOURS[-1] + HOUR_MS, confirm="0"),
    "time is a float": candle(float(HOURS[2])),
    "time is endless": candle(10**30),
    "unconfirmed though over": candle(HOURS[2], confirm="0"),
    "confirm is none": candle(HOURS[2], confirm=None),
    "confirm is something else": candle(HOURS[2], confirm="2"),
    "short": candle(HOURS[2])[:8],
    "no row": {"ts": str(HOURS[2])},
    "nothing": None,
    "duplicate": candle(HOURS[3]),
}


@pytest.mark.parametrize("row", UNSOUND.values(), ids=UNSOUND.keys())
def test_an_unsound_row_is_dropped_and_counted(
    venue: ScriptedVenue, asking: OKXDataFetcher, row: Any
):
    newest = candle(HOURS[-1], confirm="0")
    venue.says(data(newest, *map(candle, HOURS[4:2:-1]), row, candle(HOURS[1]), candle(HOURS[0])))
    series = asking.klines("BTC-USDT", Interval.H1, HOURS[0], None, None)
    assert series.open_time.tolist() == [*HOURS[:2], *HOURS[3:]]
    assert series.last_is_open
    assert asking.dropped_rows == 1


@pytest.mark.parametrize("row", [row for name, row in UNSOUND.items() if name != "duplicate"])
def test_nothing_but_unsound_rows_is_a_bad_answer(
    venue: ScriptedVenue, asking: OKXDataFetcher, row: Any
):
    venue.says(data(row))
    for start in (None, HOURS[0]):
        with pytest.raises(SourceBadAnswer):
            asking.klines("BTC-USDT", Interval.H1, start, None, 10)


def test_rows_in_the_wrong_order_are_served_ascending(venue: ScriptedVenue, asking: OKXDataFetcher):
    venue.says(data(*map(candle, HOURS)))
    assert asking.klines("BTC-USDT", Interval.H1, None, None, 6).open_time.tolist() == HOURS


def test_rows_outside_the_range_are_dropped(venue: ScriptedVenue, asking: OKXDataFetcher):
    venue.says(data(*map(candle, reversed(HOURS))))  # whatever was asked
    series = asking.klines("BTC-USDT", Interval.H1, HOURS[1], HOURS[4], None)
    assert series.open_time.tolist() == HOURS[1:4]


def test_pages_that_repeat_end_in_an_error_not_in_a_loop(
    venue: ScriptedVenue, asking: OKXDataFetcher
):
    first = HOURS[-1] - 5000 * HOUR_MS
    venue.says(data(*(candle(first + index * HOUR_MS) for index in range(300))))
    with pytest.raises(SourceBadAnswer, match="do not advance"):
        asking.klines("BTC-USDT", Interval.H1, first, None, None)
    with pytest.raises(SourceBadAnswer, match="do not advance"):
        asking.klines("BTC-USDT", Interval.H1, None, None, 3000)
    assert len(venue.paths) < 10


@pytest.mark.parametrize("limit", [0, -5])
def test_a_limit_is_at_least_one(asking: OKXDataFetcher, limit: int):
    with pytest.raises(InvalidInput):
        asking.klines("BTC-USDT", Interval.H1, None, None, limit)
    with pytest.raises(InvalidInput):
        asking.depth("BTC-USDT", limit)


@pytest.mark.parametrize(
    "book",
    [
        {"bids": [], "asks": []},
        {"bids": [["99", "1", "0", "1"]], "asks": []},
        {"bids": [["101", "1", "0", "1"]], "asks": [["100", "1", "0", "1"]]},  # crossed
        {"bids": [["99", "1"], ["99.5", "1"]], "asks": [["100", "1"]]},
        {"bids": [["0", "1"]], "asks": [["100", "1"]]},
        {"bids": [["99", "NaN"]], "asks": [["100", "1"]]},
        {"bids": [["99"]], "asks": [["100", "1"]]},
        {"bids": [["99", "1"]], "asks": [["100", "1"]], "ts": None},
    ],
)
def test_an_impossible_order_book_is_a_bad_answer(
    venue: ScriptedVenue, asking: OKXDataFetcher, book: Any
):
    venue.says(data({"ts": str(NOW_MS)} | book))
    with pytest.raises(SourceBadAnswer):
        asking.depth("BTC-USDT", 10)


def test_instruments_without_usable_rules_are_left_out(
    venue: ScriptedVenue, asking: OKXDataFetcher
):
    def listing(base: str, **changes: Any) -> dict[str, Any]:
        rules = {"lotSz": "0.1", "tickSz": "0.001", "minSz": "1", "state": "live"}
        return {"instId": f"{base}-USDT", "baseCcy": base, "quoteCcy": "USDT"} | rules | changes

    venue.says(
        data(
            listing("A"),
            listing("B", state="suspend"),
            listing("C", lotSz=""),
            listing("D", lotSz="0"),
            listing("E", baseCcy=None),
            listing("F", state="preopen", tickSz=""),
            "G-USDT",
        )
    )
    instruments = asking.instruments()
    assert {name: row.is_trading for name, row in instruments.items()} == {
        "A-USDT": True,
        "B-USDT": False,
        "F-USDT": False,
    }
    assert instruments["A-USDT"].instrument.tick_size == Decimal("0.001")
