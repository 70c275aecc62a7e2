"""Frames of a simulation: what each holds, and where the simulation leaves what a reference knows."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from quests_jax.base.checks import InputError
from quests_jax.base.environments import Environments
from quests_jax.base.numerics import overlap_tolerance
from quests_jax.base.precision import follows_dtype
from quests_jax.base.progress import advance
from quests_jax.information import DEFAULT_BANDWIDTH, delta_entropy
from quests_jax.studies.kept_information import entropy_and_diversity
from quests_jax.studies.reference_thresholds import structure_threshold

QUANTILE = 0.99  # share of further structures of the reference's own kind that stay below the threshold


class Novelty(NamedTuple):
    """Frames against a reference; −inf and NaN for frames without atoms."""

    delta_entropy: np.ndarray  # [n] nats, of every environment
    largest: np.ndarray  # [F] nats
    atom: np.ndarray  # [F] int, that has the largest
    novel: np.ndarray  # [F] share of the atoms that the reference does not cover
    threshold: float  # nats, above which an atom is outside the domain of the reference
    alarms: float | None  # expected share of frames of the reference's own kind above it, at most

    @property
    def above(self) -> np.ndarray:
        """Numbers of the frames that are outside the domain."""
        return np.flatnonzero(self.largest > self.threshold)

    @property
    def worst(self) -> int:
        """Number of the frame with the largest δH."""
        return int(self.largest.argmax())

    def order(self) -> np.ndarray:
        """Numbers of all frames, the most novel first."""
        return np.argsort(-self.largest, kind="stable")


class Trajectory(NamedTuple):
    """What each of F frames holds, and how new it is."""

    entropy: np.ndarray  # [F] nats, NaN for frames without atoms
    diversity: np.ndarray  # [F] nats
    novelty: Novelty | None  # where there is a reference


@follows_dtype
def follow(
    envs: Environments,
    reference: Environments | None = None,
    *,
    threshold: float | None = None,
    quantile: float = QUANTILE,
    bandwidth: float = DEFAULT_BANDWIDTH,
) -> Trajectory:
    """Measure every frame: H and D of its atoms, and its largest δH against a reference.

    Args:
      envs: the frames, one structure each.
      reference: what counts as known, such as the training set of the potential that drives the simulation.
      threshold: δH in nats above which an atom is outside; by default from the largest δH of the reference's
        own structures, each against all others.
      quantile: share of further structures of the reference's own kind that stay below it, in (0, 1).
      bandwidth: h in Å⁻¹.

    Raises:
      InputError: a quantile out of range.

    >>> from quests_jax.base.environments import make_environments
    >>> known = make_environments(np.array([[0.0], [0.01], [0.02]]), np.arange(3))
    >>> frames = make_environments(np.array([[0.01], [0.015], [0.9]]), np.arange(3))
    >>> follow(frames, known, bandwidth=0.1).novelty.above
    array([2])
    """
    check_quantile(quantile)
    measured = frame_entropies(envs, bandwidth=bandwidth)
    if reference is None:
        return trajectory_of(measured, envs.counts)
    limit = threshold_of(reference, threshold=threshold, quantile=quantile, bandwidth=bandwidth)
    dH = np.asarray(delta_entropy(envs, reference, bandwidth=bandwidth))
    return trajectory_of(measured, envs.counts, dH, limit)


def check_quantile(quantile: float) -> None:
    """Raise `InputError` for a quantile out of range."""
    if not 0 < quantile < 1:
        raise InputError(f"quantile must be between 0 and 1, got {quantile}.")


@follows_dtype
def frame_entropies(envs: Environments, *, bandwidth: float) -> np.ndarray:
    """H and D of every frame in nats, shape [F, 2]; NaN for frames without atoms."""
    measured = np.full((envs.n_structures, 2), np.nan)
    for number, (start, stop) in enumerate(pairwise([0, *np.cumsum(envs.counts)])):
        if stop > start:
            measured[number] = entropy_and_diversity(envs.take(slice(start, stop)), bandwidth=bandwidth)
        advance("frames", number + 1, envs.n_structures)
    return measured


def threshold_of(
    reference: Environments, *, threshold: float | None, quantile: float, bandwidth: float
) -> tuple[float, float | None]:
    """The threshold in nats, and the share of false alarms where the reference gives it."""
    if threshold is not None:
        return threshold, None
    found = structure_threshold(reference, quantile=quantile, bandwidth=bandwidth)
    return float(found.value), found.alarms


def trajectory_of(
    measured: np.ndarray,
    counts: np.ndarray,
    dH: np.ndarray | None = None,
    limit: tuple[float, float | None] = (np.inf, None),
) -> Trajectory:
    """What `follow` returns, from H and D [F, 2], atoms [F], δH [n] and the threshold with its alarms."""
    entropy, diversity = measured.T
    if dH is None:
        return Trajectory(entropy, diversity, None)
    tolerance = overlap_tolerance(dH.dtype)
    parts = np.split(dH, np.cumsum(counts)[:-1])
    largest = np.array([own.max(initial=-np.inf) for own in parts])
    atom = np.array([int(own.argmax()) if len(own) else -1 for own in parts])
    novel = np.array([float((own >= tolerance).mean()) if len(own) else np.nan for own in parts])
    return Trajectory(entropy, diversity, Novelty(dH, largest, atom, novel, *limit))
