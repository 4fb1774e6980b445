"""docs/fault-coverage.md names tests that there are, for every fault."""

import ast
import re
from pathlib import Path

TESTS = Path(__file__).parent
PAGE = (TESTS.parent / "docs" / "fault-coverage.md").read_text("utf-8")
ROWS = [line for line in PAGE.splitlines() if line.startswith("| ") and "::" in line]


def test_every_test_that_is_named_is_there():
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", PAGE)
    assert len(named) > 60
    there = {file: functions_of(TESTS / file) for file, _ in named}
    assert [f"{file}::{name}" for file, name in named if name not in there[file]] == []


def functions_of(file: Path) -> set[str]:
    nodes = ast.walk(ast.parse(file.read_text("utf-8")))
    return {node.name for node in nodes if isinstance(node, ast.FunctionDef)}


def test_every_row_says_what_happens_and_which_test_shows_it():
    assert len(ROWS) > 35
    for row in ROWS:
        fault, answer, shown_by = (cell.strip() for cell in row.strip("|").split("|"))
        assert fault
        assert len(answer.split()) > 1, row
        assert "::test_" in shown_by, row
