"""Measures of every prefix of a selection, from one pass over the kernel."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from quests_jax.base.checks import InputError
from quests_jax.base.environments import Environments
from quests_jax.base.numerics import overlap_tolerance
from quests_jax.base.precision import follows_dtype
from quests_jax.base.progress import advance
from quests_jax.information import DEFAULT_BANDWIDTH, Rows, entropy_from, kernel_sum, structure_masses

BLOCK = 32  # structures whose masses are formed at a time


class Prefixes(NamedTuple):
    """Measures of the first 1, 2, ..., t structures of a selection; nats.

    >>> import quests_jax as qj
    >>> envs = qj.make_environments([[0.0], [0.0], [1.0], [2.0]], [0, 1, 1, 2])
    >>> qj.cover.prefix_metrics(envs, [1, 2], bandwidth=0.1).n_environments.tolist()
    [2, 3]
    """

    n_environments: np.ndarray  # [t] int
    entropy: np.ndarray  # [t]
    diversity: np.ndarray  # [t]
    overlap: np.ndarray  # [t], share of all environments that the prefix covers
    coverage: np.ndarray  # [t], mean of min(1, mass) over all environments


@follows_dtype
def prefix_metrics(
    envs: Environments,
    selected: Sequence[int] | np.ndarray,
    *,
    bandwidth: float = DEFAULT_BANDWIDTH,
    reference: Rows | None = None,
) -> Prefixes:
    """Entropy, diversity and overlap of every prefix C_t of a selection.

    With the mass p_i(t) = Σ_{j in C_t} K(x_i, x_j), which grows by one structure at a time,

        H_t = ln n_t − (1/n_t) Σ_{i in C_t} ln p_i(t),    D_t = ln Σ_{i in C_t} 1/p_i(t)

    and the overlap is the share of all i where −ln of p_i(t), plus the mass of the reference, is below the
    tolerance; the coverage is the mean of min(1, p_i(t) + r_i) over all i. One kernel sum of the selection
    against everything, whatever t.

    Args:
      envs: all environments.
      selected: structure numbers in order of choice, shape [t], each once.
      bandwidth: h in Å⁻¹.
      reference: environments that are there already, shape [r, d]; they count for overlap and coverage only.

    Raises:
      InputError: structure numbers that are out of range or come twice.

    >>> import quests_jax as qj
    >>> envs = qj.make_environments([[0.0], [0.0], [1.0], [2.0]], [0, 1, 1, 2])
    >>> qj.cover.prefix_metrics(envs, [1, 2], bandwidth=0.1).overlap.tolist()
    [0.75, 1.0]
    """
    order = np.asarray(selected, int)
    if len(np.unique(order)) < len(order) or np.any((order < 0) | (order >= envs.n_structures)):
        raise InputError(f"selected: expected different numbers from 0 to {envs.n_structures - 1}.")
    number = np.asarray(envs.structure_id)
    dtype = np.asarray(envs.x).dtype
    known = 0.0 if reference is None else np.asarray(kernel_sum(envs, reference, bandwidth=bandwidth))
    tolerance = overlap_tolerance(dtype)
    chosen = np.zeros(len(envs), bool)
    rows = []
    mass = np.zeros(len(envs), dtype)
    for done, (structure, own) in enumerate(_masses(envs, order, bandwidth), start=1):
        mass, chosen = mass + own, chosen | (number == structure)
        p = mass[chosen]
        entropy = entropy_from(len(p), np.log(p).mean()) if len(p) else np.nan
        diversity = np.log(np.sum(1 / p)) if len(p) else np.nan
        covered = np.mean(mass + known > np.exp(-tolerance))
        rows.append((len(p), entropy, diversity, covered, np.minimum(mass + known, 1.0).mean()))
        advance("prefixes", done, len(order))
    return Prefixes(*map(np.array, zip(*rows, strict=True))) if rows else Prefixes(*[np.zeros(0)] * 5)


def _masses(envs: Environments, order: np.ndarray, bandwidth: float) -> Iterator[tuple[int, np.ndarray]]:
    """Each structure in order, with its mass at all environments, shape [n]."""
    number = np.asarray(envs.structure_id)
    starts = np.searchsorted(number, np.arange(envs.n_structures + 1)).tolist()
    for first in range(0, len(order), BLOCK):
        block = np.sort(order[first : first + BLOCK])
        rows = np.concatenate([np.arange(starts[s], starts[s + 1]) for s in block])
        place = np.repeat(np.arange(len(block)), envs.counts[block])
        masses = np.asarray(structure_masses(envs, envs.take(rows), place, len(block), bandwidth=bandwidth))
        for structure in order[first : first + BLOCK].tolist():
            yield structure, masses[np.searchsorted(block, structure)]
