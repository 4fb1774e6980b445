"""`python -m benchmarks.metric_parity`: what vectorbt makes of days' returns, kept for our tests.

Draws returns of some accounts and writes them with vectorbt's figures, and the versions that these
come from, to tests/data/peer_metrics.json. Needed again only after a change of vectorbt.
"""

from __future__ import annotations

import json
import os
import subprocess

import numpy as np

from benchmarks.environments import HERE, ROOT, peer_python

GOLDEN = ROOT / "tests" / "data" / "peer_metrics.json"
DAYS = 400
#: Mean and deviation of a day's return, and how much of it the benchmark's explains.
ACCOUNTS = {
    "rises": (0.002, 0.03, 0.5),
    "swings": (-0.003, 0.05, 1.2),
    "idles": (0.0001, 0.004, 0.0),
}


def main() -> None:
    """Draw, ask, write."""
    random = np.random.default_rng(20240101)
    benchmark = np.round(random.normal(0.001, 0.035, DAYS), 6)
    asked = {}
    for name, (mean, deviation, share) in ACCOUNTS.items():
        returns = np.round(random.normal(mean, deviation, DAYS) + share * benchmark, 6)
        asked[name] = {"returns": returns.tolist(), "benchmark": benchmark.tolist()}
    finished = subprocess.run(
        [str(peer_python("vectorbt")), str(HERE / "metrics_vectorbt.py")],
        env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
        input=json.dumps(asked), stdout=subprocess.PIPE, check=True, text=True,
    )  # fmt: skip
    answer = json.loads(finished.stdout.splitlines()[-1])
    GOLDEN.write_text(json.dumps({"accounts": asked, **answer}) + "\n", encoding="utf-8")
    print(f"Written to {GOLDEN.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
