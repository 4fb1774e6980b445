"""The simulator's own routes, which no venue has: what it is doing, its clock, its faults."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from clock import ManualClock
from domain import Clock
from exchange_simulator.fault_kinds import InvalidFault
from exchange_simulator.faults import Fault, Faults, UnknownFault
from exchange_simulator.market import Market
from exchange_simulator.traffic import Traffic
from exchange_simulator.venue_limits import VenueLimits

Json = Any
FIELDS = {"venue", "fault", "channel", "params", "seconds"}


class BadRequest(ValueError):
    """A body that is not what it must be."""


class Control:
    """Routes under `/control`."""

    def __init__(
        self, market: Market, clock: Clock, limits: VenueLimits, traffic: Traffic, faults: Faults
    ):
        self.market = market
        self.clock = clock
        self.limits = limits
        self.traffic = traffic
        self.faults = faults

    def add_routes(self, app: web.Application) -> None:
        """Mount them."""
        app.router.add_get("/control/state", self.state)
        app.router.add_post("/control/clock", self.set_clock)
        app.router.add_get("/control/faults", self.list_faults)
        app.router.add_post("/control/faults", self.switch_on)
        app.router.add_delete("/control/faults", self.clear)
        app.router.add_delete("/control/faults/{id}", self.switch_off)

    async def state(self, request: web.Request) -> web.Response:
        """`GET /control/state`: the time, the market, its traffic, the limits, the faults."""
        now_ms = self.clock.now_ms()
        return web.json_response(
            {
                "now_ms": now_ms,
                "clock": type(self.clock).__name__,
                "market": self.market.kind,
                "symbols": list(self.market.listings(now_ms)),
                "binance_used_weight": self.limits.binance.used,
                "traffic": self.traffic.as_json(),
                "limits": self.limits.as_json(),
                "faults": [_fault_json(fault) for fault in self.faults.all_active()],
            }
        )

    async def set_clock(self, request: web.Request) -> web.Response:
        """`POST /control/clock {"now_ms": …}`: set a clock that stands still, else 409."""
        if not isinstance(self.clock, ManualClock):
            return _refusal(409, "conflict", "this clock runs by itself")
        try:
            now_ms = (await _body(request)).get("now_ms")
        except BadRequest as error:
            return _refusal(400, "invalid_input", str(error))
        if type(now_ms) is not int or now_ms < 0:
            return _refusal(400, "invalid_input", "now_ms must be a whole number ≥ 0")
        self.clock.set(now_ms)
        return web.json_response({"now_ms": now_ms})

    async def list_faults(self, request: web.Request) -> web.Response:
        """`GET /control/faults`: those that are on."""
        return web.json_response([_fault_json(fault) for fault in self.faults.all_active()])

    async def switch_on(self, request: web.Request) -> web.Response:
        """`POST /control/faults {"venue", "fault", "channel", "params", "seconds"}`: its id."""
        try:
            body = await _body(request)
            fault_id = self._switch_on(body)
        except (BadRequest, InvalidFault) as error:
            return _refusal(400, "invalid_input", str(error))
        return web.json_response({"id": fault_id}, status=201)

    async def switch_off(self, request: web.Request) -> web.Response:
        """`DELETE /control/faults/ID`."""
        text = request.match_info["id"]
        try:
            self.faults.switch_off(int(text) if text.isascii() and text.isdigit() else 0)
        except UnknownFault as error:
            return _refusal(404, "not_found", str(error))
        return web.Response(status=204)

    async def clear(self, request: web.Request) -> web.Response:
        """`DELETE /control/faults`: all of them."""
        self.faults.clear()
        return web.Response(status=204)

    def _switch_on(self, body: Mapping[str, Json]) -> int:
        params = body.get("params") or {}
        if not isinstance(params, dict):
            raise BadRequest("params must be an object")
        for name in ("venue", "fault"):
            if not isinstance(body.get(name), str):
                raise BadRequest(f"{name} must be a text")
        if unknown := body.keys() - FIELDS:
            raise BadRequest(f"there is no field {min(unknown)!r}")
        return self.faults.switch_on_with(
            body["venue"],
            body["fault"],
            params,
            channel=body.get("channel") or "all",
            for_seconds=body.get("seconds"),
        )


def _fault_json(fault: Fault) -> dict[str, Json]:
    until_ms = fault.until_wall_ms
    return {
        "id": fault.id,
        "venue": fault.venue,
        "fault": fault.name,
        "channel": fault.channel,
        "params": dict(fault.params),
        "since": _iso_utc(fault.since_wall_ms),
        "until": None if until_ms is None else _iso_utc(until_ms),
    }


def _iso_utc(time_ms: int) -> str:
    moment = datetime.fromtimestamp(time_ms / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


async def _body(request: web.Request) -> dict[str, Json]:
    """The body, a JSON object. Raises BadRequest."""
    try:
        content = json.loads(await request.text())
    except ValueError:
        raise BadRequest("the body must be JSON") from None
    if not isinstance(content, dict):
        raise BadRequest("the body must be an object")
    return content


def _refusal(status: int, code: str, message: str) -> web.Response:
    return web.json_response({"error": message, "code": code}, status=status)
