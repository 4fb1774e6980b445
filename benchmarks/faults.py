"""`python -m benchmarks.faults`: kills, then every fault of the sources.

Ends with status 1 where a trade was lost or doubled, a wrong price was booked, something failed,
the books do not balance, or the next good price took too long. `--long` is the full measure, half
an hour on a slow machine, and writes docs/faults.md; without it, a fifth of the kills and half the
time of each fault.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import kills
from benchmarks.environments import ROOT
from benchmarks.fault_arena import MODELS, Outcome, fault_arena, unbalanced_books
from benchmarks.fault_scenarios import EVERY_SOURCE, ONE_SOURCE
from benchmarks.proofs import Outcome as Proven
from benchmarks.proofs import prove, table
from benchmarks.tables import machine

PAGE = ROOT / "docs" / "faults.md"
GOOD_PRICE_SECONDS = 5.0
PATIENCE_SECONDS = 45.0
HEADINGS = (
    "venues", "fault", "next good price", "served by", "resumed", "trades", "wrong", "blind entries",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Measure:
    """How often a process that trades is killed, and for how many seconds each fault lasts."""

    kills: int
    seconds: float


LONG, SHORT = Measure(200, 6.0), Measure(40, 3.0)


def main() -> int:
    """Kill, inject, print, write, judge."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--long", action="store_true", help="the full measure")
    is_long = arguments.parse_args().long
    measure = LONG if is_long else SHORT
    killed = [prove(proof) for proof in kills.proofs(measure.kills)]
    print(f"\n{table(killed)}\n", flush=True)
    outcomes, unbalanced = inject(measure.seconds)
    problems = [
        *(f"{outcome.proof.name}: {outcome.proof.test}" for outcome in killed if not outcome.holds),
        *(problem for outcome in outcomes for problem in problems_of(outcome)),
        *unbalanced,
    ]
    if is_long:
        PAGE.write_text(page(killed, outcomes, problems), encoding="utf-8")
    print(*(problems or ["Nothing was lost, nothing wrong was booked, nothing failed."]), sep="\n")
    return 1 if problems else 0


def inject(seconds: float) -> tuple[list[Outcome], list[str]]:
    """What came of each fault of the sources, and which books do not balance afterwards."""
    with (
        tempfile.TemporaryDirectory(prefix="faults-") as folder,
        fault_arena(Path(folder)) as arena,
    ):
        outcomes = []
        for scenario in (*ONE_SOURCE, *EVERY_SOURCE):
            lasting = seconds + 16.0 if scenario.blinds else seconds
            outcomes.append(arena.run(scenario, lasting, PATIENCE_SECONDS))
            print(" · ".join(row(outcomes[-1])), flush=True)
        arena.stop()
        return outcomes, unbalanced_books(arena.services)


def problems_of(outcome: Outcome) -> list[str]:
    """What was not as it must be."""
    problems = [*outcome.wrong_trades, *outcome.failures]
    if outcome.blind_entries:
        problems.append(f"{outcome.blind_entries} entries while no source was up")
    if not outcome.scenario.blinds and (outcome.good_price_after or 1e9) > GOOD_PRICE_SECONDS:
        problems.append(f"the next good price took {_seconds(outcome.good_price_after)}")
    if outcome.resumed_after is None:
        problems.append("prices did not come back")
    return [f"{outcome.scenario.venue} {outcome.scenario}: {problem}" for problem in problems]


def row(outcome: Outcome) -> tuple[str, ...]:
    """One line of the table."""
    scenario = outcome.scenario
    channel = "" if scenario.channel == "all" else f", {scenario.channel}"
    return (
        scenario.venue + channel,
        str(scenario),
        "–" if scenario.blinds else _seconds(outcome.good_price_after),
        outcome.served_by,
        _seconds(outcome.resumed_after),
        str(outcome.trades),
        str(len(outcome.wrong_trades)),
        str(outcome.blind_entries) if scenario.blinds else "–",
    )


def _seconds(value: float | None) -> str:
    return "never" if value is None else f"{value:.2f} s"


def page(killed: Sequence[Proven], outcomes: Sequence[Outcome], problems: Sequence[str]) -> str:
    """docs/faults.md."""
    lines = [" | ".join(HEADINGS), " | ".join("---" for _ in HEADINGS)]
    lines += [" | ".join(row(outcome)) for outcome in outcomes]
    injected = "\n".join(f"| {line} |" for line in lines)
    trades = sum(outcome.trades for outcome in outcomes)
    wrong = sum(len(outcome.wrong_trades) for outcome in outcomes)
    found = "\n".join(f"- {problem}" for problem in problems) or "None."
    return f"""# Faults, measured

Written by `make faults LONG=1` on {datetime.now(UTC):%Y-%m-%d} ({machine()}); do not edit. Which faults there
are, what happens at each and which test shows it is in [fault-coverage.md](fault-coverage.md).

## Processes that are killed

{table(killed)}

After every kill the file is looked at, then the next process goes on with it. *lost*: a trade or
candle that had been said to be booked, or had been there before, and is not there unchanged.

## Faults of the sources

{MODELS} models entered and closed without a pause while each fault was on.

{len(outcomes)} faults, {trades:,} trades, {wrong} booked at a price that the market did not have.

{injected}

- *next good price*: from the moment the fault is on until every coin has a true price that was
  received after it. *served by*: the sources of those prices.
- *resumed*: from the moment the fault is off, the same.
- *blind entries*: positions opened when no source had been right for longer than a price may be
  used.

## What was not as it must be

{found}
"""


if __name__ == "__main__":
    sys.exit(main())
