"""Rule traders, found by themselves: a class in any module of this folder is a trader.

`registry()` maps each trader's key to its class.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from errors import InvalidInput
from strategies.base import RuleTrader, Strategy


@cache
def registry() -> Mapping[str, type[RuleTrader]]:
    """Every trader class in this folder by its key, sorted by key."""
    found: dict[str, type[RuleTrader]] = {}
    for module_name in sorted(module.name for module in pkgutil.iter_modules(__path__)):
        module = importlib.import_module(f"{__name__}.{module_name}")
        for member in vars(module).values():
            if not _is_trader(member, module.__name__):
                continue
            if member.key in found:
                raise ValueError(f"{member} and {found[member.key]} are both named {member.key!r}")
            found[member.key] = member
    return dict(sorted(found.items()))


def make_trader(
    key: str, coins: Sequence[str], params: Mapping[str, Any] | None = None
) -> RuleTrader:
    """A trader by its key; InvalidInput (unknown_trader, invalid_input) where it cannot be."""
    trader_class = registry().get(key)
    if trader_class is None:
        known = ", ".join(registry())
        raise InvalidInput(
            f"There is no trader {key!r}; there are {known}.",
            code="unknown_trader",
            fields={"trader": f"one of {known}"},
            values={"trader": key, "known": known},
        )
    return trader_class(coins, params)


def _is_trader(member: object, module_name: str) -> bool:
    return (
        inspect.isclass(member)
        and issubclass(member, RuleTrader)
        and member.__module__ == module_name
        and hasattr(member, "key")
    )


__all__ = ["RuleTrader", "Strategy", "make_trader", "registry"]
