"""`flask backtest answers …`: a run's recorded answers to another machine, and from one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from flask.cli import AppGroup
from pydantic import ValidationError

from answer_file import read_answer, read_head, write_lines
from backtest_commands import one_sentence, ready
from backtest_request import ResolvedBacktest
from errors import Conflict, DataError
from recorded_answers import Replay
from repositories import backtests, llm_answers
from routes.services import Services

answer_commands = AppGroup("answers", help="Recorded answers of language models.")


@answer_commands.command("export")
@click.argument("backtest_id", type=int)
@click.option("--to", "target", type=click.Path(path_type=Path, dir_okay=False),
              help="The file; by default the output")  # fmt: skip
def export_answers(backtest_id: int, target: Path | None) -> None:
    """Write the answers that a run has used, as JSON lines."""
    app = ready()
    with one_sentence():
        lines = list(_lines(app, backtest_id))
    if target is None:
        sys.stdout.writelines(lines)
        return
    try:
        target.write_text("".join(lines), "utf-8")
    except OSError as error:
        raise click.ClickException(f"{target} cannot be written: {error.strerror}.") from error
    click.echo(f"{len(lines) - 1} answers are in {target}.")


@answer_commands.command("import")
@click.argument("source", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--run", "run_it", is_flag=True, help="Then make the run, with these answers alone")
def import_answers(source: Path, run_it: bool) -> None:
    """Record the answers of a file, all or none of them."""
    app = ready()
    with one_sentence():
        config, added, known = _imported(app, source)
        click.echo(f"{added} answers are new, {known} were recorded already.")
        if run_it:
            click.echo(_replayed(app, config))


def _lines(app: Services, backtest_id: int) -> Iterator[str]:
    connection = app.database.connection
    record = backtests.get(connection, backtest_id)
    resolved = ResolvedBacktest.model_validate(record.config)
    if resolved.llm is None:
        raise Conflict(f"Backtest {backtest_id} asked no language model.", code="no_llm")
    yield from write_lines(
        resolved.what_results_hang_on(), llm_answers.of_run(connection, backtest_id)
    )


def _imported(app: Services, source: Path) -> tuple[dict[str, Any], int, int]:
    """The run's terms, how many answers were new, and how many known."""
    added = known = 0
    try:
        with source.open(encoding="utf-8") as lines, app.database.transaction() as connection:
            config = dict(read_head(lines.readline()))
            for number, line in enumerate(lines, start=2):
                stored = read_answer(line, number)
                if llm_answers.holds(connection, stored):
                    known += 1
                else:
                    llm_answers.add(connection, stored)
                    added += 1
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{source} cannot be read as text.") from error
    return config, added, known


def _replayed(app: Services, config: dict[str, Any]) -> str:
    """Make the run with recorded answers alone; what came of it, in a sentence."""
    try:
        resolved = ResolvedBacktest.model_validate(config)
    except ValidationError as error:
        raise DataError("The file's terms are no run of this version.") from error
    if resolved.llm is None:
        raise DataError("The file's run asks no language model.")
    alone = resolved.llm.model_copy(update={"replay": Replay.ONLY})
    record = app.backtests.submit_resolved(resolved.model_copy(update={"llm": alone}))
    app.backtests.wait(record.id)
    record = backtests.get(app.database.connection, record.id)
    if record.status != "done" or record.summary is None:
        raise Conflict(record.error or f"Backtest {record.id} is {record.status}.")
    return f"Backtest {record.id}: return {record.summary['return_percentage']:+.2f} %."
