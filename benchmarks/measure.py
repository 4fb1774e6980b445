"""Run one variant of one subject in this interpreter and print what it took, as JSON.

`python measure.py SUBJECT VARIANT PRICES.npy REPEATS RULES.json`: started as a script, so that
only this folder (and what PYTHONPATH names) can be imported, and the package `backtesting` is
not taken for our module of the same name.
"""

from __future__ import annotations

import importlib
import json
import resource
import sys
import time
from pathlib import Path

import numpy as np

PROCESS_STATUS = Path("/proc/self/status")


def peak_memory_mb() -> float:
    """The most memory this process has held, in MB of 10⁶ bytes.

    Linux: the high-water mark of this program alone; `getrusage` would count what the parent
    held when it started us. Elsewhere `getrusage`, in bytes on macOS.
    """
    if PROCESS_STATUS.exists():
        for line in PROCESS_STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def measure(
    subject_name: str, variant: str, prices_path: str, repeats: int, rules: dict[str, float]
) -> dict[str, object]:
    """Best of `repeats` after one run that does not count (imports, numba's compiling)."""
    subject = importlib.import_module(subject_name)
    run = subject.variants(np.load(prices_path), rules)[variant]
    started = time.perf_counter()
    outcome = run()
    first_seconds = time.perf_counter() - started
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        outcome = run()
        seconds.append(time.perf_counter() - started)
    return {
        "seconds": min(seconds),
        "first_seconds": first_seconds,
        "peak_mb": peak_memory_mb(),
        "versions": subject.versions(),
        **outcome,
    }


if __name__ == "__main__":
    subject_name, variant, prices_path, repeats, rules = sys.argv[1:]
    measured = measure(subject_name, variant, prices_path, int(repeats), json.loads(rules))
    print(json.dumps(measured))
