"""Backtests over the REST API: the yardstick on real candles, the ledger's golden vectors, bad input."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from addresses import NOWHERE
from conftest import running
from flask import Flask
from flask.testing import FlaskClient

from app import create_app
from config import Config
from domain import HOUR_MS
from exchange_simulator.server import SimulatorServer
from routes.services import EXTENSION
from timestamps import parse_time_ms

YARDSTICK: dict[str, Any] = {
    "trader": "ma_cross",
    "params": {"fast": 20, "slow": 50},
    "interval": "1h",
    "initial_capital": 10_000,
    "trade_fee_rate": 0.001,
    "slippage_bps": 0,
    "fill": "next_open",
    "risk": "off",
    "lot_rounding": False,
    "warmup_bars": 100,
    "wait": True,
}

# coin, first day, last day, final value, round trips, won, max drawdown in %, fees
TABLE = [
    ("BTC", "2022-01-01", "2022-12-31", 5626.567692017794, 105, 25, 45.753292696620456,
     1525.774917551702),
    ("ETH", "2021-06-01", "2022-12-31", 4474.723901818301, 165, 48, 75.15444325351152,
     2278.0584170212446),
    ("LUNA", "2022-04-01", "2022-06-30", 4126.728532129761, 19, 3, 66.16416913509026,
     276.838390069481),
]  # fmt: skip


def import_files(app: Flask, *paths: Path) -> None:
    result = app.test_cli_runner().invoke(args=["klines", "import", *map(str, paths)])
    assert result.exit_code == 0, result.output


def run(client: FlaskClient, **terms: Any) -> Any:
    response = client.post("/api/backtest/run", json=terms)
    assert response.status_code == 200, response.json
    assert response.json["status"] == "done"
    return response.json["report"]


@pytest.fixture(scope="module")
def client_with_real_candles(
    real_klines: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[FlaskClient]:
    config = Config(
        DATABASE_PATH=tmp_path_factory.mktemp("real") / "trading.db",
        **NOWHERE,
        TRADING_LOOP="off",
    )
    app = create_app(config, check_answers=True)
    for running_app in running(app):
        files = [next(real_klines.glob(f"{coin}USDT-1h-*")) for coin, *_ in TABLE]
        import_files(running_app, *files)
        yield running_app.test_client()


@pytest.mark.parametrize(
    ("coin", "start", "end", "final", "trips", "won", "drawdown", "fees"),
    TABLE,
    ids=[row[0] for row in TABLE],
)
def test_the_yardstick_on_real_candles(
    client_with_real_candles: FlaskClient, coin: str, start: str, end: str, final: float,
    trips: int, won: int, drawdown: float, fees: float,
):  # fmt: skip
    report = run(
        client_with_real_candles, **YARDSTICK, coins=[coin], start_date=start, end_date=end
    )
    summary = report["summary"]
    assert summary["final_value"] == pytest.approx(final, rel=1e-6)
    assert summary["total_trades"] == trips
    assert summary["winning_trades"] == won
    assert summary["max_drawdown"] == pytest.approx(drawdown, rel=1e-6)
    assert summary["total_fees"] == pytest.approx(fees, rel=1e-6)


def test_the_same_run_again_is_answered_from_the_store(client_with_real_candles: FlaskClient):
    terms = {**YARDSTICK, "coins": ["BTC"], "start_date": "2022-03-01", "end_date": "2022-03-31"}
    first = client_with_real_candles.post("/api/backtest/run", json=terms).json
    again = client_with_real_candles.post("/api/backtest/run", json=terms | {"wait": False})
    assert again.status_code == 200
    assert again.json == first
    other = client_with_real_candles.post("/api/backtest/run", json=terms | {"slippage_bps": 5})
    assert other.json["id"] != first["id"]


def test_a_run_that_is_not_waited_for_is_queued_and_can_be_watched_and_deleted(
    client_with_real_candles: FlaskClient,
):
    client = client_with_real_candles
    terms = YARDSTICK | {"wait": False, "start_date": "2021-06-01", "end_date": "2022-12-31"}
    accepted = client.post("/api/backtest/run", json={**terms, "coins": ["ETH", "BTC"]})
    assert accepted.status_code == 202
    address = accepted.json["status_url"]
    assert address == f"/api/backtests/{accepted.json['id']}"
    # The same terms, waited for, stand behind it in the queue of one worker.
    run(client, **YARDSTICK, coins=["BTC"], start_date="2022-05-01", end_date="2022-05-31")
    done = client.get(address).json
    assert (done["status"], done["progress"]) == ("done", 1)
    assert done["report"]["per_coin"]
    assert done["id"] in [row["id"] for row in client.get("/api/backtests").json]
    assert client.delete(address).status_code == 200
    assert client.get(address).status_code == 404


def test_a_queued_run_can_be_cancelled_and_an_ended_one_cannot(
    client_with_real_candles: FlaskClient,
):
    client = client_with_real_candles
    terms = YARDSTICK | {"wait": False, "coins": ["BTC", "ETH"], "end_date": "2022-12-30"}
    ids = [
        client.post("/api/backtest/run", json=terms | {"start_date": day}).json["id"]
        for day in ("2021-06-02", "2021-06-03", "2021-06-04")
    ]
    assert client.post(f"/api/backtests/{ids[2]}/cancel", json={}).status_code == 200
    assert client.get(f"/api/backtests/{ids[2]}").json["status"] == "cancelled"
    again = client.post(f"/api/backtests/{ids[2]}/cancel", json={})
    assert (again.status_code, again.json["code"]) == (409, "backtest_ended")
    # It stays cancelled when its turn would have come.
    run(client, **YARDSTICK, coins=["BTC"], start_date="2022-06-01", end_date="2022-06-30")
    assert [client.get(f"/api/backtests/{i}").json["status"] for i in ids] == [
        "done", "done", "cancelled",
    ]  # fmt: skip


# --------------------------------------------------------------------------- golden vectors

GOLDEN_START = "2024-01-01"


def golden_file(folder: Path, prices: list[float]) -> Path:
    """A day of hourly candles at 100, whose bars from the second on stand at `prices`."""
    rows = []
    for hour in range(24):
        price = prices[hour] if hour < len(prices) else prices[-1]
        opened = parse_time_ms(GOLDEN_START) + hour * HOUR_MS
        rows.append(f"{opened},{price},{price},{price},{price},1,{opened + HOUR_MS - 1},0,0,0,0,0")
    path = folder / "BTCUSDT-1h-2024-01-01.csv.gz"
    path.write_bytes(gzip.compress("\n".join(rows).encode()))
    return path


def golden_run(app: Flask, folder: Path, exit_price: float, exit_hour: int, **terms: Any) -> Any:
    prices = [100.0] * exit_hour + [exit_price]
    import_files(app, golden_file(folder, prices))
    entry, side = terms.pop("entry"), terms.pop("side")
    decisions = [
        {"time": "2024-01-01T00:00:00Z", "coin": "BTC", "signal": side, **entry},
        {
            "time": f"2024-01-01T{exit_hour:02}:00:00Z", "coin": "BTC", "signal": "close_position",
        },
    ]  # fmt: skip
    return run(
        app.test_client(),
        trader="scripted", decisions=decisions, coins=["BTC"], start_date=GOLDEN_START,
        end_date=GOLDEN_START, initial_capital=10_000, risk="off", lot_rounding=False,
        liquidation=False, warmup_bars=0, wait=True, **terms,
    )  # fmt: skip


LONG, SHORT = "buy_to_enter", "sell_to_enter"

# id, side, quantity, leverage, fee, slippage, exit; cash and total after the open; cash at the end
GOLDEN = [
    ("A", LONG, 500, 10, 0.001, 0, 100, 4950, 9950, 9900),
    ("B", LONG, 500, 10, 0.001, 0, 90, 4950, 9950, 4905),
    ("C", SHORT, 500, 10, 0.001, 0, 110, 4950, 9950, 4895),
    ("D", SHORT, 100, 5, 0.0005, 2, 80, 7995.401, 9993.001, 11987.4002),
]


@pytest.mark.parametrize(
    ("case", "side", "quantity", "leverage", "fee", "slippage", "exit_price", "cash", "total",
     "cash_at_the_end"),
    GOLDEN,
    ids=[row[0] for row in GOLDEN],
)  # fmt: skip
def test_a_golden_vector_comes_out_to_the_digit(
    offline_app: Flask, tmp_path: Path, case: str, side: str, quantity: int, leverage: int,
    fee: float, slippage: float, exit_price: float, cash: float, total: float,
    cash_at_the_end: float,
):  # fmt: skip
    report = golden_run(
        offline_app, tmp_path, exit_price, 5, side=side,
        entry={"quantity": quantity, "leverage": leverage},
        trade_fee_rate=fee, slippage_bps=slippage,
    )  # fmt: skip
    after_open = report["account_values"][0]
    assert (after_open["cash"], after_open["total_value"]) == (cash, total)
    assert report["account_values"][-1]["cash"] == cash_at_the_end
    assert report["summary"]["final_value"] == cash_at_the_end


def test_golden_vector_e_with_three_fundings(offline_app: Flask, tmp_path: Path):
    # Settlements at 08:00, 12:00 and 16:00 lie between the entry at 05:00 and the exit at 17:00.
    import_files(offline_app, golden_file(tmp_path, [100.0] * 17 + [101.0]))
    decisions = [
        {"time": "2024-01-01T05:00:00Z", "coin": "BTC", "signal": LONG, "quantity": 100,
         "leverage": 5},
        {"time": "2024-01-01T17:00:00Z", "coin": "BTC", "signal": "close_position"},
    ]  # fmt: skip
    report = run(
        offline_app.test_client(), trader="scripted", decisions=decisions, coins=["BTC"],
        start_date=GOLDEN_START, end_date=GOLDEN_START, risk="off", lot_rounding=False,
        liquidation=False, warmup_bars=0, wait=True, trade_fee_rate=0.0005, slippage_bps=0,
        funding={"rate": 0.0001, "every_hours": 4},
    )  # fmt: skip
    values = {row["timestamp"]: row for row in report["account_values"]}
    after_open = values["2024-01-01T06:00:00Z"]
    assert (after_open["cash"], after_open["total_value"]) == (7995, 9995)
    assert report["account_values"][-1]["cash"] == 10_086.95
    assert report["summary"]["total_funding"] == 3


@pytest.mark.parametrize(
    ("side", "leverage", "exit_price", "liquidated_at"),
    [
        (LONG, 10, 90, 90.452261306533),
        (SHORT, 10, 110, 109.452736318408),
        (LONG, 20, 95, 95.477386934673),
    ],
)
def test_with_liquidation_on_it_closes_at_the_formulas_price(
    offline_app: Flask, tmp_path: Path, side: str, leverage: int, exit_price: float,
    liquidated_at: float,
):  # fmt: skip
    opened = parse_time_ms(GOLDEN_START)
    rows = []
    for hour in range(24):
        low, high = (min(100, exit_price), max(100, exit_price)) if hour == 3 else (100, 100)
        at = opened + hour * HOUR_MS
        rows.append(f"{at},100,{high},{low},100,1,{at + HOUR_MS - 1},0,0,0,0,0")
    path = tmp_path / "BTCUSDT-1h-2024-01-01.csv"
    path.write_text("\n".join(rows))
    import_files(offline_app, path)
    entry = {"time": GOLDEN_START, "coin": "BTC", "signal": side, "quantity": 10}
    report = run(
        offline_app.test_client(), trader="scripted", coins=["BTC"], start_date=GOLDEN_START,
        end_date=GOLDEN_START, risk="off", warmup_bars=0, wait=True, slippage_bps=0,
        trade_fee_rate=0, lot_rounding=False, decisions=[entry | {"leverage": leverage}],
    )  # fmt: skip
    (trip,) = report["trades"]
    assert trip["exit_reason"] == "liquidation"
    assert trip["exit_price"] == pytest.approx(liquidated_at, abs=1e-9)


# -------------------------------------------------------------------------------- bad input

GOOD: dict[str, Any] = {
    "trader": "ma_cross", "coins": ["BTC"], "start_date": "2024-01-01", "end_date": "2024-01-31",
    "wait": True,
}  # fmt: skip


def scripted(**decision: Any) -> dict[str, Any]:
    entry = {"time": "2024-01-02", "coin": "BTC", "signal": LONG, "quantity": 1}
    return GOOD | {"trader": "scripted", "decisions": [entry | decision]}


@pytest.mark.parametrize(
    ("terms", "status", "code", "field"),
    [
        (GOOD | {"coins": ["NOPE"]}, 404, "unknown_coin", None),
        (GOOD | {"coins": []}, 400, "invalid_input", "coins"),
        (GOOD | {"start_date": "2024-02-01"}, 400, "invalid_input", "end_date"),
        (GOOD | {"start_date": "yesterday"}, 400, "invalid_input", "start_date"),
        (GOOD | {"start_date": "2010-01-01", "end_date": "2010-12-31"}, 400, "no_data", None),
        (GOOD | {"trader": "crystal_ball"}, 400, "unknown_trader", "trader"),
        (GOOD | {"params": {"fast": 50, "slow": 20}}, 400, "invalid_input", "params"),
        (GOOD | {"params": {"speed": 1}}, 400, "invalid_input", "params.speed"),
        (GOOD | {"leverage": 0}, 400, "invalid_input", "leverage"),
        (GOOD | {"leverage": "10x"}, 400, "invalid_input", "leverage"),
        (GOOD | {"initial_capital": -1}, 400, "invalid_input", "initial_capital"),
        (GOOD | {"initial_capital": "NaN"}, 400, "invalid_input", "initial_capital"),
        (GOOD | {"trade_fee_rate": 2}, 400, "invalid_input", "trade_fee_rate"),
        (GOOD | {"interval": "7m"}, 400, "invalid_input", "interval"),
        (GOOD | {"surprise": 1}, 400, "invalid_input", "surprise"),
        (GOOD | {"seed": -1}, 400, "invalid_input", "seed"),
        (GOOD | {"benchmark": "NOPE"}, 404, "unknown_coin", None),
        (GOOD | {"source": "somewhere"}, 400, "invalid_input", "source"),
        (GOOD | {"model_id": 1}, 400, "invalid_input", "body"),
        ({"model_id": 99, "start_date": "2024-01-01", "end_date": "2024-01-02"}, 404,
         "unknown_model", None),
        (scripted(leverage=0), 400, "invalid_input", "params.decisions.0.leverage"),
        (scripted(leverage="10x"), 400, "invalid_input", "params.decisions.0.leverage"),
        (scripted(quantity=-1), 400, "invalid_input", "params.decisions.0.quantity"),
        (scripted(quantity="NaN"), 400, "invalid_input", "params.decisions.0.quantity"),
        (scripted(signal="yolo"), 400, "invalid_input", "params.decisions.0.signal"),
        (scripted(time="never"), 400, "invalid_input", "params.decisions.0.time"),
        ([], 400, "invalid_input", "body"),
    ],
)  # fmt: skip
def test_what_cannot_be_run_is_refused_with_its_reason_and_stores_nothing(
    offline_app: Flask, terms: Any, status: int, code: str, field: str | None
):
    client = offline_app.test_client()
    response = client.post("/api/backtest/run", json=terms)
    assert (response.status_code, response.json["code"]) == (status, code)
    assert response.json["error"].endswith(".")
    if field is not None:
        assert field in response.json["fields"]
    stored = client.get("/api/backtests").json
    assert [row["status"] for row in stored] in ([], ["failed"])  # no_data is found in its turn
    assert client.get("/api/models").json == []


def test_json_that_only_python_knows_is_refused(offline_app: Flask):
    text = '{"trader":"ma_cross","coins":["BTC"],"start_date":"2024-01-01","end_date":"2024-01-31","initial_capital":NaN}'
    client = offline_app.test_client()
    response = client.post("/api/backtest/run", data=text, content_type="application/json")
    assert response.status_code == 400


def test_a_two_megabyte_body_is_refused(offline_app: Flask):
    client = offline_app.test_client()
    response = client.post(
        "/api/backtest/run", data=b" " * 2_000_000, content_type="application/json"
    )
    assert (response.status_code, response.json["code"]) == (413, "too_large")


def test_a_run_that_is_cancelled_while_its_bars_are_fetched_ends_there(
    app: Flask, monkeypatch: pytest.MonkeyPatch
):
    client = app.test_client()
    aggregator = app.extensions[EXTENSION].data_aggregator
    asked: list[int] = []

    def slow_history(*question: Any, source: str | None) -> None:
        """A source whose pages never end, until the run is no longer wanted."""
        progress = question[-1]
        while True:
            asked.append(1)
            if len(asked) == 3:
                client.post("/api/backtests/1/cancel", json={})
            progress(0.0)

    monkeypatch.setattr(aggregator, "fetch_history", slow_history)
    run_id = client.post("/api/backtest/run", json=GOOD | {"wait": True}).json["id"]
    assert run_id == 1
    assert len(asked) == 3
    assert client.get("/api/backtests/1").json["status"] == "cancelled"


def test_a_run_takes_its_candles_from_the_next_exchange_when_the_first_is_out(
    app: Flask, simulator: SimulatorServer
):
    terms = {
        "trader": "buy_and_hold", "coins": ["BTC", "ZEC"], "interval": "1h",
        "start_date": "2024-05-20", "end_date": "2024-05-21", "wait": True,
    }  # fmt: skip
    fault = simulator.faults.switch_on("binance", "down")
    try:
        failed = app.test_client().post("/api/backtest/run", json=terms)
        report = run(app.test_client(), **terms | {"coins": ["BTC"]})
    finally:
        simulator.faults.switch_off(fault)
    assert failed.json["code"] == "no_data"  # OKX has no ZEC
    assert report["config"]["sources"] == {"BTC": "okx"}
    assert report["data"]["source"] == "okx"
    assert report["data"]["coins"]["BTC"]["bars"] == 48


def test_the_only_source_is_asked_and_no_other(app: Flask, simulator: SimulatorServer):
    terms = {
        "trader": "buy_and_hold", "coins": ["ETH"], "interval": "1h", "source": "okx",
        "start_date": "2024-05-22", "end_date": "2024-05-22", "wait": True,
    }  # fmt: skip
    assert run(app.test_client(), **terms)["data"]["source"] == "okx"
    fault = simulator.faults.switch_on("okx", "down")
    try:
        failed = app.test_client().post("/api/backtest/run", json=terms | {"coins": ["SOL"]})
    finally:
        simulator.faults.switch_off(fault)
    assert failed.json["code"] == "no_data"
    assert failed.json["values"]["coin"] == "SOL"


def test_a_run_is_held_against_a_coin_that_it_does_not_trade(app: Flask):
    client = app.test_client()
    days = {"interval": "1h", "start_date": "2024-05-15", "end_date": "2024-05-21", "wait": True}
    btc = run(client, trader="buy_and_hold", coins=["BTC"], **days)
    report = run(client, trader="random", coins=["ETH"], benchmark="BTC", seed=5, **days)
    assert report["account_values"][-1]["benchmark"] == btc["account_values"][-1]["benchmark"]
    against, held = (
        said["summary"][f"{name}_return_percentage"]
        for said, name in ((report, "benchmark"), (btc, "buy_and_hold"))
    )
    assert against == held != report["summary"]["buy_and_hold_return_percentage"]
    assert report["config"]["benchmark"] == "BTC"
    assert report["config"]["params"]["seed"] == 5
    assert list(report["data"]["coins"]) == ["ETH"]
