"""What has been asked of the venues, and what they said: for tests that prove who kept a limit."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import asdict, dataclass, field
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from exchange_simulator.venue_paths import venue_path

Json = Any


@dataclass(slots=True)
class StreamCounts:
    """Of a venue's websockets."""

    open: int = 0
    opened: int = 0
    sent: int = 0


@dataclass(slots=True)
class VenueTraffic:
    """Of one venue since the start: requests by endpoint, answers by HTTP status, streams."""

    requests: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    streams: StreamCounts = field(default_factory=StreamCounts)


class Traffic:
    """The traffic of every venue."""

    def __init__(self) -> None:
        self._venues: dict[str, VenueTraffic] = defaultdict(VenueTraffic)

    def of(self, venue: str) -> VenueTraffic:
        """That of one."""
        return self._venues[venue]

    def as_json(self) -> dict[str, Json]:
        """All of it, by venue. A request that was never answered has no status."""
        return {
            venue: {
                "requests": dict(traffic.requests),
                "statuses": {str(status): count for status, count in traffic.statuses.items()},
                "streams": asdict(traffic.streams),
            }
            for venue, traffic in self._venues.items()
        }


def count(traffic: Traffic) -> Middleware:
    """A middleware that counts the requests to the venues; it stands before all others."""

    @web.middleware
    async def count_request(request: web.Request, handler: Handler) -> web.StreamResponse:
        target = venue_path(request.path)
        if target is None:
            return await handler(request)
        venue = traffic.of(target.venue)
        venue.requests[target.endpoint] += 1
        response = await handler(request)
        venue.statuses[response.status] += 1
        return response

    return count_request
