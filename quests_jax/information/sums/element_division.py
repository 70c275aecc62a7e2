"""One element after the other: rows are divided by element, summed, and joined again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.typing import ArrayLike

from quests_jax.base.array_checks import check_bandwidth
from quests_jax.base.checks import InputError, check_matrix
from quests_jax.base.environments import Environments, check_alike, elements_of, rows_of, some_rows
from quests_jax.base.step_sizes import TILE
from quests_jax.information.sums.kernel_sums import room_for

Rows = np.ndarray | jax.Array | Environments  # [n, d], with or without elements
ROOMS = (TILE, 16 * TILE)  # rows of an element that share a program; padding of more would take longer


class SumOfOneElement(Protocol):
    """A kernel sum of rows of one element."""

    def __call__(self, y: ArrayLike, x: ArrayLike, own: np.ndarray | slice, /) -> jax.Array:
        """Sums over x for the queries y; `own` are the numbers of the rows x in the whole set."""
        ...


def checked_rows(check: Callable[[str, Any, int], Any], name: str, values: Any, x: Rows) -> Any:
    """Values of all rows of x, looked at before they are divided by element, so that a row keeps its number.

    Where elements are not told apart, the sum itself looks at them.
    """
    return values if values is None or elements_of(x) is None else check(name, values, len(x))


def check_sides(y: Rows, x: Rows, bandwidth: ArrayLike) -> None:
    """Look at what no sum sees where y and x have no element in common; else the sums look themselves."""
    check_alike(y, x)
    if elements_of(x) is not None:
        check_matrix("y", rows_of(y), np.shape(rows_of(x))[1])
        check_bandwidth(bandwidth, np.dtype(np.float64))


def each_element(
    sums: SumOfOneElement,
    y: Rows,
    x: Rows,
    *,
    missing: float,
    lead: tuple[int, ...] = (),
    tail: tuple[int, ...] = (),
    bandwidth: ArrayLike,
) -> jax.Array:
    """`sums(y, x, own)` of each element, joined along the axis of the queries.

    `own` are the numbers of the rows of x of that element, all of them where elements are not told apart;
    `missing` is the sum over no row. Axes `lead` come before that of the queries, axes `tail` behind it.
    """
    check_sides(y, x, bandwidth)
    if elements_of(y) is None:
        rows = rows_of(y)
        return sums(rows, rows if y is x else rows_of(x), slice(None))
    if not len(x):
        raise InputError("x: the reference holds no environments; give at least one.")
    places, parts = [], []
    dtype = np.result_type(rows_of(y).dtype, np.float32)
    rows = rows_of_elements(y, x)
    for mine, yours in rows:
        if not len(mine):
            continue
        places.append(mine)
        if len(yours):
            queries = some_of(y, mine)
            with nullcontext() if len(rows) == 1 else room_for(_room(mine), _room(yours)):
                parts.append(sums(queries, queries if y is x else some_of(x, yours), yours))
        else:
            parts.append(np.full((*lead, len(mine), *tail), missing, dtype))
    if not parts:
        return jnp.zeros((*lead, 0, *tail), dtype)
    return _joined(parts, places, len(lead))


def _room(rows: np.ndarray) -> int:
    """Rows that one of several elements is filled up to; 0 where it may have a program of its own."""
    return next((room for room in ROOMS if len(rows) <= room), 0)


def rows_of_elements(y: Rows, x: Rows) -> Sequence[tuple[np.ndarray, np.ndarray]]:
    """Numbers of the rows of y and of x of each element that y or x holds."""
    of_y, of_x = np.asarray(elements_of(y)), np.asarray(elements_of(x))
    return [(np.flatnonzero(of_y == Z), np.flatnonzero(of_x == Z)) for Z in np.union1d(of_y, of_x)]


def some_of(x: Rows, rows: np.ndarray) -> np.ndarray | jax.Array:
    """Rows of x with these numbers, as a bare array."""
    return rows_of(some_rows(x, rows))


def _joined(parts: Sequence[ArrayLike], places: Sequence[np.ndarray], axis: int) -> jax.Array:
    """Parts joined along an axis, each entry at its place; by NumPy where no derivative is asked for."""
    back = np.argsort(np.concatenate(places))
    if any(isinstance(part, Tracer) for part in parts):
        return jnp.take(jnp.concatenate(parts, axis=axis), back, axis=axis)
    together = np.concatenate([np.asarray(part) for part in parts], axis=axis)
    return jax.device_put(np.take(together, back, axis=axis))
