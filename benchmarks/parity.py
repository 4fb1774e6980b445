"""`python -m benchmarks.parity`: what the peers make of real candles, kept for our tests.

Runs the cross of averages in vectorbt and backtesting.py on hourly candles of five coins and
writes their figures, with the versions that they come from, to tests/data/peer_figures.json.
`KLINES_DIR` names the folder with the candles. Needed again only after a peer's version changed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.environments import HERE, ROOT, peer_python
from benchmarks.measurement import RULES
from binance_archive import read_klines

# Of these no two averages are ever exactly equal. Where they are, as on SOL and SHIB, the rounding
# that a peer carries in its running sums decides on which bar they cross.
COINS = ("BTC", "ETH", "BNB", "XRP", "DOGE")
PEERS = {"vectorbt": "subject_vectorbt", "backtesting-py": "subject_backtesting_py"}
GOLDEN = ROOT / "tests" / "data" / "peer_figures.json"


def main() -> None:
    """Run both peers on every coin and write what they say."""
    folder = Path(os.environ.get("KLINES_DIR") or sys.exit("KLINES_DIR names no folder."))
    answers: dict[str, Any] = {"rules": RULES, "peers": {}}
    with tempfile.TemporaryDirectory(prefix="parity-") as scratch:
        for peer, module in PEERS.items():
            by_coin = {coin: _figures(peer, module, coin, folder, Path(scratch)) for coin in COINS}
            answers["peers"][peer] = {
                "versions": by_coin[COINS[0]]["versions"],
                "figures": {coin: answer["figures"] for coin, answer in by_coin.items()},
            }
    GOLDEN.write_text(json.dumps(answers, indent=1) + "\n", encoding="utf-8")
    print(f"Written to {GOLDEN.relative_to(ROOT)}")


def _figures(peer: str, module: str, coin: str, folder: Path, scratch: Path) -> dict[str, Any]:
    (candles,) = folder.glob(f"{coin}USDT-1h-*.csv.gz")
    series = read_klines(candles).series
    prices = scratch / f"{coin}.npy"
    np.save(prices, np.vstack((series.open, series.high, series.low, series.close, series.volume)))
    command = [str(peer_python(peer)), str(HERE / "figures.py"), module, str(prices)]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    finished = subprocess.run(
        [*command, json.dumps(RULES)], env=environment, stdout=subprocess.PIPE, check=True
    )
    answer: dict[str, Any] = json.loads(finished.stdout.splitlines()[-1])
    return answer


if __name__ == "__main__":
    main()
