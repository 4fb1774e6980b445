"""`flask backtest sweep`: a search over parameters without a browser."""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from flask.cli import with_appcontext
from pydantic import ValidationError
from tqdm import tqdm

from backtest_commands import (
    POLL_SECONDS,
    UNFINISHED,
    figure_text,
    one_sentence,
    read_request,
    ready,
    request_options,
)
from backtest_request import BacktestRequest
from errors import InvalidInput
from repositories import sweeps
from repositories.sweeps import SweepRecord
from routes.services import Services
from sweep_request import SearchTerms, SweepRequest

FIGURES = (
    "return_percentage", "sharpe", "calmar", "max_drawdown", "total_trades", "total_fees",
    "deflated_sharpe",
)  # fmt: skip
#: The terms of a search by their options; a run has a seed of its own.
SEARCH_TERMS = {
    "search_seed" if name == "seed" else name: name
    for name in SearchTerms.model_fields
    if name != "ranges"
}


@click.command("sweep")
@request_options(BacktestRequest, without=("wait",))
@request_options(SearchTerms, without=("ranges", "seed"))
@click.option("--search-seed", metavar="VALUE", help="Of a random search")
@click.option("--range", "ranges", multiple=True, required=True, metavar="NAME=VALUES",
              help="fast=5:30:5 (low, high, step), kind=sma,ema, or kind alone for all of it")  # fmt: skip
@click.option("--backtest", "backtest_id", type=int, metavar="ID",
              help="Search over this finished run's decisions; takes no term of a run")  # fmt: skip
@click.option("--top", type=click.IntRange(1), default=20, show_default=True,
              help="Combinations that are shown, the best first")  # fmt: skip
@click.option("--csv", "target", type=click.Path(path_type=Path, dir_okay=False),
              help="Write every combination to this file")  # fmt: skip
@with_appcontext
def sweep_command(
    ranges: tuple[str, ...], backtest_id: int | None, top: int, target: Path | None,
    **given: str | None,
) -> None:  # fmt: skip
    """Search over parameters: every combination of the ranges, or random ones.

    All other options are those of `run`. The deflated Sharpe ratio is the probability that a
    Sharpe ratio is real, after so many were tried. With --fit-days and --score-days the search
    walks forward.
    """
    app = ready()
    with one_sentence():
        record = app.sweeps.submit(_request(ranges, backtest_id, given))
        click.echo(f"Search {record.id}: {record.tries} combinations"
                   + (f", {record.skipped} do not fit together" if record.skipped else ""))  # fmt: skip
        record = _watched(app, record)
    if record.status != "done" or record.result is None:
        raise click.ClickException(record.error or f"Search {record.id} was {record.status}.")
    rows = _best_first(record.result)
    _say_table([*record.result["axes"], *FIGURES], list(map(_flat, rows[:top])))
    if record.result["walk_forward"] is not None:
        _say_walk_forward(record.result["walk_forward"])
    if target is not None:
        _write_csv(target, record.result["axes"], rows)


def _request(
    ranges: Sequence[str], backtest_id: int | None, given: Mapping[str, str | None]
) -> SweepRequest:
    """What the options say. Raises InvalidInput."""
    run_terms = {name: text for name, text in given.items() if name not in SEARCH_TERMS}
    is_run = backtest_id is None
    if not is_run and any(text is not None for text in run_terms.values()):
        raise click.UsageError("--backtest takes no term of a run.")
    terms = {
        name: given[option] for option, name in SEARCH_TERMS.items() if given[option] is not None
    }
    run = read_request(BacktestRequest, run_terms) if is_run else None
    try:
        return SweepRequest(
            ranges=dict(map(read_range, ranges)), run=run, backtest_id=backtest_id, **terms
        )
    except ValidationError as error:
        wrong = {
            ".".join(map(str, item["loc"])) or "options": item["msg"]
            for item in error.errors(include_url=False, include_context=False)
        }
        raise InvalidInput("The options do not fit.", fields=wrong) from error


def read_range(text: str) -> tuple[str, dict[str, Any]]:
    """`fast=5:30:5`, `fast=5:30`, `kind=sma,ema` or `kind`, as the API takes it."""
    name, _, values = text.partition("=")
    if not values:
        return name, {}
    if ":" not in values:
        return name, {"values": [_value(value) for value in values.split(",")]}
    parts = [_value(part) for part in values.split(":")]
    if len(parts) > 3:
        raise click.BadParameter(f"{text!r} is no range like fast=5:30:5.")
    return name, dict(zip(("low", "high", "step"), parts, strict=False))


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _watched(app: Services, record: SweepRecord) -> SweepRecord:
    """The search once it has ended; cancelled where the person at the keyboard gives up."""
    connection = app.database.connection
    try:
        with tqdm(total=record.tries, unit="run", disable=None, leave=False) as bar:
            while record.status in UNFINISHED:
                time.sleep(POLL_SECONDS)
                record = sweeps.get(connection, record.id)
                bar.update(int(record.progress * record.tries) - bar.n)
    except KeyboardInterrupt:
        app.sweeps.cancel(record.id)
        raise
    app.sweeps.wait(record.id)
    return sweeps.get(connection, record.id, with_result=True)


def _best_first(result: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    objective = result["objective"]
    return sorted(
        result["rows"], key=lambda row: (row[objective] is None, -(row[objective] or 0.0))
    )


def _flat(row: Mapping[str, Any]) -> list[str]:
    values = [*row["params"].values(), *(row[name] for name in FIGURES)]
    return [figure_text(value) for value in values]


def _say_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns at the right of their width."""
    widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
    for row in (columns, *rows):
        click.echo("  ".join(f"{text:>{width}}" for text, width in zip(row, widths, strict=True)))


def _say_walk_forward(walked: Mapping[str, Any]) -> None:
    click.echo("\nWalk-forward: fitted on the days before, judged on")
    names = ("return_percentage", "sharpe", "total_trades")
    columns = ["first day", "last day", "params", *names]
    rows = [
        [row["score_first"], row["score_last"], json.dumps(row["params"])]
        + [figure_text(row[name]) for name in names]
        for row in walked["windows"]
    ]
    _say_table(columns, rows)
    for name in ("return_percentage", "sharpe", "max_drawdown"):
        click.echo(f"{name}  {figure_text(walked[name])}")


def _write_csv(target: Path, axes: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    try:
        with target.open("x", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow([*axes, *FIGURES])
            for row in rows:
                writer.writerow([*row["params"].values(), *(row[name] for name in FIGURES)])
    except OSError as error:
        reason = "is there already" if target.exists() else f"cannot be written: {error.strerror}"
        raise click.ClickException(f"{target} {reason}.") from error
    click.echo(f"{target} has {len(rows)} combinations.")
