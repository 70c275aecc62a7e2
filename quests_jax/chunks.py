"""Memory policy, knowing no physics: work in blocks, pad to few shapes, say how far along it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

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
    """Tell whoever listens that `done` of `total` units of `stage` are finished."""
    callback = _progress.get()
    if callback is not None:
        callback(stage, done, total)


def padded_size(n: int, *, smallest: int = 1) -> int:
    """Smallest size ≥ n among `smallest`·2^a·{1, 5/4, 3/2, 7/4}: at most 25 % padding, few programs."""
    if n <= smallest:
        return smallest
    unit = smallest
    while 2 * unit < n:
        unit *= 2
    quarters = -(-(n - unit) * 4 // unit)
    return unit + -(-unit * quarters // 4)
