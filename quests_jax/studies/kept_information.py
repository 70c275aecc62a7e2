"""What a choice keeps of a data set, from one pass over pairs of all environments with the chosen ones."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from quests_jax.base.environments import Environments, joined, lacking, rows_of
from quests_jax.base.numerics import overlap_tolerance
from quests_jax.base.precision import follows_dtype
from quests_jax.base.progress import advance
from quests_jax.cover.masses.dense_or_sparse import DenseMasses
from quests_jax.cover.posing import Posed
from quests_jax.cover.selection import Selection
from quests_jax.information import (
    Estimate,
    Rows,
    delta_entropy,
    entropy_from,
    estimated_diversity,
    estimated_entropy,
    self_kernel_sum,
)
from quests_jax.information.partwise_sums import sums_in_parts

EXACT = 100_000  # environments up to which the entropy of the whole is exact
SAMPLE = 4000  # environments from which it is estimated beyond
SKIPPED = 1e-12  # what far environments may add to a sum unseen
SMALL = 1e-3  # sums above are as good as exact


@follows_dtype
def measure(
    envs: Environments,
    selected: np.ndarray,
    known: Environments | None,
    *,
    bandwidth: float,
    posed: Posed | None = None,
    exact: bool = False,
) -> dict[str, Any]:
    """Entropies of the whole and of the chosen part, and how well the part covers the whole.

    Args:
      envs: all environments, n of them.
      selected: structures of the choice.
      known: environments that are there already; they cover too, and `overlap_before` is what they cover.
      bandwidth: h in Å⁻¹.
      posed: the cover problem; where it holds all masses no pair is formed again.
      exact: whether the entropy of more than `EXACT` environments is wanted exactly.
    """
    own = np.isin(envs.structure_id, selected)
    of_choice, of_known = _sums(envs, own, selected, known, bandwidth, posed)
    mass, absent = of_choice + of_known, lacking(envs, _covering(envs, own, known))
    dH = np.where(absent, np.inf, -np.log(np.maximum(mass, np.finfo(float).tiny)))
    tolerance = overlap_tolerance(dH.dtype)
    kept = kept_of(
        measures_of(of_choice[own]), entropies_of_all(envs, bandwidth=bandwidth, posed=posed, exact=exact), dH
    )
    return kept | {
        "coverage": float(np.minimum(mass, 1.0).mean()),
        "overlap_before": None if known is None else float((of_known > np.exp(-tolerance)).mean()),
        "max_delta_entropy": _worst(envs, own, known, np.where(absent, np.inf, mass), bandwidth),
    }


def kept_of(chosen: tuple[float, float], whole: tuple[Estimate, Estimate], dH: np.ndarray) -> dict[str, Any]:
    """What a choice keeps, from H and D of it and of the whole, and δH of all environments [n] against it."""
    (entropy, diversity), (H, D), tolerance = chosen, whole, overlap_tolerance(dH.dtype)
    return {
        "entropy": entropy,
        "diversity": diversity,
        "entropy_full": H.value,
        "diversity_full": D.value,
        "entropy_full_half_width": H.half_width,
        "diversity_full_half_width": D.half_width,
        "overlap": float((dH < tolerance).mean()),
        "tolerance": tolerance,
        "max_delta_entropy": float(dH.max(initial=-np.inf, where=np.isfinite(dH))),
        "missing_elements": int(np.isposinf(dH).sum()),
    }


def counts_of(
    selection: Selection, counts: np.ndarray, numbers: np.ndarray, known: Environments | Rows | None
) -> dict[str, Any]:
    """Sizes, coverage and bound of a choice for its summary.

    Args:
      selection: the choice, in numbers of the structures that were not dropped.
      counts: environments of each of those, shape [S].
      numbers: what number each has in the whole data set, shape [S].
      known: environments that are there already.
    """
    return {
        "size": len(selection.selected),
        "selected": numbers[selection.selected],
        "gains": selection.gains,
        "n_structures": len(counts),
        "n_environments": int(counts.sum()),
        "selected_environments": int(counts[selection.selected].sum()),
        "reference_environments": None if known is None else np.shape(rows_of(known))[0],
        "coverage": selection.coverage,
        "upper_bound": selection.upper_bound,
        "certified_ratio": selection.certified_ratio,
    }


@follows_dtype
def entropy_and_diversity(x: Any, *, bandwidth: float) -> tuple[float, float]:
    """H = ln n + mean δH and D = ln Σ exp δH of x [n, d] in nats, from one kernel sum instead of two."""
    return measures_of(np.asarray(self_kernel_sum(x, bandwidth=bandwidth)))


@follows_dtype
def entropies_of_all(
    envs: Environments, *, bandwidth: float, posed: Posed | None = None, exact: bool = False
) -> tuple[Estimate, Estimate]:
    """Entropy and diversity of all environments, from a sample of more than `EXACT` unless `exact`.

    Args:
      envs: n environments.
      bandwidth: h in Å⁻¹.
      posed: their cover problem; where it holds all masses no pair is formed again.
      exact: whether no sample is wanted.
    """
    n = len(envs)
    if (masses := _all_masses(posed)) is not None:
        p = masses.sum(axis=0)
    elif exact or n <= EXACT:
        p = np.asarray(self_kernel_sum(envs.in_float64(), bandwidth=bandwidth))
    else:
        sample = envs.in_float64().take(np.sort(np.random.default_rng(0).choice(n, SAMPLE, replace=False)))
        return entropies_from(sample, envs, bandwidth=bandwidth)
    H, D = measures_of(p)
    return Estimate(H, 0.0), Estimate(D, 0.0)


@follows_dtype
def entropies_from(
    sample: Environments, envs: Environments, *, bandwidth: float
) -> tuple[Estimate, Estimate]:
    """Entropy and diversity of all environments from the kernel sums of a sample of them."""
    p = sums_in_parts(sample, envs, bandwidth=bandwidth)[0]
    return estimated_entropy(p, len(envs)), estimated_diversity(p, len(envs))


@follows_dtype
def measures_of(p: np.ndarray) -> tuple[float, float]:
    """H and D in nats, from the kernel sums p_i = Σ_j K(x_i, x_j), shape [n]."""
    dH = -np.log(p)
    return float(entropy_from(len(p), -dH.mean())), float(np.logaddexp.reduce(dH))


def _sums(
    envs: Environments,
    own: np.ndarray,
    selected: np.ndarray,
    known: Environments | None,
    bandwidth: float,
    posed: Posed | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Σ_j K(x_i, x_j) over the chosen environments j, and over those known already, of every i, shape [n]."""
    if (masses := _all_masses(posed)) is not None and posed is not None:
        return masses[np.asarray(selected, int)].sum(axis=0), np.asarray(posed.problem.reference_mass)
    covering = _covering(envs, own, known)
    part = np.zeros(len(covering), np.int32)
    part[: len(covering) - int(own.sum())] = 1
    sums = sums_in_parts(envs, covering, part, bandwidth=bandwidth, told=partial(advance, "metrics"))
    return sums[0], sums[1]


def _covering(envs: Environments, own: np.ndarray, known: Environments | None) -> Environments:
    """What is known, then what is chosen."""
    chosen = envs.in_float64().take(own)
    return chosen if known is None else joined([known.in_float64(), chosen])


def _all_masses(posed: Posed | None) -> np.ndarray | None:
    """M, [S, n], if the problem has it."""
    if posed is None or posed.targets is not None or not isinstance(posed.problem.masses, DenseMasses):
        return None
    return np.asarray(posed.problem.masses.values)


def _worst(
    envs: Environments, own: np.ndarray, known: Environments | None, mass: np.ndarray, bandwidth: float
) -> float:
    """max δH; where the smallest sum is tiny, from exact sums of all that may be the worst."""
    smallest = mass.min()
    if not np.isfinite(smallest):
        return -np.inf
    if smallest > SMALL:
        return float(-np.log(smallest))
    candidates = envs.in_float64().take(np.flatnonzero(mass <= smallest + 2 * SKIPPED))
    return float(
        np.max(np.asarray(delta_entropy(candidates, _covering(envs, own, known), bandwidth=bandwidth)))
    )
