"""What a data set says of itself: the yardstick for everything that is compared with it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from quests_jax.base.environments import Environments, of_structures
from quests_jax.base.numerics import overlap_tolerance
from quests_jax.base.precision import follows_dtype
from quests_jax.cover.rules.structure_tiles import masses_within
from quests_jax.information import (
    DEFAULT_BANDWIDTH,
    delta_entropy_of_others,
    structure_masses,
)
from quests_jax.information.partwise_sums import sums_in_parts

ASKED = 2000  # environments that stand for all where that is enough
CALIBRATING = 200  # structures that a threshold for structures is taken from, where there are as many
SMALL = 5_000_000  # masses of all structures at all environments, which are then formed for other ends too


class Threshold(NamedTuple):
    """A δH that few structures of the same kind exceed."""

    value: float  # nats
    alarms: float  # expected share of further structures of the same kind above it, at most


class Baseline(NamedTuple):
    """Environments of a data set against all structures but their own."""

    rows: np.ndarray  # [m] numbers of the environments
    delta_entropy: np.ndarray  # [m] nats

    @property
    def covered(self) -> float:
        """Share that other structures cover; NaN if there is no other structure."""
        if not np.isfinite(self.delta_entropy).any():
            return float("nan")
        return float((self.delta_entropy < overlap_tolerance(self.delta_entropy.dtype)).mean())

    def threshold(self, quantile: float) -> float:
        """The `quantile` of δH over the environments, but at least the tolerance of `overlap`."""
        return _threshold(self.delta_entropy, quantile)

    def threshold_of_structures(self, envs: Environments, quantile: float) -> Threshold:
        """Largest δH that this share of further structures of the same kind stays below, [vovk:05].

        The ⌈(n + 1) quantile⌉-th smallest of the largest δH of n structures; single atoms are left aside. A
        new structure from the same distribution exceeds the k-th smallest with probability
        (n + 1 − k)/(n + 1). Where n is too small for the quantile, it is the largest.
        """
        number = np.asarray(envs.structure_id)[self.rows]
        counted = (envs.counts > 1) if (envs.counts[number] > 1).any() else (envs.counts > 0)
        largest = np.full(envs.n_structures, -np.inf)
        np.maximum.at(largest, number, self.delta_entropy)
        known = np.sort(largest[counted & np.isfinite(largest)])
        tolerance = overlap_tolerance(largest.dtype)
        n = len(known)
        if not n:
            return Threshold(tolerance, 1.0)
        place = min(n, int(np.ceil((n + 1) * quantile - 1e-9)))
        return Threshold(max(float(known[place - 1]), tolerance), 1 - place / (n + 1))


def _threshold(dH: np.ndarray, quantile: float) -> float:
    tolerance = overlap_tolerance(dH.dtype)
    finite = dH[np.isfinite(dH)]
    return max(float(np.quantile(finite, quantile)), tolerance) if len(finite) else tolerance


@follows_dtype
def baseline(
    envs: Environments, *, bandwidth: float = DEFAULT_BANDWIDTH, asked: int | None = ASKED, seed: int = 0
) -> Baseline:
    """δH of environments against all other structures of their own data set (leave one structure out).

        δH_i = −ln Σ_{j not in the structure of i} K_ij

    Args:
      envs: the data set.
      bandwidth: h in Å⁻¹.
      asked: whole structures are drawn until they hold this many environments; None asks all.
      seed: random seed for the draw of structures.

    >>> from quests_jax.base.environments import make_environments
    >>> envs = make_environments(np.array([[0.0], [0.0], [5.0]]), np.array([0, 1, 2]))
    >>> round(baseline(envs, bandwidth=1.0).covered, 3)
    0.667
    """
    rows = np.arange(envs.counts.sum()) if asked is None else _drawn_rows(envs, asked, seed)
    if envs.n_structures < 2:
        return Baseline(rows, np.full(len(rows), np.inf))
    dH = delta_entropy_of_others(
        envs, envs.structure_id, rows=None if asked is None else rows, bandwidth=bandwidth
    )
    return Baseline(rows, np.asarray(dH))


@follows_dtype
def structure_threshold(
    envs: Environments, *, quantile: float, bandwidth: float = DEFAULT_BANDWIDTH
) -> Threshold:
    """`Baseline.threshold_of_structures` of about `CALIBRATING` structures of a data set, or of all."""
    filled = envs.counts[envs.counts > 0]
    asked = max(ASKED, int(np.ceil(CALIBRATING * filled.mean()))) if len(filled) else ASKED
    return baseline(envs, bandwidth=bandwidth, asked=asked).threshold_of_structures(envs, quantile)


@follows_dtype
def masses_of_others(
    envs: Environments, *, bandwidth: float = DEFAULT_BANDWIDTH, seed: int = 0
) -> np.ndarray:
    """Mass that other structures have at environments, Σ_j K_ij over j not in the structure of i.

    Of small sets at all environments, shape [n], from the masses that rules use. Of larger sets at those of
    whole structures, which are drawn at random until they hold `ASKED` environments.
    """
    number, envs = np.asarray(envs.structure_id), envs.in_float64()
    if envs.n_structures * len(envs) > SMALL:
        return _drawn_masses(envs, bandwidth, seed)
    masses = np.array(structure_masses(envs, envs, number, envs.n_structures, bandwidth=bandwidth))
    masses[number, np.arange(len(number))] = 0.0
    return masses.sum(axis=0)


def _drawn_masses(envs: Environments, bandwidth: float, seed: int) -> np.ndarray:
    """The mass of all structures less that of their own, at structures drawn at random."""
    rows = _drawn_rows(envs, ASKED, seed)
    structures = np.unique(np.asarray(envs.structure_id)[rows])
    whole = np.flatnonzero(np.isin(envs.structure_id, structures))
    own = masses_within(of_structures(envs, structures), bandwidth)[np.searchsorted(whole, rows)]
    return sums_in_parts(envs.take(rows), envs, bandwidth=bandwidth)[0] - own


def _drawn_rows(envs: Environments, wanted: int, seed: int) -> np.ndarray:
    """Numbers of the environments of structures drawn at random, `wanted` in all or all there are."""
    counts = envs.counts
    if counts.sum() <= wanted:
        return np.arange(counts.sum())
    generator = np.random.default_rng(seed)
    order = generator.permutation(len(counts))
    chosen = order[: int(np.searchsorted(np.cumsum(counts[order]), wanted)) + 1]
    rows = np.flatnonzero(np.isin(np.asarray(envs.structure_id), chosen))
    if len(rows) > 2 * wanted:  # one structure may hold more than the rest
        rows = np.sort(generator.permutation(rows)[: 2 * wanted])
    return rows
