"""Ten models trading without a pause while what they trade on is broken, and what came of it.

The app and the simulated exchange run in this process on one clock; the exchange knows the true
price of every moment, so that every booked price can be held against it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from app import create_app
from benchmarks import restless_trader
from clock import SystemClock
from config import Config
from domain import Interval, TradingModel
from errors import Conflict
from exchange_simulator.generated_market import GeneratedMarket
from exchange_simulator.server import SimulatorServer
from ledger_audit import audit
from repositories import coins, models, pools
from routes.services import EXTENSION, Services
from trading_engine import FILL_PRICE_AGE_SECONDS

COINS = ("BTC", "ETH", "SOL", "PEPE", "DOGE")
MODELS = 10
# A price may be booked this long after it was true, and may differ by the venues' own spread.
LATE_MS = 16_000
SPREAD = 0.004
POLL_SECONDS = 0.05


class JumpingClock(SystemClock):
    """The wall clock, which can be put forward by any time at once."""

    def __init__(self) -> None:
        self.ahead_ms = 0

    def now_ms(self) -> int:
        """Milliseconds UTC."""
        return super().now_ms() + self.ahead_ms


@dataclass(frozen=True, slots=True)
class Scenario:
    """A fault: of which venue (`all` leaves no source), with which parameters.

    `jump_ms` puts the market's clock forward once it is on, so that a frozen price is wrong.
    """

    venue: str
    fault: str
    params: Mapping[str, Any] = field(default_factory=dict)
    channel: str = "all"
    jump_ms: int = 0

    @property
    def blinds(self) -> bool:
        """Whether no source is left that could be right."""
        return self.venue == "all"

    def __str__(self) -> str:
        given = ", ".join(f"{key}={value}" for key, value in self.params.items())
        return f"{self.fault}({given})" if given else self.fault


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a fault. Times are seconds; None where there was no good price in time."""

    scenario: Scenario
    good_price_after: float | None
    served_by: str
    resumed_after: float | None
    trades: int
    wrong_trades: Sequence[str]
    blind_entries: int
    failures: Sequence[str]


class FaultArena:
    """The exchange, the app on it, and ten restless models that a thread drives."""

    def __init__(self, services: Services, exchange: SimulatorServer, clock: JumpingClock):
        self.services = services
        self.exchange = exchange
        self.clock = clock
        self.failures: list[str] = []
        self._ended = threading.Event()
        self._trading = threading.Lock()
        self._thread = threading.Thread(target=self._trade, name="restless-models")
        self._models = [add_model(services, number) for number in range(MODELS)]

    # ------------------------------------------------------------------------------ scenarios

    def run(self, scenario: Scenario, seconds: float, patience: float) -> Outcome:
        """Switch a fault on for `seconds`, then off; wait up to `patience` for good prices."""
        self.failures.clear()
        since_trade = self._last_trade()
        began_ms = self.clock.now_ms()
        self.exchange.faults.switch_on(
            scenario.venue, scenario.fault, channel=scenario.channel, **scenario.params
        )
        if scenario.jump_ms:
            self._jump(scenario.jump_ms)
        began = time.monotonic()
        good_after, served_by = (None, "") if scenario.blinds else self._good_price(patience)
        time.sleep(max(0.0, began + seconds - time.monotonic()))
        self.exchange.faults.clear()
        ended_ms = self.clock.now_ms()
        resumed_after, source = self._good_price(patience)
        trades = self._trades_after(since_trade)
        blind_from = began_ms + scenario.jump_ms + LATE_MS
        return Outcome(
            scenario,
            good_after,
            served_by or source,
            resumed_after,
            len(trades),
            [wrong for trade in trades if (wrong := self._wrong(trade)) is not None],
            sum(
                scenario.blinds and trade.kind == "open" and blind_from < trade.time_ms < ended_ms
                for trade in trades
            ),
            list(self.failures),
        )

    def _jump(self, jump_ms: int) -> None:
        """Put the market forward; nobody trades until what was known before is too old to use."""
        with self._trading:
            self.clock.ahead_ms += jump_ms
            time.sleep(FILL_PRICE_AGE_SECONDS)

    def _good_price(self, patience: float) -> tuple[float | None, str]:
        """Seconds until every coin has a fresh and true price that came from now on; its source."""
        latest, began = self.services.data_aggregator.latest, time.monotonic()
        wall_ms = SystemClock().now_ms()
        while (waited := time.monotonic() - began) < patience:
            known = latest.last_known(COINS)
            good = [
                price
                for symbol, price in known.items()
                if price.received_ms >= wall_ms
                and not latest.is_stale(price)
                and self._is_true(symbol, price.ticker.price, self.clock.now_ms())
            ]
            if len(good) == len(COINS):
                return waited, "+".join(sorted({price.ticker.source for price in good}))
            time.sleep(POLL_SECONDS)
        return None, ""

    # --------------------------------------------------------------------------------- truth

    def _wrong(self, trade: BookedPrice) -> str | None:
        """What is wrong with a booked price, if anything."""
        if self._is_true(trade.coin, trade.price, trade.time_ms):
            return None
        return f"{trade.kind} of {trade.coin} at {trade.price}"

    def _is_true(self, symbol: str, price: Decimal, time_ms: int) -> bool:
        """Whether the market had about this price shortly before `time_ms`."""
        pair = f"{symbol}USDT"
        listing = self.exchange.market.listings(time_ms)[pair]
        for late_ms in range(0, LATE_MS, 500):
            true = listing.price_float(self.exchange.market.price(pair, time_ms - late_ms))
            if abs(float(price) / true - 1) <= SPREAD:
                return True
        return False

    # ------------------------------------------------------------------------------- trading

    def start(self) -> None:
        """Begin to trade, and wait until prices are there."""
        self._thread.start()
        if self._good_price(20.0)[0] is None:
            raise RuntimeError("the arena has no prices to begin with")

    def stop(self) -> None:
        """End after the cycle that is running."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def _trade(self) -> None:
        while not self._ended.is_set():
            for model_id in self._models:
                with suppress(Conflict), self._trading:
                    report = self.services.desk.engine(model_id).execute_trading_cycle()
                    if report.cycle.error_code in ("internal_error", "trader_error"):
                        self.failures.append(f"cycle: {report.cycle.error}")
                if self._ended.wait(0.02):
                    return

    def _last_trade(self) -> int:
        row = self.services.database.connection.execute("SELECT max(id) FROM trades").fetchone()
        return row[0] or 0

    def _trades_after(self, trade_id: int) -> list[BookedPrice]:
        rows = self.services.database.connection.execute(
            "SELECT coin, kind, price, timestamp FROM trades WHERE id > ? ORDER BY id", (trade_id,)
        )
        return [BookedPrice(row[0], row[1], Decimal(row[2]), row[3]) for row in rows]


@dataclass(frozen=True, slots=True)
class BookedPrice:
    """What a trade was booked at."""

    coin: str
    kind: str
    price: Decimal
    time_ms: int


def add_model(services: Services, number: int) -> int:
    """A restless model with its pool; its id. Its own job runs too seldom to matter."""
    model = TradingModel(
        f"Restless {number + 1}", "restless", Decimal(10_000), Interval.M1, 1440, "off"
    )
    database, now_ms = services.database, services.clock.now_ms()
    with database.transaction() as connection:
        stored = models.add(connection, model, now_ms)
        pool = [coins.get(connection, symbol) for symbol in COINS]
        pools.replace_members(connection, stored.id, pool, now_ms)
    return stored.id


@contextmanager
def fault_arena(folder: Path, poll_seconds: float = 1.0) -> Iterator[FaultArena]:
    """An arena that trades on prices that are polled every so often beside the streams."""
    clock = JumpingClock()
    with (
        restless_trader.known(),
        SimulatorServer(GeneratedMarket(seed=7), clock) as exchange,
    ):
        config = Config(
            DATABASE_PATH=folder / "arena.db",
            PRICE_POLL_SECONDS=poll_seconds,
            LOG_LEVEL="WARNING",  # and not a line for each of thousands of trades
            **addresses(exchange),
        )
        app = create_app(config, clock=clock)
        services: Services = app.extensions[EXTENSION]
        services.database.upgrade()
        arena = FaultArena(services, exchange, clock)
        services.loop.start()
        try:
            arena.start()
            yield arena
        finally:
            arena.stop()
            services.loop.stop()
            services.backtests.stop()
            services.database.close()


def addresses(exchange: SimulatorServer) -> dict[str, Any]:
    """The settings of an app that finds every source at `exchange`."""
    streams = exchange.url.replace("http://", "ws://")
    return {
        "BINANCE_API_URL": exchange.url,
        "OKX_API_URL": exchange.url,
        "COINGECKO_API_URL": exchange.coingecko_url,
        "BINANCE_STREAM_URL": streams,
        "OKX_STREAM_URL": streams,
    }


def unbalanced_books(services: Services) -> list[str]:
    """What a replay of every model's trades finds wrong in its books."""
    connection = services.database.connection
    return [
        f"{model.name}: {difference}"
        for model in models.list_models(connection)
        for difference in audit(connection, model).differences
    ]
