"""Which venue, channel and endpoint a path belongs to."""

from __future__ import annotations

from typing import NamedTuple

STREAM = "stream"
REST = "rest"


class VenuePath(NamedTuple):
    """Where a request goes."""

    venue: str
    channel: str
    endpoint: str


# Longer beginnings before shorter ones.
_BEGINNINGS = (
    ("/coingecko/api/v3/", "coingecko", REST),
    ("/llm/v1/", "llm", REST),
    ("/api/v3/", "binance", REST),
    ("/api/v5/", "okx", REST),
    ("/ws/v5/", "okx", STREAM),
    ("/ws", "binance", STREAM),
    ("/stream", "binance", STREAM),
)


def venue_path(path: str) -> VenuePath | None:
    """Where a path leads; none for what belongs to no venue."""
    for beginning, venue, channel in _BEGINNINGS:
        if path.startswith(beginning):
            endpoint = path.removeprefix(beginning) if channel == REST else "websocket"
            return VenuePath(venue, channel, endpoint)
    return None
