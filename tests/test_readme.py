"""What the README shows works as it is written there."""

from __future__ import annotations

import re
import types
from pathlib import Path

import numpy as np
import pytest
from flask import Flask

import strategies
from domain import HOUR_MS, Interval, KlineSeries
from strategies.base import Strategy

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")


@pytest.fixture
def strategy() -> Strategy:
    """The strategy of the README, made by running its text."""
    (text,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    module = types.ModuleType("strategies.from_the_readme")
    exec(compile(text, "README.md", "exec"), module.__dict__)
    made = module.Momentum(["BTC"], {"bars": 3})
    assert isinstance(made, Strategy)
    return made


@pytest.mark.parametrize(
    "name", ["README.md", "Makefile", "Dockerfile", "deploy/ai-crypto-trading.service", "demo.py"]
)
def test_nothing_that_it_starts_is_in_debug_mode(name: str):
    text = (ROOT / name).read_text("utf-8")
    assert re.search(r"--debug|FLASK_DEBUG|debug=True|app\.run\(|--app app run", text) is None


def klines(closes: list[float]) -> KlineSeries:
    close = np.array(closes)
    times = np.arange(len(closes), dtype=np.int64) * HOUR_MS
    return KlineSeries(Interval.H1, times, close, close, close, close, close)


def test_its_strategy_has_15_lines_and_acts_as_it_says(strategy: Strategy):
    (text,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    code = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    assert len(code) <= 15
    signals = strategy.signals("BTC", klines([5, 4, 3, 6, 3, 2, 7]))
    assert signals.enter_long.tolist() == [False] * 3 + [True, False, False, True]
    assert signals.close.tolist() == [False] * 4 + [True, True, False]
    assert list(strategy.params_schema()["properties"]) == ["weight", "leverage", "bars"]


def test_its_strategy_says_the_same_with_as_little_history_as_it_asks_for(strategy: Strategy):
    series = klines([5, 4, 3, 6, 3, 2, 7, 7, 1])
    whole = strategy.signals("BTC", series)
    for stop in range(1, len(series) + 1):
        seen = series.slice(max(0, stop - strategy.history_bars), stop)
        recent = strategy.signals("BTC", seen)
        assert recent.enter_long[-1] == whole.enter_long[stop - 1]
        assert recent.close[-1] == whole.close[stop - 1]


def test_its_strategy_is_a_trader_like_the_others_once_its_file_is_there(
    offline_app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (text,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    (tmp_path / "momentum_of_the_readme.py").write_text(text)
    monkeypatch.setattr(strategies, "__path__", [*strategies.__path__, str(tmp_path)])
    strategies.registry.cache_clear()
    try:
        client = offline_app.test_client()
        traders = {trader["key"]: trader for trader in client.get("/api/traders").json}
        assert set(traders["momentum"]["params_schema"]["properties"]) == {
            "weight", "leverage", "bars",
        }  # fmt: skip
        model = {"name": "Mine", "trader": "momentum", "params": {"bars": 3}, "coins": ["BTC"]}
        assert client.post("/api/models", json=model).status_code == 201
        refused = client.post("/api/models", json={**model, "name": "Two", "params": {"bars": "x"}})
        assert set(refused.json["fields"]) == {"params.bars"}
    finally:
        monkeypatch.undo()
        strategies.registry.cache_clear()


def test_its_links_lead_somewhere():
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", README):
        if target != "docs/images/dashboard.png":  # made by the end-to-end tests
            assert (ROOT / target).exists(), target


def test_its_commands_of_curl_send_a_token():
    commands = re.findall(r"^curl (.*)", README, re.MULTILINE)
    assert len(commands) >= 3
    assert all('-H "$token"' in command for command in commands)


def test_its_make_targets_exist():
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for target in set(re.findall(r"make ([a-z]+)", README)) - {"has"}:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
