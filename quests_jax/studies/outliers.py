"""Environments that are foreign to a reference, or to the rest of their own data set."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from quests_jax.base.checks import InputError
from quests_jax.base.environments import Environments
from quests_jax.base.precision import follows_dtype
from quests_jax.information import DEFAULT_BANDWIDTH, delta_entropy
from quests_jax.studies.reference_thresholds import Baseline, baseline

QUANTILE = 0.99  # of the reference's own delta entropies, above which an environment is an outlier


class Foreign(NamedTuple):
    """The most foreign atom of a structure."""

    structure: int
    max_delta_entropy: float  # nats
    atom: int
    outliers: int  # atoms above the threshold
    atoms: int


class Outliers(NamedTuple):
    """δH of every environment, and what counts as foreign."""

    delta_entropy: np.ndarray  # [n] nats
    threshold: float  # nats
    structures: list[Foreign]  # the most foreign first

    @property
    def is_outlier(self) -> np.ndarray:
        """Whether each environment lies above the threshold, shape [n]."""
        return self.delta_entropy > self.threshold


@follows_dtype
def find_outliers(
    envs: Environments,
    reference: Environments | None = None,
    *,
    quantile: float = QUANTILE,
    bandwidth: float = DEFAULT_BANDWIDTH,
) -> Outliers:
    """Find the environments that are more foreign than nearly all of the reference are to each other.

    δH is measured against the reference, or against all other structures of the same data set. The threshold
    is a quantile of δH of each environment of the reference against the other structures of the
    reference.

    Args:
      envs: the data set.
      reference: what counts as known; the data set itself where not given.
      quantile: a number in (0, 1).
      bandwidth: h in Å⁻¹.

    Raises:
      InputError: a quantile out of range, or a reference of one structure.

    >>> from quests_jax.base.environments import make_environments
    >>> envs = make_environments(np.array([[0.0], [0.01], [0.02], [9.0]]), np.arange(4))
    >>> find_outliers(envs, quantile=0.7, bandwidth=0.1).structures[0].structure
    3
    """
    own = yardstick(envs if reference is None else reference, quantile=quantile, bandwidth=bandwidth)
    dH = own.delta_entropy
    if reference is not None:
        dH = np.asarray(delta_entropy(envs, reference, bandwidth=bandwidth))
    return outliers_among(dH, envs.counts, own.threshold(quantile))


def outliers_among(dH: np.ndarray, counts: np.ndarray, threshold: float) -> Outliers:
    """Outliers by δH of every environment [n] and their threshold, in nats, of structures of `counts` [S].

    >>> outliers_among(np.array([0.0, 40.0]), np.array([1, 1]), 3.0).structures[0].structure
    1
    """
    return Outliers(dH, threshold, _by_structure(counts, dH, threshold))


def yardstick(known: Environments, *, quantile: float, bandwidth: float) -> Baseline:
    """What a reference says of itself; raises as `find_outliers`."""
    check_yardstick(known.n_structures, quantile)
    return baseline(known, bandwidth=bandwidth, asked=None)


def check_yardstick(n_structures: int, quantile: float) -> None:
    """Raise `InputError` for a quantile out of range, or a single structure."""
    if not 0 < quantile < 1:
        raise InputError(f"quantile must be between 0 and 1, got {quantile}.")
    if n_structures < 2:
        raise InputError("one structure has no others to compare with; give more.")


def _by_structure(counts: np.ndarray, dH: np.ndarray, threshold: float) -> list[Foreign]:
    """Largest δH, its atom and the number of outliers of each structure, the most foreign first."""
    rows = []
    for number, own in enumerate(np.split(dH, np.cumsum(counts)[:-1])):
        if len(own):
            top = int(own.argmax())
            rows.append(Foreign(number, float(own[top]), top, int((own > threshold).sum()), len(own)))
    return sorted(rows, key=lambda row: -row.max_delta_entropy)
