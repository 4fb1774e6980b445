"""Putting a backup in the place of the database: proved first, then all of it at once.

The backup is copied beside the database and there checked, upgraded and audited. Only then, while no
other process has the database open, is what stood there kept aside and the copy written over it in
one transaction. A process killed at any moment leaves either the old database or the new one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import audit_log
from audit_log import Action, Actor, Audited
from database import Connection, Database, Migration
from domain import Clock
from errors import Conflict, DataError, LedgerMismatch
from ledger_audit import audit
from repositories import models, providers, stored_secrets, trading_state
from repositories.trading_state import Lease
from timestamps import iso_utc

UNFINISHED = ".restoring"


@dataclass(frozen=True, slots=True)
class Restored:
    """What was put in place; `kept` is where the database is that stood there, if one did."""

    applied: Sequence[Migration]
    models: int
    trades: int
    without_key: Sequence[str]
    kept: Path | None


def restore(database: Database, file: Path, wall_clock: Clock, by: Actor) -> Restored:
    """Make the backup in `file` the database.

    Raises DataError where the file is missing, damaged or no database of this app, MigrationError
    where a newer version made it, LedgerMismatch where its books do not balance, and Conflict
    (database_in_use) while a process of the app runs. The database is then as it was.
    """
    if not file.is_file():
        raise DataError(f"There is no file {file}.")
    candidate = Database(
        database.path.with_name(f"{database.path.name}{UNFINISHED}"), database.clock
    )
    _remove(candidate.path)  # of an earlier restore that was cut off
    try:
        candidate.become(file)
        applied, counted, trades = _prove(candidate)
        without_key = _without_key(candidate)
        with database.alone() as connection:
            _carry_over(connection, candidate, wall_clock)
            _note(candidate, file, by)
            kept = _keep(database, wall_clock) if database.has_tables() else None
            candidate.close()
            database.become(candidate.path)
    finally:
        candidate.close()
        _remove(candidate.path)
    return Restored(applied, counted, trades, without_key, kept)


def _prove(candidate: Database) -> tuple[Sequence[Migration], int, int]:
    """Whole, of this version and balanced: what was applied, the models, their trades."""
    candidate.check_integrity()
    if all(row.applied_at is None for row in candidate.status()):
        raise DataError("The file is no database of this app.")
    applied = candidate.apply_missing()
    connection = candidate.connection
    results = [
        audit(connection, model) for model in models.list_models(connection, include_archived=True)
    ]
    for result in results:
        if result.differences:
            raise LedgerMismatch(
                f"The books of {result.model.name} do not balance: {result.differences[0]}."
            )
    return applied, len(results), sum(result.trades for result in results)


def _keep(database: Database, wall_clock: Clock) -> Path:
    """A copy of what is about to be replaced, keys included, beside it."""
    moment = iso_utc(wall_clock.now_ms()).replace(":", "-")
    return database.backup(database.path.with_suffix(f".before-restore-{moment}.db"))


def _carry_over(standing: Connection, candidate: Database, wall_clock: Clock) -> None:
    """What does not go back in time: who may call, a kill switch that is on, the loop's terms.

    Raises Conflict (lease_held) where a process has the lease of the trading loop.
    """
    lease, halt = trading_state.lease_if_any(standing), trading_state.halt_if_any(standing)
    if lease is not None and lease.holder is not None and wall_clock.now_ms() < lease.expires_ms:
        raise Conflict(
            f"{lease.holder} runs the trading loop: end it first, or wait until "
            f"{iso_utc(lease.expires_ms)} if it has died.",
            code="lease_held",
        )
    with candidate.transaction() as connection:
        term = max(trading_state.lease(connection).term, lease.term if lease else 0) + 1
        trading_state.take_lease(connection, Lease(None, term, 0, 0))
        stored_secrets.copy_access(standing, connection)
        if halt is not None and halt.halted:
            trading_state.set_halt(connection, halt)


def _note(candidate: Database, file: Path, by: Actor) -> None:
    """The audit log goes back in time as well: what it said until now is in the copy kept aside."""
    with candidate.transaction() as connection:
        audit_log.record(connection, by, Action.RESTORE, Audited.DATABASE, name=file.name)


def _without_key(candidate: Database) -> Sequence[str]:
    return [
        row.name for row in providers.list_providers(candidate.connection) if not row.sealed_key
    ]


def _remove(path: Path) -> None:
    for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
        path.with_name(name).unlink(missing_ok=True)
