"""Greedy cover in two stages, for more structures than fit into memory at once.

First every part of the data set is covered on its own; then the picks of all parts are the candidates
for a cover of everything [mirzasoleiman:13]. The masses in memory at any time are those of one part, or
those of the candidates. With m parts and t picks the coverage is at least (1 − 1/e)/min(m, t) of the best
in the worst case; how much it is in fact, `certify` says for anything that fits into memory.
"""

from __future__ import annotations

import jax
import numpy as np

from quests_jax.base.checks import InputError, check_count
from quests_jax.base.defaults import key_or_default
from quests_jax.base.environments import Environments
from quests_jax.base.precision import follows_dtype
from quests_jax.base.progress import advance
from quests_jax.base.selection_size import check_size
from quests_jax.cover.problem import cover_problem
from quests_jax.cover.selection import Selection
from quests_jax.cover.solvers.greedy import greedy_cover
from quests_jax.information import DEFAULT_BANDWIDTH


@follows_dtype
def staged_cover(
    envs: Environments,
    *,
    size: float,
    parts: int,
    bandwidth: float = DEFAULT_BANDWIDTH,
    key: jax.Array | None = None,
) -> Selection:
    """Choose structures greedily from the greedy choices of each of several random parts.

    Args:
      envs: environments of S structures, n in all.
      size: fraction of the structures, or a number of structures.
      parts: into how many parts of equal numbers of structures the data set is cut; 1 is plain greedy.
      bandwidth: h in Å⁻¹.
      key: random key for the parts; default `jax.random.key(0)`.

    Returns:
      `Selection` of the second stage, with its coverage of all n environments.

    Raises:
      InputError: a size out of range, or more parts than structures.

    >>> import quests_jax as qj
    >>> envs = qj.make_environments([[0.0], [0.0], [1.0], [2.0]], [0, 1, 1, 2])
    >>> len(qj.cover.staged_cover(envs, size=2, parts=2, bandwidth=0.1).selected)
    2
    """
    count, parts = check_size(size, envs.n_structures), check_count("parts", parts)
    if parts > envs.n_structures:
        raise InputError(f"parts is {parts}, more than the {envs.n_structures} structures; lower it.")
    key = key_or_default(key)
    shuffled = np.asarray(jax.random.permutation(key, envs.n_structures))
    candidates = []
    for number, part in enumerate(np.array_split(shuffled, parts)):
        members = np.sort(part)
        chosen = _covered(_of(envs, members), min(count, len(members)), bandwidth, None)
        candidates.append(members[chosen.selected])
        advance("parts", number + 1, parts)
    members = np.sort(np.concatenate(candidates))
    best = _covered(_of(envs, members), count, bandwidth, envs)
    return best._replace(selected=members[best.selected])


def _covered(envs: Environments, count: int, bandwidth: float, targets: Environments | None) -> Selection:
    if not np.size(envs.x):  # a part of empty structures: none is better than another
        return Selection(np.arange(count), np.zeros(count), "cover")
    return greedy_cover(cover_problem(envs, bandwidth=bandwidth, targets=targets), size=count)


def _of(envs: Environments, structures: np.ndarray) -> Environments:
    """The environments of some structures, numbered anew in their order."""
    number = np.full(envs.n_structures, -1)
    number[structures] = np.arange(len(structures))
    renumbered = number[np.asarray(envs.structure_id)]
    kept = renumbered >= 0
    own = envs.take(kept)
    return Environments(own.x, renumbered[kept].astype(np.int32), len(structures), own.elements)
