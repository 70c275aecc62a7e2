"""Small cover problems of one shape, and what a loop makes of them."""

from __future__ import annotations

import itertools

import numpy as np

from quests_jax.base.environments import Environments, make_environments
from quests_jax.cover import CoverProblem, cover_problem

BANDWIDTH = 0.1
COUNTS = [3, 2, 4, 1, 3, 2, 3, 2]  # environments of each structure


def toy(seed: int, counts: list[int] = COUNTS) -> Environments:
    """Points in the plane, a few bandwidths apart: structures overlap in part."""
    x = np.random.default_rng(seed).uniform(0, 5 * BANDWIDTH, size=(sum(counts), 2))
    return make_environments(x, np.repeat(np.arange(len(counts)), counts), len(counts))


def toy_problem(seed: int, **options) -> CoverProblem:
    return cover_problem(toy(seed), bandwidth=BANDWIDTH, **options)


def uneven(seed: int) -> dict[str, np.ndarray]:
    """Costs of structures and weights of environments that differ."""
    rng = np.random.default_rng(seed)
    return {"cost": rng.uniform(0.5, 2, len(COUNTS)), "weights": rng.uniform(0, 2, sum(COUNTS))}


def loop_masses(envs: Environments, bandwidth: float = BANDWIDTH) -> np.ndarray:
    """M_si = Σ_{j in s} exp(−|x_i − x_j|²/2h²), term by term."""
    x, masses = np.asarray(envs.x), np.zeros((envs.n_structures, len(np.asarray(envs.x))))
    for j, s in enumerate(np.asarray(envs.structure_id)):
        masses[s] += np.exp(-np.sum((x - x[j]) ** 2, axis=1) / (2 * bandwidth**2))
    return masses


def loop_coverage(problem: CoverProblem, chosen) -> float:
    """Σ_i u_i min(1, r_i + Σ_{s chosen} M_si) / Σ_i u_i, from the dense masses."""
    u, masses = np.asarray(problem.weights), np.asarray(problem.masses.values)
    mass = np.asarray(problem.reference_mass) + masses[list(chosen)].sum(axis=0)
    return float(u @ np.minimum(mass, 1) / u.sum())


def affordable(problem: CoverProblem, budget: float) -> list[tuple[int, ...]]:
    """Every choice whose cost is within the budget."""
    cost, everything = np.asarray(problem.cost), range(problem.n_structures)
    choices = itertools.chain.from_iterable(
        itertools.combinations(everything, k) for k in range(len(cost) + 1)
    )
    return [choice for choice in choices if cost[list(choice)].sum() <= budget]


def known(value: float | None) -> float:
    """A number that this selection must have."""
    assert value is not None
    return value
