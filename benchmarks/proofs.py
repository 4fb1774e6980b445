"""Tests in their long form, and what they counted: a line of a table for each."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

from benchmarks.environments import ROOT

HEADINGS = ("proof", "counts", "seconds", "result")


@dataclass(frozen=True, slots=True)
class Proof:
    """A test by its node id, or by what `-k` selects of its file; how long it is, by environment.

    `counted` is what the environment makes it count, where the test itself does not record that.
    """

    name: str
    test: str
    environment: Mapping[str, object] = field(default_factory=dict)
    only: str = ""
    counted: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a proof: its counts by their names, and whether it holds."""

    proof: Proof
    counts: Mapping[str, str]
    seconds: float
    holds: bool


def prove(proof: Proof) -> Outcome:
    """Run it; what pytest says goes to the terminal."""
    print(f"\n{proof.name}", flush=True)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="proof-") as folder:
        report = Path(folder, "report.xml")
        command = [
            sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--show-capture=no",
            "-o", "junit_family=legacy", f"--junitxml={report}", proof.test, *(("-k", proof.only) if proof.only else ()),
        ]  # fmt: skip
        environment = os.environ | {key: str(value) for key, value in proof.environment.items()}
        done = subprocess.run(command, cwd=ROOT, env=environment, check=False)
        counts = _counts(report, proof.counted) if report.exists() else {}
    return Outcome(proof, counts, time.monotonic() - began, done.returncode == 0)


def _counts(report: Path, counted: Mapping[str, object]) -> dict[str, str]:
    """What the tests recorded or is known; how many there were where there is neither."""
    tests = list(ElementTree.parse(report).iter("testcase"))
    recorded = {
        found.get("name", ""): found.get("value", "")
        for test in tests
        for found in test.iter("property")
    }
    known = {name: str(value) for name, value in counted.items()}
    return known | recorded or {"tests": str(len(tests))}


def table(outcomes: Sequence[Outcome]) -> str:
    """A Markdown table, a line a proof."""
    rows = [HEADINGS, tuple("---" for _ in HEADINGS), *(_row(outcome) for outcome in outcomes)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _row(outcome: Outcome) -> tuple[str, ...]:
    counts = ", ".join(f"{_number(value)} {name}" for name, value in outcome.counts.items())
    return (
        outcome.proof.name,
        counts,
        f"{outcome.seconds:.0f}",
        "holds" if outcome.holds else "**fails**",
    )


def _number(text: str) -> str:
    return f"{int(text):,}" if text.isdigit() else text
