"""Every model's exits on every price: an index of open positions in memory, and what closes them.

Most prices reach nothing: each is compared with two numbers for each position that holds its coin.
Only what is reached goes to the books, where it is looked at once more before it is closed. The
index follows the trades: positions change with them alone.

Conditions on closed bars are looked at by a thread aside when a bar has ended, since the bar may
have to be asked for; so are marks written, which no exit waits for.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from decimal import Decimal

from database import Database
from domain import Clock, Interval, Position, Side, Ticker
from errors import Conflict, DatabaseUnavailable, SourceError
from exits import ExitLevels, exact_price, exit_at_price, exit_levels, invalidated_by
from latest_prices import KnownPrice
from ledger import DEFAULT_MAINTENANCE_MARGIN_RATE
from log_context import logged_with
from repositories import books, open_positions
from repositories.books import Mark
from trading_desk import TradingDesk

MARKS_KEPT_EVERY_SECONDS = 5.0
BAR_PAUSE_SECONDS = 1.0  # between two questions for a bar that its source does not have yet

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Watched:
    """One open position: between `low` and `high` (exclusive) no level of it is reached."""

    model_id: int
    position: Position
    levels: ExitLevels
    best: float  # the best price so far
    low: float = 0.0
    high: float = float("inf")
    bar_seen: int = 0  # the end of the last bar that its condition was tested on
    best_kept: float = 0.0  # the best price as it is stored

    def __post_init__(self) -> None:
        self.best_kept = self.best
        self._find_bounds()

    def sees(self, price: float) -> bool:
        """Take note of a price; whether it makes a better best one, which its trailing stop follows."""
        better = (price - self.best) * self.position.side.sign > 0
        if better:
            self.best = price
        if not better or self.levels.trailing_share is None:
            return False
        self._find_bounds()
        return True

    def reached_by(self, price: Decimal, number: float) -> bool:
        """Whether an exit is reached; `number` is the price as a float."""
        if self.low < number < self.high:
            return False
        return exit_at_price(self.levels, price, self.best) is not None

    def _find_bounds(self) -> None:
        adverse = [float(price) for _, price in self.levels.adverse]
        target = self.levels.target
        good = [] if target is None else [float(target[1])]
        sign = self.position.side.sign
        if self.levels.trailing_share is not None:
            # Nearer than the stop by far more than it is rounded: what is beyond is looked at well.
            adverse.append(self.best * (1 - sign * self.levels.trailing_share) * (1 + sign * 1e-9))
        below, above = (adverse, good) if self.position.side is Side.LONG else (good, adverse)
        self.low = max(below, default=0.0)
        self.high = min(above, default=float("inf"))


@dataclass(slots=True)
class _Index:
    """Open positions by coin, as far as the trades up to `last_trade_id` have led."""

    last_trade_id: int = -1
    by_coin: dict[str, list[Watched]] = field(default_factory=dict)

    def replace(self, model_id: int, watched: list[Watched]) -> None:
        """Make `watched` what is known of a model."""
        for coin, known in list(self.by_coin.items()):
            others = [one for one in known if one.model_id != model_id]
            if others:
                self.by_coin[coin] = others
            else:
                del self.by_coin[coin]
        for one in watched:
            self.by_coin.setdefault(one.position.coin, []).append(one)


class ExitWatch:
    """Watches all models. `check` is called with every set of prices, from any thread."""

    def __init__(self, database: Database, desk: TradingDesk, clock: Clock, wall_clock: Clock):
        self._database = database
        self._desk = desk
        self._clock = clock
        self._wall_clock = wall_clock
        self._index = _Index()
        self._lock = threading.Lock()
        self._marks_kept_ms = 0
        self._aside = ThreadPoolExecutor(1, thread_name_prefix="exits-aside")
        self._asked: set[tuple[str, Interval]] = set()
        self._asked_at: dict[tuple[str, Interval], tuple[int, float]] = {}

    def check(self, prices: Mapping[str, KnownPrice]) -> None:
        """Close what these prices bring to an exit, for every model; keep marks and best prices."""
        with self._lock:
            self._follow_trades()
            moved, reached = self._look(prices)
            self._keep_best_prices(moved)
            self._look_at_bars(prices)
        self._close(reached, prices)
        self._keep_marks_now_and_then(prices)

    def _close(self, reached: set[int], prices: Mapping[str, KnownPrice]) -> None:
        for model_id in sorted(reached):
            try:
                with logged_with(model_id=model_id):
                    self._desk.engine(model_id).check_exits(prices)
            except Conflict as conflict:
                log.info("model %s: %s", model_id, conflict.message)
            except DatabaseUnavailable as error:  # the next price finds the exit again
                log.warning("model %s: %s", model_id, error.message)
            except Exception:  # the edge: one model's trouble must not leave others unwatched
                log.exception("the exits of model %s could not be carried out", model_id)

    def forget(self) -> None:
        """Read the positions anew: another process has traded."""
        with self._lock:
            self._index = _Index()

    def stop(self) -> None:
        """Wait for what is being looked at."""
        self._aside.shutdown(wait=True, cancel_futures=True)

    # ------------------------------------------------------------------------------- the index

    def _follow_trades(self) -> None:
        connection = self._database.connection
        newest = open_positions.last_trade_id(connection)
        if newest == self._index.last_trade_id:
            return
        first_look = self._index.last_trade_id < 0
        changed = (
            set(books.held_coins(connection))
            if first_look
            else open_positions.models_traded_since(connection, self._index.last_trade_id)
        )
        for model_id in changed:
            self._index.replace(model_id, self._positions_of(model_id))
        self._index.last_trade_id = newest

    def _positions_of(self, model_id: int) -> list[Watched]:
        try:
            account = books.load_account(self._database.connection, model_id)
        except Exception:  # the edge: one model's broken books must not leave others unwatched
            log.exception("the positions of model %s cannot be watched", model_id)
            return []
        return [_watched(model_id, position) for position in account.positions.values()]

    # ---------------------------------------------------------------------------------- prices

    def _look(self, prices: Mapping[str, KnownPrice]) -> tuple[list[Watched], set[int]]:
        """Whose best price has moved, and the models with an exit that is reached."""
        moved: list[Watched] = []
        reached: set[int] = set()
        for coin, known in prices.items():
            price = known.ticker.price
            number = float(price)
            for one in self._index.by_coin.get(coin, ()):
                if one.reached_by(price, number):
                    reached.add(one.model_id)
                elif one.sees(number):
                    moved.append(one)
        return moved, reached

    def _keep_best_prices(self, moved: list[Watched]) -> None:
        """Write best prices: those that trailing stops follow must outlive a crash."""
        if not moved:
            return
        bests = [(one.model_id, one.position.coin, exact_price(one.best)) for one in moved]
        with self._database.transaction() as connection:
            open_positions.store_best_prices(connection, bests)
        for one in moved:
            one.best_kept = one.best

    def _keep_marks_now_and_then(self, prices: Mapping[str, KnownPrice]) -> None:
        now_ms = self._wall_clock.now_ms()
        if abs(now_ms - self._marks_kept_ms) < MARKS_KEPT_EVERY_SECONDS * 1000:
            return
        with self._lock:
            held = prices.keys() & self._index.by_coin.keys()
        if held:
            self._marks_kept_ms = now_ms
            self._aside.submit(self._keep_marks, {coin: prices[coin].ticker for coin in held})

    def _keep_marks(self, tickers: Mapping[str, Ticker]) -> None:
        """Write the last good prices of what is held, and the best ones that have moved."""
        marks = {coin: Mark(ticker.price, ticker.time_ms) for coin, ticker in tickers.items()}
        try:
            with self._lock:
                held = [one for coin in marks for one in self._index.by_coin.get(coin, ())]
                moved = [one for one in held if one.best != one.best_kept]
            with self._database.transaction() as connection:
                open_positions.store_marks(connection, marks)
            with self._lock:
                self._keep_best_prices(moved)
        except Exception:  # the edge: this thread has to look at the next bar too
            log.exception("the marks of open positions could not be kept")

    # ------------------------------------------------------------------------------ closed bars

    def _look_at_bars(self, prices: Mapping[str, KnownPrice]) -> None:
        """Have the bars that have just ended looked at, where a condition asks for them."""
        now_ms = self._clock.now_ms()
        for coin in prices.keys() & self._index.by_coin.keys():
            for one in self._index.by_coin[coin]:
                condition = one.levels.at_close
                if condition is None or condition.interval is None:
                    continue
                ended = condition.interval.floor(now_ms)
                if ended <= max(one.bar_seen, one.position.opened_at):
                    continue
                if self._may_ask((coin, condition.interval), ended):
                    self._aside.submit(
                        self._test_bar, coin, condition.interval, ended, prices[coin]
                    )

    def _may_ask(self, key: tuple[str, Interval], ended: int) -> bool:
        """Note a question for the bar that closed at `ended`; not while one is under way."""
        now = time.monotonic()
        asked_for, asked_at = self._asked_at.get(key, (0, 0.0))
        if key in self._asked or (asked_for == ended and now - asked_at < BAR_PAUSE_SECONDS):
            return False
        self._asked.add(key)
        self._asked_at[key] = (ended, now)
        return True

    def _test_bar(self, coin: str, interval: Interval, ended: int, price: KnownPrice) -> None:
        """End the positions whose condition is met by the bar of `coin` that closed at `ended`."""
        try:
            answer = self._desk.data_aggregator.get_klines(coin, interval, limit=1)
            series = answer.series
            if len(series) and int(series.open_time[-1]) + interval.milliseconds == ended:
                self._end_invalidated(coin, interval, ended, float(series.close[-1]), price)
        except SourceError as error:  # it is asked for again with the next price
            log.warning("no candle of %s to test a condition on: %s", coin, error.message)
        except Exception:  # the edge: this thread has to look at the next bar too
            log.exception("the conditions on %s %s could not be tested", coin, interval)
        finally:
            with self._lock:
                self._asked.discard((coin, interval))

    def _end_invalidated(
        self, coin: str, interval: Interval, ended: int, close: float, price: KnownPrice
    ) -> None:
        ending: list[int] = []
        with self._lock:
            for one in self._index.by_coin.get(coin, ()):
                condition = one.levels.at_close
                if condition is None or condition.interval is not interval:
                    continue
                if one.position.opened_at < ended and invalidated_by(condition, close):
                    ending.append(one.model_id)
        newest = self._desk.data_aggregator.latest.last_known([coin]).get(coin, price)
        for model_id in ending:
            with logged_with(model_id=model_id):
                self._desk.engine(model_id).exits.invalidate({coin: newest}, ended)
        with self._lock:
            for one in self._index.by_coin.get(coin, ()):
                one.bar_seen = max(one.bar_seen, ended)


def _watched(model_id: int, position: Position) -> Watched:
    best = position.best_price if position.best_price is not None else position.entry_price
    levels = exit_levels(position, DEFAULT_MAINTENANCE_MARGIN_RATE)
    return Watched(model_id, position, levels, float(best))
