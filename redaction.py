"""Keys are never written to a log, whoever logs: what is known to be one, or looks like one, is cut."""

from __future__ import annotations

import logging
import re

CUT = "…"
LEAST_LENGTH = 6  # shorter texts are words of a log as well
PATTERNS = (
    re.compile(r"\b(?:sk|pk|rk|gsk|xai|or|hf|nvapi|csk|tgp|fw|pplx)[-_][A-Za-z0-9_-]{12,}"),
    re.compile(r"\bAIza[A-Za-z0-9_-]{20,}"),
    re.compile(r"(?i)(?<=\bbearer )[^\s\"',;]{6,}"),
    re.compile(r"(?i)(?<=\bbasic )[A-Za-z0-9+/=]{12,}"),
    re.compile(
        r"(?i)(\b(?:api[-_]?key|x-api-key|secret[-_]?key|api[-_]?secret|passphrase)"
        r"[\"']?\s*[:=]\s*[\"']?)(?!None\b|null\b|…)[^\s\"',;&}\)]{4,}"
    ),
)


class Redactor(logging.Filter):
    """A filter for handlers that cuts keys out of messages, arguments and traces."""

    def __init__(self) -> None:
        super().__init__()
        self._known: tuple[str, ...] = ()

    def learn(self, secret: str) -> None:
        """`secret` is never to be written from now on; one of a few characters is no secret."""
        if len(secret) >= LEAST_LENGTH and secret not in self._known:
            self._known = tuple(sorted({*self._known, secret}, key=len, reverse=True))

    def redact(self, text: str) -> str:
        """`text` without any key."""
        for secret in self._known:
            text = text.replace(secret, CUT)
        for pattern in PATTERNS:
            text = pattern.sub(rf"\g<1>{CUT}" if pattern.groups else CUT, text)
        return text

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass, with its keys cut."""
        record.msg, record.args = self.redact(record.getMessage()), None
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
