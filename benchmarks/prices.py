"""The price series that every subject of a benchmark is given.

A random walk from a seed whose drift wanders. On a walk without drift the 0.1 % fees would eat
all of the capital long before the millionth bar; tools that trade whole units would then stop
trading and look fast. The drift's size lets a 20/50 cross earn about what its fees cost, and
leaves it about as many trades (10,564 on a million bars) as on a walk without drift (11,280).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

SEED = 20_240_101
START_PRICE = 100.0
NOISE = 0.003  # standard deviation of a bar's return
DRIFT = 0.0002  # standard deviation of the drift of a bar's return
DRIFT_BARS = 120  # how long the drift keeps its direction
MEMORY_BARS = 20_000  # the log price is pulled back to the start over this many bars
TICK_DECIMALS = 6

# Rows of the saved array.
COLUMNS = ("open", "high", "low", "close", "volume")


def price_bars(bars: int, seed: int = SEED) -> npt.NDArray[np.float64]:
    """Bars of shape (5, bars), rows as in `COLUMNS`: positive, low ≤ open, close ≤ high."""
    random = np.random.default_rng(seed)
    noise = random.normal(0.0, NOISE, bars)
    shocks = random.normal(0.0, 1.0, bars)
    wicks = np.abs(random.normal(0.0, NOISE / 2, (2, bars)))
    volume = np.round(random.lognormal(2.0, 0.5, bars), TICK_DECIMALS)
    close = START_PRICE * np.exp(_log_prices(noise, shocks))
    opened = np.concatenate(([START_PRICE], close[:-1]))
    high = np.maximum(opened, close) * (1 + wicks[0])
    low = np.minimum(opened, close) * (1 - wicks[1])
    return np.vstack(
        (*(np.round(row, TICK_DECIMALS) for row in (opened, high, low, close)), volume)
    )


def _log_prices(
    noise: npt.NDArray[np.float64], shocks: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Log of price over start price: noise and wandering drift, held near the start."""
    keep = 1 - 1 / DRIFT_BARS
    kick = DRIFT * float(np.sqrt(1 - keep**2))
    pull = 1 / MEMORY_BARS
    drift = level = 0.0
    levels = np.empty(len(noise))
    for index, (step, shock) in enumerate(zip(noise.tolist(), shocks.tolist(), strict=True)):
        drift = keep * drift + kick * shock
        level += step + drift - pull * level
        levels[index] = level
    return levels
