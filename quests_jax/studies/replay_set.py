"""Replay sets: what a potential sees again while it is fine-tuned, so that it does not forget the rest.

Multihead fine-tuning trains on a small new data set and, under another head, on part of what a foundation
model was trained with. Of the structures whose elements fit, a greedy cover chooses that part. What counts
is how far an environment i is from the fine-tuning set, δ_i = max(0, −ln Σ_j K(x_i, x_j)), against the median
m of all δ that are not 0:

    towards   u_i = m / (m + δ_i)        even   u_i = 1        away   u_i = δ_i / (m + δ_i)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from ase import Atoms

from quests_jax.base.checks import InputError
from quests_jax.base.environments import Environments, of_structures
from quests_jax.base.numerics import overlap_tolerance
from quests_jax.base.precision import follows_dtype
from quests_jax.base.selection_size import Size, as_size
from quests_jax.cover.bounds.certificate import certify
from quests_jax.cover.posing import FEWER, pose
from quests_jax.cover.selection import Selection
from quests_jax.cover.solvers.greedy import greedy_cover
from quests_jax.information import DEFAULT_BANDWIDTH, delta_entropy

FILTERS = {  # what MACE calls them, and what they let pass
    "combinations": "some of the elements of the fine-tuning set and no others",
    "exclusive": "all of the elements of the fine-tuning set and no others",
    "inclusive": "all of the elements of the fine-tuning set, and perhaps others",
    "none": "any elements",
}
WEIGHTINGS = ("towards", "even", "away")
CERTIFYING = 200  # steps of the solver
FARTHEST = 1e6  # nats; stands for the δ of an element that the fine-tuning set lacks


class Replay(NamedTuple):
    """A choice among structures that pass a filter, and how far they are from the fine-tuning set."""

    selection: Selection  # coverage and bound are weighted
    delta_entropy: np.ndarray  # [n] nats, of each environment against the fine-tuning set
    known: float  # share of the environments that the fine-tuning set covers
    failure_probability: float  # of the bound; 0 for a proof


def passing(structures: Sequence[Atoms], elements: Sequence[str], elements_filter: str) -> np.ndarray:
    """Numbers of the structures whose elements pass a filter, see `FILTERS`.

    Args:
      structures: the pool.
      elements: chemical symbols of the fine-tuning set.
      elements_filter: a name in `FILTERS`.

    Raises:
      InputError: an unknown filter, or one that nothing passes.

    >>> pool = [Atoms("Na"), Atoms("NaCl"), Atoms("NaClO"), Atoms("O")]
    >>> [passing(pool, ["Na", "Cl"], name).tolist() for name in ("combinations", "exclusive", "inclusive")]
    [[0, 1], [1], [1, 2]]
    """
    if elements_filter not in FILTERS:
        raise InputError(f"filter {elements_filter!r} is not known; choose one of {', '.join(FILTERS)}.")
    wanted = set(elements)
    tests = {
        "combinations": lambda own: own <= wanted,
        "exclusive": lambda own: own == wanted,
        "inclusive": lambda own: own >= wanted,
        "none": lambda own: True,
    }
    own = [set(atoms.get_chemical_symbols()) for atoms in structures]
    passed = np.flatnonzero([len(symbols) > 0 and tests[elements_filter](symbols) for symbols in own])
    if not len(passed):
        raise InputError(
            f"no structure of the pool has {FILTERS[elements_filter]} ({', '.join(sorted(wanted))}); "
            "use another filter."
        )
    return passed


@follows_dtype
def choose_replay(
    envs: Environments,
    finetune: Environments,
    *,
    size: float | Size,
    weighting: str = "even",
    bandwidth: float = DEFAULT_BANDWIDTH,
) -> Replay:
    """Choose the structures of a pool to replay; of a large pool a sample of the environments is looked at.

    Args:
      envs: environments of the structures that pass the filter.
      finetune: environments of the fine-tuning set.
      size: fraction or number of structures.
      weighting: a name in `WEIGHTINGS`: environments near the fine-tuning set count more (towards), all alike
        (even), or those far from it (away).
      bandwidth: h in Å⁻¹.

    Raises:
      InputError: an unknown weighting, or more structures than there are.
    """
    if weighting not in WEIGHTINGS:
        raise InputError(f"weighting {weighting!r} is not known; choose one of {', '.join(WEIGHTINGS)}.")
    count = as_size(size).of(envs.n_structures)
    dH = np.asarray(delta_entropy(envs, finetune, bandwidth=bandwidth))
    known = float((dH < overlap_tolerance(dH.dtype)).mean())
    weights = weights_of(dH, weighting)
    posed = pose(envs, weights=weights, targets=FEWER, bandwidth=bandwidth)
    selection = greedy_cover(posed.problem, size=count)
    if posed.targets is None:
        return Replay(certify(posed.problem, selection, max_steps=CERTIFYING), dH, known, 0.0)
    if weights is None:  # bounds of a sample are for environments that count alike
        selection = posed.of_all(certify(posed.problem, selection, max_steps=CERTIFYING))
    kept = of_structures(envs, np.sort(selection.selected))
    covered = np.minimum(1.0, np.exp(-np.asarray(delta_entropy(envs, kept, bandwidth=bandwidth))))
    selection = selection._replace(coverage=float(np.average(covered, weights=weights)))
    return Replay(selection, dH, known, posed.failure_probability)


def weights_of(delta: np.ndarray, weighting: str) -> np.ndarray | None:
    """u of each environment, shape [n], from its δH against the fine-tuning set; None if all count alike."""
    distance = np.clip(np.nan_to_num(delta, posinf=FARTHEST), 0.0, FARTHEST)
    positive = distance[distance > 0]
    if weighting == "even" or not len(positive):
        return None
    middle = float(np.median(positive))
    near = middle / (middle + distance)
    return near if weighting == "towards" else 1.0 - near
