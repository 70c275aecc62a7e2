"""Budgets of a choice, in structures, atoms or any cost: Σ_s c_s w_s ≤ B.

A size is the budget in which every structure costs 1. Rules that are given a budget pass over structures
that it no longer pays for and go on, so that as little of it as possible is left.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from quests_jax.base.checks import InputError, check_positive
from quests_jax.base.environments import Environments
from quests_jax.base.precision import follows_dtype
from quests_jax.base.selection_size import Size, as_size, check_size

COST_ROUNDING = 1e-9  # relative excess over a budget that is rounding of a sum of costs


class Budget(NamedTuple):
    """Σ_s cost_s w_s ≤ limit; see `cost_budget` and `atom_budget`.

    >>> budget = Budget(jnp.array([1.0, 2.5]), jnp.array(3.0))
    >>> float(budget.limit)
    3.0
    """

    cost: jax.Array  # [S], positive
    limit: jax.Array  # []


@follows_dtype
def cost_budget(cost: ArrayLike, limit: float) -> Budget:
    """Budget of any costs: Σ_s cost_s w_s ≤ limit.

    Args:
      cost: cost of each structure, shape [S], positive.
      limit: largest sum of the costs.

    Raises:
      InputError: a cost or a limit that is not a positive number.

    >>> budget = cost_budget([1.0, 2.5], 3)
    >>> float(budget.limit)
    3.0
    """
    checked = check_cost(cost, np.size(np.asarray(cost)))
    return Budget(jnp.asarray(checked), jnp.asarray(check_positive("limit of the budget", limit)))


@follows_dtype
def atom_budget(envs: Environments, atoms: float | Size) -> Budget:
    """Budget in atoms: a number of environments, or a fraction of all.

    Args:
      envs: environments of S structures.
      atoms: number (int) or fraction (float in (0, 1]) of the environments.

    Raises:
      InputError: more atoms than there are, or no size at all.

    >>> import quests_jax as qj
    >>> envs = qj.make_environments([[0.0], [0.0], [1.0], [2.0]], [0, 1, 1, 2])
    >>> budget = qj.cover.atom_budget(envs, 0.5)  # half of the atoms
    >>> budget.cost.tolist(), float(budget.limit)
    ([1.0, 2.0, 1.0], 2.0)
    """
    limit = as_size(atoms).of(int(envs.counts.sum()), "atoms")
    return Budget(jnp.asarray(atom_costs(envs)), jnp.asarray(float(limit)))


def atom_costs(envs: Environments) -> np.ndarray:
    """Cost of a structure as its number of atoms (at least 1), shape [S].

    >>> import quests_jax as qj
    >>> envs = qj.make_environments([[0.0], [0.0], [1.0], [2.0]], [0, 1, 1, 2])
    >>> qj.cover.atom_costs(envs).tolist()
    [1.0, 2.0, 1.0]
    """
    return np.maximum(envs.counts, 1).astype(np.float64)


@follows_dtype
def budget_of_choice(
    n_structures: int, *, size: float | Size | None = None, budget: Budget | None = None
) -> Budget:
    """The one limit of a choice: its budget, or `size` structures that cost 1 each.

    Raises:
      InputError: both or neither, costs of other structures, a size out of range, or a budget that pays for
        no structure.
    """
    if (size is None) == (budget is None):
        raise InputError("give either size or budget, and not both.")
    if budget is None:
        limit = float(check_size(size, n_structures))
        return Budget(*jax.device_put((np.ones(n_structures), np.float64(limit))))
    cost = check_cost(budget.cost, n_structures)
    limit = check_positive("limit of the budget", budget.limit)
    if limit * (1 + COST_ROUNDING) < cost.min():
        raise InputError(
            f"a budget of {limit:g} pays for no structure, the cheapest costs {cost.min():g}; raise it."
        )
    return budget


def spending_limit(budget: Budget) -> float:
    """The limit, with room for rounding of a sum of costs."""
    return float(budget.limit) * (1 + COST_ROUNDING)


def first_affordable(order: np.ndarray, budget: Budget) -> np.ndarray:
    """Structures in this order, without those that the rest of the budget does not pay for."""
    cost = np.asarray(budget.cost)
    left = spending_limit(budget)
    chosen = []
    for s in order:
        if cost[s] <= left:
            chosen.append(int(s))
            left -= cost[s]
    return np.asarray(chosen, int)


def check_cost(cost: ArrayLike, n_structures: int) -> np.ndarray:
    """Costs in float64, shape [S]; raises `InputError` unless they are positive and finite."""
    costs = np.asarray(cost, np.float64)
    if costs.shape != (n_structures,):
        raise InputError(
            f"cost: expected {n_structures} numbers, one per structure, got shape {costs.shape}."
        )
    bad = np.flatnonzero(~(np.isfinite(costs) & (costs > 0)))
    if len(bad):
        raise InputError(f"cost of structure {bad[0]} is {costs[bad[0]]}; costs must be positive and finite.")
    return costs
