"""`python -m benchmarks.run`: measure our engine beside its peers and write docs/performance.md.

Needs nothing but the application's own environment: peers are installed on the first run.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from benchmarks.api_load import api_table, measure_api
from benchmarks.environments import ROOT, peer_python
from benchmarks.measurement import SUBJECTS, SWEEPS, Measurement, Subject, measure
from benchmarks.prices import price_bars
from benchmarks.tables import machine, page, table, versions

LENGTHS = (8_760, 1_000_000)
SWEEP_BARS = 8_760
PAGE = ROOT / "docs" / "performance.md"


def main() -> None:
    """Set up, measure, print, write."""
    for peer in sorted({subject.peer for subject in SUBJECTS if subject.peer is not None}):
        peer_python(peer)
    print(machine(), flush=True)
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        groups = [measure_all(SUBJECTS, bars, Path(folder)) for bars in LENGTHS]
        sweep = measure_all(SWEEPS, SWEEP_BARS, Path(folder))
    answers = measure_api()
    print(api_table(answers))
    print(versions(groups[0]))
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(groups, sweep, answers, datetime.now(UTC)), encoding="utf-8")
    print(f"Written to {PAGE.relative_to(ROOT)}")


def measure_all(subjects: Sequence[Subject], bars: int, folder: Path) -> list[Measurement]:
    """Every one of `subjects` on the same `bars` bars, one after the other, and their table printed."""
    prices = folder / f"{bars}.npy"
    np.save(prices, price_bars(bars))
    measurements = [measure(subject, prices, bars) for subject in subjects]
    print(f"\n{bars:,} bars\n{table(measurements)}\n", flush=True)
    return measurements


if __name__ == "__main__":
    main()
