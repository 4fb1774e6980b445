"""Who may call: the owner by a password, scripts by their tokens.

Every change of that passes here: signing in and failing to, signing out, setting and removing the
password, making and revoking tokens. Each is written into the audit log, with who did it.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass

import passwords
from access_tokens import PREFIX_SHOWN, AccessToken, Scope, hash_of, random_token
from audit_log import THIS_COMPUTER, Action, Actor, ActorKind, Audited, record
from database import Database
from domain import DAY_MS, MINUTE_MS, Clock
from errors import Forbidden, NotFound, Unauthorized
from repositories import access
from secret_box import SecretBox
from sign_in_attempts import SignInAttempts

HASHED_AT_ONCE = 2  # each takes 64 MB
USE_NOTED_EVERY_MS = MINUTE_MS

OWNER = Actor(ActorKind.OWNER)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sends a request: the owner's browser, signed in or not, or a script by its token."""

    scope: Scope
    sign_in: str | None = None
    token: AccessToken | None = None

    @property
    def actor(self) -> Actor:
        """The same in the words of the audit log."""
        if self.token is not None:
            return Actor(ActorKind.TOKEN, self.token.name)
        return THIS_COMPUTER if self.sign_in is None else OWNER


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token and its text, which is known this once."""

    text: str
    token: AccessToken


class OwnerAccess:
    """Knows who may call.

    `open_here` says whether without a password whoever sits at this computer is the owner.
    `on_secret` is told every new token. `wall_clock` stamps, `steady_clock` counts the
    waits between attempts.
    """

    def __init__(
        self,
        database: Database,
        secret_box: SecretBox,
        *,
        session_days: int,
        open_here: bool,
        on_secret: Callable[[str], object],
        wall_clock: Clock,
        steady_clock: Clock,
    ):
        self._database = database
        self._secret_box = secret_box
        self._on_secret = on_secret
        self._clock = wall_clock
        self._session_ms = session_days * DAY_MS
        self._open_here = open_here
        self._attempts = SignInAttempts(steady_clock)
        self._hashing = threading.BoundedSemaphore(HASHED_AT_ONCE)

    # ------------------------------------------------------------------------------ password

    def password_is_set(self) -> bool:
        """Whether the owner has set a password, by whichever process."""
        return access.password_hash(self._database.connection) is not None

    def set_password(self, password: str, by: Actor) -> None:
        """Set the owner's password and sign every browser out.

        Raises InvalidInput, and SecretUnreadable where there is no key to sign sessions with.
        """
        passwords.check_new_password(password)
        self._secret_box.make_key()
        hashed = self._hashed(password)
        with self._database.ledger_transaction() as connection:
            before = access.password_hash(connection)
            access.set_password_hash(connection, hashed, self._clock.now_ms())
            access.end_all_sign_ins(connection)
            done = Action.ADD if before is None else Action.CHANGE
            record(
                connection, by, done, Audited.PASSWORD,
                before={"password": before}, after={"password": hashed},
            )  # fmt: skip
        log.warning("the password has been set by %s", by)

    def remove_password(self, by: Actor) -> None:
        """Do without a password. Raises NotFound where there is none."""
        with self._database.ledger_transaction() as connection:
            if not access.remove_password(connection):
                raise NotFound("No password is set.")
            access.end_all_sign_ins(connection)
            record(connection, by, Action.DELETE, Audited.PASSWORD)
        log.warning("the password has been removed by %s", by)

    def check_password(self, password: str, address: str) -> None:
        """Raises Forbidden (wrong_password), TooManyRequests for too many tries from `address`."""
        hashed = access.password_hash(self._database.connection)
        self._attempts.begin(address)
        if hashed is None or not self._fits(hashed, password):
            nobody = Actor(ActorKind.NOBODY, address)
            with self._database.transaction() as connection:
                record(connection, nobody, Action.SIGN_IN_FAILED, Audited.SESSION)
            log.warning("a wrong password from %s", address)
            raise Forbidden("The password is wrong.", code="wrong_password")
        self._attempts.succeeded(address)

    def _hashed(self, password: str) -> str:
        with self._hashing:
            return passwords.hash_password(password)

    def _fits(self, hashed: str, password: str) -> bool:
        with self._hashing:
            return passwords.password_fits(hashed, password)

    # ------------------------------------------------------------------------------- browsers

    def sign_in(self, password: str, address: str) -> str:
        """Sign a browser in; the text that it is known by from now on. Raises as check_password."""
        self.check_password(password, address)
        sign_in = self.begin_sign_in()
        with self._database.transaction() as connection:
            record(connection, OWNER, Action.SIGN_IN, Audited.SESSION, name=address)
        log.info("signed in from %s", address)
        return sign_in

    def begin_sign_in(self) -> str:
        """Sign in a browser whose owner has just given or set the password."""
        sign_in, now_ms = secrets.token_urlsafe(32), self._clock.now_ms()
        with self._database.transaction() as connection:
            access.add_sign_in(connection, hash_of(sign_in), now_ms, now_ms + self._session_ms)
        return sign_in

    def sign_out(self, sign_in: str) -> None:
        """The browser that is known by this is known no more."""
        with self._database.transaction() as connection:
            access.end_sign_in(connection, hash_of(sign_in))
            record(connection, OWNER, Action.SIGN_OUT, Audited.SESSION)
        log.info("signed out")

    def owner_at(self, sign_in: str | None) -> Caller | None:
        """The owner at a browser, known by its sign-in; None where it is nobody's that is known."""
        if not self.password_is_set():
            return Caller(Scope.ADMIN) if self._open_here else None
        now_ms = self._clock.now_ms()
        if sign_in and access.is_signed_in(self._database.connection, hash_of(sign_in), now_ms):
            return Caller(Scope.ADMIN, sign_in=sign_in)
        return None

    # --------------------------------------------------------------------------------- tokens

    def make_token(self, name: str, scope: Scope, days: int | None, by: Actor) -> NewToken:
        """A token for a script, for so many days or until it is revoked."""
        text, now_ms = random_token(), self._clock.now_ms()
        self._on_secret(text)
        expires_ms = None if days is None else now_ms + days * DAY_MS
        token = AccessToken(0, name, scope, text[:PREFIX_SHOWN], now_ms, expires_ms, None)
        with self._database.ledger_transaction() as connection:
            token = access.add_token(connection, token, hash_of(text))
            kept = {"scope": token.scope, "days": days}
            record(connection, by, Action.ADD, Audited.TOKEN, token.id, name, after=kept)
        log.warning("token %d %r (%s) has been made by %s", token.id, name, scope, by)
        return NewToken(text, token)

    def revoke_token(self, token_id: int, by: Actor) -> AccessToken:
        """End a token at once. Raises NotFound."""
        with self._database.ledger_transaction() as connection:
            token = access.get_token(connection, token_id)
            if token is None:
                raise NotFound(f"There is no token {token_id}.")
            access.delete_token(connection, token_id)
            record(connection, by, Action.REVOKE, Audited.TOKEN, token.id, token.name)
        log.warning("token %d %r has been revoked by %s", token.id, token.name, by)
        return token

    def list_tokens(self) -> list[AccessToken]:
        """Every token that has not been revoked, newest first."""
        return access.list_tokens(self._database.connection)

    def script_with(self, text: str) -> Caller:
        """The script that sends this token. Raises Unauthorized."""
        token = access.find_token(self._database.connection, hash_of(text))
        if token is None:
            raise Unauthorized("There is no such token, or it was revoked.", code="token_unknown")
        now_ms = self._clock.now_ms()
        if token.expired(now_ms):
            raise Unauthorized("This token has expired.", code="token_expired")
        if now_ms - (token.last_used_ms or 0) >= USE_NOTED_EVERY_MS:
            with self._database.transaction() as connection:
                access.token_was_used(connection, token.id, now_ms)
        return Caller(token.scope, token=token)

    def may_go_on(self, caller: Caller) -> bool:
        """Whether who was let in a while ago would be let in now."""
        if caller.token is None:
            return self.owner_at(caller.sign_in) is not None
        token = access.get_token(self._database.connection, caller.token.id)
        return token is not None and not token.expired(self._clock.now_ms())
