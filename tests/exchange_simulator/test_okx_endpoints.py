"""OKX's REST interface as the simulator speaks it: shapes, pages, bars, limits, error codes."""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clock import ManualClock
from exchange_simulator.generated_market import GeneratedMarket
from exchange_simulator.server import SimulatorServer

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
NOW_MS = 1_717_245_296_789  # 2024-06-01T12:34:56.789Z, a Saturday
MATIC_ENDS_MS = 1_725_937_200_000  # 2024-09-10T03:00Z
HOUR_OF_NOW_MS = NOW_MS - NOW_MS % HOUR_MS


@pytest.fixture(scope="module")
def exchange() -> Iterator[SimulatorServer]:
    """An exchange that allows as many requests as a test makes."""
    market, clock = GeneratedMarket(seed=7), ManualClock(NOW_MS)
    with SimulatorServer(market, clock, okx_limit_factor=10**6) as server:
        yield server


def get(exchange: SimulatorServer, path: str, **query: object) -> requests.Response:
    return requests.get(f"{exchange.url}/api/v5/{path}", params=query, timeout=5)  # type: ignore[arg-type]


def rows(exchange: SimulatorServer, path: str, **query: object) -> Any:
    response = get(exchange, path, **query)
    assert response.status_code == 200, response.text
    assert (response.json()["code"], response.json()["msg"]) == ("0", "")
    return response.json()["data"]


def candles(exchange: SimulatorServer, path: str = "candles", **query: object) -> Any:
    return rows(exchange, f"market/{path}", instId="BTC-USDT", **query)


# -------------------------------------------------------------------------------------- shapes


def test_the_time_is_a_text(exchange: SimulatorServer):
    assert rows(exchange, "public/time") == [{"ts": str(NOW_MS)}]


def test_instruments_have_their_grid_and_their_state(exchange: SimulatorServer):
    listed = {row["instId"]: row for row in rows(exchange, "public/instruments", instType="SPOT")}
    assert len(listed) > 80
    bitcoin = listed["BTC-USDT"]
    assert (bitcoin["baseCcy"], bitcoin["quoteCcy"]) == ("BTC", "USDT")
    assert (bitcoin["tickSz"], bitcoin["lotSz"], bitcoin["minSz"]) == ("0.01", "0.00001", "0.00001")
    assert {row["state"] for row in listed.values()} == {"live"}
    one = rows(exchange, "public/instruments", instType="SPOT", instId="ETH-USDT")
    assert one == [listed["ETH-USDT"]]
    assert rows(exchange, "public/instruments", instType="SWAP") == []
    for unlisted in ("XMR-USDT", "DASH-USDT", "ZEC-USDT"):
        assert unlisted not in listed


def test_a_delisted_pair_is_suspended_for_a_week_and_then_gone():
    clock = ManualClock(MATIC_ENDS_MS - 1)
    with SimulatorServer(GeneratedMarket(seed=7), clock) as exchange:

        def state() -> str | None:
            listed = rows(exchange, "public/instruments", instType="SPOT")
            return next((row["state"] for row in listed if row["baseCcy"] == "MATIC"), None)

        assert state() == "live"
        last = rows(exchange, "market/ticker", instId="MATIC-USDT")[0]["last"]
        clock.set(MATIC_ENDS_MS + 2 * DAY_MS)
        assert state() == "suspend"
        ticker = rows(exchange, "market/ticker", instId="MATIC-USDT")[0]
        assert (ticker["last"], ticker["vol24h"]) == (last, "0")
        newest = rows(exchange, "market/candles", instId="MATIC-USDT", bar="1H")[0]
        assert newest[0] == str(MATIC_ENDS_MS - HOUR_MS)
        assert (newest[4], newest[8]) == (last, "1")
        clock.set(MATIC_ENDS_MS + 8 * DAY_MS)
        assert state() is None
        assert get(exchange, "market/ticker", instId="MATIC-USDT").json()["code"] == "51001"
        binance = requests.get(f"{exchange.url}/api/v3/exchangeInfo?symbol=MATICUSDT", timeout=5)
        assert binance.json()["symbols"][0]["status"] == "BREAK"


def test_tickers_are_those_of_binance(exchange: SimulatorServer):
    one = rows(exchange, "market/ticker", instId="SOL-USDT")
    everything = rows(exchange, "market/tickers", instType="SPOT")
    assert one[0] in everything
    assert len(everything) > 80
    ticker = one[0]
    binance = requests.get(f"{exchange.url}/api/v3/ticker/24hr?symbol=SOLUSDT", timeout=5).json()
    for here, there in (
        ("last", "lastPrice"),
        ("open24h", "openPrice"),
        ("high24h", "highPrice"),
        ("low24h", "lowPrice"),
        ("vol24h", "volume"),
        ("volCcy24h", "quoteVolume"),
    ):
        assert Decimal(ticker[here]) == Decimal(binance[there])
    assert Decimal(ticker["bidPx"]) < Decimal(ticker["askPx"])
    assert ticker["ts"] == str(NOW_MS)


def test_a_book_has_one_level_unless_more_are_asked_for(exchange: SimulatorServer):
    (one,) = rows(exchange, "market/books", instId="BTC-USDT")
    (many,) = rows(exchange, "market/books", instId="BTC-USDT", sz=400)
    assert (len(one["bids"]), len(one["asks"])) == (1, 1)
    assert (len(many["bids"]), len(many["asks"])) == (400, 400)
    assert one["bids"] == many["bids"][:1]
    bids = [Decimal(row[0]) for row in many["bids"]]
    asks = [Decimal(row[0]) for row in many["asks"]]
    assert bids == sorted(set(bids), reverse=True)
    assert asks == sorted(set(asks))
    assert bids[0] < asks[0]


# -------------------------------------------------------------------------------------- candles


def test_candles_come_newest_first_and_the_open_one_is_unconfirmed(exchange: SimulatorServer):
    page = candles(exchange, bar="1H", limit=3)
    assert [row[0] for row in page] == [str(HOUR_OF_NOW_MS - back * HOUR_MS) for back in range(3)]
    assert [row[8] for row in page] == ["0", "1", "1"]
    query = "symbol=BTCUSDT&interval=1h&limit=3"
    binance = requests.get(f"{exchange.url}/api/v3/klines?{query}", timeout=5).json()
    for row, kline in zip(page, reversed(binance), strict=True):
        assert [Decimal(text) for text in row[1:6]] == [Decimal(text) for text in kline[1:6]]
        assert Decimal(row[7]) == Decimal(kline[7])
    assert len(candles(exchange)) == 100  # of a minute
    assert len(candles(exchange, bar="1H", limit=1000)) == 300


def test_after_pages_back_and_before_is_the_other_bound(exchange: SimulatorServer):
    def opens(**query: object) -> list[int]:
        page = candles(exchange, bar="1H", **query)
        return [(HOUR_OF_NOW_MS - int(row[0])) // HOUR_MS for row in page]

    def at(hours_back: int) -> int:
        return HOUR_OF_NOW_MS - hours_back * HOUR_MS

    assert opens(after=at(10), limit=3) == [11, 12, 13]
    assert opens(after=at(10) + 1, limit=3) == [10, 11, 12]
    assert opens(before=at(3)) == [2, 1, 0][::-1]
    assert opens(before=at(500), limit=2) == [0, 1]  # alone: the newest, not the next ones
    assert opens(after=at(10), before=at(14)) == [11, 12, 13]
    assert opens(after=at(10), before=at(14) - 1) == [11, 12, 13, 14]
    assert opens(after=at(10), before=at(20), limit=2) == [11, 12]
    assert opens(after=at(10), before=at(10)) == []


def test_candles_reach_back_1440_bars_and_history_all_the_way(exchange: SimulatorServer):
    oldest = HOUR_OF_NOW_MS - 1439 * HOUR_MS
    page = candles(exchange, bar="1H", after=oldest + 2 * HOUR_MS)
    assert [int(row[0]) for row in page] == [oldest + HOUR_MS, oldest]
    assert candles(exchange, bar="1H", after=oldest) == []
    older = candles(exchange, "history-candles", bar="1H", after=oldest, limit=300)
    assert [int(row[0]) for row in older] == [oldest - back * HOUR_MS for back in range(1, 101)]
    newest = candles(exchange, "history-candles", bar="1H", limit=1)[0]
    assert (int(newest[0]), newest[8]) == (HOUR_OF_NOW_MS - HOUR_MS, "1")  # closed ones alone
    listed = candles(exchange, "history-candles", bar="1Dutc", after=1_501_545_600_000 + 2 * DAY_MS)
    assert [int(row[0]) for row in listed] == [1_501_545_600_000 + DAY_MS, 1_501_545_600_000]


OPENINGS = [
    ("6Hutc", "2024-06-01T12:00"),
    ("12Hutc", "2024-06-01T12:00"),
    ("1Dutc", "2024-06-01T00:00"),
    ("1Wutc", "2024-05-27T00:00"),
    ("6H", "2024-06-01T10:00"),
    ("12H", "2024-06-01T04:00"),
    ("1D", "2024-05-31T16:00"),
    ("1W", "2024-05-26T16:00"),
]


@pytest.mark.parametrize(("bar", "opening"), OPENINGS)
def test_long_bars_open_by_hong_kong_unless_their_name_says_utc(
    exchange: SimulatorServer, bar: str, opening: str
):
    page = candles(exchange, bar=bar, limit=3)
    opens = [datetime.fromtimestamp(int(row[0]) / 1000, UTC).isoformat()[:16] for row in page]
    assert opens[0] == opening
    newest, middle, _ = page
    hours = candles(exchange, bar="1H", after=int(newest[0]), before=int(middle[0]) - 1, limit=300)
    assert middle[1] == hours[-1][1]
    assert Decimal(middle[2]) == max(Decimal(row[2]) for row in hours)
    assert Decimal(middle[3]) == min(Decimal(row[3]) for row in hours)
    assert middle[4] == hours[0][4]
    assert Decimal(middle[5]) == sum(Decimal(row[5]) for row in hours)
    assert (newest[8], middle[8]) == ("0", "1")


# -------------------------------------------------------------------------- limits and mistakes

LIMITS = [
    ("public/time", {}, 10),
    ("public/instruments", {"instType": "SPOT"}, 20),
    ("market/ticker", {"instId": "BTC-USDT"}, 20),
    ("market/tickers", {"instType": "SWAP"}, 20),
    ("market/candles", {"instId": "BTC-USDT"}, 40),
    ("market/history-candles", {"instId": "BTC-USDT"}, 20),
    ("market/books", {"instId": "BTC-USDT"}, 40),
]


def test_each_endpoint_allows_so_many_requests_in_two_seconds():
    clock = ManualClock(NOW_MS)  # the market's: requests are counted in real time
    with SimulatorServer(GeneratedMarket(seed=7), clock) as exchange:
        for path, query, limit in LIMITS:
            for _ in range(3):  # two seconds may end in between
                answers = [get(exchange, path, **query) for _ in range(limit + 1)]
                if answers[-1].status_code == 429:
                    break
            assert {answer.status_code for answer in answers[:-1]} <= {200, 429}
            refused = answers[-1]
            assert refused.status_code == 429
            assert refused.json() == {"code": "50011", "msg": "Too Many Requests", "data": []}


CANDLES = {"instId": "BTC-USDT"}
MISTAKES = [
    ("market/ticker", {}, 400, "50014"),
    ("market/tickers", {}, 400, "50014"),
    ("market/tickers", {"instType": "spot"}, 200, "51000"),
    ("market/ticker", {"instId": "XMR-USDT"}, 200, "51001"),
    ("market/ticker", {"instId": "BTCUSDT"}, 200, "51001"),
    ("market/candles", CANDLES | {"bar": "1h"}, 200, "51000"),
    ("market/candles", CANDLES | {"bar": "1d"}, 200, "51000"),
    ("market/candles", CANDLES | {"limit": "0"}, 200, "51000"),
    ("market/candles", CANDLES | {"limit": "ten"}, 200, "51000"),
    ("market/candles", CANDLES | {"after": "1e12"}, 200, "51000"),
    ("market/candles", CANDLES | {"before": "-1"}, 200, "51000"),
    ("market/books", CANDLES | {"sz": "401"}, 200, "51000"),
    ("market/books", CANDLES | {"sz": "0"}, 200, "51000"),
    ("public/instruments", {"instType": "SPOT", "instId": "NO-USDT"}, 200, "51001"),
]


@pytest.mark.parametrize(("path", "query", "status", "code"), MISTAKES)
def test_a_mistake_has_okxs_code(
    exchange: SimulatorServer, path: str, query: dict[str, str], status: int, code: str
):
    response = get(exchange, path, **query)
    assert response.status_code == status
    assert response.json()["code"] == code
    assert response.json()["data"] == []
    assert response.json()["msg"]


NAMES = st.sampled_from(["instId", "instType", "bar", "limit", "after", "before", "sz", "x"])
WORDS = st.one_of(
    st.sampled_from(["BTC-USDT", "SPOT", "1H", "1W", "1Wutc", "0", "300", str(NOW_MS), "9" * 20]),
    st.text(max_size=12),
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    path=st.sampled_from([path for path, _, _ in LIMITS]),
    query=st.dictionaries(NAMES, WORDS, max_size=5),
)
def test_whatever_is_asked_is_answered_or_refused_in_okxs_form(
    exchange: SimulatorServer, path: str, query: dict[str, str]
):
    response = get(exchange, path, **query)
    assert response.status_code in (200, 400)
    assert set(response.json()) == {"code", "msg", "data"}
