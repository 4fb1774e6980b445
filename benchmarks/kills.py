"""The kills of `make faults`: a process ended with SIGKILL at random moments of its work."""

from __future__ import annotations

from benchmarks.proofs import Proof


def proofs(kills: int) -> tuple[Proof, ...]:
    """`kills` of trading, a part of them of each other work."""
    counted = {"KILLS": kills}
    return (
        Proof("kill -9 while trading", "tests/test_kill.py", counted),
        Proof(
            "kill -9 in an import, a sync, an archive of candles",
            "tests/test_kline_kill.py",
            counted,
        ),
        Proof(
            "kill -9 in a backup, a restore",
            "tests/test_database_restore.py",
            counted,
            only="kill_within",
        ),
        Proof("kill -9 in an upgrade", "tests/test_upgrades.py", counted, only="kill_within"),
        Proof(
            "kill -9 of the server and of a worker during backtests",
            "tests/test_backtest_sturdiness.py",
            only="outlive",
        ),
        Proof("kill -9 while a language model is asked", "tests/test_ai_trader.py", only="kill"),
        Proof("SIGTERM and SIGINT while trading", "tests/test_server.py", only="ends_when_told"),
    )
