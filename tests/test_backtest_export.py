"""A backtest as a file: whole, escaped, offline; and the charts that stand in it."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from addresses import NOWHERE, sources_at
from conftest import running
from flask import Flask
from flask_babel import force_locale
from test_backtest_commands import TERMS, run

from app import create_app
from backtest_export import exported, read_exported
from config import Config
from errors import Conflict, DataError
from exchange_simulator.server import SimulatorServer
from repositories import backtests
from repositories.backtests import BacktestRecord
from routes.services import EXTENSION
from svg_charts import WIDTH, bar_drawing, line_drawing, round_steps


@pytest.fixture(scope="module")
def app(simulator: SimulatorServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """One app for all of them, with one run."""
    config = Config(
        DATABASE_PATH=tmp_path_factory.mktemp("export") / "trading.db",
        **NOWHERE | sources_at(simulator.url),
        TRADING_LOOP="off",
    )
    for app in running(create_app(config, clock=simulator.clock, check_answers=True)):
        assert run(app, *TERMS).exit_code == 0
        yield app


@pytest.fixture
def record(app: Flask) -> BacktestRecord:
    connection = app.extensions[EXTENSION].database.connection
    return backtests.get(connection, 1, with_report=True)


class Seen(HTMLParser):
    """Tags, attributes and text of a page."""

    def __init__(self, page: str):
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_is_one_file_without_script_or_address(app: Flask, record: BacktestRecord):
    page = Seen(app.test_client().get("/api/backtests/1/export?format=html").text)
    assert page.tags.count("svg") == 3
    assert page.tags.count("path") == 3
    assert not {"script", "link", "img", "iframe", "a", "object"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert not {"src", "href", "action"} & {name for name, _ in page.attributes}
    assert "url(" not in page.text
    report: Any = record.report
    assert page.text.count(report["trades"][0]["entry_time"]) >= 1
    assert page.tags.count("tr") == len(report["trades"]) + 1
    assert report["data"]["hash"] in page.text
    assert f"${report['summary']['final_value']:,.2f}" in page.text
    for warning in report["warnings"]:
        assert warning["message"] in page.text


def test_the_page_is_in_the_language_of_its_reader(app: Flask, record: BacktestRecord):
    answer = app.test_client().get(
        "/api/backtests/1/export?format=html", headers={"Accept-Language": "zh-CN"}
    )
    assert answer.headers["Content-Disposition"] == 'attachment; filename="backtest-1.html"'
    assert 'lang="zh"' in answer.text
    assert "最大回撤" in answer.text
    assert "Maximum drawdown" not in answer.text
    report: Any = record.report
    assert report["warnings"]
    for warning in report["warnings"]:
        assert warning["message"] not in answer.text


@pytest.mark.parametrize("locale", ["en", "zh"])
def test_a_page_of_any_run_can_be_made(app: Flask, record: BacktestRecord, locale: str):
    """With every figure, and with none that can be left out."""
    report: Any = record.report
    whole = {
        "return_interval": [-5.0, 12.5],
        "sharpe_interval": [-1.0, 2.0],
        "luck_probability": 0.2,
    }
    numbers = dict.fromkeys(report["summary"], 1.0) | whole
    needed = {"initial_capital": 1.0, "final_value": 1.0}
    for summary in (numbers, dict.fromkeys(numbers) | needed):
        values = (
            report["account_values"][:1] if summary is not numbers else report["account_values"]
        )
        changed = {**report, "summary": summary, "account_values": values, "trades": []}
        with app.test_request_context(), force_locale(locale):
            assert "+12.50 %" in (page := exported(replace(record, report=changed), "html")) or (
                summary is not numbers and "–" in page
            )


def test_what_others_wrote_is_text(app: Flask, record: BacktestRecord):
    evil = '<script>alert("x")</script>'
    report: Any = record.report
    trade = report["trades"][0] | {"coin": evil, "exit_reason": evil}
    changed = replace(
        record,
        config={**record.config, "trader": evil, "params": {evil: evil}, "coins": [evil]},
        report={**report, "warnings": [evil], "trades": [trade]},
    )
    with app.test_request_context(), force_locale("en"):
        page = Seen(exported(changed, "html"))
    assert "script" not in page.tags
    assert page.text.count(evil) >= 6


def test_json_can_be_read_back_and_run_elsewhere(
    app: Flask, record: BacktestRecord, tmp_path: Path
):
    content = read_exported(app.test_client().get("/api/backtests/1/export").text)
    assert content["config"] == record.config
    assert content["report"] == record.report
    assert content["data_hash"] == record.data_hash
    file = tmp_path / "run.json"
    done = run(app, *TERMS, "--slippage-bps", 1, "--json", file)
    assert done.exit_code == 0, done.output
    content = read_exported(file.read_text("utf-8"))
    assert app.test_client().delete(f"/api/backtests/{content['id']}").status_code == 200
    done = run(app, "run", "--again", file)
    assert done.exit_code == 0, done.output
    assert "The candles are those of the file, and the result is too." in done.output
    file.write_text(json.dumps({**content, "data_hash": "of others"}), "utf-8")
    assert "The candles here are not those of the file." in run(app, "run", "--again", file).output
    assert run(app, "run", "--again", file, "--coins", "BTC").exit_code == 2


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"format": "ai-crypto-trading-system/backtest", "format_version": 9}']
)
def test_other_files_are_refused(text: str):
    with pytest.raises(DataError):
        read_exported(text)


def test_csv_has_every_trade(app: Flask, record: BacktestRecord, tmp_path: Path):
    target = tmp_path / "trades.csv"
    assert run(app, "export", 1, "--format", "csv", "-o", target).exit_code == 0
    with target.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    report: Any = record.report
    assert len(rows) == len(report["trades"]) > 0
    assert float(rows[0]["pnl"]) == report["trades"][0]["pnl"]
    again = run(app, "export", 1, "--format", "csv", "-o", target)
    assert (again.exit_code, "is there already" in again.output) == (1, True)


def test_a_formula_in_a_name_is_quoted(app: Flask, record: BacktestRecord):
    report: Any = record.report
    trade = report["trades"][0] | {"coin": "=1+1"}
    text = exported(replace(record, report={**report, "trades": [trade]}), "csv")
    assert "'=1+1" in text


def test_a_run_without_a_report_is_no_file(app: Flask, record: BacktestRecord):
    with pytest.raises(Conflict):
        exported(replace(record, report=None), "json")
    assert app.test_client().get("/api/backtests/99/export").status_code == 404
    assert app.test_client().get("/api/backtests/1/export?format=exe").status_code == 400
    assert run(app, "export", 99).exit_code == 1


# ---------------------------------------------------------------------------------------- charts


def test_lines_keep_their_order_and_stay_inside():
    drawing = line_drawing([0, 10, 20], {"a": [1.0, None, 3.0], "b": [2.0, 2.0, 2.0]}, 100, str)
    points = [
        tuple(map(float, p.split(","))) for p in re.findall(r"[\d.]+,[\d.]+", drawing.paths["a"])
    ]
    assert [x for x, _ in points] == [drawing.left, drawing.right]
    assert points[0][1] > points[1][1]  # 3 stands above 1
    assert all(drawing.top <= y <= drawing.bottom for _, y in points)
    assert drawing.zero is None
    assert drawing.area("b").endswith(f"{drawing.left},{drawing.bottom} Z")


def test_an_axis_that_ends_at_zero():
    drawing = line_drawing([0, 1], {"fall": [-5.0, -1.0]}, 100, str, highest=0.0)
    assert drawing.zero == drawing.top


@pytest.mark.parametrize("values", [[], [5.0], [0.0, 0.0], [1e-9, 2e-9], [-1e12, 1e12]])
def test_any_values_can_be_drawn(values: list[float]):
    drawing = line_drawing(list(range(len(values))), {"a": values}, 100, str)
    assert "nan" not in drawing.paths["a"]
    assert bar_drawing([(str(v), v) for v in values], 100, str).width == WIDTH


def test_bars_hang_from_zero():
    up, down = bar_drawing([("up", 2.0), ("down", -1.0)], 100, str).bars
    assert up.y + up.height == pytest.approx(down.y, abs=0.2)
    assert up.height == pytest.approx(2 * down.height, abs=0.3)


def test_steps_are_round():
    assert round_steps(0, 1, 5) == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert round_steps(-7, 93, 5) == [0.0, 25.0, 50.0, 75.0]
