"""One case of the study: a data set and a seed, every method at every size, one model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from data import Part, Task, environments, take
from measures import delta_entropy, masses, measure
from neural import Split, Training, make_network, pad, train, unpad
from ridge import (
    Basis,
    Equations,
    Rows,
    Targets,
    best_fit,
    equations,
    fit_shifts,
    make_basis,
    predict,
    rows,
    targets,
)
from selecting import Choice, choices

from quests_jax.base.progress import advance

HELD_OUT = 5  # every so manieth structure of a random order is held out, the others may be chosen
DIGITS = 5  # of the numbers in the results

Model = Callable[[str], Targets]  # of the name of a test
Fit = Callable[[Choice], tuple[Model, dict[str, Any]]]  # a choice to a model, and notes for its row


class Plan(NamedTuple):
    """What may be chosen, and what is held out to choose the penalty and to stop early."""

    pool: np.ndarray  # [S] int, structures of the training part
    held_out: np.ndarray  # [H] int
    choices: list[Choice]  # in numbers of the pool
    masses: dict[str, np.ndarray]  # by test, [S, m]

    def only(self, budget: str, sizes: Sequence[float]) -> Plan:
        """The choices of one kind of budget at these sizes."""
        return self._replace(choices=[c for c in self.choices if c.budget == budget and c.size in sizes])


def plan(task: Task, methods: Sequence[str], sizes: Sequence[float], seed: int) -> Plan:
    """Draw the pool, choose from it by every method, and prepare the delta entropies of the tests."""
    pool, held_out = draw_pool(len(task.train.structures), seed)
    part = take(task.train, pool)
    found = list(choices(environments(part), methods, sizes, seed))
    return Plan(
        pool, held_out, found, {name: masses(_rows(test), part.x) for name, test in task.tests.items()}
    )


def draw_pool(n_structures: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Structures that may be chosen, and those held out, in ascending order."""
    order = np.random.default_rng(seed).permutation(n_structures)
    return np.sort(np.delete(order, np.s_[::HELD_OUT])), np.sort(order[::HELD_OUT])


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


class Linear(NamedTuple):
    """The linear model of a task: design matrices are made once for all seeds."""

    train: Rows
    tests: dict[str, Rows]
    equations: Equations

    def with_plan(self, made: Plan) -> Fit:
        """Ridge for every choice, with the penalty that is best on the structures held out."""
        held_out = self.train.take(made.held_out)

        def fit(choice: Choice) -> tuple[Model, dict[str, Any]]:
            theta, penalty = best_fit(self.equations, made.pool[choice.selected], held_out)
            return lambda name: predict(self.tests[name], theta), {"penalty": penalty}

        return fit


def linear_fits(task: Task, basis: Basis) -> Linear:
    """Design matrices and normal equations of a task."""
    train = rows(task.train.features, basis, _aims(task, task.train))
    tests = {name: rows(test.features, basis, _aims(task, test)) for name, test in task.tests.items()}
    return Linear(train, tests, equations(train))


def neural_fits(task: Task, basis: Basis, training: Training) -> Callable[[Plan, int, Path], Fit]:
    """The network of a task, trained anew for every choice; compiled once. Checkpoints go into the folder."""
    network = make_network(task.train.features[0].values.shape[1], basis.n_species, training)
    data = pad(task.train.features, basis, _aims(task, task.train))
    tests = {name: pad(test.features, basis, _aims(task, test)) for name, test in task.tests.items()}

    def with_plan(made: Plan, seed: int, folder: Path) -> Fit:
        def fit(choice: Choice) -> tuple[Model, dict[str, Any]]:
            checkpoint = folder / f".{task.data.name}, {seed}, {choice.method}, {choice.size:g}.npz"
            given = {"training": training, "seed": seed, "checkpoint": checkpoint}
            state = train(network, data, Split(made.pool[choice.selected], made.held_out), **given)
            checkpoint.unlink(missing_ok=True)
            return lambda name: unpad(network.predict(state.best, tests[name]), tests[name]), {}

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
