"""The soak of trading in short: every turn once, books that balance, cheap cycles, little memory."""

from pathlib import Path

from benchmarks.trading_soak import soak


def test_some_minutes_of_many_models_lose_and_double_nothing(tmp_path: Path):
    result = soak(tmp_path, model_count=4, coin_count=12, minutes=3, speed=75.0, start_seconds=3.0)
    assert (result.lost, result.doubled, result.failed) == (0, 0, 0), result.lines()
    assert result.expected == 12
    assert result.trades > 0
    assert result.books_differ == 0
    assert result.processor["p99"] < 300
    assert result.memory[-1] - result.memory[0] < 60
    assert "0 lost, 0 doubled" in result.lines()[0]
