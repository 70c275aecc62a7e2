"""Derivatives of descriptors, and where there are none."""

from __future__ import annotations

from collections.abc import Callable

import ase
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from zoo import CRYSTALS, disturbed, zoo

from quests_jax.atoms.descriptors import descriptors, quests_descriptor, shared_descriptor
from quests_jax.atoms.neighbors import Neighbors, find_neighbors

pytestmark = pytest.mark.optimised  # slopes at ties of distances depend on how sums are contracted

Gradient = Callable[[jax.Array], jax.Array]
K, CUTOFF, STEP = 6, 3.6, 1e-6
COEFFICIENTS = np.random.default_rng(5).normal(size=2 * K - 1)  # one number out of a row, for gradients


def functional(neighbors: Neighbors) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """A number made of all descriptors, as a function of positions and cell."""

    def value(positions: jax.Array, cell: jax.Array) -> jax.Array:
        x = descriptors(positions, cell, neighbors, cutoff=CUTOFF)
        return jnp.sum(jnp.cos(x @ COEFFICIENTS))

    return value


def plain_case() -> tuple[ase.Atoms, Neighbors]:
    atoms = zoo(6)["fcc"]
    return atoms, find_neighbors(atoms, k=K, cutoff=CUTOFF)


def shared_case() -> tuple[ase.Atoms, Neighbors]:
    """Neighbors and occupations of a perfect crystal, for positions that are no longer perfect."""
    neighbors = find_neighbors(CRYSTALS["diamond"], k=K, cutoff=CUTOFF + 0.6)
    return disturbed(CRYSTALS["diamond"], np.random.default_rng(7)), neighbors


def test_the_cases_are_what_they_say() -> None:
    assert plain_case()[1].index.shape[1] == K
    occupation = np.asarray(shared_case()[1].occupation)
    assert np.any((occupation > 0) & (occupation < 1))


@pytest.mark.parametrize("case", [plain_case, shared_case])
def test_gradients_equal_finite_differences(case: Callable[[], tuple[ase.Atoms, Neighbors]]) -> None:
    atoms, neighbors = case()
    point = [atoms.positions, atoms.cell.array]
    both = jax.jit(jax.value_and_grad(functional(neighbors), argnums=(0, 1)))
    _, gradients = both(*point)
    for argument, gradient in enumerate(gradients):
        for entry in np.ndindex(gradient.shape):
            ahead, behind = [p.copy() for p in point], [p.copy() for p in point]
            ahead[argument][entry] += STEP
            behind[argument][entry] -= STEP
            difference = (both(*ahead)[0] - both(*behind)[0]) / (2 * STEP)
            np.testing.assert_allclose(gradient[entry], difference, rtol=1e-6, atol=1e-7)


@jax.jit
def plain_gradient(vectors: jax.Array) -> jax.Array:
    return jax.grad(lambda v: quests_descriptor(v, cutoff=CUTOFF) @ COEFFICIENTS)(vectors)


@jax.jit
def shared_gradient(vectors: jax.Array) -> jax.Array:
    """Through the path for shared shells, with a place for each neighbor that there is."""
    there = jnp.any(vectors != 0, axis=1).astype(vectors.dtype)
    return jax.grad(lambda v: shared_descriptor(v, there, k=K, cutoff=CUTOFF) @ COEFFICIENTS)(vectors)


GRADIENTS = [plain_gradient, shared_gradient]


def awkward_vectors() -> dict[str, np.ndarray]:
    vectors = np.random.default_rng(8).uniform(-1.5, 1.5, (K, 3))
    at_cutoff, coincident, missing = vectors.copy(), vectors.copy(), vectors.copy()
    at_cutoff[-1] = [0, 0, CUTOFF]
    coincident[-1] = coincident[-2]
    missing[K // 2 :] = 0
    return {
        "isolated": np.zeros((K, 3)),
        "one neighbor": np.eye(K, 3) * [1, 0, 0],
        "at the cutoff": at_cutoff,
        "coincident neighbors": coincident,
        "missing neighbors": missing,
    }


@pytest.mark.parametrize("name", awkward_vectors())
@pytest.mark.parametrize("gradient", GRADIENTS)
def test_gradients_are_finite_at_awkward_places(name: str, gradient: Gradient) -> None:
    assert jnp.isfinite(gradient(jnp.asarray(awkward_vectors()[name]))).all()


@pytest.mark.parametrize("gradient", GRADIENTS)
def test_missing_neighbors_have_no_gradient(gradient: Gradient) -> None:
    found = gradient(jnp.asarray(awkward_vectors()["missing neighbors"]))
    assert jnp.all(found[K // 2 :] == 0)
    assert jnp.any(found[: K // 2] != 0)


def test_both_paths_have_the_same_gradient() -> None:
    vectors = np.random.default_rng(10).uniform(-1.5, 1.5, (K, 3))
    vectors = jnp.asarray(vectors[np.argsort(np.linalg.norm(vectors, axis=1))])
    np.testing.assert_allclose(plain_gradient(vectors), shared_gradient(vectors), rtol=0, atol=1e-12)


def test_an_isolated_atom_has_a_zero_row_and_a_zero_gradient() -> None:
    atoms = zoo(0)["isolated atom"]
    neighbors = find_neighbors(atoms, k=K, cutoff=CUTOFF)
    x = descriptors(atoms.positions, atoms.cell.array, neighbors, cutoff=CUTOFF)
    gradient = jax.jit(jax.grad(functional(neighbors)))(atoms.positions, atoms.cell.array)
    assert np.all(x == 0)
    assert np.all(gradient == 0)


def test_jit_and_vmap_change_nothing() -> None:
    atoms, neighbors = plain_case()
    moves = np.random.default_rng(9).normal(scale=0.02, size=(3, len(atoms), 3))
    batch, cell = jnp.asarray(atoms.positions + moves), jnp.asarray(atoms.cell.array)
    gradient = jax.grad(functional(neighbors))
    together = jax.jit(jax.vmap(gradient, in_axes=(0, None)))(batch, cell)
    one_by_one = [gradient(positions, cell) for positions in batch]
    np.testing.assert_allclose(together, np.array(one_by_one), rtol=0, atol=1e-12)
