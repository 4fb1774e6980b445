"""Measurements as text: a table for the terminal, and the page docs/performance.md."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from benchmarks.api_load import CLIENTS, LoadResult, api_table
from benchmarks.measurement import RULES, Measurement

CPU_LIST = Path("/proc/cpuinfo")
HEADINGS = (
    "subject",
    "seconds",
    "bars/s",
    "times ours",
    "first run",
    "peak MB",
    "trades",
    "final value",
)


def table(measurements: Sequence[Measurement]) -> str:
    """A Markdown table of measurements on the same bars, columns padded to read as it stands.

    `times ours` is a subject's time over the time of our line that carries the report.
    """
    ours = next(one for one in measurements if one.subject.ours)
    rows = [HEADINGS, *(_row(one, ours) for one in measurements)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    lines = [_line(row, widths) for row in rows]
    rule = "|" + "|".join(_dashes(column, width) for column, width in enumerate(widths)) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])


def _row(one: Measurement, ours: Measurement) -> tuple[str, ...]:
    return (
        one.subject.label,
        f"{one.seconds:.4f}",
        f"{one.bars_per_second:,.0f}",
        f"{one.seconds / ours.seconds:.2f}×",
        f"{one.first_seconds:.2f} s",
        f"{one.peak_mb:.0f}",
        f"{one.trades:,}",
        f"{one.final_value:,.0f}",
    )


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [
        text.ljust(width) if column == 0 else text.rjust(width)
        for column, (text, width) in enumerate(zip(row, widths, strict=True))
    ]
    return "| " + " | ".join(cells) + " |"


def _dashes(column: int, width: int) -> str:
    return "-" * (width + 2) if column == 0 else "-" * (width + 1) + ":"


def machine() -> str:
    """The processor, its cores and the system."""
    return f"{_processor()}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}"


def _processor() -> str:
    if CPU_LIST.exists():
        for line in CPU_LIST.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or "unnamed processor"


def versions(measurements: Sequence[Measurement]) -> str:
    """One line a tool: what it and what it stands on were."""
    by_module = {one.subject.module: one for one in measurements}
    return "\n".join(
        f"- {one.subject.label.split(',')[0]}: "
        + ", ".join(f"{name} {version}" for name, version in one.versions.items())
        for one in by_module.values()
    )


def page(
    groups: Sequence[Sequence[Measurement]],
    sweep: Sequence[Measurement],
    answers: Sequence[LoadResult],
    when: datetime,
) -> str:
    """docs/performance.md. `groups` holds the measurements of each length of history."""
    sections = "\n\n".join(f"## {group[0].bars:,} bars\n\n{table(group)}" for group in groups)
    return f"""# Performance

Written by `make bench`; do not edit. Every figure below was measured in one run on
{when:%Y-%m-%d} at {when:%H:%M} UTC.

Machine: {machine()}.

{versions([one for group in groups for one in group])}

A cross of simple moving averages over {RULES["fast"]:.0f} and {RULES["slow"]:.0f} one-minute bars \
of one coin: all in when the fast one
crosses above the slow one, out when it crosses below, filled at the next bar's open, with a fee
of {RULES["fee"]:.1%} a fill. All are given the same prices: a random walk from a fixed seed whose
drift wanders, so that the fees do not eat the account (`benchmarks/prices.py`).

{sections}

## A sweep: 1,000 combinations of averages on {sweep[0].bars:,} bars

{table(sweep)}

Final value, deepest drawdown and trades of each combination, in one process. *bars/s* counts the
history once; *trades* are those of all runs, *final value* is their mean.

## Answers of the REST API

{CLIENTS} clients ask the demo app (a process of its own, seven models trading meanwhile, the simulated
exchange beside it) without a pause; client, app and exchange share the machine.

{api_table(answers)}

## How to read it

- *seconds* is the best of several runs in an interpreter of its own, from prices in memory (in
  the form that the tool takes) to the result, averages included. *first run* is the one before
  those, which does not count: it holds vectorbt's compiling (part of which numba keeps on disk from
  its first use on) and whatever else a tool does once.
- *times ours* compares with `BacktestEngine, with report`: the run, its ledger of exact decimals,
  and everything that `backtest_report.py` makes of it today. backtesting.py's `run()` always
  computes its statistics.
- *peak MB* is the most memory of the whole process, its libraries and its prices included.
- *trades* (closed round trips) and *final value* show that all did about the same. backtesting.py
  trades whole units and 99.99 % of its capital; vectorbt counts in floats.

## Where our time goes

On a million bars our run books 21,128 fills, and its time follows these. Of the engine alone,
sampled every 0.2 ms on the development machine:

| part                                                                            | share |
|---------------------------------------------------------------------------------|------:|
| arrays, which follow the bars: averages, crosses, the curves of the account      |  11 % |
| from decision to ledger line: size, risk and fee, then posting (a half of it)    |  39 % |
| telling watches, curves and signals of each fill                                 |  18 % |
| exact prices from the candles                                                    |   4 % |
| deciding, queueing, going from event to event                                    |  28 % |

No step stands out: a fill is some forty Python calls, with about 1.7 µs of exact decimal
arithmetic among them. A seventh of the whole is the making of immutable values (account,
position, fill, ledger line), the same that live trading works with. vectorbt does all this in
compiled floats, and that is its lead on a million bars with ten thousand trades; with fewer trades
a bar, as in the sweep, there is none. We keep one ledger, exact and shared with live trading,
rather than a second one in floats for speed. The report adds about two thirds of the engine's
time: exact amounts turned into floats and rows, the luck test, the hash of the candles.

Sizing an entry values all that is held, exactly, at just under a microsecond a position, so that
a fill costs about twice as much with a hundred coins as with one. A trader that is asked at every
bar costs 3 to 7 µs a bar and coin of our own.
"""
