"""What is measured, and how one measurement is taken in an interpreter of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.environments import HERE, ROOT, peer_python

RULES = {"fast": 20, "slow": 50, "fee": 0.001, "capital": 10_000_000.0}


@dataclass(frozen=True, slots=True)
class Subject:
    """One variant of one tool; `peer` names its environment, None is our own.

    `ours` marks the line that the others' ratios refer to; `repeats` how often a run counts.
    """

    label: str
    module: str
    variant: str
    repeats: int
    peer: str | None = None
    ours: bool = False


SUBJECTS = (
    Subject("BacktestEngine, engine alone", "subject_engine", "engine alone", 5),
    Subject("BacktestEngine, with report", "subject_engine", "with report", 5, ours=True),
    Subject("vectorbt, bare", "subject_vectorbt", "bare", 5, "vectorbt"),
    Subject("vectorbt, with stats()", "subject_vectorbt", "with stats()", 5, "vectorbt"),
    Subject(
        "backtesting.py, run()",
        "subject_backtesting_py",
        "run() with statistics",
        2,
        "backtesting-py",
    ),
)
# The same thousand combinations of averages (`combinations.py`), each with its final value, deepest
# drawdown and trades: our engine run by run in one process, vectorbt all at once.
SWEEPS = (
    Subject("BacktestEngine, 1,000 runs", "subject_engine", "sweep", 2, ours=True),
    Subject("vectorbt, 1,000 columns", "subject_vectorbt", "sweep", 2, "vectorbt"),
)


@dataclass(frozen=True, slots=True)
class Measurement:
    """What one subject took on `bars` bars. `seconds` is the best repeat, memory the peak."""

    subject: Subject
    bars: int
    seconds: float
    first_seconds: float
    peak_mb: float
    trades: int
    final_value: float
    versions: Mapping[str, str]

    @property
    def bars_per_second(self) -> float:
        """Bars through the whole run in a second."""
        return self.bars / self.seconds


def measure(subject: Subject, prices: Path, bars: int, repeats: int | None = None) -> Measurement:
    """Run `subject` on the saved prices in a fresh interpreter.

    Raises subprocess.CalledProcessError where it fails; its own words go to stderr.
    """
    python = sys.executable if subject.peer is None else str(peer_python(subject.peer))
    arguments = [
        subject.module,
        subject.variant,
        str(prices),
        str(repeats or subject.repeats),
        json.dumps(RULES),
    ]
    finished = subprocess.run(
        [python, str(HERE / "measure.py"), *arguments],
        env=_environment(subject),
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    measured = json.loads(finished.stdout.splitlines()[-1])
    return Measurement(subject=subject, bars=bars, **measured)


def _environment(subject: Subject) -> dict[str, str]:
    """Ours may import our modules; a peer must not see them."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    if subject.peer is None:
        environment["PYTHONPATH"] = str(ROOT)
    return environment
