"""The simulator's own routes, which no venue has: what it is doing, and its clock."""

from __future__ import annotations

import json

from aiohttp import web

from clock import ManualClock
from domain import Clock
from exchange_simulator.market import Market
from exchange_simulator.request_weight import RequestWeight


class Control:
    """Routes under `/control`."""

    def __init__(self, market: Market, clock: Clock, binance_weight: RequestWeight):
        self.market = market
        self.clock = clock
        self.binance_weight = binance_weight

    def add_routes(self, app: web.Application) -> None:
        """Mount them."""
        app.router.add_get("/control/state", self.state)
        app.router.add_post("/control/clock", self.set_clock)

    async def state(self, request: web.Request) -> web.Response:
        """`GET /control/state`: the time, the market, the weight used in this minute."""
        now_ms = self.clock.now_ms()
        return web.json_response(
            {
                "now_ms": now_ms,
                "clock": type(self.clock).__name__,
                "market": self.market.kind,
                "symbols": list(self.market.listings(now_ms)),
                "binance_used_weight": self.binance_weight.used,
            }
        )

    async def set_clock(self, request: web.Request) -> web.Response:
        """`POST /control/clock {"now_ms": …}`: set a clock that stands still, else 409."""
        if not isinstance(self.clock, ManualClock):
            reason = {"error": "this clock runs by itself", "code": "conflict"}
            return web.json_response(reason, status=409)
        now_ms = _now_ms_of(await request.text())
        if now_ms is None:
            reason = {"error": "now_ms must be a whole number ≥ 0", "code": "invalid_input"}
            return web.json_response(reason, status=400)
        self.clock.set(now_ms)
        return web.json_response({"now_ms": now_ms})


def _now_ms_of(body: str) -> int | None:
    """The field `now_ms` of a JSON body, if it is a time."""
    try:
        content = json.loads(body)
    except ValueError:
        return None
    now_ms = content.get("now_ms") if isinstance(content, dict) else None
    return now_ms if type(now_ms) is int and now_ms >= 0 else None
