"""`flask backtest …`: what the commands say, what they leave behind, and how they end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from flask import Flask
from test_backtest_audit import TomorrowsClose

import backtest_commands
from domain import Interval, KlineSeries
from repositories import sweeps
from routes.services import EXTENSION, Services
from strategies import make_trader
from trading_prompt import Prompt


def run(app: Flask, *words: object) -> Result:
    result = app.test_cli_runner().invoke(args=["backtest", *map(str, words)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    return result


@pytest.fixture
def services(app: Flask) -> Services:
    found: Services = app.extensions[EXTENSION]
    return found


TERMS = ["run", "--trader", "ma_cross", "--params", '{"fast": 5, "slow": 15}', "--coins", "btc,eth",
         "--start", "2024-05-01", "--end", "2024-05-10", "--slippage-bps", "0"]  # fmt: skip


# ------------------------------------------------------------------------------------------ run


def test_a_run_prints_its_figures_and_writes_its_report(app: Flask, tmp_path: Path):
    file = tmp_path / "run.json"
    done = run(app, *TERMS, "--funding", '{"rate": 0.0001}', "--json", file)
    assert done.exit_code == 0, done.output
    written = json.loads(file.read_text("utf-8"))
    assert written["config"]["coins"] == ["BTC", "ETH"]
    assert written["config"]["params"] == {"fast": 5, "slow": 15}
    assert written["config"]["funding"]["every_hours"] == 8
    summary = written["report"]["summary"]
    figures = dict(line.split(maxsplit=1) for line in done.output.splitlines() if "  " in line)
    assert figures["final_value"] == f"{summary['final_value']:,.4f}"
    assert int(figures["total_trades"]) == summary["total_trades"] > 0
    assert "Warning: " in done.output


def test_a_script_is_read_from_a_file(app: Flask, tmp_path: Path):
    script = tmp_path / "script.json"
    bought = {
        "coin": "BTC",
        "signal": "buy_to_enter",
        "weight": 0.5,
        "time": "2024-05-02T00:00:00Z",
    }
    closed = {"coin": "BTC", "signal": "close_position", "time": "2024-05-04T00:00:00Z"}
    script.write_text(json.dumps([bought, closed]), "utf-8")
    done = run(app, "run", "--trader", "scripted", "--decisions", f"@{script}", "--coins", "BTC",
               "--start", "2024-05-01", "--end", "2024-05-10")  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "total_trades" in done.output


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (["--coins", "MOON"], "MOON"),
        (["--end", "2024-04-01"], "end_date: "),
        (["--params", '{"fast": 50, "slow": 20}'], "fast must be smaller than slow"),
        (["--trader", "oracle"], "There is no trader 'oracle'"),
        (["--initial-capital", "much"], "initial_capital: "),
        (["--decisions", "@nowhere.json"], "nowhere.json cannot be read"),
        (["--start", "2030-01-01", "--end", "2030-01-02"], "no bars of BTC in this range"),
    ],
)
def test_what_cannot_be_run_is_said_in_a_sentence(app: Flask, changed: list[str], said: str):
    done = run(app, *TERMS, *changed)
    assert done.exit_code in (1, 2)
    assert said in done.output


# ---------------------------------------------------------------------------------------- audit


def test_everything_that_is_shipped_passes(app: Flask):
    done = run(app, "audit")
    assert done.exit_code == 0, done.output
    lines = done.output.split("\n")
    assert "ma_cross: no leak" in lines
    assert "ai: no leak" in lines
    assert "LEAK" not in done.output


def test_one_strategy_is_audited_on_stored_candles(app: Flask):
    assert run(app, *TERMS).exit_code == 0  # stores the candles
    done = run(app, "audit", "ma_cross", "--params", '{"kind": "ema"}', "--coin", "BTC",
               "--start", "2024-05-01")  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "ma_cross: no leak" in done.output


def test_a_leak_is_named_and_ends_with_status_1(app: Flask, monkeypatch: pytest.MonkeyPatch):
    def make(key: str, coins: Any, params: Any) -> Any:
        return TomorrowsClose(coins) if key == "rsi" else make_trader(key, coins, params)

    monkeypatch.setattr(backtest_commands, "make_trader", make)
    done = run(app, "audit", "rsi")
    assert done.exit_code == 1
    assert "rsi: LEAK: enter_long of C" in done.output
    assert "at the bar that opens 2024-01-01T" in done.output


class PeepingWriter:
    """Writes prompts with the last close that lies behind its views."""

    history_bars = 3

    def prompt(self, market: Any, portfolio: Any, account: Any) -> Prompt:
        closes = [seen.klines.close for seen in market.values()]
        behind = [close if close.base is None else close.base for close in closes]
        return Prompt("system", str([float(column[-1]) for column in behind]))


def test_a_prompt_that_shows_the_future_is_named(app: Flask, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(backtest_commands, "make_ai_trader", lambda *given: PeepingWriter())
    done = run(app, "audit", "ai")
    assert done.exit_code == 1
    assert "ai: LEAK: prompt of C0 at the bar that opens 2024-01-01T00:00:00Z" in done.output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["oracle"], "There is no trader 'oracle'"),
        (["ma_cross", "--params", "{"], "no JSON"),
        (["--params", '{"fast": 5}'], "of the one trader that is named"),
        (["ma_cross", "--coin", "BTC"], "candles of BTC are stored"),
        (["ma_cross", "--coin", "BTC", "--start", "soon"], "'soon' is no date"),
        (["ai", "--params", '{"advice": "oracle"}'], "do not fit"),
    ],
)
def test_what_cannot_be_audited_is_said_in_a_sentence(app: Flask, words: list[str], said: str):
    done = run(app, "audit", *words)
    assert done.exit_code in (1, 2)
    assert said in done.output


def test_the_generated_candles_are_whole(services: Services):
    for series in backtest_commands.generated_history().values():
        assert isinstance(series, KlineSeries)
        assert series.interval is Interval.H1
        assert (series.low <= series.close).all()
        assert (series.close <= series.high).all()


# ---------------------------------------------------------------------------------------- sweep

SWEEP = ["sweep", *TERMS[1:3], *TERMS[5:], "--range", "fast=3:9:3", "--range", "slow=6,20",
         "--range", "kind"]  # fmt: skip


def test_a_search_prints_the_best_first_and_writes_all(app: Flask, tmp_path: Path):
    file = tmp_path / "search.csv"
    done = run(app, *SWEEP, "--fit-days", 4, "--score-days", 3, "--top", 2, "--csv", file)
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    assert lines[0] == "Search 1: 8 combinations, 4 do not fit together"
    assert lines[1].split()[:4] == ["fast", "slow", "kind", "return_percentage"]
    shown = [line.split() for line in lines[2:4]]
    assert float(shown[0][4]) >= float(shown[1][4])  # Sharpe
    assert "Walk-forward: fitted on the days before, judged on" in lines
    assert "2024-05-05" in done.output
    rows = file.read_text("utf-8").splitlines()
    assert len(rows) == 9
    assert rows[1].split(",")[:3] == shown[0][:3]


def test_a_run_and_its_search_have_seeds_of_their_own(app: Flask, services: Services):
    chance = ["--search", "random", "--samples", 3, "--search-seed", 9, "--seed", 5]
    done = run(app, *SWEEP, *chance)
    assert done.exit_code == 0, done.output
    config = sweeps.get(services.database.connection, 1).config
    assert (config["search"], config["samples"], config["seed"]) == ("random", 3, 9)
    assert config["run"]["seed"] == 5


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (["--range", "tempo=1"], "ranges.tempo: is not among"),
        (["--range", "fast=1:2:3:4"], "is no range like fast=5:30:5"),
        (["--range", "weight=0.1:0.5"], "ranges.weight: needs a step"),
        (["--fit-days", "4"], "fit_days and score_days belong together"),
        (["--search", "clever"], "search: "),
        (["--backtest", "1"], "--backtest takes no term of a run"),
        (["--coins", "MOON"], "MOON"),
    ],
)
def test_what_cannot_be_searched_is_said_in_a_sentence(app: Flask, changed: list[str], said: str):
    done = run(app, *SWEEP, *changed)
    assert done.exit_code in (1, 2)
    assert said in done.output
