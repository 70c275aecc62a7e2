"""Per-structure summaries, mean descriptor and entropy, for simple rules of choice."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import numpy as np

from quests_jax.base.defaults import key_or_default
from quests_jax.base.environments import Environments, elements_of, structure_means
from quests_jax.cover.rules.structure_tiles import tiles_of
from quests_jax.cover.selection import Selection


def listed(
    selected: Sequence[int] | np.ndarray, method: str, gains: Sequence[float] | None = None
) -> Selection:
    """Structures and their gains (0 where the rule has none) as the result of a method."""
    chosen = np.asarray(selected, int)
    return Selection(chosen, np.zeros(len(chosen)) if gains is None else np.asarray(gains), method)


def generator_of(key: jax.Array | None) -> np.random.Generator:
    """NumPy's generator for the host, seeded by a JAX key."""
    return np.random.default_rng(np.asarray(jax.random.key_data(key_or_default(key))).tolist())


def structure_entropies(envs: Environments, *, bandwidth: float) -> np.ndarray:
    """H_S of each structure in nats, shape [S]; -inf for one without environments."""
    rows = tiles_of(envs, bandwidth, np.ones(envs.n_structures))
    return np.asarray(rows.entropy)[: envs.n_structures]


def means_of(envs: Environments, known: Environments) -> tuple[np.ndarray, np.ndarray | None]:
    """Mean descriptor of each structure [S, d], and that of what is known [d], None if it is empty.

    A structure without environments gets the mean of all environments.
    With elements told apart, see `_by_element`.
    """
    present = [labels for part in (envs, known) if (labels := elements_of(part)) is not None]
    x = _by_element(envs, present)
    own = structure_means(x, envs.structure_id, envs.n_structures)
    means = np.where(envs.counts[:, None] > 0, own, x.mean(axis=0)[None])
    if not len(known):
        return means, None
    return means, _by_element(known, present).mean(axis=0)


def _by_element(envs: Environments, present: Sequence[np.ndarray]) -> np.ndarray:
    """Descriptors in float64; where elements are told apart, in a block of columns for each of those present.

    Means are then those of each element alone, weighted by its share of the atoms.
    """
    x = np.asarray(envs.x, np.float64)
    labels = elements_of(envs)
    if labels is None:
        return x
    return np.concatenate([x * (labels == Z)[:, None] for Z in np.unique(np.concatenate(present))], axis=1)


def distances(points: np.ndarray, point: np.ndarray) -> np.ndarray:
    """Distance of each of the points [S, d] from one point [d]."""
    return np.linalg.norm(points - point[None], axis=1)


def members_of(group: np.ndarray) -> list[np.ndarray]:
    """Numbers of the members of each group that has any."""
    return [np.flatnonzero(group == g) for g in np.unique(group)]
