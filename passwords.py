"""Passwords: only their argon2id hashes are kept, with the parameters of the library (RFC 9106)."""

from __future__ import annotations

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from errors import InvalidInput

SHORTEST = 12
LONGEST = 1000  # hashing takes time and room for whatever is sent

_hasher = PasswordHasher()


def check_new_password(password: str) -> None:
    """Raises InvalidInput where `password` is too short, or too long to be one."""
    if len(password) < SHORTEST:
        why = f"A password has at least {SHORTEST} characters."
    elif len(password) > LONGEST:
        why = f"A password has at most {LONGEST} characters."
    elif len(set(password)) == 1:
        why = "One character again and again is no password."
    else:
        return
    raise InvalidInput(why, fields={"password": why})


def hash_password(password: str) -> str:
    """Its hash, salted: another one each time."""
    return _hasher.hash(password)


def password_fits(hashed: str, password: str) -> bool:
    """Whether `hashed` is a hash of `password`. Takes about a twentieth of a second and 64 MB."""
    try:
        return len(password) <= LONGEST and _hasher.verify(hashed, password)
    except (VerificationError, InvalidHashError):
        return False
