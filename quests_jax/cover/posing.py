"""The cover problem of a data set of any size: of all its environments, or of targets that stand for them."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
from jax.typing import ArrayLike

from quests_jax.base.environments import Environments
from quests_jax.base.precision import follows_dtype
from quests_jax.cover.bounds.sampling import FAILURE, Targets, bound_of_all, draw_targets
from quests_jax.cover.masses import dense_or_sparse
from quests_jax.cover.problem import CoverProblem, cover_problem
from quests_jax.cover.selection import Selection
from quests_jax.information import DEFAULT_BANDWIDTH

ALL = 262_144  # environments up to which all are covered, however many structures there are
TARGETS = 49_152  # environments that stand for all of a larger data set
FEWER = 32_768  # for a bound that must not take long


class Posed(NamedTuple):
    """A cover problem, and what its environments stand for."""

    problem: CoverProblem
    counts: np.ndarray  # [S] int, environments of each structure
    targets: Targets | None  # None where the problem is that of all environments

    @property
    def failure_probability(self) -> float:
        """Probability that a bound does not hold for all environments; 0 for a proof."""
        return 0.0 if self.targets is None else FAILURE

    def of_all(self, selection: Selection) -> Selection:
        """A selection of this problem, as far as it is known for all environments.

        Of targets the coverage is an estimate, which is left out; a bound is raised so that it holds for all.
        """
        if self.targets is None or selection.upper_bound is None:
            return selection if self.targets is None else selection._replace(coverage=None)
        bound = bound_of_all(selection.upper_bound, self.counts, self.targets.of_structure)
        return selection._replace(coverage=None, upper_bound=bound)


def fits(envs: Environments) -> bool:
    """Whether the masses of all structures at all environments are few enough to be stored densely."""
    return envs.n_structures * len(envs) <= dense_or_sparse.DENSE


@follows_dtype
def pose(
    envs: Environments,
    *,
    bandwidth: float = DEFAULT_BANDWIDTH,
    cost: ArrayLike | None = None,
    reference: ArrayLike | Environments | None = None,
    weights: np.ndarray | None = None,
    targets: int | None = None,
    seed: int = 0,
) -> Posed:
    """The cover problem of all environments, or of a weighted sample of them where masses are too many.

    Its masses are capped at 1 − r where those of all environments are too many to be stored densely.

    Args:
      envs: environments of S structures, n in all.
      bandwidth: h in Å⁻¹.
      cost: as for `cover_problem`.
      reference: as for `cover_problem`.
      weights: u of each environment, shape [n]; 1 where not given.
      targets: environments in the sample, one of each structure at least, for data sets of more than twice as
        many; where not given, `TARGETS` of more than `ALL`. Fewer where more than `dense_or_sparse.MOST`
        masses would be stored.
      seed: random seed for the sample.
    """
    number, most = (TARGETS, ALL) if targets is None else (targets, 2 * targets)
    problem_of = partial(cover_problem, envs, bandwidth=bandwidth, cost=cost, reference=reference)
    if fits(envs):
        return Posed(problem_of(weights=weights), envs.counts, None)
    problem_of = partial(problem_of, capped=True)
    if len(envs) <= most:
        try:
            return Posed(problem_of(weights=weights, most_masses=dense_or_sparse.MOST), envs.counts, None)
        except dense_or_sparse.TooManyMasses as found:
            number = max(1, min(number, int(found.share * len(envs))))
    return _at_targets(problem_of, envs, weights, number, seed)


def _at_targets(
    problem_of: Callable[..., CoverProblem],
    envs: Environments,
    weights: np.ndarray | None,
    number: int,
    seed: int,
) -> Posed:
    """The problem of about `number` targets, of fewer where masses do not fit; one a structure at least."""
    fewest = int(np.count_nonzero(envs.counts))
    drawn = draw_targets(envs.counts, number, seed=seed)
    u = drawn.weights if weights is None else drawn.weights * np.asarray(weights)[drawn.rows]
    most = dense_or_sparse.MOST if number > fewest else math.inf
    try:
        problem = problem_of(targets=envs.take(drawn.rows), weights=u, most_masses=most)
    except dense_or_sparse.TooManyMasses as found:
        return _at_targets(problem_of, envs, weights, max(fewest, int(found.share * number)), seed)
    return Posed(problem, envs.counts, drawn)
