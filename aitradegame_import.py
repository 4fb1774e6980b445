"""Moving in from AITradeGame: its file's settings, providers, coins, models and history become ours.

Everything is one transaction. A model is known again by its id, name and time of making, so that
a second run takes only what its app has added since. How its books become ours is told in
docs/decisions/0010-moving-in.md.
"""

from __future__ import annotations

import hashlib
import math
import sqlite3
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from pydantic import ValidationError

import aitradegame_rows as rows
import audit_log
from aitradegame_history import History, ModelSoFar
from aitradegame_report import ImportReport
from aitradegame_rows import Row
from audit_log import Action, Actor, Audited
from database import Database
from domain import Interval, TradingModel
from errors import DataError, MigrationError
from owner_settings import OwnerSettings
from repositories import coins, groups, imports, models, pools
from repositories import settings as setting_rows
from repositories.aitradegame import OldDatabase
from repositories.imports import Imported, one_transaction
from risk_limits import RiskName

FIRST_COINS = ("BTC", "ETH", "SOL", "BNB", "XRP", "DOGE")  # all that its first versions trade
TRADER = "ai"  # language models
DEFAULT_CAPITAL = 10_000
LEAST_CAPITAL, MOST_CAPITAL = Decimal(1), Decimal("1e12")
MOST_TEXT = 200
SETTINGS = ("trading_fee_rate", "trading_frequency_minutes")


def import_file(
    old: OldDatabase,
    database: Database,
    *,
    seal: Callable[[str], str],
    by: Actor,
    dry_run: bool = False,
    on_rows: Callable[[int], object] = lambda rows: None,
) -> ImportReport:
    """Take what `database` does not have yet of `old`; `on_rows` is told how many rows are done.

    `seal` makes of a provider's key what is stored of it.
    Raises DataError and MigrationError; then, and on a dry run, nothing has changed.
    """
    if any(row.applied_at is None for row in database.status()):
        raise MigrationError(f"{database.path} is not up to date: run `flask db upgrade` first.")
    report = ImportReport(old.name, dry_run)
    with one_transaction(database, keep=not dry_run) as connection:
        now_ms = database.clock.now_ms()
        owner = Owner(old, connection, report, now_ms, _unsealed if dry_run else seal)
        taken = owner.take()
        history = History(old, connection, report, taken, owner.coin_id, on_rows)
        history.take()
        for so_far in taken.values():
            imports.remember(connection, "model", so_far.fingerprint, so_far.after, now_ms)
        rows_taken = {table.name: table.taken for table in report.tables.values() if table.taken}
        if rows_taken:
            audit_log.record(
                connection, by, Action.IMPORT, Audited.DATABASE, name=old.name, after=rows_taken
            )
    _note_what_has_no_place(old, report)
    return report


class Owner:
    """What its owner has set up: settings, providers, coins, groups, models and their pools."""

    def __init__(
        self,
        old: OldDatabase,
        connection: sqlite3.Connection,
        report: ImportReport,
        now_ms: int,
        seal: Callable[[str], str],
    ):
        self._old = old
        self._connection = connection
        self._report = report
        self._now_ms = now_ms
        self._seal = seal
        self._coin_ids: dict[str, int] = {}  # ours by symbol
        self._old_coins: dict[object, str] = {}  # symbols by the file's ids
        self._groups: dict[object, int | None] = {}  # new ones by the file's ids, else None
        self._members: dict[int, list[int]] = {}  # coins by our groups
        self._provider_ids: dict[object, int] = {}  # ours by the file's ids
        self._models: dict[object, ModelSoFar] = {}  # by the file's ids
        self._names = {model.name for model in models.list_models(connection)}
        self._provider_names = set(models.provider_names(connection).values())
        self._group_names = {group.name for group in groups.list_groups(connection)}

    def take(self) -> dict[object, ModelSoFar]:
        """Take them; the models by the file's ids."""
        self._take_settings()
        self._each("providers", self._take_provider)
        self._each("coins", self._take_coin)
        self._each("coin_groups", self._take_group)
        self._each("coin_group_members", self._take_member, "sort_order, id")
        for group_id, members in self._members.items():
            groups.set_members(self._connection, group_id, members)
        self._each("models", self._take_model)
        self._each("model_coin_pools", self._take_pool_coin)
        for so_far in self._models.values():
            if so_far.is_new and not so_far.has_pool:
                pool = [self.coin_id(symbol) for symbol in FIRST_COINS]
                pools.add(self._connection, so_far.model.id, pool, self._now_ms)
        return self._models

    def coin_id(self, symbol: str) -> int:
        """Our coin of a symbol; one that is not known becomes an inactive coin of that name."""
        if symbol not in self._coin_ids:
            known = coins.find(self._connection, symbol)
            self._coin_ids[symbol] = (
                self._add_coin({"symbol": symbol, "name": symbol}) if known is None else known.id
            )
        return self._coin_ids[symbol]

    def _each(self, table: str, take: Callable[[Row], bool], order: str = "id") -> None:
        if not self._old.has(table):
            return
        counts = self._report.table(self._old.called(table))
        for row in self._old.rows(table, order):
            counts.count(row["id"], take, row)

    # ---------------------------------------------------------------------------- settings

    def _take_settings(self) -> None:
        stored = setting_rows.load(self._connection)
        newest = [row["id"] for row in self._old.rows("settings")][-1:]  # what its app reads

        def take(row: Row) -> bool:
            if row["id"] not in newest:
                raise DataError("a newer row has taken its place")
            taken = _valid_settings(row)
            for name, value in taken.items():
                if stored.get(name, value) != value:
                    self._report.notes.append(f"{name} stays {stored[name]}; the file has {value}.")
            missing = {name: value for name, value in taken.items() if name not in stored}
            setting_rows.store(self._connection, missing)
            return bool(missing)

        self._each("settings", take)

    # --------------------------------------------------------------------------- providers

    def _take_provider(self, row: Row) -> bool:
        fingerprint = _fingerprint(row["id"], row["name"], row["api_url"], row["created_at"])
        known = imports.find(self._connection, "provider", fingerprint)
        if known is not None:
            self._provider_ids[row["id"]] = known.new_id
            return False
        self._provider_ids[row["id"]] = self._add_provider(
            fingerprint, rows.name(row["name"]), row, rows.list_of_models(row["models"])
        )
        return True

    def _add_provider(self, fingerprint: str, name: str, row: Row, listed: list[str]) -> int:
        url = (rows.text(row["api_url"]) or "").strip()
        if not url.lower().startswith(("http://", "https://")):
            raise DataError("its address is neither http nor https")
        key = rows.text(row["api_key"])
        named = self._unique(name, self._provider_names, "provider")
        sealed = self._seal(key) if key else None
        new_id = imports.add_provider(
            self._connection, named, url, sealed, listed, self._made_at(row), self._now_ms
        )
        imports.remember(self._connection, "provider", fingerprint, Imported(new_id), self._now_ms)
        return new_id

    def _provider_of(self, row: Row, name: str) -> int | None:
        """The model's provider; its first versions keep the address with the model."""
        if row["provider_id"] is None and row["api_url"] is not None:
            return self._provider_at(row, name)
        known = self._provider_ids.get(row["provider_id"])
        if known in models.provider_names(self._connection):
            return known
        if row["provider_id"] is not None:
            self._report.notes.append(f"Model {name} has lost its provider, {row['provider_id']}.")
        return None

    def _provider_at(self, row: Row, model_name: str) -> int | None:
        fingerprint = _fingerprint(row["api_url"], row["api_key"])
        known = imports.find(self._connection, "provider", fingerprint)
        if known is not None and known.new_id in models.provider_names(self._connection):
            return known.new_id
        try:
            host = urlsplit(rows.text(row["api_url"]) or "").hostname
            listed = [rows.text(row["model_name"]) or ""]
            new_id = self._add_provider(fingerprint, rows.name(host), row, listed)
        except (DataError, ValueError):
            self._report.notes.append(f"Model {model_name} keeps no provider: bad address or key.")
            return None
        self._report.notes.append(f"Provider {host} is made of the address of model {model_name}.")
        return new_id

    # --------------------------------------------------------------------- coins and groups

    def _take_coin(self, row: Row) -> bool:
        symbol = rows.symbol(row["symbol"])
        self._old_coins[row["id"]] = symbol
        if coins.find(self._connection, symbol) is not None:
            return False
        rank = row["market_cap_rank"]
        self._coin_ids[symbol] = self._add_coin(
            {
                "symbol": symbol,
                "name": symbol if row["name"] is None else rows.name(row["name"]),
                "market_cap_rank": rank if isinstance(rank, int) and 0 < rank < 10**6 else None,
                "notes": rows.text(row["notes"]),
                **{
                    column: rows.short_text(row[column])
                    for column in ("category", "binance_symbol", "okx_symbol", "coingecko_id")
                },
            }
        )
        return True

    def _add_coin(self, fields: Mapping[str, Any]) -> int:
        coin_id, _ = coins.add(self._connection, fields, self._now_ms)
        coins.change(self._connection, coin_id, {"is_active": False}, self._now_ms)
        self._report.notes.append(
            f"Coin {fields['symbol']} is new here: inactive until you activate it."
        )
        return coin_id

    def _take_group(self, row: Row) -> bool:
        name = rows.short_text(rows.name(row["name"]))
        assert name is not None  # a name is not empty
        self._groups[row["id"]] = None
        if name in self._group_names:
            return False
        description = rows.text(row["description"])
        self._groups[row["id"]] = groups.add(self._connection, name, description, self._now_ms)
        self._group_names.add(name)
        return True

    def _take_member(self, row: Row) -> bool:
        symbol = self._old_coins.get(row["coin_id"])
        if symbol is None or row["group_id"] not in self._groups:
            raise DataError("its coin or its group is gone or was not taken")
        group_id = self._groups[row["group_id"]]
        if group_id is None:
            return False
        members = self._members.setdefault(group_id, [])
        if self.coin_id(symbol) in members:
            raise DataError("its coin is in the group already")
        members.append(self.coin_id(symbol))
        return True

    # --------------------------------------------------------------------- models and pools

    def _take_model(self, row: Row) -> bool:
        fingerprint = _fingerprint(row["id"], row["name"], row["created_at"])
        known = imports.find(self._connection, "model", fingerprint)
        if known is not None:
            model = models.get(self._connection, known.new_id)
            self._models[row["id"]] = ModelSoFar(model, fingerprint, known, known)
            return False
        name = rows.name(row["name"])
        capital = row["initial_capital"]
        capital = rows.amount(DEFAULT_CAPITAL if capital is None else capital, "initial capital")
        if not LEAST_CAPITAL <= capital <= MOST_CAPITAL:
            raise DataError("its initial capital is not from 1 to 1e12")
        model_name = rows.short_text(row["model_name"], MOST_TEXT)
        prompt = rows.text(row["custom_prompt"])
        named = self._unique(name, self._names, "model")
        model = TradingModel(
            name=named,
            trader=TRADER,
            initial_capital=capital,
            interval=Interval.H1,
            cycle_minutes=self._cycle_minutes(row),
            risk=RiskName.BALANCED.value,
            provider_id=self._provider_of(row, named),
            model_name=model_name,
            prompt=prompt,
            enabled=False,
        )
        model = models.add(self._connection, model, self._made_at(row))
        nothing = Imported(model.id)
        self._models[row["id"]] = ModelSoFar(model, fingerprint, nothing, nothing, is_new=True)
        return True

    def _cycle_minutes(self, row: Row) -> int:
        minutes = row["trading_interval_minutes"]
        settings = setting_rows.load(self._connection)
        if minutes is not None:
            settings |= {"trading_frequency_minutes": minutes}
        try:
            valid = OwnerSettings.model_validate(settings)
        except ValidationError:
            return OwnerSettings.model_validate({}).trading_frequency_minutes
        return valid.trading_frequency_minutes

    def _take_pool_coin(self, row: Row) -> bool:
        so_far, symbol = self._models.get(row["model_id"]), self._old_coins.get(row["coin_id"])
        if so_far is None or symbol is None:
            raise DataError(f"its {'coin' if so_far else 'model'} is gone or was not taken")
        if not so_far.is_new:
            return False
        weight = 1.0 if row["weight"] is None else float(rows.positive(row["weight"], "weight"))
        if not math.isfinite(weight) or weight <= 0:
            raise DataError("its weight is not above zero")
        so_far.has_pool = True
        if not pools.add(
            self._connection, so_far.model.id, [self.coin_id(symbol)], self._now_ms,
            is_enabled=row["is_enabled"] in (None, 1), weight=weight,
        ):  # fmt: skip
            raise DataError("its coin is in the pool already")
        return True

    # -------------------------------------------------------------------------------- both

    def _unique(self, name: str, taken: set[str], what: str) -> str:
        """`name`, with a number where it is taken."""
        named, number = name, 2
        while named in taken:
            ending = f" ({number})"
            named, number = name[: rows.MOST_NAME_LETTERS - len(ending)] + ending, number + 1
        if named != name:
            self._report.notes.append(f"The {what} {name} is named {named} here.")
        taken.add(named)
        return named

    def _made_at(self, row: Row) -> int:
        try:
            return rows.time_ms(row["created_at"])
        except DataError:
            return self._now_ms


def _unsealed(key: str) -> str:
    """What a rehearsal keeps of a key: nothing, and no file is made for it."""
    return ""


def _valid_settings(row: Row) -> dict[str, Any]:
    """The settings of a row, each by our bounds. Raises DataError where one is out of them."""
    valid: dict[str, Any] = {}
    for name in SETTINGS:
        if row[name] is None:
            continue
        try:
            valid[name] = getattr(OwnerSettings.model_validate({name: row[name]}), name)
        except ValidationError as error:
            raise DataError(f"its {name} is out of bounds") from error
    return valid


def _note_what_has_no_place(old: OldDatabase, report: ImportReport) -> None:
    for table, count in old.unknown_tables().items():
        report.notes.append(f"Table {table} ({count:,} rows) has no counterpart here.")
    columns = old.unknown_columns()
    if columns:
        report.notes.append(f"Columns without a counterpart here: {', '.join(columns)}.")


def _fingerprint(*parts: object) -> str:
    """What a row is known by when the file is read again."""
    return hashlib.sha256(repr(parts).encode("utf-8", "surrogatepass")).hexdigest()
