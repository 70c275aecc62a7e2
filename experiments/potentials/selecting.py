"""The choices that are compared: every method at every size, as a number of structures or of atoms."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import jax
import numpy as np

import quests_jax as qj
from quests_jax.base.selection_size import check_size
from quests_jax.cover import atom_budget
from quests_jax.cover.rules.registry import RULES

LARGEST = {"pareto": 0.2}  # sizes up to which methods are tried that take long
SEEDED = ("random", "k-means")  # methods that draw lots
ROUNDS = 8  # of the search for the number of clusters that spends a budget of atoms


class Choice(NamedTuple):
    """Structures chosen for training."""

    budget: str  # "structures" or "atoms": what `size` is a share of
    method: str
    size: float
    selected: np.ndarray  # in order of choice


def choices(
    envs: qj.Environments, methods: Sequence[str], sizes: Sequence[float], seed: int
) -> Iterator[Choice]:
    """Every method at every size below 1, and then the full set once per budget.

    The budget of atoms is left out where all structures have as many, since the choices are the same, and for
    `pareto`, whose choices are not prefixes of one another and take long.
    """
    budgets = ("structures", "atoms") if np.ptp(envs.counts) else ("structures",)
    for method in methods:
        order = _chosen(envs, method, envs.n_structures, seed) if RULES[method].nested else None
        for budget in budgets if method != "pareto" else ("structures",):
            for size in (size for size in sizes if size <= LARGEST.get(method, 1.0)):
                selected = _within(envs, method, budget, size, seed) if order is None else order
                yield Choice(budget, method, size, _prefix(selected, envs.counts, budget, size))
    for budget in budgets:
        yield Choice(budget, "full", 1.0, np.arange(envs.n_structures))


def within_atoms(
    envs: qj.Environments, method: str, size: float, seed: int, bandwidth: float = qj.DEFAULT_BANDWIDTH
) -> np.ndarray:
    """The choice of a rule within a share of the atoms; a rule that can is told what structures cost.

    A bandwidth (Å⁻¹) other than the default is for rules that are told the cost.
    """
    if not RULES[method].budgeted:
        return _within(envs, method, "atoms", size, seed)
    drawn = {"key": jax.random.key(seed)} if RULES[method].seeded else {}
    budget = atom_budget(envs, size)
    return RULES[method].choose(envs, budget=budget, bandwidth=bandwidth, **drawn).selected


def _chosen(envs: qj.Environments, method: str, count: int, seed: int) -> np.ndarray:
    drawn = {"key": jax.random.key(seed)} if method in SEEDED else {}
    choose = RULES[method].choose
    return choose(envs, size=count, bandwidth=qj.DEFAULT_BANDWIDTH, reference=None, **drawn).selected


def _within(envs: qj.Environments, method: str, budget: str, size: float, seed: int) -> np.ndarray:
    """A choice of a method that is not nested; for a budget of atoms, as many structures as fit."""
    count = check_size(size, envs.n_structures)
    if budget == "structures":
        return _chosen(envs, method, count, seed)
    limit, low, high = size * envs.counts.sum(), 1, envs.n_structures
    for _ in range(ROUNDS):
        middle = (low + high + 1) // 2
        fits = envs.counts[_chosen(envs, method, middle, seed)].sum() <= limit
        low, high = (middle, high) if fits else (low, middle - 1)
        if low >= high:
            break
    return _chosen(envs, method, low, seed)


def _prefix(selected: np.ndarray, counts: np.ndarray, budget: str, size: float) -> np.ndarray:
    """As many structures in order of choice as the budget pays for, at least one."""
    if budget == "structures":
        return selected[: check_size(size, len(counts))]
    return selected[: max(1, int((np.cumsum(counts[selected]) <= size * counts.sum()).sum()))]
