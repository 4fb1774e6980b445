"""`flask backtest …`: run, audit and export without a browser."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import click
from flask.cli import AppGroup
from flask_babel import force_locale
from pydantic import BaseModel, ValidationError
from tqdm import tqdm

from ai_params import AI_TRADER, NO_ADVICE, Indicator
from ai_trader import make_ai_trader
from backtest_audit import Leak, first_leak, first_leak_of_prompt, generated_history
from backtest_export import FORMATS, exported, file_name, read_exported
from backtest_request import BacktestRequest, ResolvedBacktest
from backtest_warnings import sentence_of
from domain import Interval, KlineSeries, TradingModel
from errors import InvalidInput, TradingSystemError
from llm_client import LLMClient
from repositories import backtests, coins
from repositories.backtests import BacktestRecord
from repositories.klines import LATEST_MS
from routes.services import Services, services
from strategies import make_trader, registry
from timestamps import iso_utc, parse_time_ms

POLL_SECONDS = 0.1
UNFINISHED = ("queued", "running")
ADVICE_OF_PROMPT = "ma_cross"

Command = TypeVar("Command", bound=Callable[..., Any])
Request = TypeVar("Request", bound=BaseModel)

backtest_commands = AppGroup("backtest", help="Backtests: run, audit, sweep, export.")


@contextmanager
def one_sentence() -> Iterator[None]:
    """What goes wrong is said in one sentence with the fields that it is about; the status is 1."""
    try:
        yield
    except TradingSystemError as error:
        wrong = [f"{name}: {why}" for name, why in error.fields.items()]
        raise click.ClickException("\n  ".join([error.message, *wrong])) from error


def ready() -> Services:
    """The services, their database up to date."""
    app = services()
    with one_sentence():
        app.database.upgrade()
    return app


# --------------------------------------------------------------------------- terms as options


def option_name(field: str) -> str:
    """`start_date` is asked for as `--start`, any other field by its own name."""
    return {"start_date": "start", "end_date": "end", "model_id": "model"}.get(
        field, field.replace("_", "-")
    )


def request_options(
    model: type[BaseModel], *, without: tuple[str, ...]
) -> Callable[[Command], Command]:
    """An option for every field of what the API takes, so that both always take the same."""

    def add(command: Command) -> Command:
        for name, field in reversed(model.model_fields.items()):
            if name not in without:
                words = field.description or ""
                option = click.option(f"--{option_name(name)}", name, help=words, metavar="VALUE")
                command = option(command)
        return command

    return add


def read_request(model: type[Request], given: Mapping[str, str | None]) -> Request:
    """What the options say, checked as the API checks it. Raises InvalidInput."""
    terms = {name: _read_term(name, text) for name, text in given.items() if text is not None}
    try:
        return model.model_validate(terms)
    except ValidationError as error:
        wrong = {
            ".".join(map(str, item["loc"])) or "options": item["msg"]
            for item in error.errors(include_url=False, include_context=False)
        }
        raise InvalidInput("The options do not fit.", fields=wrong) from error


def _read_term(name: str, text: str) -> Any:
    """A list by commas, JSON where it is JSON, the content of a file after @, else the text."""
    if text.startswith("@"):
        text = _text_of(Path(text[1:]))
    if name == "coins":
        return [coin.strip() for coin in text.split(",") if coin.strip()]
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


# ----------------------------------------------------------------------------------------- run


@backtest_commands.command("run")
@request_options(BacktestRequest, without=("wait",))
@click.option("--again", type=click.Path(path_type=Path, dir_okay=False, exists=True),
              help="Run what this exported JSON file holds; takes no other term")  # fmt: skip
@click.option("--json", "target", type=click.Path(path_type=Path, dir_okay=False),
              help="Write the run with its report to this file")  # fmt: skip
def run_backtest(again: Path | None, target: Path | None, **given: str | None) -> None:
    """Run a backtest and print its figures.

    Options are what POST /api/backtest/run takes; @FILE takes a value from a file. Candles that are
    not stored are fetched. The same run again is answered from its store.
    """
    app = ready()
    with one_sentence():
        earlier = None if again is None else read_exported(_text_of(again))
        record = _watched(app, _submitted(app, earlier, given))
        if record.status != "done":
            sentence = record.error or f"Backtest {record.id} was {record.status}."
            raise click.ClickException(sentence)
        whole = backtests.get(app.database.connection, record.id, with_report=True)
        _say_report(whole)
        if earlier is not None:
            click.echo(_compared(whole, earlier))
        if target is not None:
            _write(target, exported(whole, "json"))


def _submitted(
    app: Services, earlier: Mapping[str, Any] | None, given: Mapping[str, str | None]
) -> BacktestRecord:
    """The run of an exported file, or of the options. Raises InvalidInput."""
    if earlier is None:
        return app.backtests.submit(read_request(BacktestRequest, given))
    if any(text is not None for text in given.values()):
        raise click.UsageError("--again takes no other term of the run.")
    try:
        resolved = ResolvedBacktest.model_validate(earlier["config"])
    except ValidationError as error:
        raise InvalidInput("The configuration in this file does not fit.") from error
    return app.backtests.submit_resolved(resolved)


def _say_report(record: BacktestRecord) -> None:
    click.echo(f"Backtest {record.id}")
    for line in summary_lines(record.summary or {}):
        click.echo(line)
    for found in (record.report or {}).get("warnings", []):
        click.echo(f"Warning: {sentence_of(found)}", err=True)


def _compared(record: BacktestRecord, earlier: Mapping[str, Any]) -> str:
    """Whether a run came to what the exported one did."""
    report = record.report or {}
    if record.data_hash != earlier["data_hash"]:
        return "The candles here are not those of the file."
    keys = ("summary", "fills", "account_values")
    same = all(report[key] == earlier["report"].get(key) for key in keys)
    return f"The candles are those of the file, and the result {'is too' if same else 'is NOT'}."


def _text_of(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise click.BadParameter(f"{path} cannot be read.") from error


def _write(target: Path, text: str) -> None:
    """Write a file that is not there yet."""
    try:
        with target.open("x", encoding="utf-8", newline="") as file:
            file.write(text)
    except OSError as error:
        reason = "is there already" if target.exists() else f"cannot be written: {error.strerror}"
        raise click.ClickException(f"{target} {reason}.") from error
    click.echo(f"{target} has been written.")


def _watched(app: Services, record: BacktestRecord) -> BacktestRecord:
    """The run once it has ended; cancelled where the person at the keyboard gives up."""
    try:
        with tqdm(total=100, unit="%", disable=None, leave=False) as bar:
            while record.status in UNFINISHED:
                time.sleep(POLL_SECONDS)
                record = backtests.get(app.database.connection, record.id)
                bar.update(record.progress * 100 - bar.n)
    except KeyboardInterrupt:
        app.backtests.cancel(record.id)
        raise
    app.backtests.wait(record.id)
    return record


def summary_lines(summary: Mapping[str, Any]) -> list[str]:
    """The figures under each other, names at the left."""
    width = max(map(len, summary), default=0)
    return [f"{name:{width}}  {figure_text(value)}" for name, value in summary.items()]


def figure_text(value: Any) -> str:
    """A figure; a dash where it cannot be said."""
    if value is None:
        return "–"
    if isinstance(value, list | tuple):
        return " to ".join(figure_text(part) for part in value)
    return f"{value:,.4f}" if isinstance(value, float) else str(value)


# -------------------------------------------------------------------------------------- export


@backtest_commands.command("export")
@click.argument("backtest_id", type=int, metavar="ID")
@click.option("--format", "file_format", type=click.Choice(FORMATS), default="json",
              show_default=True)  # fmt: skip
@click.option("--locale", type=click.Choice(["en", "zh"]), default="en", show_default=True,
              help="Language of the page of HTML")  # fmt: skip
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False))
def export_backtest(backtest_id: int, file_format: str, locale: str, output: Path | None) -> None:
    """Write a finished backtest to a file: all of it, its trades, or a page that opens alone."""
    app = ready()
    with one_sentence(), force_locale(locale):
        record = backtests.get(app.database.connection, backtest_id, with_report=True)
        text = exported(record, file_format)
    _write(output or Path(file_name(record, file_format)), text)


# --------------------------------------------------------------------------------------- audit


@backtest_commands.command("audit")
@click.argument("trader", required=False)
@click.option("--params", default="{}", help="The parameters, as JSON", metavar="JSON")
@click.option("--coin", help="Stored candles of this coin; generated ones unless it is named")
@click.option("--interval", type=click.Choice([i.value for i in Interval]), default="1h",
              show_default=True)  # fmt: skip
@click.option("--start", help="First open time, like 2024-01-01; the first that is stored")
@click.option("--end", help="Open times before this; all by default")
def audit_traders(
    trader: str | None, params: str, coin: str | None, interval: str, start: str | None,
    end: str | None,
) -> None:  # fmt: skip
    """Show that TRADER does not see the future: a strategy by its key, or `ai` for the prompt.

    All of them unless one is named. The status is 1 where one does.
    """
    app = ready()
    with one_sentence():
        terms = _read_params(params, trader)
        history = _history(app, coin, Interval(interval), start, end)
        names = [trader] if trader else [*registry(), AI_TRADER]
        leaks = 0
        for name in tqdm(names, unit="trader", disable=None, leave=False):
            leak = _leak_of(app, name, terms, history)
            leaks += leak is not None
            tqdm.write(f"{name}: {_verdict(leak)}")
    if leaks:
        click.echo(f"{leaks} of {len(names)} see the future.", err=True)
        sys.exit(1)


def _read_params(text: str, trader: str | None) -> dict[str, Any]:
    try:
        params = json.loads(text)
    except json.JSONDecodeError as error:
        raise click.BadParameter(f"--params is no JSON: {error}.") from error
    if not isinstance(params, dict) or (params and not trader):
        raise click.BadParameter("--params takes an object, of the one trader that is named.")
    return params


def _leak_of(
    app: Services, name: str, params: Mapping[str, Any], history: Mapping[str, KlineSeries]
) -> Leak | None:
    if name == AI_TRADER:
        return _leak_of_prompt(app, params, history)
    return first_leak(lambda: make_trader(name, tuple(history), params), history)


def _leak_of_prompt(
    app: Services, params: Mapping[str, Any], history: Mapping[str, KlineSeries]
) -> Leak | None:
    """Of the prompt with every indicator and a strategy's advice, unless told otherwise."""
    everything: dict[str, Any] = {
        "indicators": list(Indicator),
        "advice": ADVICE_OF_PROMPT,
        "history_bars": 50,
    }
    if params.get("advice") == NO_ADVICE:
        del everything["advice"]
    interval = next(iter(history.values())).interval
    model = TradingModel(
        "Audit",
        AI_TRADER,
        Decimal(10_000),
        interval,
        60,
        "balanced",
        params={**everything, **params},
    )
    trader = make_ai_trader(
        model, tuple(history), None, app.database, _nobody_is_asked, lambda: False
    )
    return first_leak_of_prompt(trader.prompt, trader.history_bars, history)


def _nobody_is_asked(provider_id: int) -> LLMClient:
    raise AssertionError("An audit of a prompt asks no LLM")


def _history(
    app: Services, symbol: str | None, interval: Interval, start: str | None, end: str | None
) -> dict[str, KlineSeries]:
    """Stored candles of a coin, or generated ones. Raises InvalidInput (no_data)."""
    if symbol is None:
        return generated_history()
    coin = coins.get(app.database.connection, symbol)
    series = app.kline_store.read(
        coin, app.data_aggregator.kline_source_name(), interval,
        _time(start, 0), _time(end, LATEST_MS),
    )  # fmt: skip
    if len(series) < 2:
        raise InvalidInput(
            f"No {interval} candles of {coin.symbol} are stored there.", code="no_data"
        )
    return {coin.symbol: series}


def _time(text: str | None, otherwise: int) -> int:
    try:
        return otherwise if text is None else parse_time_ms(text)
    except (ValueError, OverflowError) as error:
        raise click.BadParameter(f"{text!r} is no date like 2024-01-31.") from error


def _verdict(leak: Leak | None) -> str:
    if leak is None:
        return "no leak"
    return f"LEAK: {leak.what} of {leak.coin} at the bar that opens {iso_utc(leak.open_time)}"
