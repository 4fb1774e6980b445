"""Putting the venues together into one loopback server, and running it beside a test."""

from __future__ import annotations

import asyncio
import logging
import threading
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from clock import SystemClock
from domain import Clock
from exchange_simulator import coingecko
from exchange_simulator.binance import Binance, add_binance
from exchange_simulator.binance_streams import BinanceStreams, BinanceStreamTimes
from exchange_simulator.control import Control
from exchange_simulator.faults import Faults
from exchange_simulator.llm import LLM, Llm, add_llm
from exchange_simulator.market import Market
from exchange_simulator.okx import Okx, add_okx
from exchange_simulator.okx_streams import IDLE_SECONDS, OkxStreams
from exchange_simulator.request_weight import BINANCE_LIMIT, Bans, RequestWeight
from exchange_simulator.rest_faults import rest_faults
from exchange_simulator.traffic import Traffic, count
from exchange_simulator.venue_limits import VenueLimits
from exchange_simulator.venue_market import VenueMarket

HOST = "127.0.0.1"
START_SECONDS = 10.0
SHUTDOWN_SECONDS = 2.0  # for requests that a fault leaves without an answer

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Settings:
    """What of the venues can be set.

    `weight_limit` is Binance's a minute, `coingecko_limit` CoinGecko's in requests;
    `okx_limit_factor` multiplies OKX's limits, which differ by endpoint. The windows of all of
    them are those of `limit_clock`, real time unless given. Streams send at every
    `pulse_seconds` of real time.
    """

    weight_limit: int = BINANCE_LIMIT
    okx_limit_factor: int = 1
    coingecko_limit: int = coingecko.DEFAULT_LIMIT
    limit_clock: Clock = field(default_factory=SystemClock)
    pulse_seconds: float = 1.0
    binance_stream_times: BinanceStreamTimes = field(default_factory=BinanceStreamTimes)
    okx_idle_seconds: float = IDLE_SECONDS


def create_simulator(
    market: Market, clock: Clock, faults: Faults, settings: Settings
) -> web.Application:
    """The exchange on `market`, whose time is `clock`'s, with the `faults` that are on."""
    wall_clock = SystemClock()
    traffic = Traffic()

    def seen_by(venue: str, channel: str) -> VenueMarket:
        return VenueMarket(market, faults, venue, channel)

    limit_clock, factor = settings.limit_clock, settings.okx_limit_factor
    weight, bans = RequestWeight(limit_clock, settings.weight_limit), Bans(limit_clock)
    binance = Binance(seen_by("binance", "rest"), clock, weight, bans)
    okx = Okx(seen_by("okx", "rest"), clock, limit_clock, factor)
    coingecko_requests = RequestWeight(limit_clock, settings.coingecko_limit)

    middlewares: list[Middleware] = [
        count(traffic), answer_in_json, rest_faults(faults, wall_clock)
    ]  # fmt: skip
    app = web.Application(middlewares=middlewares)
    add_binance(app, binance)
    add_okx(app, okx)
    coingecko.add_coingecko(
        app, coingecko.CoinGecko(seen_by("coingecko", "rest"), clock, coingecko_requests)
    )
    OkxStreams(
        Okx(seen_by("okx", "stream"), clock, limit_clock),
        wall_clock, limit_clock, faults, traffic.of("okx").streams, settings.pulse_seconds,
        idle_seconds=settings.okx_idle_seconds, limit_factor=factor,
    ).add_routes(app)  # fmt: skip
    BinanceStreams(
        Binance(seen_by("binance", "stream"), clock, weight, bans),
        wall_clock, limit_clock, faults, traffic.of("binance").streams, settings.pulse_seconds,
        settings.binance_stream_times,
    ).add_routes(app)  # fmt: skip
    add_llm(app, faults, wall_clock)
    limits = VenueLimits(weight, bans, okx.requests, coingecko_requests)
    Control(market, clock, limits, traffic, faults).add_routes(app)
    return app


@web.middleware
async def answer_in_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Whatever goes wrong outside the endpoints is JSON as well: no route, a bug."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        return web.json_response({"code": -1000, "msg": error.reason}, status=error.status)
    except Exception:  # the edge: a bug in one answer must not look like an outage
        log.exception("the simulator failed on %s", request.path_qs)
        message = "An unknown error occurred while processing the request."
        return web.json_response({"code": -1000, "msg": message}, status=500)


async def start(app: web.Application, port: int) -> tuple[web.AppRunner, int]:
    """Listen on the loopback; the runner to clean up and the port (`port` 0 takes a free one).

    Raises OSError when the port is taken.
    """
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)
    await runner.setup()
    try:
        await web.TCPSite(runner, HOST, port).start()
    except OSError:
        await runner.cleanup()
        raise
    return runner, int(runner.addresses[0][1])


class SimulatorServer:
    """The exchange in a background thread: `with SimulatorServer(market, clock) as server`.

    Its address is `server.url`, without a slash at the end; CoinGecko's is `coingecko_url`.
    Its faults are switched by `server.faults`. Port 0 takes a free one; `options` are those of
    `Settings`.
    """

    def __init__(self, market: Market, clock: Clock, *, port: int = 0, **options: Any):
        self.market = market
        self.clock = clock
        self.port = port
        self.faults = Faults(clock, SystemClock())
        self._app = create_simulator(market, clock, self.faults, Settings(**options))
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name="exchange-simulator", daemon=True)
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """`http://127.0.0.1:PORT`."""
        return f"http://{HOST}:{self.port}"

    @property
    def binance_stream_url(self) -> str:
        """Where `ws/` and `stream` begin, with a slash at the end, as python-binance wants it."""
        return f"ws://{HOST}:{self.port}/"

    @property
    def okx_stream_url(self) -> str:
        """Where `/public` and `/business` begin."""
        return f"ws://{HOST}:{self.port}/ws/v5"

    @property
    def coingecko_url(self) -> str:
        """Where CoinGecko's paths begin."""
        return f"{self.url}/coingecko"

    @property
    def llm_url(self) -> str:
        """The base of the language models' API."""
        return f"{self.url}/llm/v1"

    @property
    def llm(self) -> Llm:
        """The language models' provider: what it says, and what it was asked."""
        return self._app[LLM]

    def __enter__(self) -> Self:
        self._thread.start()
        starting = asyncio.run_coroutine_threadsafe(start(self._app, self.port), self._loop)
        try:
            self._runner, self.port = starting.result(START_SECONDS)
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._runner is not None:
            cleaning = asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop)
            cleaning.result(START_SECONDS)
        self._stop()

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        self._loop.close()

    def _stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(START_SECONDS)
