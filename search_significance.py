"""How much of the best of many tries is the trying: the deflated Sharpe ratio. Pure.

Bailey and López de Prado, The Deflated Sharpe Ratio (2014): the best of N Sharpe ratios is held
against the best that N tries without any skill would be expected to show, and its own uncertainty
takes the skewness and the fat tails of its returns into account.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from domain import FloatArray

EULER_GAMMA = 0.5772156649015329
FEWEST_RETURNS = 20
STANDARD_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class ReturnMoments:
    """What the deflated Sharpe ratio takes from a series of `count` returns.

    `sharpe` is mean over deviation of one period, not annualised; `kurtosis` is 3 for a normal one.
    """

    count: int
    sharpe: float
    skewness: float
    kurtosis: float


def return_moments(returns: FloatArray) -> ReturnMoments | None:
    """Moments of returns, shape (n,); None where they are too few or never change."""
    count = len(returns)
    if count < FEWEST_RETURNS:
        return None
    mean, deviation = float(np.mean(returns)), float(np.std(returns))
    if deviation <= 1e-15:
        return None
    scores = (returns - mean) / deviation
    sharpe = mean / float(np.std(returns, ddof=1))
    return ReturnMoments(count, sharpe, float(np.mean(scores**3)), float(np.mean(scores**4)))


def expected_best_sharpe(variance: float, tries: int) -> float:
    """The highest Sharpe ratio that `tries` without skill are expected to show.

    `variance` is that of the Sharpe ratios of the tries; zero for a single try.
    """
    if tries < 2:
        return 0.0
    near = STANDARD_NORMAL.inv_cdf(1 - 1 / tries)
    far = STANDARD_NORMAL.inv_cdf(1 - 1 / (tries * math.e))
    return math.sqrt(variance) * ((1 - EULER_GAMMA) * near + EULER_GAMMA * far)


def probabilistic_sharpe(moments: ReturnMoments, than: float) -> float:
    """The probability that the true Sharpe ratio of these returns is higher than `than`."""
    sharpe = moments.sharpe
    spread = 1 - moments.skewness * sharpe + (moments.kurtosis - 1) / 4 * sharpe**2
    # For any distribution kurtosis ≥ 1 + skewness², so this is above 0 but where both are rounded.
    spread = max(spread, 1e-12)
    return STANDARD_NORMAL.cdf((sharpe - than) * math.sqrt(moments.count - 1) / math.sqrt(spread))


def deflated_sharpes(tries: Sequence[ReturnMoments | None]) -> list[float | None]:
    """For each try: the probability that its Sharpe ratio is real, after all of them were tried.

    Every try counts, also one whose own ratio cannot be said (None). Ones that resemble each other
    count as if they did not, which errs on the side of doubt.
    """
    known = [moments.sharpe for moments in tries if moments is not None]
    variance = float(np.var(known, ddof=1)) if len(known) > 1 else 0.0
    best = expected_best_sharpe(variance, len(tries))
    return [None if moments is None else probabilistic_sharpe(moments, best) for moments in tries]
