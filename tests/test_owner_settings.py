"""The owner's settings: defaults, changes by name, bounds, and exact rates."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from new_database import new_database

from audit_log import THIS_COMPUTER
from clock import ManualClock
from database import Database
from errors import InvalidInput
from owner_settings import OwnerSettings, SettingsStore


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = new_database(tmp_path / "trading.db", ManualClock(0))
    yield database
    database.close()


@pytest.fixture
def store(database: Database) -> SettingsStore:
    return SettingsStore(database, 0.001)


def test_the_defaults_are_those_of_the_configuration(database: Database):
    assert SettingsStore(database, 0.0004).load() == OwnerSettings(trading_fee_rate=0.0004)
    assert SettingsStore(database, 0.001).load().model_dump() == {
        "trading_fee_rate": 0.001, "trading_frequency_minutes": 60, "slippage_bps": 0.0,
        "llm_text_days": 90, "backup_hours": 24, "backups_kept": 14,
    }  # fmt: skip


def test_a_change_touches_what_it_names_and_outlives_the_process(
    store: SettingsStore, database: Database
):
    changed = store.change({"slippage_bps": 2.5}, THIS_COMPUTER)
    assert changed == OwnerSettings(slippage_bps=2.5)
    store.change({"trading_frequency_minutes": 15}, THIS_COMPUTER)
    assert store.change({}, THIS_COMPUTER) == OwnerSettings(
        slippage_bps=2.5, trading_frequency_minutes=15
    )
    # What was never set follows the configuration.
    again = SettingsStore(database, 0.0004).load()
    assert (again.slippage_bps, again.trading_fee_rate) == (2.5, 0.0004)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"trading_fee_rate": -0.001}, "trading_fee_rate"),
        ({"trading_fee_rate": 0.11}, "trading_fee_rate"),
        ({"trading_fee_rate": float("nan")}, "trading_fee_rate"),
        ({"trading_fee_rate": "free"}, "trading_fee_rate"),
        ({"trading_fee_rate": None}, "trading_fee_rate"),
        ({"trading_frequency_minutes": 0}, "trading_frequency_minutes"),
        ({"trading_frequency_minutes": 1.5}, "trading_frequency_minutes"),
        ({"trading_frequency_minutes": 10_081}, "trading_frequency_minutes"),
        ({"slippage_bps": 1001}, "slippage_bps"),
        ({"slippage_bps": float("inf")}, "slippage_bps"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_what_does_not_fit_changes_nothing(
    store: SettingsStore, changes: dict[str, Any], field: str
):
    before = store.load()
    with pytest.raises(InvalidInput) as refused:
        store.change({"slippage_bps": 3.0, **changes}, THIS_COMPUTER)
    assert list(refused.value.fields) == [field]
    assert store.load() == before


def test_rates_are_exact_as_they_are_written(store: SettingsStore):
    settings = store.change({"trading_fee_rate": 0.0004, "slippage_bps": 0.1}, THIS_COMPUTER)
    assert (settings.exact_fee_rate, settings.exact_slippage_bps) == (
        Decimal("0.0004"), Decimal("0.1"),
    )  # fmt: skip
    tiny = store.change({"trading_fee_rate": 1e-7}, THIS_COMPUTER)
    assert tiny.exact_fee_rate == Decimal("0.0000001")


def test_changes_at_the_same_time_are_all_kept(store: SettingsStore, database: Database):
    changes = [{"slippage_bps": 7.0}, {"trading_frequency_minutes": 5}, {"trading_fee_rate": 0.01}]

    def change(named: dict[str, Any]) -> None:
        store.change(named, THIS_COMPUTER)
        database.close()

    with ThreadPoolExecutor(3) as threads:
        list(threads.map(change, changes))
    assert store.load() == OwnerSettings(
        slippage_bps=7.0, trading_frequency_minutes=5, trading_fee_rate=0.01
    )
