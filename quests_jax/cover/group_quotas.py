"""Quotas: at least so many structures of each group, whatever they add to the coverage.

    Σ_{s in g} w_s ≥ q_g    for every group g

A choice that is not complete keeps back what the cheapest structures of the groups that are short would cost.
Choices that can be completed are the independent sets of a matroid if all cost the same, so greedy choices
are within 1/2 of the best. A quota only restricts what may be chosen: every upper bound of the coverage
without quotas is one with them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from quests_jax.base.checks import InputError, check_count
from quests_jax.base.precision import follows_dtype
from quests_jax.base.wording import counted
from quests_jax.cover.budget import COST_ROUNDING


class Quota(NamedTuple):
    """At least `at_least[g]` structures of group g.

    >>> import numpy as np
    >>> make_quota(["bulk", "bulk", "slab"], np.array([2.0, 1.0, 1.0]), at_least=1).by_cost.tolist()
    [1, 0, 2]
    """

    group: jax.Array  # [S] int32, of each structure
    at_least: jax.Array  # [G] int32
    by_cost: jax.Array  # [S] int32, structures of one group together, the cheapest first


class Needs(NamedTuple):
    """What a partial choice must still spend to meet its quotas."""

    count: jax.Array  # [] int32, structures
    cost: jax.Array  # [], of the cheapest ones
    short: jax.Array  # [S] bool, whether the group of a structure is short
    relief: jax.Array  # [S], by how much `cost` falls when this structure is chosen


@follows_dtype
def make_quota(
    labels: Sequence[object], cost: np.ndarray | jax.Array, at_least: int | Mapping[str, int] = 1
) -> Quota:
    """Quota by label: so many of each label that occurs, or of those that are named.

    Args:
      labels: one label per structure, S in all.
      cost: cost of each structure, shape [S]; that of the problem.
      at_least: structures of each label, or of each label that is a key; no more than occur.

    Raises:
      InputError: labels that do not fit the costs, or a quota that is no whole number.

    >>> import numpy as np
    >>> quota = make_quota(["bulk", "bulk", "slab"], np.ones(3), at_least=1)
    >>> quota.group.tolist(), quota.at_least.tolist()
    ([0, 0, 1], [1, 1])
    """
    costs = np.asarray(cost, np.float64)
    if len(labels) != len(costs):
        raise InputError(f"labels: expected {len(costs)}, one per structure, got {len(labels)}.")
    names, group, counts = np.unique(np.asarray(labels, str), return_inverse=True, return_counts=True)
    if isinstance(at_least, Mapping):
        unknown = sorted(set(at_least) - set(names.tolist()))
        if unknown:
            raise InputError(
                f"quota: no structure has the label {unknown[0]!r}; labels are {', '.join(names)}."
            )
        wanted = np.array([check_count("quota", at_least.get(str(name), 0), minimum=0) for name in names])
    else:
        wanted = np.full(len(names), check_count("quota", at_least, minimum=0))
    order = np.lexsort((np.arange(len(costs)), costs, group))
    return Quota(
        jnp.asarray(group, jnp.int32),
        jnp.asarray(np.minimum(wanted, counts), jnp.int32),
        jnp.asarray(order, jnp.int32),
    )


def needs(quota: Quota, cost: jax.Array, chosen: jax.Array, open_: jax.Array) -> Needs:
    """What is still needed beside `chosen` [S], from structures that are `open_` [S]."""
    n_groups = len(quota.at_least)
    have = jax.ops.segment_sum(chosen.astype(jnp.int32), quota.group, n_groups)
    missing = jnp.maximum(quota.at_least - have, 0)
    order = quota.by_cost
    group = quota.group[order]
    seen = jnp.cumsum(open_[order].astype(jnp.int32))
    of_group = jax.ops.segment_sum(open_.astype(jnp.int32), quota.group, n_groups)
    before = jnp.cumsum(of_group) - of_group
    cheap = open_[order] & (seen - before[group] <= missing[group])
    price = cost[order]
    dearest = jax.ops.segment_max(jnp.where(cheap, price, 0.0), group, n_groups)
    short = missing > 0
    relief = (
        jnp.zeros_like(cost)
        .at[order]
        .set(jnp.where(short[group], jnp.where(cheap, price, dearest[group]), 0.0))
    )
    return Needs(
        jnp.sum(missing, dtype=jnp.int32),
        jnp.sum(jnp.where(cheap, price, 0.0)),
        short[quota.group],
        relief,
    )


def completable(need: Needs, cost: jax.Array, left: jax.Array, picks_left: jax.Array) -> jax.Array:
    """Which structures leave enough, of the cost and of the picks that are left, to meet the quotas, [S]."""
    rounding = COST_ROUNDING * need.cost
    affordable = cost - need.relief <= left - need.cost + rounding
    return affordable & (need.short | (picks_left > need.count))


def may_replace(quota: Quota, chosen: jax.Array, leaving: jax.Array) -> jax.Array:
    """Which structures keep the quotas of a choice met when they replace one of it, [S]."""
    group = quota.group[leaving]
    have = jnp.sum(chosen & (quota.group == group), dtype=jnp.int32)
    return (quota.group == group) | (have > quota.at_least[group])


def leaving_room(
    quota: Quota, cost: np.ndarray, structures: Sequence[int] | np.ndarray, limit: float
) -> np.ndarray:
    """Those of the structures, in their order, beside which the quotas can be met within the limit.

    With costs of 1, the limit is a number of structures.
    """
    group, at_least = np.asarray(quota.group), np.asarray(quota.at_least)
    kept: list[int] = []
    for s in structures:
        chosen = np.isin(np.arange(len(cost)), [*kept, int(s)])
        missing = np.maximum(at_least - np.bincount(group[chosen], minlength=len(at_least)), 0)
        cheapest = [np.sort(cost[~chosen & (group == g)])[:m].sum() for g, m in enumerate(missing) if m]
        if cost[chosen].sum() + sum(cheapest) <= limit * (1 + COST_ROUNDING):
            kept.append(int(s))
    return np.asarray(kept, int)


def check_quota(quota: Quota, cost: np.ndarray, first: np.ndarray, never: np.ndarray, limits: tuple) -> None:
    """Raise `InputError` if no choice of at most `limits` = (picks, cost) with `first` meets the quotas."""
    picks, budget = limits
    chosen = np.isin(np.arange(len(cost)), first)
    open_ = ~chosen & ~np.isin(np.arange(len(cost)), never)
    group, at_least = np.asarray(quota.group), np.asarray(quota.at_least)
    missing = np.maximum(at_least - np.bincount(group[chosen], minlength=len(at_least)), 0)
    lacking = np.flatnonzero(missing > np.bincount(group[open_], minlength=len(at_least)))
    if len(lacking):
        raise InputError(f"quota: group {lacking[0]} has too few structures that are not excluded.")
    need = needs(quota, jnp.asarray(cost), jnp.asarray(chosen), jnp.asarray(open_))
    least = len(first) + int(need.count)
    if least > picks:
        raise InputError(
            f"the quotas need {counted(least, 'structure')}, more than the {picks} to choose; "
            "raise the size or lower the quotas."
        )
    spent = float(cost[first].sum())
    if spent + float(need.cost) > budget * (1 + COST_ROUNDING):
        raise InputError(
            f"the quotas cost at least {spent + float(need.cost):g}, more than the budget {budget:g}; "
            "raise the budget or lower the quotas."
        )
