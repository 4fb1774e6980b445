"""Texts of calls to LLMs are kept for the days that the owner sets; their figures for ever.

A model that is asked every minute about a hundred coins leaves some 25 MB of compressed texts a day.
"""

from __future__ import annotations

import logging

from database import Database
from domain import DAY_MS, Clock
from owner_settings import SettingsStore
from repositories import conversations

FORGOTTEN_AT_ONCE = 500  # so that nobody waits long to write

log = logging.getLogger(__name__)


def forget_old_texts(database: Database, settings: SettingsStore, clock: Clock) -> int:
    """Forget the prompts, answers and reasoning of old calls by the market's time; of how many."""
    before_ms = clock.now_ms() - settings.load().llm_text_days * DAY_MS
    forgotten, last = 0, FORGOTTEN_AT_ONCE
    while last == FORGOTTEN_AT_ONCE:
        with database.transaction() as connection:
            last = conversations.forget_texts(connection, before_ms, FORGOTTEN_AT_ONCE)
        forgotten += last
    if forgotten:
        log.info("the texts of %d old calls to LLMs have been forgotten", forgotten)
    return forgotten
