"""The errors of this system: each has a sentence for a person and a code for a program.

An error is raised where something is known to be wrong and caught where something can be
done about it: at the edges (routes, commands, the trading loop). Routes turn any of these
into ``{"error": message, "code": code, "fields": {...}}`` with `http_status`.

Pages word an error in their reader's language by its code and its `values`: what the sentence
speaks of, by name, as JSON. `reasons` are the same of each of `fields`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NotRequired, TypedDict


class Reason(TypedDict):
    """Why a field is refused, for a page that has words for the code."""

    code: str
    values: NotRequired[Mapping[str, Any]]


class TradingSystemError(Exception):
    """Base of every error that this system raises on purpose."""

    code = "internal_error"
    http_status = 500

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        fields: Mapping[str, str] | None = None,
        values: Mapping[str, Any] | None = None,
        reasons: Mapping[str, Reason] | None = None,
    ):
        super().__init__(message)
        self.message = message
        self.fields = dict(fields or {})
        self.values = dict(values or {})
        self.reasons = dict(reasons or {})
        if code is not None:
            self.code = code


@dataclass(frozen=True, slots=True)
class Failure:
    """An error as it is stored with what it has ended."""

    code: str
    message: str
    values: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, error: TradingSystemError) -> Failure:
        """What is known of an error."""
        return cls(error.code, error.message, error.values)


class InvalidInput(TradingSystemError):
    """The question itself is wrong; `fields` names what and why."""

    code = "invalid_input"
    http_status = 400


class NotFound(TradingSystemError):
    """An id or a symbol that does not exist."""

    code = "not_found"
    http_status = 404


class Conflict(TradingSystemError):
    """It clashes with what is already there: a name taken, a cycle already running."""

    code = "conflict"
    http_status = 409


class Unauthorized(TradingSystemError):
    """Nobody that is known: not signed in, or no token that counts."""

    code = "not_signed_in"
    http_status = 401


class PasswordNeeded(TradingSystemError):
    """Others than this computer could call, and no password keeps them out."""

    code = "password_needed"


class Forbidden(TradingSystemError):
    """The caller may not do this: wrong host, wrong origin, no proof, too small a scope."""

    code = "forbidden"
    http_status = 403


class TooManyRequests(TradingSystemError):
    """More at once than is served; `retry_after` is in seconds."""

    code = "too_many"
    http_status = 429

    def __init__(self, message: str, *, retry_after: float):
        super().__init__(message)
        self.retry_after = retry_after


class OrderRefused(TradingSystemError):
    """The ledger or risk refuses an order; `code` is the stable reason, nothing has changed."""

    code = "order_refused"
    http_status = 409


class DataError(TradingSystemError):
    """Something read from a file or a table is not what it must be."""

    code = "bad_data"
    http_status = 400


class SourceError(TradingSystemError):
    """A data source gave no usable answer."""

    code = "source_error"
    http_status = 503


class SourceUnavailable(SourceError):
    """No connection, a time-out, or a server error."""

    code = "source_unavailable"


class SourceRateLimited(SourceError):
    """The source asks for silence; `retry_after` is in seconds, if it said."""

    code = "source_rate_limited"

    def __init__(self, message: str, *, retry_after: float | None = None, code: str | None = None):
        super().__init__(message, code=code)
        self.retry_after = retry_after


class SourceRefused(SourceError):
    """The source answered and will not serve this: unknown symbol, geo-block, bad key."""

    code = "source_refused"


class SourceBadAnswer(SourceError):
    """The answer is not what its protocol says: no JSON, wrong shape, impossible prices."""

    code = "source_bad_answer"


class ArchiveUnavailable(SourceError):
    """The archive of old candles cannot be read or written, or holds something else."""

    code = "archive_unavailable"


class NoDataSource(TradingSystemError):
    """Every source was asked and none could answer."""

    code = "no_data_source"
    http_status = 503


class DatabaseUnavailable(TradingSystemError):
    """The database cannot be written now: others keep it locked, or the disk is full or broken."""

    code = "database_unavailable"
    http_status = 503


class LedgerMismatch(TradingSystemError):
    """Books that do not follow from their trades."""

    code = "ledger_mismatch"


class MigrationError(TradingSystemError):
    """A migration that failed or was changed after it had been applied."""

    code = "migration_error"


class SecretUnreadable(TradingSystemError):
    """A stored secret cannot be opened: its key is missing, is another one, or it is damaged."""

    code = "secret_unreadable"
    http_status = 503
