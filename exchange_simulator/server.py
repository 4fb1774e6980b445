"""Putting the venues together into one loopback server, and running it beside a test."""

from __future__ import annotations

import asyncio
import logging
import threading
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
from exchange_simulator.market import Market
from exchange_simulator.okx import Okx, add_okx
from exchange_simulator.okx_streams import IDLE_SECONDS, OkxStreams
from exchange_simulator.request_weight import DEFAULT_LIMIT, RequestWeight
from exchange_simulator.traffic import Traffic
from exchange_simulator.venue_market import VenueMarket

HOST = "127.0.0.1"
START_SECONDS = 10.0
SHUTDOWN_SECONDS = 2.0  # for requests that a fault leaves without an answer
PULSE_SECONDS = 1.0
BINANCE_STREAM_TIMES = BinanceStreamTimes()

log = logging.getLogger(__name__)


def create_simulator(
    market: Market,
    clock: Clock,
    *,
    faults: Faults | None = None,
    weight_limit: int = DEFAULT_LIMIT,
    okx_limit_factor: int = 1,
    coingecko_limit: int = coingecko.DEFAULT_LIMIT,
    pulse_seconds: float = PULSE_SECONDS,
    binance_stream_times: BinanceStreamTimes = BINANCE_STREAM_TIMES,
    okx_idle_seconds: float = IDLE_SECONDS,
) -> web.Application:
    """The exchange on `market`, whose time is `clock`'s, with the `faults` that are on.

    `weight_limit` is Binance's a minute, `coingecko_limit` CoinGecko's in requests;
    `okx_limit_factor` multiplies OKX's limits, which differ by endpoint. Streams send at every
    `pulse_seconds` of real time.
    """
    wall_clock = SystemClock()
    faults = faults or Faults(clock, wall_clock)
    traffic = Traffic()

    def seen_by(venue: str, channel: str) -> VenueMarket:
        return VenueMarket(market, faults, venue, channel)

    weight = RequestWeight(wall_clock, weight_limit)
    # Faults belong here, as a middleware after `answer_in_json`: it sees every request of every
    # venue before its handler, and can delay, refuse or spoil the answer.
    middlewares: list[Middleware] = [answer_in_json]
    app = web.Application(middlewares=middlewares)
    add_binance(app, Binance(seen_by("binance", "rest"), clock, weight))
    add_okx(app, Okx(seen_by("okx", "rest"), clock, wall_clock, okx_limit_factor))
    coingecko_requests = RequestWeight(wall_clock, coingecko_limit)
    coingecko.add_coingecko(
        app, coingecko.CoinGecko(seen_by("coingecko", "rest"), clock, coingecko_requests)
    )
    OkxStreams(
        Okx(seen_by("okx", "stream"), clock, wall_clock),
        wall_clock, faults, traffic.of("okx").streams, pulse_seconds,
        idle_seconds=okx_idle_seconds, limit_factor=okx_limit_factor,
    ).add_routes(app)  # fmt: skip
    BinanceStreams(
        Binance(seen_by("binance", "stream"), clock, weight),
        wall_clock, faults, traffic.of("binance").streams, pulse_seconds, binance_stream_times,
    ).add_routes(app)  # fmt: skip
    Control(market, clock, weight).add_routes(app)
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
    `create_simulator`.
    """

    def __init__(self, market: Market, clock: Clock, *, port: int = 0, **options: Any):
        self.market = market
        self.clock = clock
        self.port = port
        self.faults = Faults(clock, SystemClock())
        self._app = create_simulator(market, clock, faults=self.faults, **options)
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
