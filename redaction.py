"""Keys are never written to a log, whoever logs: what is known to be one, or looks like one, is cut.

A secret that is known is cut in every spelling in which programs write texts: as it is, as Python
and JSON quote it, and as addresses and forms carry it.
"""

from __future__ import annotations

import json
import logging
import re
import threading
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

CUT = "…"
LEAST_LENGTH = 6  # shorter texts are words of a log as well
PATTERNS = (
    re.compile(r"\b(?:sk|pk|rk|gsk|xai|or|hf|nvapi|csk|tgp|fw|pplx)[-_][A-Za-z0-9_-]{12,}"),
    re.compile(r"\bAIza[A-Za-z0-9_-]{20,}"),
    re.compile(r"\bact_[A-Za-z0-9_-]{43}"),  # the app's own tokens
    re.compile(r"\$argon2id?\$[^\s\"']+"),
    re.compile(r"(?i)(?<=\bbearer )[^\s\"',;]{6,}"),
    re.compile(r"(?i)(?<=\bbasic )[A-Za-z0-9+/=]{12,}"),
    re.compile(r"(?i)(\bsession(?:_\d+)?=)[^\s;,\"'…]{6,}"),
    re.compile(
        r"(?i)(\b(?:api[-_]?key|x-api-key|secret[-_]?key|api[-_]?secret|passphrase|password"
        r"|x-csrf-token|csrf_token)"
        r"[\"']?\s*[:=]\s*b?[\"']?)(?!None\b|null\b|…)[^\s\"',;&}\)]{4,}"
    ),
)


class Redactor(logging.Filter):
    """A filter for handlers that cuts keys out of messages, arguments and traces."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._known: set[str] = set()
        self._spelled: re.Pattern[str] | None = None

    def learn(self, secret: str) -> None:
        """`secret` is never to be written from now on; one of a few characters is no secret."""
        with self._lock:
            if len(secret) < LEAST_LENGTH or secret in self._known:
                return
            self._known.add(secret)
            spellings = {spelled for known in self._known for spelled in _spellings(known)}
            longest_first = sorted(spellings, key=len, reverse=True)
            self._spelled = re.compile("|".join(map(re.escape, longest_first)))

    def redact(self, text: str) -> str:
        """`text` without any key."""
        if self._spelled is not None:
            text = self._spelled.sub(CUT, text)
        for pattern in PATTERNS:
            text = pattern.sub(rf"\g<1>{CUT}" if pattern.groups else CUT, text)
        return text

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass, with its keys cut."""
        record.msg, record.args = self.redact(_said(record)), None
        if record.exc_info:
            record.exc_text = record.exc_text or logging.Formatter().formatException(
                record.exc_info
            )
            record.exc_info = None  # so that no other handler formats it with the key in it
        if record.exc_text:
            record.exc_text = self.redact(record.exc_text)
        if record.stack_info:
            record.stack_info = self.redact(record.stack_info)
        return True


def redact_root_handlers() -> Redactor:
    """The redactor of everything that is logged: the one in place already, else a new one."""
    root = logging.getLogger()
    found = [f for handler in root.handlers for f in handler.filters if isinstance(f, Redactor)]
    redactor = found[0] if found else Redactor()
    for handler in root.handlers:
        if redactor not in handler.filters:
            handler.addFilter(redactor)
    return redactor


def _said(record: logging.LogRecord) -> str:
    """The message; one whose arguments do not fit it as both stand, for whoever logs goes on."""
    try:
        return record.getMessage()
    except (TypeError, ValueError, KeyError):
        return f"{record.msg!r} {record.args!r}"


def _spellings(secret: str) -> Iterator[str]:
    yield secret
    yield repr(secret)[1:-1]
    yield repr(secret.encode())[2:-1]
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    yield quote(secret, safe="")
    yield quote_plus(secret)
