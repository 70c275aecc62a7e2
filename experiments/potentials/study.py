"""One case of the study: a data set and a seed, every method at every size, one model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from data import Part, Task, environments, take
from measures import delta_entropy, masses, measure
from ridge import Basis, Targets, best_fit, equations, fit_shifts, make_basis, predict, rows, targets
from selecting import Choice, choices

from quests_jax.chunks import advance

HELD_OUT = 5  # every so manieth structure of a random order is held out, the others may be chosen
DIGITS = 5  # of the numbers in the results

Fit = Callable[[Choice], tuple[Callable[[str], Targets], dict[str, Any]]]  # a choice to a model, and its notes


class Plan(NamedTuple):
    """What may be chosen, and what is held out to choose the penalty and to stop early."""

    pool: np.ndarray  # [S] int, structures of the training part
    held_out: np.ndarray  # [H] int
    choices: list[Choice]  # in numbers of the pool
    masses: dict[str, np.ndarray]  # by test, [S, m]


def plan(task: Task, methods: Sequence[str], sizes: Sequence[float], seed: int) -> Plan:
    """Draw the pool, choose from it by every method, and prepare the delta entropies of the tests."""
    order = np.random.default_rng(seed).permutation(len(task.train.structures))
    held_out, pool = np.sort(order[::HELD_OUT]), np.sort(np.delete(order, np.s_[::HELD_OUT]))
    part = take(task.train, pool)
    found = list(choices(environments(part), methods, sizes, seed))
    return Plan(pool, held_out, found, {name: masses(_rows(test), part.x) for name, test in task.tests.items()})


def study(task: Task, made: Plan, fit: Fit) -> Iterator[dict[str, Any]]:
    """Fit every choice and measure it on every test."""
    aims = {name: _aims(task, test) for name, test in task.tests.items()}
    atoms = {name: np.array([len(a) for a in test.structures]) for name, test in task.tests.items()}
    sizes = np.array([len(atoms) for atoms in task.train.structures])[made.pool]
    for number, choice in enumerate(made.choices, start=1):
        model, notes = fit(choice)
        tests = {}
        for name, aim in aims.items():
            dH = delta_entropy(made.masses[name], choice.selected)
            found = measure(model(name), aim, atoms[name], dH)
            tests[name] = {key: float(f"{value:.{DIGITS}g}") for key, value in found.items()}
        row = {"budget": choice.budget, "method": choice.method, "size": choice.size}
        row |= {"structures": len(choice.selected), "atoms": int(sizes[choice.selected].sum())}
        yield row | notes | {"tests": tests}
        advance("fits", number, len(made.choices))


def linear_fits(task: Task, basis: Basis) -> Callable[[Plan], Fit]:
    """Ridge for every choice; design matrices are made once for all seeds."""
    train = rows(task.train.features, basis, _aims(task, task.train))
    tests = {name: rows(test.features, basis, _aims(task, test)) for name, test in task.tests.items()}
    known = equations(train)

    def with_plan(made: Plan) -> Fit:
        held_out = train.take(made.held_out)

        def fit(choice: Choice):
            theta, penalty = best_fit(known, made.pool[choice.selected], held_out)
            return lambda name: predict(tests[name], theta), {"penalty": penalty}

        return fit

    return with_plan


def basis_of(task: Task, *, n_hidden: int) -> Basis:
    """Scales of the symmetry functions of the training part, and the hidden layer of the linear model."""
    return make_basis(task.train.features, len(task.data.elements), n_hidden=n_hidden, seed=0)


def _aims(task: Task, part: Part) -> Targets:
    """Targets less the shifts of the elements, which are those of the training part for every choice."""
    shifts = fit_shifts(task.train.structures, task.data.elements)
    return targets(part.structures, task.data.elements, shifts)


def _rows(part: Part) -> np.ndarray:
    return np.concatenate(part.x)
