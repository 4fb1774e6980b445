"""The faults that are injected, each with what is broken by it."""

from __future__ import annotations

from benchmarks.fault_arena import Scenario

DAY_MS = 86_400_000
SPOILED = (
    ("down", {"how": "page"}),
    ("down", {"how": "reset"}),
    ("down", {"how": "hang"}),
    ("slow", {"seconds": 10}),
    ("429", {"retry_after": 30}),
    ("418", {"retry_after": 30}),
    ("451", {}),
    ("403", {}),
    ("garbage", {}),
    ("truncated", {"how": "body"}),
    ("truncated", {"how": "connection"}),
    ("wrong_order", {}),
    ("duplicates", {}),
    ("gaps", {}),
    ("zero_price", {"every": 1}),
    ("negative_price", {"every": 1}),
    ("nan_price", {"every": 1}),
    ("spike", {"percent": 50}),
    ("spike", {"percent": 50, "symbols": ["BTCUSDT"]}),
    ("spike", {"percent": -60}),
    ("drift", {"percent": 30}),
    ("clock_skew", {"seconds": 3600}),
    ("clock_skew", {"seconds": -3600}),
)
STREAM_ALONE = (
    ("socket_drop", {}),
    ("socket_silent", {}),
    ("socket_silent", {"replies": "no"}),
    ("socket_flood", {"rate": 2000}),
)
BLINDING = (
    ("down", {"how": "reset"}),
    ("down", {"how": "hang"}),
    ("429", {"retry_after": 30}),
    ("451", {}),
    ("garbage", {}),
    ("zero_price", {"every": 1}),
    ("nan_price", {"every": 1}),
)

# One source is broken, the others are up.
ONE_SOURCE = (
    *(Scenario("binance", fault, params) for fault, params in SPOILED),
    *(Scenario("binance", fault, params, channel="stream") for fault, params in STREAM_ALONE),
    Scenario("binance", "stale", {"stamps": "old"}, jump_ms=DAY_MS),
)
# Every source is broken: nothing may be entered until one is back.
EVERY_SOURCE = tuple(Scenario("all", fault, params) for fault, params in BLINDING)
