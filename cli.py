"""Commands: `flask --app app …`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NoReturn

import click
from flask import Flask, current_app
from flask.cli import AppGroup
from tqdm import tqdm

from access_commands import token_commands, user_commands
from aitradegame_import import import_file
from audit_commands import audit_commands
from audit_log import COMMAND_LINE
from backtest_commands import backtest_commands
from clock import SystemClock
from database_restore import restore
from errors import Conflict, MigrationError, TradingSystemError
from kline_commands import kline_commands
from ledger_audit import audit
from llm_answer_commands import answer_commands
from repositories import aitradegame, models
from routes.services import EXTENSION, Services
from server import serve
from sweep_commands import sweep_command
from timestamps import iso_utc

database_commands = AppGroup("db", help="The database: upgrade, status, backup, restore, import.")
ledger_commands = AppGroup("ledger", help="The books.")
trading_commands = AppGroup("trading", help="The kill switch: stop, resume.")


def add_commands(app: Flask) -> None:
    """Make the commands known to `app`."""
    for group in (
        database_commands, kline_commands, backtest_commands, ledger_commands, trading_commands,
        audit_commands, user_commands, token_commands,
    ):  # fmt: skip
        app.cli.add_command(group)
    backtest_commands.add_command(sweep_command)
    backtest_commands.add_command(answer_commands)
    app.cli.add_command(serve_command)


def _services() -> Services:
    found: Services = current_app.extensions[EXTENSION]
    return found


def _fail(error: TradingSystemError) -> NoReturn:
    """One sentence and a status; never a trace."""
    click.echo(f"Error: {error.message}", err=True)
    sys.exit(1)


@click.command("serve")
def serve_command() -> None:
    """Serve pages and API, and trade."""
    try:
        serve(current_app._get_current_object())  # type: ignore[attr-defined]
    except TradingSystemError as error:
        _fail(error)


# ------------------------------------------------------------------------------- database


@database_commands.command("upgrade")
def upgrade() -> None:
    """Apply the migrations that are missing, after a backup."""
    try:
        applied = _services().database.upgrade()
    except TradingSystemError as error:
        _fail(error)
    for migration in applied:
        click.echo(f"applied {migration.name}")
    if not applied:
        click.echo("The database is up to date.")


@database_commands.command("status")
def status() -> None:
    """Which migrations have been applied, and when."""
    try:
        rows = _services().database.status()
    except TradingSystemError as error:
        _fail(error)
    for row in rows:
        click.echo(f"{row.migration.name:45} {row.applied_at or 'missing'}")


@database_commands.command("backup")
@click.argument("target", type=click.Path(path_type=Path, dir_okay=False), required=False)
@click.option("--with-keys", is_flag=True, help="Also sealed keys, the password's hash, tokens.")
def backup(target: Path | None, with_keys: bool) -> None:
    """Copy the database to TARGET, or into the folder of backups; also while the app is trading.

    Candles in the archive, what is in Redis, and the file of the secret key are not in it.
    """
    if target is not None and target.exists():
        _fail(Conflict(f"{target} is there already."))
    services = _services()
    try:
        if target is None:
            copy = _current_services().backups.make(COMMAND_LINE, with_keys=with_keys).path
        else:
            copy = services.backups.copy_to(target, COMMAND_LINE, with_keys=with_keys)
    except TradingSystemError as error:
        _fail(error)
    click.echo(f"copied to {copy}" + ("" if with_keys else " without keys"))


@database_commands.command("restore")
@click.argument("file", type=click.Path(path_type=Path))
def restore_command(file: Path) -> None:
    """Put the backup FILE in the place of the database, which is kept aside. Nothing may run."""
    services = _services()
    try:
        done = restore(services.database, file, SystemClock(), COMMAND_LINE)
    except TradingSystemError as error:
        _fail(error)
    for migration in done.applied:
        click.echo(f"applied {migration.name}")
    click.echo(
        f"{file} is the database now: {done.models} models, {done.trades} trades, all books balance."
    )
    if done.kept is not None:
        click.echo(f"What was there is in {done.kept}.")
    if done.without_key:
        click.echo(f"Without a key, to be entered again: {', '.join(done.without_key)}.")


@database_commands.command("import-aitradegame")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Say what would be taken; write nothing.")
def import_aitradegame(file: Path, dry_run: bool) -> None:
    """Move in from AITradeGame: take what its database FILE holds; FILE stays as it is."""
    database = _services().database
    try:
        with aitradegame.opened(file) as old:
            if not dry_run:
                database.upgrade()
            rows = old.count_history()
            with tqdm(total=rows, unit="row", disable=None, leave=False) as bar:
                report = import_file(
                    old,
                    database,
                    seal=_services().secrets.seal,
                    by=COMMAND_LINE,
                    dry_run=dry_run,
                    on_rows=bar.update,
                )
    except TradingSystemError as error:
        _fail(error)
    for line in report.lines():
        click.echo(line)


# --------------------------------------------------------------------------------- ledger


@ledger_commands.command("verify")
def verify() -> None:
    """Replay every model's trades and compare the books with what they give, to the last digit."""
    database = _services().database
    try:
        if any(row.applied_at is None for row in database.status()):
            raise MigrationError("The database is not up to date: run `flask db upgrade`.")
    except TradingSystemError as error:
        _fail(error)
    connection = database.connection
    wrong = 0
    for model in models.list_models(connection, include_archived=True):
        result = audit(connection, model)
        wrong += bool(result.differences)
        verdict = "differs" if result.differences else "balances"
        click.echo(f"model {model.id} {model.name}: {result.trades} trades, {verdict}")
        for difference in result.differences:
            click.echo(f"  {difference}")
    if wrong:
        click.echo(f"{wrong} models' books do not follow from their trades.", err=True)
        sys.exit(1)
    click.echo(f"All books balance at {iso_utc(_services().clock.now_ms())}.")


# -------------------------------------------------------------------------------- trading


@trading_commands.command("stop")
def stop_trading() -> None:
    """Stop all trading at once, in every process: no cycle, no call of an LLM. Exits go on."""
    halt = _current_services().desk.halt.stop_all(COMMAND_LINE)
    click.echo(f"All trading is stopped, since {iso_utc(halt.since_ms or 0)} by {halt.by}.")


@trading_commands.command("resume")
def resume_trading() -> None:
    """Let the models trade again."""
    _current_services().desk.halt.resume(COMMAND_LINE)
    click.echo("The models trade again.")


def _current_services() -> Services:
    """The services, on a database that is up to date."""
    services = _services()
    try:
        if any(row.applied_at is None for row in services.database.status()):
            raise MigrationError("The database is not up to date: run `flask db upgrade`.")
    except TradingSystemError as error:
        _fail(error)
    return services
