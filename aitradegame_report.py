"""What came of moving in: counts per table, what could not be taken and why, and the old books."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TypeVar

from aitradegame_books import Comparison
from errors import DataError
from timestamps import iso_utc

T = TypeVar("T")


@dataclass(slots=True)
class TableReport:
    """One table of the file: each row read is taken, known from before, or refused."""

    name: str
    read: int = 0
    taken: int = 0
    known: int = 0
    refused: dict[str, list[object]] = field(default_factory=dict)  # ids by why

    def count(self, which: object, take: Callable[[T], bool], row: T) -> None:
        """Count a row as what `take` makes of it: taken, known from before, or DataError."""
        try:
            is_taken = take(row)
        except DataError as error:
            self.refuse(which, error.message)
            return
        self.read += 1
        self.taken += is_taken
        self.known += not is_taken

    def refuse(self, which: object, why: str) -> None:
        """Count a row, by its id, that could not be taken."""
        self.read += 1
        self.refused.setdefault(why, []).append(which)


@dataclass(slots=True)
class ModelReport:
    """The books of one model, old and new. `unsound_values` are the ids of recorded values whose
    cash and positions do not make the total."""

    name: str
    comparison: Comparison
    adjusted: list[int]
    unsound_values: list[int]
    values: int
    last_recorded_total: Decimal | None


@dataclass(slots=True)
class ImportReport:
    """The whole report; `lines` says it for a person."""

    source: str
    dry_run: bool
    tables: dict[str, TableReport] = field(default_factory=dict)
    models: list[ModelReport] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def table(self, name: str) -> TableReport:
        """The counts of a table, under the name that the file gives it."""
        return self.tables.setdefault(name, TableReport(name))

    def lines(self) -> Iterator[str]:
        """The report as lines of text that a terminal shows as they are."""
        return (_printable(line) for line in self._lines())

    def _lines(self) -> Iterator[str]:
        yield f"{self.source}: {'what would be taken' if self.dry_run else 'taken'}"
        yield f"{'table':20}{'rows':>10}{'taken':>10}{'known':>10}{'not taken':>11}"
        for table in self.tables.values():
            refused = sum(map(len, table.refused.values()))
            counts = f"{table.read:>10,}{table.taken:>10,}{table.known:>10,}{refused:>11,}"
            yield f"{table.name:20}{counts}"
        yield from self._refusals()
        if self.notes:
            yield "Notes:"
            yield from (f"  {note}" for note in self.notes)
        for model in self.models:
            yield from _model_lines(model)
        if self.dry_run:
            yield "Nothing was written."

    def _refusals(self) -> Iterator[str]:
        refused = [table for table in self.tables.values() if table.refused]
        if refused:
            yield "Could not be taken:"
        for table in refused:
            for why, rows in table.refused.items():
                yield f"  {table.name}: {why} ({len(rows):,}), rows {_listed(rows)}"


def _model_lines(model: ModelReport) -> Iterator[str]:
    books = model.comparison
    yield f"Books of {model.name}:"
    yield f"  cash {books.old_cash:,.2f} in the old file, {books.cash:,.2f} by the ledger"
    yield (
        f"  total with positions at their entry prices {books.old_total:,.2f} in the old file, "
        f"{books.total:,.2f} by the ledger"
    )
    if model.last_recorded_total is not None:
        yield f"  last recorded total {model.last_recorded_total:,.2f}"
    if books.differences:
        first = next(iter(books.differences.values()))
        when = "" if first.first_time_ms is None else f" ({iso_utc(first.first_time_ms)})"
        yield f"  they part at trade {first.first_trade_id}{when}; of the old books:"
    for cause, found in books.differences.items():
        yield (
            f"    {cause}: {found.count:,} trades from {found.first_trade_id} on, "
            f"{found.amount:+,.2f} in its cash"
        )
    if model.adjusted:
        yield (
            f"  closed what was open, another quantity than the row names, at trades "
            f"{_listed(list(model.adjusted))}"
        )
    for position, why in books.wrong_positions.items():
        yield f"  position {position}: {why}"
    for position in books.other_positions:
        yield f"  position {position}: its trades give it, the old file does not list it"
    if model.unsound_values:
        yield (
            f"  {len(model.unsound_values):,} of {model.values:,} recorded values do not add up "
            f"(cash and positions do not make the total), from row {model.unsound_values[0]} on"
        )


def _listed(ids: list[object]) -> str:
    """Numbers as ranges, in order; what is no number as it is."""
    numbers = sorted(number for number in ids if isinstance(number, int))
    parts: list[str] = []
    start = 0
    for place, number in enumerate(numbers):
        if place + 1 < len(numbers) and numbers[place + 1] <= number + 1:
            continue
        parts.append(f"{numbers[start]}–{number}" if numbers[start] != number else f"{number}")
        start = place + 1
    return ", ".join([*parts, *(repr(item) for item in ids if not isinstance(item, int))])


def _printable(line: str) -> str:
    """`line` without what would steer a terminal."""
    return "".join(letter if letter.isprintable() else "�" for letter in line)
