"""Changes of a structure that change no environment."""

from __future__ import annotations

from collections.abc import Callable

import ase
import numpy as np
import pytest
from ase.build import bulk
from hypothesis import given
from hypothesis import strategies as st
from zoo import CRYSTALS, PARAMETERS, few, split_rows, zoo

from quests_jax.atoms.describe import get_descriptors
from quests_jax.atoms.smooth import get_smooth_descriptors
from quests_jax.information import diversity, entropy

Change = Callable[[ase.Atoms, np.random.Generator], tuple[ase.Atoms, np.ndarray]]  # atoms, their old numbers
Describe = Callable[..., np.ndarray]
PRIMITIVE = {"fcc": bulk("Cu"), "bcc": bulk("Fe"), "diamond": bulk("Si"), "hcp": CRYSTALS["hcp"]}


def rotated(atoms: ase.Atoms, rng: np.random.Generator) -> tuple[ase.Atoms, np.ndarray]:
    """Turned, and mirrored half of the time."""
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    atoms = atoms.copy()
    atoms.positions, atoms.cell = atoms.positions @ turn, atoms.cell.array @ turn
    return atoms, np.arange(len(atoms))


def translated(atoms: ase.Atoms, rng: np.random.Generator) -> tuple[ase.Atoms, np.ndarray]:
    atoms = atoms.copy()
    atoms.positions += rng.uniform(-20, 20, 3)
    return atoms, np.arange(len(atoms))


def permuted(atoms: ase.Atoms, rng: np.random.Generator) -> tuple[ase.Atoms, np.ndarray]:
    order = rng.permutation(len(atoms))
    return atoms[order], order


def replaced_by_images(atoms: ase.Atoms, rng: np.random.Generator) -> tuple[ase.Atoms, np.ndarray]:
    atoms = atoms.copy()
    atoms.positions += (rng.integers(-3, 4, (len(atoms), 3)) * atoms.pbc) @ atoms.cell.array
    return atoms, np.arange(len(atoms))


def in_another_cell(atoms: ase.Atoms, rng: np.random.Generator) -> tuple[ase.Atoms, np.ndarray]:
    """The same lattice in another basis, made by adding vectors to one another and changing signs."""
    basis, periodic = np.eye(3, dtype=int), np.flatnonzero(atoms.pbc)
    for _ in range(3 if len(periodic) > 1 else 0):
        a, b = rng.choice(periodic, 2, replace=False)
        basis[a] += rng.choice([-1, 1]) * basis[b]
    basis[periodic] *= rng.choice([-1, 1], (len(periodic), 1))
    atoms = atoms.copy()
    atoms.cell = basis @ atoms.cell.array
    return atoms, np.arange(len(atoms))


def repeated(atoms: ase.Atoms, rng: np.random.Generator) -> tuple[ase.Atoms, np.ndarray]:
    times = np.where(atoms.pbc, rng.permutation([1, 2, 3]), 1)
    return atoms.repeat(times), np.tile(np.arange(len(atoms)), times.prod())


DESCRIPTORS = [get_descriptors, get_smooth_descriptors]  # a new descriptor joins them
CHANGES: list[Change] = [rotated, translated, permuted, replaced_by_images, in_another_cell, repeated]


def assert_unchanged(
    describe: Describe, structures: dict[str, ase.Atoms], change: Change, seed: int, k: int, cutoff: float
) -> None:
    rng = np.random.default_rng(seed)
    pairs = {name: change(atoms, rng) for name, atoms in structures.items()}
    before, after = list(structures.values()), [changed for changed, _ in pairs.values()]
    x = split_rows(describe(before + after, k=k, cutoff=cutoff), before + after)
    for number, (name, (_, old)) in enumerate(pairs.items()):
        expected = x[number][old]
        np.testing.assert_allclose(x[len(before) + number], expected, rtol=0, atol=1e-9, err_msg=name)


@pytest.mark.parametrize("describe", DESCRIPTORS)
@pytest.mark.parametrize("change", CHANGES)
@few
@given(seed=st.integers(0, 2**32 - 1), parameters=st.sampled_from(PARAMETERS))
def test_disturbed_structures(
    change: Change, describe: Describe, seed: int, parameters: tuple[int, float]
) -> None:
    assert_unchanged(describe, zoo(seed), change, seed, *parameters)


@pytest.mark.parametrize("change", CHANGES)
@few
@given(seed=st.integers(0, 2**32 - 1), parameters=st.sampled_from(PARAMETERS))
def test_perfect_crystals(change: Change, seed: int, parameters: tuple[int, float]) -> None:
    assert_unchanged(get_descriptors, CRYSTALS, change, seed, *parameters)


@pytest.mark.parametrize(("k", "cutoff"), PARAMETERS)
@pytest.mark.parametrize("name", PRIMITIVE)
def test_a_perfect_crystal_is_one_environment(name: str, k: int, cutoff: float) -> None:
    rng = np.random.default_rng(0)
    crystal = PRIMITIVE[name].repeat(3)
    for change in (translated, rotated, in_another_cell, permuted):
        crystal, _ = change(crystal, rng)
    x = get_descriptors([PRIMITIVE[name], crystal], k=k, cutoff=cutoff)
    np.testing.assert_allclose(x, np.broadcast_to(x[0], x.shape), rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", ["fcc", "diamond"])
def test_a_perfect_crystal_has_no_entropy(name: str) -> None:
    crystal, _ = rotated(
        PRIMITIVE[name].repeat({"fcc": (4, 4, 4), "diamond": (4, 4, 2)}[name]), np.random.default_rng(2)
    )
    x = get_descriptors([crystal])
    assert abs(entropy(x)) < 1e-9
    assert abs(diversity(x)) < 1e-9


@pytest.mark.parametrize("name", PRIMITIVE)
def test_a_perfect_crystal_written_with_six_decimals_is_one_environment(name: str) -> None:
    crystal, _ = rotated(PRIMITIVE[name].repeat(3), np.random.default_rng(1))
    crystal.positions, crystal.cell = crystal.positions.round(6), crystal.cell.array.round(6)
    x = get_descriptors([PRIMITIVE[name], crystal])
    # Lengths are off by up to 2e-6 Å; no entry of a descriptor changes faster than about 1 Å⁻¹ per Å here.
    np.testing.assert_allclose(x, np.broadcast_to(x[0], x.shape), rtol=0, atol=2e-6)


@pytest.mark.parametrize(("k", "cutoff"), PARAMETERS)
def test_a_slab_equals_the_same_slab_in_a_huge_box(k: int, cutoff: float) -> None:
    for name in ("slab", "slab across", "wire", "molecule", "dimer", "isolated atom"):
        slab = zoo(2)[name]
        boxed = slab.copy()
        for axis in np.flatnonzero(~slab.pbc):
            boxed.cell.array[axis] = 40 * np.eye(3)[axis]
        boxed.pbc = True
        x = get_descriptors([slab, boxed], k=k, cutoff=cutoff)
        np.testing.assert_allclose(x[: len(slab)], x[len(slab) :], rtol=0, atol=1e-10, err_msg=name)


@pytest.mark.parametrize("third", [[0, 0, 0], [1e-7, 0, 0], [-3, 2, 8], [1e5, 1e5, 1e5]])
def test_the_cell_of_directions_without_periodicity_does_not_matter(third: list[float]) -> None:
    for name, atoms in zoo(3).items():
        other = atoms.copy()
        other.cell.array[~atoms.pbc] = third
        x = get_descriptors([atoms, other], k=8, cutoff=4.1)
        np.testing.assert_allclose(x[: len(atoms)], x[len(atoms) :], rtol=0, atol=1e-12, err_msg=name)


def test_elements_do_not_matter() -> None:
    atoms = zoo(4)["diamond"]
    other = atoms.copy()
    other.symbols = "Si4C4"
    x = get_descriptors([atoms, other], k=8, cutoff=4.1)
    np.testing.assert_array_equal(x[:8], x[8:])
