"""The cover problem: what every structure brings to every environment, and what it costs.

    mass        m_i(w) = r_i + Σ_s w_s M_si,      M_si = Σ_{j in s} K(x_i, x_j)
    coverage    f(w)   = Σ_i u_i min(1, m_i(w)) / Σ_i u_i

with w_s in {0, 1} the choice, r the mass of a reference that is there already, u the weights of the
environments and c the costs of the structures. An environment with mass 1 has δH ≤ 0: it is covered.
The saturated coverage f is monotone and submodular, so greedy choices are within 1 − 1/e of the best
(the count of environments with mass ≥ 1 is not submodular: two halves gain nothing and then everything).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike, DTypeLike

from quests_jax.base.array_checks import Rows, as_floats, check_rows, check_weights, host, known
from quests_jax.base.checks import InputError, check_positive
from quests_jax.base.compiled_programs import jit
from quests_jax.base.environments import Environments, rows_of
from quests_jax.base.precision import follows_dtype
from quests_jax.base.selection_size import Size, check_size
from quests_jax.cover.budget import COST_ROUNDING, Budget, check_cost
from quests_jax.cover.known_environments import known_environments, reference_mass
from quests_jax.cover.masses.dense_or_sparse import all_masses
from quests_jax.cover.masses.sharded import Masses
from quests_jax.information import DEFAULT_BANDWIDTH, self_kernel_sum

COVERED = 1e-9  # an environment whose mass is this close to 1 is covered


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class CoverProblem:
    """Masses, weights and costs, all in float64; see `cover_problem`.

    >>> import quests_jax as qj
    >>> envs = qj.make_environments([[0.0], [0.0], [1.0], [2.0]], [0, 1, 1, 2])
    >>> problem = qj.cover_problem(envs, bandwidth=0.1, cost=[1, 2, 1])
    >>> problem.n_structures, problem.cost.tolist(), problem.weights.tolist()
    (3, [1.0, 2.0, 1.0], [1.0, 1.0, 1.0, 1.0])
    """

    masses: Masses  # M, [S, n]
    reference_mass: jax.Array  # [n], r
    weights: jax.Array  # [n], u
    cost: jax.Array  # [S], c
    counts: jax.Array  # [S] int, environments of each structure
    dropped: jax.Array  # [], largest mass that pruning took from any environment
    bandwidth: jax.Array  # [], Å⁻¹
    capped: bool = dataclasses.field(default=False, metadata={"static": True})  # whether M_si ≤ 1 − r_i

    @property
    def n_structures(self) -> int:
        """S."""
        return len(self.cost)


@follows_dtype
def cover_problem(
    envs: Environments,
    *,
    bandwidth: float = DEFAULT_BANDWIDTH,
    cost: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    reference: ArrayLike | Environments | None = None,
    targets: ArrayLike | Environments | None = None,
    capped: bool = False,
    most_masses: float = math.inf,
) -> CoverProblem:
    """Build the masses once; every solver and every report reads the same problem.

    Stored densely up to `masses.DENSE` entries. Above, entries below `masses.DROPPED`/S are left out, so
    that no environment loses more than `problem.dropped` ≤ DROPPED of its mass; coverages are then too
    low by at most that, and upper bounds are raised by it.

    Args:
      envs: environments of S structures, n in all.
      bandwidth: h in Å⁻¹.
      cost: cost of each structure, shape [S], positive; 1 where not given. See `budget.atom_costs`.
      weights: u of each environment, shape [n], not negative; 1 where not given. See `distinct_weights`.
      reference: environments that are known already, shape [r, d], Å⁻¹.
      targets: environments that are to be covered, shape [n, d], Å⁻¹; those of the structures themselves
        where not given.
      capped: whether to store min(M_si, 1 − r_i), and sparsely whatever the size. The saturated coverage of
        every choice is the same, and its certificate needs no second copy; what fills up a choice that covers
        everything may differ, and other objectives refuse such a problem.
      most_masses: how many may be stored, if they are capped.

    Raises:
      InputError: no environments, a cost, weight, reference or target that does not fit, or too many masses.

    >>> import quests_jax as qj
    >>> envs = qj.make_environments([[0.0], [0.0], [1.0], [2.0]], [0, 1, 1, 2])
    >>> problem = qj.cover_problem(envs, bandwidth=0.1)
    >>> problem.counts.tolist()
    [1, 2, 1]
    """
    bandwidth = check_positive("bandwidth", bandwidth)
    wanted = envs.in_float64() if targets is None else _targets(targets)
    check_rows("targets", rows_of(wanted), np.shape(envs.x)[1])
    if not np.size(envs.x) or not len(wanted):
        raise InputError("the data set holds no environments to cover; give structures with atoms.")
    costs = np.ones(envs.n_structures) if cost is None else check_cost(cost, envs.n_structures)
    u = np.ones(len(wanted)) if weights is None else check_target_weights(weights, len(wanted))
    there = known_environments(reference, envs)
    r = reference_mass(wanted, there, bandwidth)
    room = np.maximum(1.0 - np.asarray(r), 0.0) if capped else None
    masses, dropped = all_masses(envs, wanted, bandwidth=bandwidth, room=room, most=most_masses)
    return CoverProblem(
        masses=masses,
        reference_mass=r,
        weights=placed(u, np.float64),
        cost=placed(costs),
        counts=placed(envs.counts),
        dropped=placed(dropped),
        bandwidth=placed(bandwidth),
        capped=capped,
    )


@follows_dtype
def make_budget(
    problem: CoverProblem, *, size: float | Size | None = None, cost_budget: float | None = None
) -> Budget:
    """The constraint that `size` (number or fraction of structures) or else `cost_budget` stands for.

    >>> import quests_jax as qj
    >>> envs = qj.make_environments([[0.0], [0.0], [1.0], [2.0]], [0, 1, 1, 2])
    >>> problem = qj.cover_problem(envs, bandwidth=0.1)
    >>> budget = qj.cover.make_budget(problem, size=2)
    >>> budget.cost.tolist(), float(budget.limit)
    ([1.0, 1.0, 1.0], 2.0)
    """
    if (size is None) == (cost_budget is None):
        raise InputError("give either size or cost_budget, and not both.")
    if size is not None:
        count = check_size(size, problem.n_structures)
        return Budget(jnp.ones_like(problem.cost), jnp.asarray(float(count)))
    return Budget(problem.cost, jnp.asarray(check_positive("cost_budget", cost_budget) * (1 + COST_ROUNDING)))


@follows_dtype
def distinct_weights(envs: Environments, *, bandwidth: float = DEFAULT_BANDWIDTH) -> np.ndarray:
    """Weights u_i = 1/p_i with p_i = Σ_j K(x_i, x_j): they count *distinct* environments, Σ u = exp(D).

    >>> import quests_jax as qj
    >>> envs = qj.make_environments([[0.0], [0.0], [1.0], [2.0]], [0, 1, 1, 2])
    >>> qj.cover.distinct_weights(envs, bandwidth=0.1).round(4).tolist()
    [0.5, 0.5, 1.0, 1.0]
    """
    return 1.0 / np.asarray(self_kernel_sum(envs.in_float64(), bandwidth=bandwidth))


@follows_dtype
@jit
def mass(problem: CoverProblem, w: jax.Array) -> jax.Array:
    """m_i = r_i + Σ_s w_s M_si, shape [n].

    >>> import quests_jax as qj
    >>> envs = qj.make_environments([[0.0], [0.0], [1.0], [2.0]], [0, 1, 1, 2])
    >>> problem = qj.cover_problem(envs, bandwidth=0.1)
    >>> import numpy as np
    >>> qj.cover.mass(problem, np.array([1.0, 1.0, 0.0])).round(4).tolist()
    [2.0, 2.0, 1.0, 0.0]
    """
    return problem.reference_mass + problem.masses.total(w)


@follows_dtype
@jit
def coverage(problem: CoverProblem, w: jax.Array) -> jax.Array:
    """Saturated coverage f(w) = Σ_i u_i min(1, m_i(w)) / Σ_i u_i of a choice w, shape [S] in [0, 1].

    >>> import quests_jax as qj
    >>> envs = qj.make_environments([[0.0], [0.0], [1.0], [2.0]], [0, 1, 1, 2])
    >>> problem = qj.cover_problem(envs, bandwidth=0.1)
    >>> import numpy as np
    >>> float(qj.cover.coverage(problem, np.array([0.0, 1.0, 0.0])))  # three of four environments
    0.75
    """
    return saturated(problem.weights, mass(problem, w))


def saturated(weights: jax.Array, mass: jax.Array) -> jax.Array:
    """Σ_i u_i min(1, m_i) / Σ_i u_i."""
    return jnp.sum(weights * jnp.minimum(mass, 1.0)) / jnp.sum(weights)


def is_covered(mass: ArrayLike) -> jax.Array:
    """Whether each mass is 1 up to rounding."""
    return mass >= 1.0 - COVERED  # pyright: ignore[reportReturnType, reportOperatorIssue]


@follows_dtype
def indicator(problem: CoverProblem, selected: Sequence[int] | np.ndarray) -> jax.Array:
    """w with 1 for each selected structure, shape [S]."""
    chosen = np.zeros(problem.n_structures)
    chosen[np.asarray(selected, int)] = 1.0
    return placed(chosen)


def check_masses(problem: CoverProblem, *, saturated: bool) -> None:
    """Refuse masses that are capped for an objective other than the saturated coverage.

    Raises:
      InputError: such an objective of such a problem.
    """
    if problem.capped and not saturated:
        raise InputError(
            "measure: the masses of this problem are capped, which suits the saturated coverage only; "
            "make it with cover_problem(..., capped=False)."
        )


def check_target_weights(weights: ArrayLike, n: int) -> Rows:
    """u of n environments to cover, of which one at least is not 0."""
    weights = check_weights("weights", weights, n)
    if known(weights) and not np.any(host(weights)):
        raise InputError("weights: all are 0; at least one environment must count.")
    return weights


def placed(values: ArrayLike, dtype: DTypeLike | None = None) -> jax.Array:
    """Values on the device, without a program of their shape."""
    return jax.device_put(values if isinstance(values, jax.Array) else np.asarray(values, dtype))


def _targets(targets: ArrayLike | Environments) -> Environments | np.ndarray:
    if isinstance(targets, Environments):
        return targets.in_float64()
    return np.asarray(as_floats("targets", targets), np.float64)
