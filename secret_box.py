"""Secrets at rest: sealed before they are stored, opened for a call.

A sealed text names the key that it was sealed with, so that a wrong key is said to be wrong and not
mistaken for a damaged text. See docs/decisions/0018-secrets-at-rest.md.
"""

from __future__ import annotations

import hashlib
import logging
import os
import secrets
import threading
from collections.abc import Callable
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from errors import SecretUnreadable

VERSION = "1"
SECRET_NAME = "SECRET_KEY"

log = logging.getLogger(__name__)


class SecretBox:
    """Seals with the key of the environment, else of a file that it makes at the first sealing.

    `on_secret` is told every secret that passes, so that no log writes it.
    """

    def __init__(
        self, key: str, key_file: Path, on_secret: Callable[[str], object] = lambda secret: None
    ):
        self._given_key = key.strip()
        self._key_file = key_file
        self._on_secret = on_secret
        self._lock = threading.Lock()
        self._key: bytes | None = None

    def seal(self, secret: str) -> str:
        """`secret` so that the key alone opens it; another text each time."""
        self._on_secret(secret)
        key = self._loaded(may_make=True)
        return f"{VERSION}:{_key_id(key)}:{Fernet(key).encrypt(secret.encode()).decode()}"

    def open(self, sealed: str) -> str:
        """What was sealed. Raises SecretUnreadable where the key is another or the text is damaged."""
        key = self._loaded(may_make=False)
        version, _, rest = sealed.partition(":")
        key_id, _, token = rest.partition(":")
        if version == VERSION and key_id != _key_id(key):
            raise SecretUnreadable(
                f"It was sealed with another key than that of {self._where()}: bring back the "
                "key, or enter the secret again."
            )
        try:
            secret = Fernet(key).decrypt(token.encode()).decode()
        except (InvalidToken, ValueError) as error:
            raise SecretUnreadable("A sealed secret is damaged: enter it again.") from error
        self._on_secret(secret)
        return secret

    def make_key(self) -> None:
        """Have a key from now on. Raises SecretUnreadable where the one that is there is none."""
        self._loaded(may_make=True)

    def derived_key(self, purpose: str) -> bytes:
        """32 bytes for `purpose` alone, always the same; they tell nothing of the key.

        Raises SecretUnreadable where there is no key, or it cannot be had.
        """
        key = self._loaded(may_make=False)
        return HKDF(SHA256(), length=32, salt=None, info=purpose.encode()).derive(key)

    def _where(self) -> str:
        return SECRET_NAME if self._given_key else str(self._key_file)

    def _loaded(self, *, may_make: bool) -> bytes:
        with self._lock:
            if self._key is None:
                self._key = self._checked(self._given_key or self._from_file(may_make=may_make))
                self._on_secret(self._key.decode())
            return self._key

    def _from_file(self, *, may_make: bool) -> str:
        try:
            if may_make and not self._key_file.exists():
                make_key_file(self._key_file)
            text = self._key_file.read_text("ascii").strip()
            if self._key_file.stat().st_mode & 0o077:
                log.warning("%s can be read by other users: chmod 600 it", self._key_file)
        except FileNotFoundError as error:
            raise SecretUnreadable(
                f"The key of the stored secrets is missing: there is no file {self._key_file}."
            ) from error
        except (OSError, ValueError) as error:
            raise SecretUnreadable(
                f"The key of the stored secrets cannot be had from {self._key_file}: {error}."
            ) from error
        return text

    def _checked(self, key: str) -> bytes:
        try:
            Fernet(key.encode())
        except ValueError as error:
            raise SecretUnreadable(
                f"{self._where()} is no key: it takes 32 random bytes as URL-safe base64."
            ) from error
        return key.encode()


def make_key_file(path: Path) -> None:
    """A new key in `path`, which its owner alone may read, and whole from the first moment on.

    Of two processes that do this at once the first wins, and both find its key there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(Fernet.generate_key() + b"\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(unfinished, path)  # fails where another process was first
        log.info("made the key of the stored secrets: %s", path)
    except FileExistsError:
        log.debug("%s was made by another process", path)
    finally:
        unfinished.unlink()


def _key_id(key: bytes) -> str:
    """Which key it is, telling nothing of the key."""
    return hashlib.sha256(key).hexdigest()[:8]
