"""The faults of HTTP: a middleware that delays, refuses, cuts or spoils what a venue answers.

Websockets begin as HTTP requests, so that refusals to connect are here too. Faults of the
market's values are in `venue_market`; those of the LLM provider are its own.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from domain import Clock
from exchange_simulator import spoiled_answers
from exchange_simulator import venue_refusals as refusals
from exchange_simulator.faults import Fault, Faults
from exchange_simulator.spoiled_answers import GARBAGE
from exchange_simulator.venue_paths import VenuePath, venue_path

Json = Any
POLL_SECONDS = 0.1
NO_ANSWER = 444  # what nginx logs for a connection that it cuts; nobody reads it


def rest_faults(faults: Faults, wall_clock: Clock) -> Middleware:
    """The middleware; it stands before the handlers of all venues."""

    @web.middleware
    async def strike(request: web.Request, handler: Handler) -> web.StreamResponse:
        target = venue_path(request.path)
        if target is None or target.venue == "llm":
            return await handler(request)
        active = [
            fault for fault in faults.active(target.venue, target.channel) if _hits(fault, target)
        ]
        for fault in active:
            if fault.name == "slow":
                await asyncio.sleep(fault.params["seconds"])
        for fault in active:
            refusal = await _refusal(fault, request, target.venue, wall_clock.now_ms())
            if refusal is not None:
                return refusal
        response = await handler(request)
        for fault in active:
            if isinstance(response, web.Response):
                response = await _spoiled(fault, request, response)
        return response

    return strike


def _hits(fault: Fault, target: VenuePath) -> bool:
    endpoints = fault.params.get("endpoints")
    return not endpoints or any(word in target.endpoint for word in endpoints)


async def _refusal(
    fault: Fault, request: web.Request, venue: str, wall_ms: int
) -> web.Response | None:
    """The answer that a fault gives instead of the venue's, if it does."""
    if fault.name == "down":
        return await _down(fault.params["how"], request)
    if fault.name == "429":
        return refusals.too_many_requests(venue, _retry_after(fault, wall_ms))
    if fault.name == "418":
        until_ms = fault.until_wall_ms or 0
        return refusals.banned(venue, fault.seconds_left(wall_ms), until_ms)
    if fault.name == "451":
        return refusals.restricted(venue)
    return refusals.forbidden() if fault.name == "403" else None


async def _down(how: str, request: web.Request) -> web.Response:
    """A page, a connection that is cut, or nothing at all until the caller has gone."""
    if how == "page":
        return refusals.outage()
    while how == "hang" and request.transport is not None:
        await asyncio.sleep(POLL_SECONDS)
    _abort(request)
    return web.Response(status=NO_ANSWER)


def _retry_after(fault: Fault, wall_ms: int) -> int:
    """What the fault was told to say, or the seconds until it ends if that is sooner."""
    seconds: float = fault.params["retry_after"]
    return min(-int(-seconds // 1), fault.seconds_left(wall_ms))


async def _spoiled(
    fault: Fault, request: web.Request, response: web.Response
) -> web.StreamResponse:
    """`response` as it comes out of a fault."""
    if fault.name == "garbage":
        return _with_body(response, GARBAGE.encode())
    if fault.name == "truncated":
        return await _truncated(fault, request, response)
    if fault.name == "wrong_order":
        return _with_rows(response, spoiled_answers.shuffled)
    if fault.name == "duplicates":
        every = fault.params["every"]
        return _with_rows(response, partial(spoiled_answers.with_duplicates, every=every))
    return response


async def _truncated(
    fault: Fault, request: web.Request, response: web.Response
) -> web.StreamResponse:
    """Half a body (or another share), complete as HTTP, or with its connection cut."""
    body = _body(response)
    kept = body[: int(len(body) * fault.params["share"])]
    if fault.params["how"] == "body":
        return _with_body(response, kept)
    headers = dict(response.headers) | {"Content-Length": str(len(body))}
    stream = web.StreamResponse(status=response.status, headers=headers)
    await stream.prepare(request)
    await stream.write(kept)
    await asyncio.sleep(0.05)  # what was written leaves before the connection is cut
    _abort(request)
    return stream


def _abort(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()


def _with_rows(response: web.Response, change: Callable[[list[Json]], list[Json]]) -> web.Response:
    content = json.loads(_body(response))
    return _with_body(response, json.dumps(spoiled_answers.change_rows(content, change)).encode())


def _with_body(response: web.Response, body: bytes) -> web.Response:
    headers: Mapping[str, str] = {
        name: value for name, value in response.headers.items() if name != "Content-Length"
    }
    return web.Response(body=body, status=response.status, headers=headers)


def _body(response: web.Response) -> bytes:
    assert isinstance(response.body, bytes)  # the handlers answer with JSON
    return response.body
