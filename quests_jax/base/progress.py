"""Progress of long loops: each says how far it is, and whoever listens shows it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from quests_jax.base import signals

Progress = Callable[[str, int, int], None]  # (stage, done, total)

_progress: ContextVar[Progress | None] = ContextVar("progress", default=None)


@contextmanager
def report_progress(callback: Progress | None) -> Iterator[None]:
    """Send (stage, done, total) of every long loop inside the block to `callback`.

    A context variable rather than an argument: how progress is shown is nobody's business between
    the loop that makes it and the command line that draws it.
    """
    token = _progress.set(callback)
    try:
        yield
    finally:
        _progress.reset(token)


def advance(stage: str, done: int, total: int) -> None:
    """Tell whoever listens that `done` of `total` units of `stage` are finished; end here if asked to."""
    signals.check()
    callback = _progress.get()
    if callback is not None:
        callback(stage, done, total)


@contextmanager
def timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    """Announce the stage and add the wall time of the block to `seconds[stage]`."""
    advance(stage, 0, 0)  # of unknown length, unless a loop inside knows better
    start = time.perf_counter()
    yield
    seconds[stage] = round(seconds.get(stage, 0.0) + time.perf_counter() - start, 3)
