"""Whether a test set is new to a training set: copies, coverage, and what random halves would give."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import ase
import numpy as np

from quests_jax.base.environments import Environments
from quests_jax.base.numerics import overlap_tolerance
from quests_jax.information import DEFAULT_BANDWIDTH, delta_entropy
from quests_jax.studies.copies import find_copies

REPEATS = 3  # random halves
# Shares of what random halves cover: from here on a test is no test, or a weak one.
AS_RANDOM, SOME = 0.9, 0.25


class Covered(NamedTuple):
    """How much of a set of structures another set covers."""

    environments: float  # share
    structures: float  # share, of those whose environments are all covered


class Leakage(NamedTuple):
    """A test set against a training set."""

    copies: np.ndarray | None  # numbers of test structures that the training set holds too; None if unknown
    covered: Covered
    halves: Covered  # one half of the training set by the other, on average

    @property
    def verdict(self) -> str:
        """leaks, like a random split, partly independent or independent."""
        if self.copies is not None and len(self.copies):
            return "leaks"
        if not self.halves.environments > 0:
            return "independent" if self.covered.environments == 0 else "like a random split"
        ratio = self.covered.environments / self.halves.environments
        if ratio >= AS_RANDOM:
            return "like a random split"
        return "partly independent" if ratio >= SOME else "independent"


def find_leakage(
    test: Environments,
    train: Environments,
    *,
    structures: tuple[Sequence[ase.Atoms], Sequence[ase.Atoms]] | None = None,
    bandwidth: float = DEFAULT_BANDWIDTH,
    seed: int = 0,
) -> Leakage:
    """How much of a test set a training set knows already.

    Args:
      test: environments of the test set.
      train: environments of the training set.
      structures: those of the test set and of the training set, to look for copies.
      bandwidth: h in Å⁻¹.
      seed: random seed for the halves.

    >>> from quests_jax.base.environments import make_environments
    >>> rows = np.array([[0.0], [0.0], [1.0], [1.0]])
    >>> train, test = make_environments(rows, np.arange(4)), make_environments(rows[1:3] + 9, np.arange(2))
    >>> find_leakage(test, train, bandwidth=0.1).verdict
    'independent'
    """
    copies = None
    if structures is not None:
        tested, known = structures
        first = find_copies([*known, *tested])[len(known) :]
        copies = np.flatnonzero(first < len(known))
    generator = np.random.default_rng(seed)
    halves = []
    for _ in range(REPEATS):
        side = (generator.permutation(train.n_structures) % 2).astype(bool)[np.asarray(train.structure_id)]
        if side.any() and not side.all():
            halves.append(_covered(train.take(side), train.take(~side), bandwidth))
    mean = np.mean(halves, axis=0) if halves else (np.nan, np.nan)
    return Leakage(copies, _covered(test, train, bandwidth), Covered(*map(float, mean)))


def _covered(y: Environments, x: Environments, bandwidth: float) -> Covered:
    if not len(y):
        return Covered(np.nan, np.nan)
    dH = np.asarray(delta_entropy(y, x, bandwidth=bandwidth))
    covered = dH < overlap_tolerance(dH.dtype)
    number = np.asarray(y.structure_id)
    counts = np.bincount(number)
    whole = np.bincount(number, weights=covered)[counts > 0] == counts[counts > 0]
    return Covered(float(covered.mean()), float(whole.mean()))
