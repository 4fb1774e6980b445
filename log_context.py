"""What the process is at, for its log: the ids that every line carries which is written meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_ids: ContextVar[Mapping[str, int | str]] = ContextVar("log_ids", default={})  # noqa: B039 - never changed


def current_ids() -> Mapping[str, int | str]:
    """The ids of what this thread is at."""
    return _ids.get()


@contextmanager
def logged_with(**ids: int | str) -> Iterator[None]:
    """What is logged within carries these ids: cycle_id, model_id, request_id, backtest_id."""
    token = _ids.set({**_ids.get(), **ids})
    try:
        yield
    finally:
        _ids.reset(token)


def with_these_ids(work: Callable[P, T]) -> Callable[P, T]:
    """`work` for another thread, where it is logged with the ids of the one that hands it on."""
    ids = dict(current_ids())

    def carried(*args: P.args, **kwargs: P.kwargs) -> T:
        with logged_with(**ids):
            return work(*args, **kwargs)

    return carried
