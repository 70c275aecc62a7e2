"""Kernel sums between large sets, a part of each side at a time: in little memory, and by one program."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext

import numpy as np

from quests_jax.base.environments import Environments
from quests_jax.base.precision import follows_dtype
from quests_jax.information.sums.kernel_sums import room_for
from quests_jax.information.sums.same_element_sums import structure_masses

NUMBERS = 1 << 22  # of a part, at most: 32 MB in float64, about 0.2 GB with what a sum makes of them
FEWEST = 4096  # rows of a part, however wide they are


@follows_dtype
def sums_in_parts(
    y: Environments,
    x: Environments,
    group: np.ndarray | None = None,
    *,
    bandwidth: float,
    told: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """Σ_j K(y_i, x_j) over the rows j of group 0 and over those of group 1, in float64, shape [2, m].

    Args:
      y: queries, m environments.
      x: reference, n environments.
      group: 0 or 1 for each row of x, shape [n]; 0 where not given.
      bandwidth: h in Å⁻¹.
      told: is told how many queries are done, and m.

    >>> import quests_jax as qj
    >>> envs = qj.make_environments([[0.0], [0.0], [1.0]], [0, 1, 2])
    >>> sums_in_parts(envs, envs, np.array([0, 1, 1]), bandwidth=0.1).round(4).tolist()
    [[1.0, 1.0, 0.0], [1.0, 1.0, 1.0]]
    """
    length = _length(y, x)
    group = np.zeros(len(x), np.int32) if group is None else group
    large = max(len(y), len(x)) > length
    sums, done = np.zeros((2, len(y))), 0
    with room_for(length, length) if large else nullcontext():
        for rows, queries in _parts(y, length):
            for columns, part in _parts(x, length):
                sums[:, rows] += structure_masses(queries, part, group[columns], 2, bandwidth=bandwidth)
            done += len(queries)
            if told is not None:
                told(done, len(y))
    return sums


def _length(y: Environments, x: Environments) -> int:
    """Rows of a part, a power of two."""
    width = max(np.shape(x.x)[1], np.shape(y.x)[1], 1)
    return max(FEWEST, 1 << max(NUMBERS // width, 1).bit_length() - 1)


def _parts(envs: Environments, length: int) -> Iterator[tuple[slice, Environments]]:
    """Parts of nearly equal length, in float64, and which rows they are."""
    in_float64, ends = envs.in_float64(), np.linspace(0, len(envs), -(-len(envs) // length) + 1).astype(int)
    for start, stop in zip(ends[:-1], ends[1:], strict=True):
        rows = slice(int(start), int(stop))
        yield rows, in_float64.take(rows)
