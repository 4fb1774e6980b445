"""The kill switch: while it is on, no model trades and no LLM is called; exits go on.

It stands in the database, where every process reads it whenever it matters: before a cycle,
before a call, and once more in the transaction that books.
"""

from __future__ import annotations

import logging

import audit_log
from audit_log import Action, Actor, Audited
from database import Connection, Database
from domain import Clock
from errors import Conflict
from repositories import trading_state
from repositories.trading_state import Halt

TRADING_HALTED = "trading_halted"

log = logging.getLogger(__name__)


class TradingHalt:
    """Turns the switch and tells how it stands; `wall_clock` stamps it."""

    def __init__(self, database: Database, wall_clock: Clock):
        self._database = database
        self._wall_clock = wall_clock

    def is_on(self) -> bool:
        """Whether trading is stopped, by whichever process."""
        return self.state().halted

    def may_call(self) -> bool:
        """Whether an LLM may be called."""
        return not self.is_on()

    def state(self) -> Halt:
        """Whether it is on; if so since when, and by whom."""
        return trading_state.halt(self._database.connection)

    def stop_all(self, by: Actor) -> Halt:
        """Stop trading; who stopped it first stands."""
        with self._database.ledger_transaction() as connection:
            standing = trading_state.halt(connection)
            if standing.halted:
                return standing
            halted = Halt(True, self._wall_clock.now_ms(), str(by))
            trading_state.set_halt(connection, halted)
            audit_log.record(connection, by, Action.STOP, Audited.TRADING)
        log.warning("all trading has been stopped by %s", by)
        return halted

    def resume(self, by: Actor) -> Halt:
        """Let models trade again."""
        with self._database.ledger_transaction() as connection:
            trading_state.set_halt(connection, Halt(False))
            audit_log.record(connection, by, Action.RESUME, Audited.TRADING)
        log.warning("trading has been resumed by %s", by)
        return Halt(False)


def check_not_halted(connection: Connection) -> None:
    """Raises Conflict (trading_halted) while the kill switch is on."""
    if trading_state.halt(connection).halted:
        raise Conflict("All trading is stopped until it is resumed.", code=TRADING_HALTED)
