"""A plausible order book around a price: on the grid, sorted, the same for everyone who asks."""

from __future__ import annotations

import zlib

import numpy as np

from exchange_simulator.market import Listing

Level = tuple[int, int]  # (price in ticks, quantity in lots)

TOUCH_NOTIONAL = 2_000.0  # typical size of a level at the touch, in the quote asset
HALF_SPREAD = 0.00005  # of the price
MEAN_GAP = 0.00004  # between two levels, of the price


def best_prices(price: int) -> tuple[int, int]:
    """Best bid and best ask in ticks around a last price in ticks: bid ≤ price ≤ ask, bid < ask."""
    half = int(price * HALF_SPREAD)
    bid = max(price - half, 1)
    return bid, max(price + half, bid + 1)


def order_book(
    listing: Listing, price: int, time_ms: int, levels: int
) -> tuple[list[Level], list[Level]]:
    """Up to `levels` bids and asks, best first. It changes with the price and every second.

    Around a price that can be none (see `venue_market`) both sides stand at that price.
    """
    if price <= 0:
        return [(price, 1)], [(price, 1)]
    key = zlib.crc32(listing.symbol.encode())
    random = np.random.default_rng((key, time_ms // 1000, price))
    bid, ask = best_prices(price)
    bids = _side(random, listing, bid, -1, levels)
    asks = _side(random, listing, ask, +1, levels)
    return bids, asks


def _side(
    random: np.random.Generator, listing: Listing, touch: int, sign: int, levels: int
) -> list[Level]:
    # Always drawn in full, so that a shorter book is the beginning of a longer one.
    gaps = 1 + random.exponential(touch * MEAN_GAP, size=5000).astype(np.int64)
    sizes = random.lognormal(0.0, 0.8, size=5000) * np.linspace(1, 8, 5000)
    prices = touch + sign * (np.cumsum(gaps) - gaps[0])
    lot_value = touch / 10 ** (listing.price_decimals + listing.quantity_decimals)
    lots = np.maximum(np.rint(TOUCH_NOTIONAL * sizes / lot_value), 1).astype(np.int64)
    kept = prices[:levels] > 0
    return list(zip(prices[:levels][kept].tolist(), lots[:levels][kept].tolist(), strict=True))
