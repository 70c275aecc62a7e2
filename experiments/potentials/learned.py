"""Learned choices of structures for the linear model, against other choices of the same size."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax.numpy as jnp
import numpy as np
from bilevel import Quadratic, learn
from ridge import ENERGY, Equations, Rows, equations, predict, solve
from study import Linear, Plan

from quests_jax.base.selection_size import check_size
from quests_jax.cover.budget import Budget
from quests_jax.cover.solvers.rounding import threshold_round

SIZES = (0.1, 0.2)  # shares of the structures
PENALTY = 1.0  # λ


def learned_rows(made: Plan, linear: Linear, *, steps: int) -> Iterator[dict[str, Any]]:
    """Learned choices against others of the same size, at one penalty.

    The weights descend either the loss of the structures held out ("learned in"), or that of every second
    structure out of distribution ("learned out"); the others of these are the test, for all methods.
    """
    outside = next(name for name in linear.tests if name != "in")
    numbers = np.arange(len(linear.tests[outside].atoms))
    target, rest = linear.tests[outside].take(numbers[::2]), linear.tests[outside].take(numbers[1::2])
    tests = {"in": linear.tests["in"], outside: rest}
    for size in SIZES:
        count = check_size(size, len(made.pool))
        weights = {c.method: _indicator(made, c.selected) for c in made.only("structures", (size,)).choices}
        for name, aim in (("learned in", linear.train.take(made.held_out)), ("learned out", target)):
            problem = quadratic(linear.equations, made.pool, aim)
            w, losses = learn(problem, count, steps=steps)
            weights[f"{name}, weighted"] = w
            chosen = threshold_round(w, Budget(jnp.ones(len(w)), jnp.asarray(float(count))))
            weights[name] = _indicator(made, np.array(chosen))
        for method, w in weights.items():
            found = _errors(linear, made.pool, w, tests)
            yield {
                "budget": "structures",
                "method": method,
                "size": size,
                "structures": count,
                "tests": found,
            }


def quadratic(known: Equations, pool: np.ndarray, aim: Rows) -> Quadratic:
    """The outer problem for the structures of the pool and the loss, per atom, of others."""
    own, n = equations(aim), aim.atoms.sum()
    constant = (ENERGY**2 * aim.targets.energies**2 / aim.atoms).sum() + (aim.targets.forces**2).sum() / 3
    outer = own.grams.sum(axis=0) / n, own.moments.sum(axis=0) / n, float(constant / n)
    return Quadratic(jnp.asarray(known.grams[pool]), jnp.asarray(known.moments[pool]), PENALTY, *outer)


def _indicator(made: Plan, selected: np.ndarray) -> np.ndarray:
    return np.isin(np.arange(len(made.pool)), selected).astype(float)


def _errors(linear: Linear, pool: np.ndarray, w: np.ndarray, tests: dict[str, Rows]) -> dict[str, Any]:
    gram = np.tensordot(w, linear.equations.grams[pool], 1)
    theta = solve(gram, w @ linear.equations.moments[pool], PENALTY)
    errors = {}
    for name, model in tests.items():
        found = predict(model, theta)
        force = np.sqrt(((found.forces - model.targets.forces) ** 2).mean())
        energy = 1e3 * np.sqrt((((found.energies - model.targets.energies) / model.atoms) ** 2).mean())
        errors[name] = {"force_rmse": round(float(force), 5), "energy_rmse": round(float(energy), 3)}
    return errors
