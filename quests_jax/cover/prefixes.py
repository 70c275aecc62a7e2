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
    known = np.zeros(len(envs))
    if reference is not None:
        known = np.asarray(kernel_sum(envs, reference, bandwidth=bandwidth))
    return prefixes_from(
        prefix_sums(envs, order, in_order(envs, order), known, bandwidth=bandwidth), len(envs)
    )


def in_order(envs: Environments, order: np.ndarray) -> Environments:
    """The environments of some structures, one structure after the other."""
    ends = np.cumsum(envs.counts).tolist()
    rows = [np.arange(ends[s] - count, ends[s]) for s, count in zip(order, envs.counts[order], strict=True)]
    place = np.repeat(np.arange(len(order)), envs.counts[order])
    some = np.concatenate([np.zeros(0, int), *rows])
    elements = None if envs.elements is None else np.asarray(envs.elements)[some]
    return Environments(np.asarray(envs.x)[some], place.astype(np.int32), len(order), elements)


@follows_dtype
def prefix_sums(
    envs: Environments, order: np.ndarray, chosen: Environments, known: np.ndarray, *, bandwidth: float
) -> np.ndarray:
    """What some environments, n of them, add to the measures of each of t prefixes, shape [5, t].

    Args:
      envs: the environments.
      order: numbers of the t chosen structures among those of `envs`, −1 where a structure is elsewhere.
      chosen: environments of the chosen structures, from `in_order`.
      known: mass of the reference, shape [n].
      bandwidth: h in Å⁻¹.

    Returns:
      The number of environments that are chosen, their Σ ln p and Σ 1/p, and of all environments how many are
      covered and Σ min(1, p).
    """
    place = np.full(envs.n_structures, len(order))
    place[order[order >= 0]] = np.flatnonzero(order >= 0)
    place = place[np.asarray(envs.structure_id)]
    least = np.exp(-overlap_tolerance(np.asarray(envs.x).dtype))
    mass, sums = np.zeros(len(envs)), np.zeros((5, len(order)))
    for number, own in enumerate(_masses(envs, chosen, bandwidth)):
        mass += own
        p = mass[place <= number]
        sums[:3, number] = len(p), np.log(p).sum(), (1 / p).sum()
        sums[3:, number] = np.sum(mass + known > least), np.minimum(mass + known, 1.0).sum()
        advance("prefixes", number + 1, len(order))
    return sums


def prefixes_from(sums: np.ndarray, n: int) -> Prefixes:
    """Measures of prefixes from what all n environments add to them."""
    count, logs, inverses, covered, coverage = sums
    some = np.where(count > 0, count, np.nan)
    entropy, diversity = entropy_from(some, logs / some), np.log(inverses * (some / some))
    return Prefixes(count.astype(int), entropy, diversity, covered / n, coverage / n)


def _masses(envs: Environments, chosen: Environments, bandwidth: float) -> Iterator[np.ndarray]:
    """The mass of each chosen structure in order at all environments, shape [n]."""
    number = np.asarray(chosen.structure_id)
    for first in range(0, chosen.n_structures, BLOCK):
        block = (number >= first) & (number < first + BLOCK)
        count = min(BLOCK, chosen.n_structures - first)
        own = chosen.take(block)
        place = np.asarray(own.structure_id) - first
        if len(own):
            yield from np.asarray(structure_masses(envs, own, place, count, bandwidth=bandwidth))
        else:
            yield from np.zeros((count, len(envs)))
