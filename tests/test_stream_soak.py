"""The quick form of `python -m benchmarks.stream_soak`: minutes of the market in seconds."""

from pathlib import Path

from benchmarks.stream_soak import soak


def test_through_dropped_sockets_no_bar_is_missed(tmp_path: Path, capsys):
    assert soak(tmp_path, hours=0.04, factor=90, calm_seconds=1.5) == []
    said = capsys.readouterr().out
    assert said.count("socket_drop") >= 1
    assert "closed bars told" in said
