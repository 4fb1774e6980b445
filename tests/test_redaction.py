"""No key in a log: known ones, and what looks like one, in messages, arguments and traces."""

from __future__ import annotations

import io
import logging

import pytest

from app import create_app
from config import Config
from redaction import CUT, Redactor
from routes.services import EXTENSION, Services

PLANTED = "my-very-own-key-42"


@pytest.fixture
def written() -> tuple[logging.Logger, Redactor, io.StringIO]:
    """A logger of all that is said to it, with the redactor on its handler."""
    text = io.StringIO()
    handler = logging.StreamHandler(text)
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    redactor = Redactor()
    redactor.learn(PLANTED)
    handler.addFilter(redactor)
    logger = logging.Logger("test of redaction", logging.DEBUG)
    logger.addHandler(handler)
    return logger, redactor, text


def test_a_known_key_is_cut_wherever_it_stands(written):
    logger, _, text = written
    logger.debug("asked with %s", PLANTED)
    logger.info(f"asked with {PLANTED}")
    logger.warning("headers %r", {"x-goog": PLANTED})
    logger.error({"url": f"https://x/?key={PLANTED}"})
    try:
        raise ValueError(f"bad key {PLANTED}")
    except ValueError:
        logger.exception("failed with %s", PLANTED, stack_info=True)
    assert PLANTED not in text.getvalue()
    assert "ValueError: bad key …" in text.getvalue()
    assert "Traceback" in text.getvalue()
    assert text.getvalue().count(CUT) >= 6


@pytest.mark.parametrize(
    "said",
    [
        "sk-proj-abcdefghijklmnopqrstuvwx",
        "sk-ant-api03-abcdefghijklmnop",
        "gsk_abcdefghijklmnop1234",
        "xai-abcdefghijklmnop1234",
        "AIzaSyA-abcdefghijklmnopqrstu",
        "act_abcdefghijklmnopQK450CFEE2aC3ZUkCEYIv1a2JI6",
        "Authorization: Bearer abcdef123456",
        "'authorization': 'Bearer abcdef123456'",
        'api_key="abcdef123456"',
        "{'api_key': 'abcdef123456'}",
        "X-API-Key: abcdef123456",
        "?apikey=abcdef123456&x=1",
    ],
)
def test_what_looks_like_a_key_is_cut(written, said: str):
    logger, _, text = written
    logger.info("before %s after", said)
    assert "before " in text.getvalue()
    for part in ("abcdef123456", "abcdefghijklmnop"):
        assert part not in text.getvalue()


@pytest.mark.parametrize(
    "said",
    [
        "risk-adjusted-returns-of-btc and task-list",
        "sealed 2 keys",
        "cycle 17 of model 3 took 120 ms",
        "api_key=None",
        "The bearer of news",
    ],
)
def test_what_is_none_stays(written, said: str):
    logger, _, text = written
    logger.info(said)
    assert text.getvalue() == f"INFO {said}\n"


def test_a_text_of_a_few_characters_is_no_key():
    redactor = Redactor()
    redactor.learn("BTC")
    redactor.learn("")
    assert redactor.redact("BTC rose") == "BTC rose"


def test_the_app_writes_no_key_to_its_own_log(app_config: Config, monkeypatch: pytest.MonkeyPatch):
    root, text = logging.getLogger(), io.StringIO()
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr("sys.stderr", text)
    config = app_config.model_copy(
        update={"LOG_LEVEL": "DEBUG", "BINANCE_API_SECRET": "binance-secret-7"}
    )
    level = root.level
    try:
        app = create_app(config)
        services: Services = app.extensions[EXTENSION]
        sealed = services.secrets.seal(PLANTED)
        key = config.secret_key_file.read_text().strip()
        logging.getLogger("anything").debug("%s %s %s", PLANTED, key, "binance-secret-7")
        assert services.secrets.open(sealed) == PLANTED
    finally:
        root.setLevel(level)
        services.database.close()
    written = text.getvalue()
    assert "DEBUG anything: … … …" in written
    for secret in (PLANTED, key, "binance-secret-7"):
        assert secret not in written
