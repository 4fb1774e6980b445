"""SQLite: a connection a thread, short transactions, numbered migrations with a backup before each upgrade."""

from __future__ import annotations

import hashlib
import re
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from domain import Clock
from errors import Conflict, DatabaseUnavailable, DataError, MigrationError
from timestamps import iso_utc

Connection = sqlite3.Connection  # for those that hand one on and know no SQL
MIGRATIONS = Path(__file__).parent / "migrations"
BUSY_TIMEOUT_SECONDS = 10.0
ALONE_WITHIN_SECONDS = 1.0
PRIMARY_CODE = 0xFF  # of SQLite's error codes; what is above says more
# What passes by itself, or when somebody makes room; anything else is a mistake of ours.
UNAVAILABLE = {
    sqlite3.SQLITE_BUSY: "database_busy",
    sqlite3.SQLITE_FULL: "disk_full",
    sqlite3.SQLITE_IOERR: "database_unavailable",
    sqlite3.SQLITE_READONLY: "database_unavailable",
}
INCREMENTAL = 2  # what PRAGMA auto_vacuum says
PAGES_FREED_AT_ONCE = 1000
SCHEMA_MIGRATIONS = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    number INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, applied_at TEXT NOT NULL
)
"""
MIGRATION_NAME = re.compile(r"^(\d{4})_[a-z0-9_]+\.sql$")


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered SQL file."""

    number: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """SHA-256 of its text."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class MigrationStatus:
    """A migration, and when it was applied (ISO 8601), if it was."""

    migration: Migration
    applied_at: str | None


class Database:
    """Connections to one SQLite file (its folder is made), and its schema.

    `clock` stamps migrations and is there for repositories, whose rows carry market time. `trouble`
    says why the last write was not possible, until one is again.
    """

    def __init__(self, path: Path, clock: Clock, migrations: Path = MIGRATIONS):
        self.path = path
        self.clock = clock
        self.trouble: str | None = None
        self._migrations = migrations
        self._threads = threading.local()
        self._writing = threading.Lock()

    # --------------------------------------------------------------------------- connections

    @property
    def connection(self) -> sqlite3.Connection:
        """This thread's connection, opened at the first use."""
        connection: sqlite3.Connection | None = getattr(self._threads, "connection", None)
        if connection is None:
            connection = self._open()
            self._threads.connection = connection
        return connection

    def _open(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(
            self.path, timeout=BUSY_TIMEOUT_SECONDS, isolation_level=None, check_same_thread=True
        )
        connection.row_factory = sqlite3.Row
        if not connection.execute("PRAGMA page_count").fetchone()[0]:  # a new file
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA synchronous = NORMAL")
        return connection

    def close(self) -> None:
        """Close this thread's connection."""
        connection = getattr(self._threads, "connection", None)
        if connection is not None:
            connection.close()
            self._threads.connection = None

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing. The write lock is taken at once, so that what is read in it holds.

        Threads of this process wait in a row for it: SQLite has who waits sleep, up to a tenth of
        a second at a time. Raises DatabaseUnavailable (database_busy, disk_full) where nothing
        can be written now.
        """
        connection = self.connection
        if connection.in_transaction:
            raise sqlite3.OperationalError("cannot start a transaction within a transaction")
        if not self._writing.acquire(timeout=BUSY_TIMEOUT_SECONDS):
            raise self._unavailable("database is locked", "database_busy")
        try:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:  # a full disk has ended it already
                    connection.execute("ROLLBACK")
                raise
            self.trouble = None
        except sqlite3.OperationalError as error:
            code = UNAVAILABLE.get(getattr(error, "sqlite_errorcode", 0) & PRIMARY_CODE)
            if code is None:
                raise
            raise self._unavailable(str(error), code) from error
        finally:
            self._writing.release()

    def _unavailable(self, said: str, code: str) -> DatabaseUnavailable:
        """The error of a write that is not possible now; kept until one is."""
        self.trouble = f"{self.path} cannot be written now: {said}."
        return DatabaseUnavailable(self.trouble, code=code)

    @contextmanager
    def ledger_transaction(self) -> Iterator[sqlite3.Connection]:
        """A transaction that is on the disk when it returns: for what is booked."""
        connection = self.connection
        connection.execute("PRAGMA synchronous = FULL")
        try:
            with self.transaction():
                yield connection
        finally:
            connection.execute("PRAGMA synchronous = NORMAL")

    @contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """All that is read in it is of one moment; in a transaction it is that one's."""
        connection = self.connection
        if connection.in_transaction:
            yield connection
            return
        connection.execute("BEGIN")
        try:
            yield connection
        finally:
            connection.execute("COMMIT")

    def shrink(self) -> tuple[int, int]:
        """Give the room of deleted rows back to the disk; the file's bytes before and after.

        Little by little, while others go on writing. A file of an early version is made anew
        once, for which nobody else may write. Raises DataError where that cannot be done now.
        """
        before = self._bytes()
        connection = self.connection
        try:
            if connection.execute("PRAGMA auto_vacuum").fetchone()[0] != INCREMENTAL:
                connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
                connection.execute("VACUUM")
            while connection.execute("PRAGMA freelist_count").fetchone()[0]:
                connection.execute(f"PRAGMA incremental_vacuum({PAGES_FREED_AT_ONCE})").fetchall()
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error as error:
            raise DataError(f"{self.path} cannot be made smaller now: {error}.") from error
        return before, self._bytes()

    def _bytes(self) -> int:
        wal = self.path.with_name(f"{self.path.name}-wal")
        return sum(path.stat().st_size for path in (self.path, wal) if path.exists())

    # ----------------------------------------------------------------------------- migrations

    def upgrade(self) -> list[Migration]:
        """Apply what is missing, in order, all of it in one transaction; returns what was applied.

        A file that holds anything is backed up first, beside itself. Raises MigrationError when
        an applied migration's text has changed or one fails, DataError when it cannot be backed
        up; the file is then as it was.
        """
        return self.apply_missing(copied_before=True) if self._missing() else []

    def apply_missing(self, copied_before: bool = False) -> list[Migration]:
        """`upgrade` without a copy unless asked: of a file that is one itself.

        Raises MigrationError.
        """
        try:
            return self._apply_missing(copied_before)
        except (sqlite3.Error, DatabaseUnavailable) as error:
            raise MigrationError(f"{self.path} could not be upgraded: {error}") from error

    def status(self) -> list[MigrationStatus]:
        """Every migration, and when it was applied. Raises MigrationError on changed ones."""
        applied = self._applied()
        migrations = self._read_migrations()
        unknown = set(applied) - {migration.number for migration in migrations}
        if unknown:
            raise MigrationError(
                f"{self.path} was made by a newer version: it knows migration {max(unknown):04d}."
            )
        rows = []
        for migration in migrations:
            checksum, applied_at = applied.get(migration.number, (None, None))
            if checksum not in (None, migration.checksum):
                raise MigrationError(f"{migration.name} has changed since it was applied.")
            rows.append(MigrationStatus(migration, applied_at))
        return rows

    def backup(
        self, target: Path, leave_out: Callable[[sqlite3.Connection], object] | None = None
    ) -> Path:
        """A consistent copy of the whole database in `target`, made while others go on writing.

        It stands there when it is whole, for its owner alone, and is one file that needs no other
        beside it. `leave_out` deletes of the copy what it is not to hold, of which not a byte
        stays. Raises DataError where it cannot be made.
        """
        if not self.path.exists():
            raise DataError(f"There is no database at {self.path}.")
        unfinished = target.with_name(f"{target.name}.part")
        try:
            unfinished.unlink(missing_ok=True)  # of an earlier copy that was cut off
            unfinished.touch(0o600)
            with closing(sqlite3.connect(unfinished, isolation_level=None)) as copy:
                self.connection.backup(copy)
                copy.execute("PRAGMA journal_mode = MEMORY")
                if leave_out is not None:
                    leave_out(copy)
                    copy.execute("VACUUM")
            unfinished.replace(target)
        except (sqlite3.Error, OSError) as error:
            unfinished.unlink(missing_ok=True)
            raise DataError(f"{self.path} cannot be copied to {target}: {error}.") from error
        return target

    # ----------------------------------------------------------------------------- restoring

    def check_integrity(self) -> None:
        """Raises DataError where the file is damaged, or a row points at one that is not there."""
        try:
            (found,) = self.connection.execute("PRAGMA integrity_check(1)").fetchone()
            orphan = self.connection.execute("PRAGMA foreign_key_check").fetchone()
        except (sqlite3.Error, OSError) as error:
            raise DataError(f"{self.path} cannot be read as a database: {error}.") from error
        if found != "ok":
            raise DataError(f"{self.path} is damaged: {found}.")
        if orphan is not None:
            raise DataError(f"{self.path} has rows of {orphan[0]} without their parents.")

    @contextmanager
    def alone(self) -> Iterator[sqlite3.Connection]:
        """Nobody else has the file open, and who opens it now waits.

        Raises Conflict (database_in_use) where somebody has; DataError where it is no database.
        """
        try:
            connection = self.connection
            connection.execute(f"PRAGMA busy_timeout = {ALONE_WITHIN_SECONDS * 1000:.0f}")
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("COMMIT")  # the lock stays until the connection is closed
        except sqlite3.OperationalError as error:
            self.close()
            raise Conflict(
                f"{self.path} is in use: end every process of the app first ({error}).",
                code="database_in_use",
            ) from error
        except (sqlite3.Error, OSError) as error:
            self.close()
            raise DataError(f"{self.path} cannot be read as a database: {error}.") from error
        try:
            yield connection
        finally:
            self.close()

    def become(self, other: Path) -> None:
        """Hold what the database in `other` holds, and nothing else: all of it or none.

        SQLite writes it as one transaction, so that a process killed on the way leaves what was.
        Raises DataError where it cannot be done.
        """
        try:
            with closing(sqlite3.connect(f"file:{quote(str(other))}?mode=ro", uri=True)) as source:
                source.backup(self.connection)
        except (sqlite3.Error, OSError) as error:
            raise DataError(f"{other} cannot be copied to {self.path}: {error}.") from error

    def _missing(self) -> list[Migration]:
        return [row.migration for row in self.status() if row.applied_at is None]

    def _apply_missing(self, copied_before: bool) -> list[Migration]:
        connection = self.connection
        connection.execute("PRAGMA foreign_keys = OFF")  # tables may have to be made anew
        try:
            with self.transaction():
                missing = self._missing()  # another process may have applied them meanwhile
                if copied_before and missing and self.has_tables():
                    self._copy_as_it_was(missing[0].number)
                connection.execute(SCHEMA_MIGRATIONS)
                for migration in missing:
                    self._apply(connection, migration)
            return missing
        finally:
            connection.execute("PRAGMA foreign_keys = ON")

    def _copy_as_it_was(self, number: int) -> None:
        """A backup from within a transaction: by a connection of its own, which sees what was."""
        before = Database(self.path, self.clock, self._migrations)
        try:
            before.backup(self.path.with_suffix(f".before-{number:04d}.db"))
        finally:
            before.close()

    def _apply(self, connection: sqlite3.Connection, migration: Migration) -> None:
        connection.set_authorizer(_refuse_transactions)
        try:
            for statement in _statements(migration.sql):
                connection.execute(statement)
            orphan = connection.execute("PRAGMA foreign_key_check").fetchone()
        except sqlite3.Error as error:
            raise MigrationError(f"{migration.name} failed: {error}.") from error
        finally:
            connection.set_authorizer(None)
        if orphan is not None:
            raise MigrationError(f"{migration.name} leaves rows without their parents.")
        connection.execute(
            "INSERT INTO schema_migrations (number, name, checksum, applied_at) "
            "VALUES (?, ?, ?, ?)",
            (migration.number, migration.name, migration.checksum, iso_utc(self.clock.now_ms())),
        )

    def _read_migrations(self) -> list[Migration]:
        migrations = []
        for path in sorted(self._migrations.glob("*.sql")):
            match = MIGRATION_NAME.match(path.name)
            if match is None:
                raise MigrationError(f"{path.name} is no name of a migration (0001_what.sql).")
            migrations.append(Migration(int(match[1]), path.name, path.read_text("utf-8")))
        (number, uses), *_ = Counter(row.number for row in migrations).most_common(1) or [(0, 0)]
        if uses > 1:
            raise MigrationError(f"There are {uses} migrations numbered {number:04d}.")
        return migrations

    def _applied(self) -> dict[int, tuple[str, str]]:
        """Checksum and time of each applied migration by its number."""
        try:
            tables = "SELECT 1 FROM sqlite_master WHERE name = 'schema_migrations'"
            if self.connection.execute(tables).fetchone() is None:
                return {}
            rows = self.connection.execute(
                "SELECT number, checksum, applied_at FROM schema_migrations"
            ).fetchall()
        except (sqlite3.Error, OSError) as error:
            raise MigrationError(f"{self.path} cannot be used as a database: {error}.") from error
        return {row["number"]: (row["checksum"], row["applied_at"]) for row in rows}

    def has_tables(self) -> bool:
        """Whether the file holds anything but the record of its migrations."""
        found = self.connection.execute(
            "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name != 'schema_migrations' "
            "AND name NOT LIKE 'sqlite_%' LIMIT 1"
        )
        return found.fetchone() is not None


def _refuse_transactions(action: int, *_: str | None) -> int:
    """A migration must not end the transaction that it runs in."""
    return sqlite3.SQLITE_DENY if action == sqlite3.SQLITE_TRANSACTION else sqlite3.SQLITE_OK


def _statements(sql: str) -> Iterator[str]:
    """The statements of a script one by one, so that they run in one transaction."""
    statement = ""
    for piece in re.split("(?<=;)", sql):
        statement += piece
        if sqlite3.complete_statement(statement):  # not inside a text, a comment or a trigger
            yield statement
            statement = ""
    if statement.strip():  # comments alone do nothing; SQL without its semicolon is run or refused
        yield statement
