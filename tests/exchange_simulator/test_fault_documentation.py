"""The table of faults in the documentation is the list that the exchange knows."""

import re
from pathlib import Path

from exchange_simulator.fault_kinds import EXCHANGE_KINDS

TEXT = (Path(__file__).parents[2] / "docs" / "exchange-simulator.md").read_text("utf-8")


def documented() -> dict[str, list[str]]:
    """The parameters by fault, with what stands behind them as their defaults."""
    table = TEXT.split("## Faults of the exchanges")[1]
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \|", table, re.MULTILINE)
    return {name: parameters.split(", ") for name, parameters in rows}


def test_the_table_has_every_fault_with_its_parameters_and_defaults():
    known = {}
    for name, kind in EXCHANGE_KINDS.items():
        known[name] = [
            f"`{key}`" + ("" if parameter.default in (None, ()) else f" {parameter.default}")
            for key, parameter in kind.params.items()
        ]
    assert documented() == known
