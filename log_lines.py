"""How the log is written: a line of text or of JSON each, without any key, with what it was about."""

from __future__ import annotations

import json
import logging
import re
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from log_context import current_ids
from redaction import Redactor, redact_root_handlers

LogFormat = Literal["text", "json"]
LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]
LIBRARIES = (
    "apscheduler", "hpack", "httpcore", "httpcore2", "httpx", "httpx2", "openai", "urllib3",
    "waitress", "websockets",
)  # fmt: skip
# Both SDKs' websockets report as errors what a stream's supervisor mends.
STREAMS_OF_SDKS = ("binance.ws", "okx.websocket")

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")

log = logging.getLogger(__name__)


class TextLines(logging.Formatter):
    """For a terminal: time, level, logger, message, and ids in brackets where there are any."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as text; a trace takes lines of its own."""
        ids = " ".join(f"{name}={value}" for name, value in current_ids().items())
        # A line that somebody's text brings along must not look like one of ours.
        said = CONTROL.sub(lambda found: repr(found[0])[1:-1], record.getMessage())
        line = f"{_time(record)} {record.levelname} {record.name}: {said}"
        return "\n".join([f"{line} [{ids}]" if ids else line, *_traces(self, record).values()])


class JsonLines(logging.Formatter):
    """For a program: one object a line; `exception` and `stack` are there where there is one.

    Nothing but what the redactor has seen is written: what a library adds to a record is not.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON."""
        return json.dumps(
            {
                "time": _time(record),
                "level": record.levelname,
                "logger": record.name,
                "message": record.getMessage(),
                **current_ids(),
                **_traces(self, record),
            },
            ensure_ascii=False,
        )


FORMATTERS: dict[LogFormat, type[logging.Formatter]] = {"text": TextLines, "json": JsonLines}


@dataclass(frozen=True, slots=True)
class LogTerms:
    """From which level on what is written, and how; of what libraries say, from another one on."""

    level: LogLevel = "INFO"
    form: LogFormat = "text"
    libraries: LogLevel = "WARNING"


def write_log(terms: LogTerms) -> Redactor:
    """Write the log to standard error, unless somebody has set up another place for it already.

    Returns the redactor of all that is logged: the one in place already, else a new one.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(FORMATTERS[terms.form]())
    logging.basicConfig(level=terms.level, handlers=[handler])
    for library in LIBRARIES:
        logging.getLogger(library).setLevel(terms.libraries)
    for library in STREAMS_OF_SDKS:
        quiet = "DEBUG" if terms.libraries == "DEBUG" else "CRITICAL"
        logging.getLogger(library).setLevel(quiet)
    return redact_root_handlers()


def terms_of_workers() -> LogTerms:
    """How a process that this one starts is to write its log: the same way, and warnings alone."""
    handlers = logging.getLogger().handlers
    as_json = any(isinstance(handler.formatter, JsonLines) for handler in handlers)
    return LogTerms("WARNING", "json" if as_json else "text")


def log_what_nobody_caught() -> None:
    """Warnings, and errors that end a thread, are lines of the log too: there, keys are cut."""
    logging.captureWarnings(capture=True)

    def told(ended: threading.ExceptHookArgs) -> None:
        if ended.exc_value is None or isinstance(ended.exc_value, SystemExit):
            return
        name = "" if ended.thread is None else ended.thread.name
        log.critical("the thread %s has died", name, exc_info=ended.exc_value)

    threading.excepthook = told


def _time(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _traces(formatter: logging.Formatter, record: logging.LogRecord) -> dict[str, str]:
    if record.exc_info and not record.exc_text:
        record.exc_text = formatter.formatException(record.exc_info)
    said = {"exception": record.exc_text, "stack": record.stack_info}
    return {name: text for name, text in said.items() if text}
