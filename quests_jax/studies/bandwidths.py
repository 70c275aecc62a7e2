"""Which bandwidth fits a data set: one recommended rule, what other rules say, and when to warn.

The bandwidth says which differences matter, so it decides every other number. Where it is so small that no
structure covers another's environments, no rule of choice can gain anything over any other.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import NamedTuple

import ase
import numpy as np

from quests_jax.base.checks import InputError, check_count, check_positive
from quests_jax.base.environments import HEAVIEST, Environments, joined
from quests_jax.base.numerics import overlap_tolerance
from quests_jax.base.precision import follows_dtype
from quests_jax.base.progress import advance
from quests_jax.information import (
    cutoff_rule,
    elbow_bandwidth,
    gaussian_rule,
    likelihood_bandwidth,
    novelty_bandwidth,
)
from quests_jax.studies.reference_thresholds import masses_of_others

RECOMMENDED = "novelty"  # the rule that `recommended_bandwidth` follows
NOVEL = 0.01  # share of held-out environments that may be novel at the recommended bandwidth
SAMPLE = 4000  # environments that a recommendation looks at
DISAGREEMENT = 3.0  # ratio of the largest to the smallest recommended bandwidth that is worth a warning
LEVEL = 0.1  # share of environments that another structure must cover for a bandwidth to fit
CURVE = 24  # bandwidths at which H(h)/ln n is measured
REACH = 25.0  # that these bandwidths span above and below the recommended one
TRAINED = "Potentials then have smaller force errors with cover and larger energy errors with msc."


class Recommendation(NamedTuple):
    """A bandwidth in Å⁻¹, and what else speaks for or against it."""

    value: float
    rule: str
    others: dict[str, float]  # by rule, those that give a value
    failed: dict[str, str]  # why the other rules give none
    bandwidths: np.ndarray  # [H] at which the entropy is measured
    entropy_over_ln_n: np.ndarray  # [H]

    @property
    def disagreement(self) -> float:
        """Largest bandwidth over smallest among all rules that give one."""
        values = [self.value, *self.others.values()]
        return max(values) / min(values)


class Fit(NamedTuple):
    """Whether a bandwidth in Å⁻¹ fits a data set."""

    bandwidth: float
    like_another: float  # share of environments that another structure covers; NaN for one structure
    asked: int  # environments that this share is taken over
    recommended: Recommendation | None  # where the share is below `LEVEL`, if there is one

    @property
    def fits(self) -> bool:
        """Whether enough environments are covered by another structure for choices to differ."""
        return not self.like_another < LEVEL


@follows_dtype
def recommended_bandwidth(
    envs: Environments,
    *,
    volume: float | None = None,
    sample: int = SAMPLE,
    seed: int = 0,
    likelihood: bool = False,
) -> Recommendation:
    """The bandwidth at which 1 % of the environments of one half of the structures are novel to the other.

    It scales with the environments, so it fits descriptors of any kind. The elbow of H(h)/ln n, the rules by
    volume and, on request, the largest likelihood are given beside it: they answer other questions, and
    differ by factors.

    Args:
      envs: environments of two structures at least.
      volume: volume per atom in Å³ (see `typical_volume`), for the rules by volume of QUESTS descriptors.
      sample: environments to look at, at most.
      seed: random seed for the halves.
      likelihood: whether to maximize the likelihood too, which takes longer.

    Raises:
      InputError: one structure only, or copies or equal environments for which every bandwidth fits.

    >>> from quests_jax.base.environments import make_environments
    >>> rows = np.random.default_rng(0).normal(size=(200, 3))
    >>> small, large = (make_environments(c * rows, np.arange(200)) for c in (1, 1000))
    >>> round(recommended_bandwidth(large).value / recommended_bandwidth(small).value)
    1000
    """
    y, x = _halves(envs, check_count("sample", sample, minimum=4), seed)
    value = novelty_bandwidth(y, x, novel=NOVEL)
    advance("bandwidths", 1, 3)
    grid = np.geomspace(value / REACH, value * REACH, CURVE)
    elbow, share = elbow_bandwidth(joined([y, x]), grid)
    advance("bandwidths", 2, 3)
    others, failed = {"elbow": elbow}, {}
    if volume is not None:
        others["volume, gaussian"] = float(gaussian_rule(volume))
        others["volume, cutoff"] = float(cutoff_rule(volume))
    if likelihood:
        try:
            others["likelihood"] = likelihood_bandwidth(y, x)
        except InputError as reason:
            failed["likelihood"] = str(reason)
    advance("bandwidths", 3, 3)
    return Recommendation(value, RECOMMENDED, others, failed, grid, share)


@follows_dtype
def bandwidths_by_element(envs: Environments, *, sample: int = SAMPLE, seed: int = 0) -> dict[int, float]:
    """The bandwidth in Å⁻¹ that the recommended rule gives the environments of each element alone.

    An element has none where fewer than two structures hold it, where a half of its environments are fewer
    than the hundred of which 1 % is one, or where they are copies. Empty where elements are not told apart.
    `with_bandwidths` puts them to use.

    Args:
      envs: environments with the elements of their centers.
      sample: environments of each element to look at, at most.
      seed: random seed for the halves.

    Returns:
      By atomic number, ascending.
    """
    found: dict[int, float] = {}
    if envs.elements is None:
        return found
    Z = np.asarray(envs.elements)
    for element in np.unique(Z).tolist():
        try:
            y, x = _halves(envs.take(element == Z), check_count("sample", sample, minimum=4), seed)
            if NOVEL * min(len(y), len(x)) >= 1:
                found[element] = novelty_bandwidth(y, x, novel=NOVEL)
        except InputError:
            continue
    return found


def with_bandwidths(envs: Environments, bandwidths: dict[int, float], *, bandwidth: float) -> Environments:
    """Environments scaled so that at one `bandwidth` each element is seen at its own.

        K_ij = δ(Z_i, Z_j) exp(−|x_i − x_j|²/2h_Z²) = δ(Z_i, Z_j) exp(−|x_i' − x_j'|²/2h²),    x' = x h/h_Z

    Rows of different elements never meet, so every measure, mass, rule and certificate holds. Give sets that
    are compared the same bandwidths.

    Args:
      envs: environments with the elements of their centers.
      bandwidths: h_Z in Å⁻¹ by atomic number; elements without one are left at `bandwidth`.
      bandwidth: h in Å⁻¹.

    Raises:
      InputError: elements that are not told apart, or a bandwidth that is not positive.

    >>> from quests_jax.base.environments import make_environments
    >>> envs = make_environments([[1.0], [1.0]], [0, 1], elements=[1, 8])
    >>> with_bandwidths(envs, {8: 0.02}, bandwidth=0.01).x.tolist()
    [[1.0], [0.5]]
    """
    if envs.elements is None:
        raise InputError("elements are not told apart, so they have one bandwidth; use elements center.")
    scales = scales_of(bandwidths, bandwidth)
    return dataclasses.replace(envs, x=envs.x * scales[np.asarray(envs.elements)][:, None])


def scales_of(bandwidths: dict[int, float], bandwidth: float) -> np.ndarray:
    """h/h_Z by atomic number, shape [119]; see `with_bandwidths`."""
    h, scales = check_positive("bandwidth", bandwidth), np.ones(HEAVIEST + 1)
    for element, own in bandwidths.items():
        scales[element] = h / check_positive(f"bandwidth of element {element}", own)
    return scales


def recommendation_text(found: Recommendation) -> str:
    """What a recommendation rests on, in a few words, and how far other rules are from it."""
    others = ", ".join(f"{name.replace(',', '')} {value:.3g}" for name, value in found.others.items())
    return f"auto, {found.rule} rule; other rules, up to {found.disagreement:.1f} times apart: {others}"


def typical_volume(structures: Sequence[ase.Atoms]) -> float | None:
    """Median volume in Å³ per atom of the structures that are periodic in three directions; None without."""
    volumes = [abs(atoms.cell.volume) / len(atoms) for atoms in structures if len(atoms) and atoms.pbc.all()]
    return float(np.median(volumes)) if volumes else None


@follows_dtype
def bandwidth_fit(
    envs: Environments,
    *,
    bandwidth: float,
    recommend: Callable[[Environments], Recommendation] = recommended_bandwidth,
    seed: int = 0,
) -> Fit:
    """Whether a bandwidth fits: which share of the environments some other structure covers.

    An environment i is covered by other structures if Σ_j K_ij over all their environments is at least 1.
    Of large sets, whole structures are drawn until they hold enough environments, and compared with all.

    Args:
      envs: the data set.
      bandwidth: h in Å⁻¹.
      recommend: the function that gives the value to use instead.
      seed: random seed for the draw of structures.
    """
    if np.count_nonzero(envs.counts) < 2:
        return Fit(bandwidth, float("nan"), len(envs), None)
    of_others = masses_of_others(envs, bandwidth=bandwidth, seed=seed)
    covered = of_others > np.exp(-overlap_tolerance(of_others.dtype))
    fit = Fit(bandwidth, float(covered.mean()), len(of_others), None)
    if fit.fits:
        return fit
    try:
        return fit._replace(recommended=recommend(envs))
    except InputError:
        return fit


@follows_dtype
def bandwidth_warning(fit: Fit) -> str | None:
    """The share, the consequence, the value to use and what it does to potentials; None if it fits."""
    if fit.fits:
        return None
    advice = "Try --bandwidth auto."
    if fit.recommended is not None and fit.recommended.value > fit.bandwidth:
        value = float(f"{fit.recommended.value:.2g}")
        advice = f"Use --bandwidth auto, or --bandwidth {value:g} for all environments. {TRAINED}"
    share, level = 100 * fit.like_another, 100 * LEVEL
    return (
        f"at the bandwidth {fit.bandwidth:g} only {share:.2g} % of the environments are like one of another "
        f"structure ({level:g} % is the least that makes sense), so no structure can stand for another: "
        "overlap is the share of atoms kept, rules of choice hardly differ, and cover takes the largest "
        f"structures. {advice}"
    )


def _halves(envs: Environments, sample: int, seed: int) -> tuple[Environments, Environments]:
    """Environments of two disjoint halves of the structures, at most `sample` in all."""
    counts = envs.counts
    if np.count_nonzero(counts) < 2:
        raise InputError("one structure cannot be split into two halves; give more, or a bandwidth.")
    generator = np.random.default_rng(seed)
    side = np.full(len(counts), -1)
    filled = generator.permutation(np.flatnonzero(counts))
    side[filled] = np.arange(len(filled)) % 2
    halves = []
    for half in (0, 1):
        rows = np.flatnonzero(side[np.asarray(envs.structure_id)] == half)
        kept = np.sort(generator.permutation(rows)[: max(2, sample // 2)])
        halves.append(envs.take(kept))
    return halves[0], halves[1]
