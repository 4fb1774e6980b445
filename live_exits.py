"""What ends a model's positions besides its trader: a price, a closed bar, or a person."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from decimal import Decimal

import audit_log
from audit_log import Action, Actor, Audited
from data_aggregator import MultiSourceDataAggregator
from database import Connection
from domain import Clock, Kline, Position, Reason, Ticker
from errors import SourceUnavailable
from exits import ExitHit, exit_at_price, exit_levels, with_best_price
from latest_prices import KnownPrice
from ledger import Account
from model_books import ModelBooks
from paper_execution import ExecutionRules, execute_exit
from repositories import books
from repositories.books import BookedTrade, Mark

FLATTEN_PRICE_AGE_SECONDS = 5.0
MayTrade = Callable[[Connection], None]


class LiveExits:
    """Closes positions of one model; `may_trade` raises, in the transaction, where it may not."""

    def __init__(
        self,
        model_books: ModelBooks,
        data_aggregator: MultiSourceDataAggregator,
        rules: ExecutionRules,
        clock: Clock,
        may_trade: MayTrade,
    ):
        self._books = model_books
        self._data_aggregator = data_aggregator
        self._rules = rules
        self._clock = clock
        self._may_trade = may_trade

    def check(self, prices: Mapping[str, KnownPrice]) -> list[BookedTrade]:
        """Close what these prices bring to its stop, target or liquidation; remember the marks."""
        if not self._books.account().positions.keys() & prices.keys():
            return []
        now_ms = self._clock.now_ms()
        trades: list[BookedTrade] = []
        with self._books.database.ledger_transaction() as connection:
            self._may_trade(connection)
            account = self._books.account()
            for coin in sorted(account.positions.keys() & prices.keys()):
                position = lived_through(account.positions[coin], prices[coin].ticker)
                hit = self._exit_hit(account.positions[coin], prices[coin].ticker.price)
                if hit is None:
                    mark = Mark(prices[coin].ticker.price, prices[coin].ticker.time_ms)
                    books.store_watch(connection, self._books.model.id, position, mark)
                    account = account._replace(positions={**account.positions, coin: position})
                    continue
                account, entry = execute_exit(account, position, hit, self._rules, now_ms)
                trades.append(self._books.append(entry))
            if trades:
                fresh = {coin: price.ticker.price for coin, price in prices.items()}
                self._books.store(account, self._books.marks(fresh), now_ms)
        return self._told(trades)

    def invalidate(self, prices: Mapping[str, KnownPrice], since_ms: int) -> list[BookedTrade]:
        """Close these coins at these prices: a closed bar has met the condition that ends them.

        Only positions with a condition that were open at `since_ms`, when that bar closed.
        """

        def ended(position: Position) -> bool:
            return position.exits.invalidation is not None and position.opened_at < since_ms

        return self._close(prices, ended, Reason.INVALIDATION, self._may_trade)

    def flatten(self, by: Actor) -> list[BookedTrade]:
        """Close every position now. Raises SourceError when one of them has no fresh price."""
        model = self._books.model

        def note(connection: Connection) -> None:
            """A person may close positions whoever trades, and it stands in the audit log."""
            audit_log.record(
                connection, by, Action.FLATTEN, Audited.MODEL, model.id, model.name,
                before={"positions": sorted(held)}, after={"positions": []},
            )  # fmt: skip

        held = self._books.account().positions
        if not held:
            return []
        prices = self._data_aggregator.get_prices(held, FLATTEN_PRICE_AGE_SECONDS)
        unpriced = sorted(set(held) - set(prices))
        if unpriced:
            raise SourceUnavailable(f"No fresh price of {', '.join(unpriced)}: nothing was closed.")
        return self._close(prices, lambda position: True, Reason.FLATTEN, note)

    def _close(
        self,
        prices: Mapping[str, KnownPrice],
        chosen: Callable[[Position], bool],
        reason: Reason,
        may_trade: MayTrade,
    ) -> list[BookedTrade]:
        now_ms = self._clock.now_ms()
        fresh = {coin: price.ticker.price for coin, price in prices.items()}
        trades = []
        with self._books.database.ledger_transaction() as connection:
            may_trade(connection)
            account = self._books.account()
            for position in _held_of(account, fresh):
                if chosen(position):
                    hit = ExitHit(reason, fresh[position.coin])
                    account, entry = execute_exit(account, position, hit, self._rules, now_ms)
                    trades.append(self._books.append(entry))
            if trades:
                self._books.store(account, self._books.marks(fresh), now_ms)
        return self._told(trades)

    def _exit_hit(self, position: Position, price: Decimal) -> ExitHit | None:
        best = position.best_price if position.best_price is not None else position.entry_price
        levels = exit_levels(position, self._rules.maintenance_margin_rate)
        return exit_at_price(levels, price, float(best))

    def _told(self, trades: list[BookedTrade]) -> list[BookedTrade]:
        for trade in trades:
            self._books.publish_trade(trade)
        return trades


def lived_through(position: Position, ticker: Ticker) -> Position:
    """`position` after it has seen this price."""
    price = float(ticker.price)
    return with_best_price(position, Kline(ticker.time_ms, price, price, price, price, 0.0))


def _held_of(account: Account, coins: Collection[str]) -> list[Position]:
    return [position for coin, position in account.positions.items() if coin in coins]
