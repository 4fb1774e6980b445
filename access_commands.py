"""`flask user …` and `flask token …`: the owner's password, and tokens for scripts."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click
from flask.cli import AppGroup

from access_tokens import Scope
from audit_log import COMMAND_LINE
from clock import SystemClock
from errors import TradingSystemError
from owner_access import OwnerAccess
from passwords import SHORTEST
from routes.services import services
from timestamps import iso_utc

user_commands = AppGroup("user", help="The owner's password.")
token_commands = AppGroup("token", help="Tokens for scripts: create, list, revoke.")


@contextmanager
def _access() -> Iterator[OwnerAccess]:
    """Who may call, on a database that is up to date; what goes wrong is said in one sentence."""
    try:
        services().database.upgrade()
        yield services().access
    except TradingSystemError as error:
        raise click.ClickException(error.message) from error


@user_commands.command("set-password")
@click.option(
    "--password-stdin", is_flag=True, help="Read it from the standard input's first line."
)
def set_password(password_stdin: bool) -> None:
    """Set the password that pages and API ask for from then on; every browser is signed out."""
    if password_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    else:
        words = f"Password (at least {SHORTEST} characters)"
        password = click.prompt(words, hide_input=True, confirmation_prompt=True)
    with _access() as access:
        access.set_password(password, COMMAND_LINE)
    click.echo("The password has been set.")


@user_commands.command("remove-password")
@click.confirmation_option(prompt="Shall everybody at this computer be let in?")
def remove_password() -> None:
    """Do without a password: the app then serves the loopback alone."""
    with _access() as access:
        access.remove_password(COMMAND_LINE)
    click.echo("The password has been removed.")


@token_commands.command("create")
@click.argument("name")
@click.option(
    "--scope", type=click.Choice([scope.value for scope in Scope]), default=Scope.READ.value,
    show_default=True, help="read: to look; trade: to run models and backtests; admin: everything.",
)  # fmt: skip
@click.option("--days", type=click.IntRange(1, 3650), help="After which it expires.")
def create_token(name: str, scope: str, days: int | None) -> None:
    """Make a token called NAME. It is printed this once, for Authorization: Bearer …"""
    with _access() as access:
        made = access.make_token(name.strip(), Scope(scope), days, COMMAND_LINE)
    click.echo(made.text)
    until = "until it is revoked" if days is None else f"for {days} days"
    click.echo(f"Token {made.token.id} ({scope}) counts {until}; it is not shown again.", err=True)


@token_commands.command("list")
def list_tokens() -> None:
    """Every token that has not been revoked."""
    with _access() as access:
        tokens = access.list_tokens()
    now_ms = SystemClock().now_ms()
    for token in tokens:
        used = "never used" if token.last_used_ms is None else f"used {iso_utc(token.last_used_ms)}"
        ends = "" if token.expires_ms is None else f", until {iso_utc(token.expires_ms)}"
        gone = " (expired)" if token.expired(now_ms) else ""
        click.echo(f"{token.id:4} {token.scope:5} {token.prefix}… {token.name}: {used}{ends}{gone}")
    if not tokens:
        click.echo("There are no tokens.")


@token_commands.command("revoke")
@click.argument("token_id", type=int)
def revoke_token(token_id: int) -> None:
    """End the token with this id at once."""
    with _access() as access:
        token = access.revoke_token(token_id, COMMAND_LINE)
    click.echo(f"The token {token.name} has been revoked.")
