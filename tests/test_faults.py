"""Every fault of the sources while ten models trade without a pause: nothing wrong is booked."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from benchmarks.fault_arena import FaultArena, Scenario, fault_arena, unbalanced_books
from benchmarks.fault_scenarios import EVERY_SOURCE, ONE_SOURCE
from benchmarks.faults import page, problems_of

LASTING_SECONDS = 0.5
PATIENCE_SECONDS = 30.0


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultArena]:
    with fault_arena(tmp_path_factory.mktemp("arena"), poll_seconds=0.3) as arena:
        yield arena
        arena.stop()
        assert unbalanced_books(arena.services) == []


@pytest.mark.parametrize("scenario", [*ONE_SOURCE, *EVERY_SOURCE], ids=str)
def test_fault(arena: FaultArena, scenario: Scenario) -> None:
    outcome = arena.run(scenario, LASTING_SECONDS, PATIENCE_SECONDS)
    assert problems_of(outcome) == []
    assert str(scenario) in page([], [outcome], [])
