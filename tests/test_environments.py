"""Environments are checked where they are made, cross programs and derivatives, and can be divided."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ase.build import bulk

import quests_jax as qj
from quests_jax.atoms import find_neighbors, smooth_descriptors
from quests_jax.atoms.descriptors import descriptors
from quests_jax.base.checks import InputError
from quests_jax.generate import biased, delta_entropies, known_environments

X = np.random.default_rng(0).normal(0, 0.1, (12, 4))
NUMBER = np.repeat([0, 1, 2], 4)


def with_nan() -> np.ndarray:
    x = X.copy()
    x[5, 1] = np.nan
    return x


BAD = {
    "not finite": (with_nan(), NUMBER, 3, "x: environment 5"),
    "descending": (X, NUMBER[::-1], 3, "ascending"),
    "unsigned and descending": (X, NUMBER[::-1].astype(np.uint32), 3, "ascending"),
    "too large for 32 bits": (X, NUMBER + 2**32, 3, "n_structures is 3"),
    "too many": (X, NUMBER, 2, "n_structures is 2"),
    "negative": (X, NUMBER - 1, 3, "start at 0"),
    "too few": (X, NUMBER[:-1], 3, "12 whole numbers"),
    "no whole numbers": (X, NUMBER.astype(float), 3, "12 whole numbers"),
    "one axis": (X[0], NUMBER, 3, r"shape \[n, d\]"),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("make", [qj.Environments, qj.make_environments])
def test_what_is_no_set_of_environments_is_refused(make, name):
    *arguments, message = BAD[name]
    if make is qj.make_environments and name == "too large for 32 bits":
        message = "goes up to|n_structures"
    with pytest.raises(InputError, match=message):
        make(*arguments)


def test_they_cross_programs_and_derivatives():
    envs = qj.Environments(X, NUMBER, 3)
    f = lambda envs: qj.entropy(envs, bandwidth=0.1)  # noqa: E731
    assert jax.jit(f)(envs) == pytest.approx(float(f(envs)), rel=1e-12)
    slope = jax.grad(f)(envs)
    np.testing.assert_allclose(slope.x, jax.grad(lambda x: qj.entropy(x, bandwidth=0.1))(jnp.asarray(X)))
    np.testing.assert_array_equal(slope.structure_id, NUMBER)
    counted = jax.jit(lambda envs: jnp.asarray(envs.counts, float) * envs.x.sum())(envs)
    np.testing.assert_allclose(counted, envs.counts * X.sum())


@pytest.mark.parametrize("rows", [slice(2, 9), np.array([0, 5, 11]), X[:, 0] > 0])
def test_some_of_them(rows):
    envs = qj.Environments(X, NUMBER, 3)
    np.testing.assert_array_equal(envs[rows].x, X[rows])
    np.testing.assert_array_equal(envs[rows].structure_id, NUMBER[rows])
    assert envs[rows].n_structures == 3


SILICON = bulk("Si", cubic=True)
SILICON.rattle(0.05, seed=0)
PLACE = SILICON.positions, SILICON.cell.array


def test_neighbors_know_their_cutoff():
    near = find_neighbors(SILICON, k=8, cutoff=3.0)
    np.testing.assert_array_equal(descriptors(*PLACE, near), descriptors(*PLACE, near, cutoff=3.0))
    for describe in (descriptors, lambda *given, **options: smooth_descriptors(*given, k=7, **options)):
        with pytest.raises(InputError, match=r"within 3 Å, which is less than the cutoff 5 Å"):
            describe(*PLACE, near, cutoff=5.0)
    known = known_environments([SILICON], k=8)
    with pytest.raises(InputError, match="within 3 Å"):
        delta_entropies(*PLACE, near, known)
    with pytest.raises(InputError, match="k is 6"):
        delta_entropies(*PLACE, find_neighbors(SILICON, k=6), known)
    with pytest.raises(InputError, match="8 candidates are too few"):
        smooth_descriptors(*PLACE, near, k=8)


@pytest.mark.parametrize("smooth", [False, True])
def test_a_simulation_that_diverged_does_not_look_healthy(smooth):
    known = known_environments([SILICON], k=8, cutoff=4.0, smooth=smooth)
    neighbors = find_neighbors(SILICON, k=8 + smooth, cutoff=4.0)
    lost = SILICON.positions.copy()
    lost[2] = np.nan
    cell = SILICON.cell.array
    dH, slope = jax.jit(jax.value_and_grad(lambda R: delta_entropies(R, cell, neighbors, known)[2]))(lost)
    assert np.isnan(dH)
    assert np.all(np.isnan(slope[2]))
    if smooth:
        energy = biased(lambda R: jnp.sum(R**2), known, cell, target=1.0, stiffness=1.0)
        assert np.isnan(jax.jit(energy)(lost, neighbors=neighbors))
    with pytest.raises(InputError, match="y: environment"):
        delta_entropies(lost, cell, neighbors, known)
