"""New structures by gradient: atoms move until their environments are foreign enough to known ones.

    max_R  pool_i δH(X_i(R) | x) − λ E(R)    subject to  |R_j + shift·cell − R_i| ≥ d for all pairs

Adam climbs, and a step that crosses the target is shortened until it lands there. After every step, atoms
closer than d are moved apart along their line (`separated`), so the constraint holds for every structure that
is looked at, and the answer is checked once more. Neighbors are found anew at every step: values are exact,
and where the descriptor jumps (see `collective`) the gradient is that of the piece the atoms are on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import ase
import jax
import jax.numpy as jnp
import numpy as np

from quests_jax.atoms.contacts import separated
from quests_jax.atoms.neighbors import find_neighbors, find_pairs
from quests_jax.atoms.validation import validate
from quests_jax.base.checks import InputError, check_count, check_matrix, check_positive
from quests_jax.base.defaults import key_or_default
from quests_jax.base.precision import follows_dtype
from quests_jax.generate.bias import Energy, Known, Pool, pooled_with_slope

SHARE = 0.75  # of the shortest distance in the given structure: the closest approach where none is given
NOISE = 0.05  # Å, of the starting displacement: at a perfect site the gradient is zero
RATE = 0.1  # Å, root mean square of the moves of a step
GROWTH = 1.5  # of the moves after a step that helped, at most to RATE
SHRINKING = 0.5  # of the moves after a step that did not
LONGEST = 0.25  # of the closest approach: no atom moves further in a step, so none passes through another
TOLERANCE = 0.5  # nats between what is reached and the target
SHORTENED = 6  # times a step that crosses the target; a jump of the descriptor may exceed the tolerance


class Goal(NamedTuple):
    """Requirements of a new structure, and limits of the search for it.

    >>> Goal(target=5.0, closest=2.0).max_steps
    100
    """

    target: float = 30.0  # nats; infinite for as much as there is
    pool: Pool = jnp.mean  # δH of all atoms to the number that is to reach it, such as jnp.mean or jnp.max
    closest: float | None = None  # Å; 75 % of the shortest distance in the given structure where not given
    max_steps: int = 100  # from each starting displacement
    attempts: int = 3  # starting displacements
    energy_weight: float = 1.0  # λ in nats/eV


class Augmented(NamedTuple):
    """A new structure and the course of its optimization.

    >>> found = Augmented(ase.Atoms("He"), np.array([7.5]), 2.0, np.array([0.1, 7.5]))
    >>> found.delta_entropy.tolist(), len(found.history)
    ([7.5], 2)
    """

    structure: ase.Atoms
    delta_entropy: np.ndarray  # [n] of its environments, in nats
    closest: float  # Å that no two of its atoms, images included, are closer than
    history: np.ndarray  # [evaluations] pooled δH of every structure that was looked at, in nats


class _Point(NamedTuple):
    positions: np.ndarray  # [n, 3] Å
    value: float  # pooled δH, nats
    dH: np.ndarray  # [n] nats
    slope: np.ndarray  # [n, 3] of the value, nats/Å
    penalty: np.ndarray  # [n, 3] slope of λ E, nats/Å


@follows_dtype
def augment(
    atoms: ase.Atoms,
    known: Known,
    *,
    goal: Goal = Goal(),  # noqa: B008  (immutable)
    energy: Energy | None = None,
    key: jax.Array | None = None,
) -> Augmented:
    """Move the atoms of a structure until the pooled δH against what is known reaches a target.

    Args:
      atoms: where to start, any cell and periodicity; cell and elements are kept.
      known: reference environments.
      goal: target, closest approach, and how long to try.
      energy: potential energy in eV of positions, shape [n, 3], in Å, whose slope is weighed against that of
        δH; nothing where not given.
      key: random key for the starting displacements; default `jax.random.key(0)`.

    Returns:
      The new structure: its pooled δH is within 0.5 nats of a finite target, and no two atoms are closer than
      the closest approach. For an infinite target, the largest value that was seen.

    Raises:
      InputError: bad parameters or structures, or a target that was not reached.

    >>> from ase.build import bulk
    >>> copper = bulk("Cu", cubic=True)
    >>> from quests_jax.generate import known_environments
    >>> known = known_environments([copper], k=4, cutoff=3.0)
    >>> new = augment(copper, known, goal=Goal(target=2.0, closest=2.0))
    >>> bool(new.delta_entropy.mean() >= 2.0), new.closest >= 2.0
    (True, True)
    """
    validate([atoms])
    if not len(atoms):
        raise InputError("no atoms to move; give a structure that has some.")
    _check(known, goal)
    closest = _closest(atoms, goal, known.cutoff)
    measure = _measure(atoms, known, goal, energy)
    seen: list[_Point] = []
    for each in jax.random.split(key_or_default(key), goal.attempts):
        noise = NOISE * np.asarray(jax.random.normal(each, atoms.positions.shape))
        start = separated(_moved(atoms, atoms.positions + noise), closest)
        seen += [] if start is None else _climb(start, atoms, measure, goal, closest)
        best = min(seen, key=lambda point: _missing(point, goal), default=None)
        if best is not None and (math.isinf(goal.target) or _missing(best, goal) <= TOLERANCE):
            history = np.array([point.value for point in seen])
            return Augmented(_verified(atoms, best, closest), best.dH, closest, history)
    raise InputError(_regret(seen, goal, closest))


def _measure(
    atoms: ase.Atoms, known: Known, goal: Goal, energy: Energy | None
) -> Callable[[np.ndarray], _Point]:
    """Function of positions to the pooled δH and its slope, with neighbors found anew."""
    reference = known.padded()
    cell = jnp.asarray(atoms.cell.array)
    force = None if energy is None else jax.jit(jax.grad(energy))

    def measure(positions: np.ndarray) -> _Point:
        neighbors = find_neighbors(_moved(atoms, positions), k=known.k + known.smooth, cutoff=known.cutoff)
        given = jnp.asarray(positions)
        (value, dH), slope = pooled_with_slope(given, cell, neighbors, reference, goal.pool)
        penalty = np.zeros_like(positions) if force is None else goal.energy_weight * np.asarray(force(given))
        return _Point(positions, float(value), np.asarray(dH), np.asarray(slope), penalty)

    return measure


def _climb(
    start: np.ndarray, atoms: ase.Atoms, measure: Callable[[np.ndarray], _Point], goal: Goal, closest: float
) -> Iterator[_Point]:
    """Points on the way from `start` to the target, or to where the steps end."""
    import optax  # here because it is a twentieth of the time that every command takes to start

    optimizer = optax.chain(
        optax.scale_by_adam(),
        optax.normalize_by_update_norm(),
        optax.scale_by_learning_rate(RATE * math.sqrt(start.size)),
    )
    state = optimizer.init(jnp.asarray(start))
    move = 0.0
    length = 1.0
    side = 0.0
    shortened = 0
    base = point = measure(start)
    yield point
    for _ in range(goal.max_steps - 1):
        missing = goal.target - point.value
        if abs(missing) <= TOLERANCE:
            return
        if side * missing < 0 and shortened < SHORTENED:  # crossed: land where a straight line would
            move = move * np.clip((goal.target - base.value) / (point.value - base.value), 0.1, 0.9)
            shortened += 1
        else:
            better = _missing(point, goal) <= _missing(base, goal)
            length = min(1.0, GROWTH * length) if better else SHRINKING * length
            base = point
            side = math.copysign(1, missing)
            shortened = 0
            with jax.numpy_dtype_promotion("standard"):  # optax mixes float64 with int32
                update, state = optimizer.update(jnp.asarray(point.penalty - side * point.slope), state)
            move = _bounded(length * np.asarray(update), LONGEST * closest)
        trial = separated(_moved(atoms, base.positions + move), closest)
        if trial is None:
            return
        point = measure(trial)
        yield point


def _bounded(move: np.ndarray, longest: float) -> np.ndarray:
    """The moves of atoms [n, 3], none longer than `longest`."""
    length = np.linalg.norm(move, axis=1, keepdims=True)
    return move * (longest / np.maximum(length, longest))


def _moved(atoms: ase.Atoms, positions: np.ndarray) -> ase.Atoms:
    """The same atoms at other positions, without their labels."""
    return ase.Atoms(atoms.numbers, positions, cell=atoms.cell, pbc=atoms.pbc)


def _check(known: Known, goal: Goal) -> None:
    check_matrix("known.x", known.x, 2 * check_count("k", known.k, minimum=2) - 1)
    check_positive("cutoff", known.cutoff)
    check_positive("bandwidth", known.bandwidth)
    check_count("max_steps", goal.max_steps)
    check_count("attempts", goal.attempts)
    if math.isnan(goal.target) or goal.target == -math.inf:
        raise InputError(f"target must be a number of nats or infinite, got {goal.target}.")


def _closest(atoms: ase.Atoms, goal: Goal, cutoff: float) -> float:
    """The closest approach that is allowed, in Å."""
    if goal.closest is not None:
        return check_positive("closest", goal.closest)
    shortest = float(find_pairs([atoms], cutoff=cutoff).distance.min(initial=math.inf))
    if math.isinf(shortest):
        raise InputError(f"no two atoms are within {cutoff:g} Å; say how close atoms may come.")
    return SHARE * shortest


def _missing(point: _Point, goal: Goal) -> float:
    """Nats between a point and the target; the more negative the better if there is no end to it."""
    return -point.value if math.isinf(goal.target) else abs(goal.target - point.value)


def _verified(atoms: ase.Atoms, point: _Point, closest: float) -> ase.Atoms:
    structure = _moved(atoms, point.positions)
    too_close = find_pairs([structure], cutoff=closest).distance
    if len(too_close):
        raise InputError(
            f"two atoms are {too_close.min():.4g} Å apart, less than {closest:.4g} Å; report this."
        )
    return structure


def _regret(seen: list[_Point], goal: Goal, closest: float) -> str:
    if not seen:
        return f"atoms cannot be kept {closest:.3g} Å apart in this cell; lower the closest approach."
    best = min(seen, key=lambda point: _missing(point, goal))
    return (
        f"delta entropy {best.value:.3g} instead of {goal.target:.3g} nats after {len(seen)} steps with no "
        f"atoms closer than {closest:.3g} Å; lower the target or the closest approach, or allow more steps."
    )
