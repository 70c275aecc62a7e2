"""Laws of the silicon data set: the bundled file, the potential behind it and the generator."""

import gzip
import io
from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.io import iread, write
from ase.neighborlist import neighbor_list

from quests_jax import datasets
from quests_jax.base.checks import InputError
from quests_jax.datasets import silicon

pytestmark = pytest.mark.slow

EPSILON, SIGMA = 2.16826, 2.0951  # eV and Å, Stillinger and Weber (1985)
CONFIG_TYPES = [row.config_type for row in silicon.RECIPE]
TINY = (
    datasets.Sweep("dimer", 2, (2.2, 2.6), silicon.dimer),
    datasets.Dynamics("hot_crystal", 2, (300.0, 900.0), 0.02, silicon.crystal),
)


@pytest.fixture(scope="module")
def structures() -> list[Atoms]:
    text = gzip.decompress(datasets.bundled().read_bytes()).decode()
    return list(iread(io.StringIO(text), format="extxyz"))


@pytest.fixture(scope="module")
def tiny() -> list[Atoms]:
    return datasets.simulate(TINY, silicon.POTENTIAL, seed=1)


def rattled_primitive_cell() -> Atoms:
    """A skewed cell of two atoms, thinner than the cutoff."""
    structure = silicon.strained(0.05, direction=silicon.SHEAR, cubic=False)
    structure.rattle(0.1, seed=3)
    return structure


def two_body(a: np.ndarray) -> float:
    r = np.linalg.norm(a)
    return 7.049556277 * (0.6022245584 * r**-4 - 1) * np.exp(1 / (r - 1.8))


def three_body(a: np.ndarray, b: np.ndarray) -> float:
    r, s = np.linalg.norm(a), np.linalg.norm(b)
    return 21.0 * np.exp(1.2 / (r - 1.8) + 1.2 / (s - 1.8)) * (a @ b / (r * s) + 1 / 3) ** 2


def energy_by_loops(structure: Atoms) -> float:
    """The equations of Stillinger and Weber (1985), over the neighbors that ASE finds."""
    center, bonds = neighbor_list("iD", structure, silicon.FIELD.cutoff)
    energy = 0.0
    for atom in range(len(structure)):
        around = bonds[center == atom] / SIGMA
        energy += sum(two_body(a) for a in around) / 2
        energy += sum(three_body(a, b) for a, b in combinations(around, 2))
    return EPSILON * energy


# ---- the potential ----


def test_diamond_has_the_published_cohesive_energy() -> None:
    energy, forces = datasets.stillinger_weber(bulk("Si", "diamond", silicon.LATTICE))
    assert energy / 2 == pytest.approx(-2 * EPSILON, abs=1e-6)
    np.testing.assert_allclose(forces, 0, atol=1e-10)


@pytest.mark.parametrize(
    "build", [rattled_primitive_cell, lambda: silicon.cluster(boxed=False), silicon.slab]
)
def test_energy_matches_the_equations_written_as_loops(build) -> None:
    structure = build()
    energy, _ = datasets.stillinger_weber(structure)
    # jax-md lengthens the bonds in a cosine by 1e-7 Å, so an angle is right to about 1e-7.
    assert energy == pytest.approx(energy_by_loops(structure), rel=1e-7)


def test_supercell_repeats_the_energy_and_forces_of_its_cell() -> None:
    small = rattled_primitive_cell()
    energy, forces = datasets.stillinger_weber(small)
    energies, repeated = datasets.stillinger_weber(small.repeat((3, 1, 2)))
    assert energies == pytest.approx(6 * energy, rel=1e-12)
    np.testing.assert_allclose(repeated, np.tile(forces, (6, 1)), atol=1e-10)


def test_only_silicon_has_an_energy() -> None:
    with pytest.raises(InputError, match="GaAs: the Stillinger-Weber potential needs Si only"):
        datasets.stillinger_weber(bulk("GaAs", "zincblende", 5.65))


# ---- the bundled file ----


def test_bundled_file_holds_the_recipe(structures: list[Atoms]) -> None:
    counts = Counter(structure.info["config_type"] for structure in structures)
    assert counts == {row.config_type: row.n_structures for row in silicon.RECIPE}
    assert datasets.bundled().stat().st_size < 400_000


def test_bundled_labels_are_finite_and_forces_balance(structures: list[Atoms]) -> None:
    for structure in structures:
        forces = structure.get_forces()
        assert np.isfinite(structure.get_potential_energy())
        assert np.isfinite(forces).all()
        rounding = 0.5 * 10.0**-datasets.DECIMALS * len(structure)
        np.testing.assert_allclose(forces.sum(axis=0), 0, atol=rounding + 1e-9)


@pytest.mark.parametrize("config_type", CONFIG_TYPES)
def test_bundled_forces_are_minus_the_slope_of_the_energy(structures: list[Atoms], config_type: str) -> None:
    structure = [s for s in structures if s.info["config_type"] == config_type][-2]
    direction = np.random.default_rng(0).normal(size=(len(structure), 3))
    direction /= np.linalg.norm(direction)
    energies = []
    for step in (-1e-4, 1e-4):
        moved = structure.copy()
        moved.positions += step * direction
        energies.append(datasets.stillinger_weber(moved)[0])
    slope = (energies[1] - energies[0]) / 2e-4
    np.testing.assert_allclose(structure.get_forces(), datasets.stillinger_weber(structure)[1], atol=1e-6)
    assert np.mean(energies) == pytest.approx(structure.get_potential_energy(), abs=2e-6)
    assert slope == pytest.approx(-np.vdot(structure.get_forces(), direction), abs=1e-5)


@pytest.mark.parametrize("temperature", [300, 600])
def test_bundled_crystals_obey_equipartition(structures: list[Atoms], temperature: int) -> None:
    crystals = [s for s in structures if s.info["config_type"] == f"crystal_{temperature}K"]
    thermal = np.mean([s.get_potential_energy() / len(s) for s in crystals]) + 2 * EPSILON
    assert thermal == pytest.approx(1.5 * units.kB * temperature, rel=0.1)


def test_bundled_set_mixes_every_periodicity(structures: list[Atoms]) -> None:
    kinds = {(tuple(s.pbc.tolist()), s.cell.rank) for s in structures}
    assert kinds == {((True,) * 3, 3), ((True, True, False), 3), ((False,) * 3, 3), ((False,) * 3, 0)}


# ---- the generator ----


def test_generation_repeats_for_a_seed_and_differs_for_another(tiny: list[Atoms]) -> None:
    again, other = (datasets.simulate(TINY, silicon.POTENTIAL, seed=seed) for seed in (1, 2))
    assert tiny == again
    assert tiny[:2] == other[:2]
    assert all(a != b for a, b in zip(tiny[2:], other[2:], strict=True))
    np.testing.assert_array_equal([s.get_forces() for s in tiny[2:]], [s.get_forces() for s in again[2:]])


def test_generated_structures_survive_an_extxyz_file(tiny: list[Atoms]) -> None:
    file = io.StringIO()
    write(file, tiny, format="extxyz")
    file.seek(0)
    for structure, back in zip(tiny, iread(file, format="extxyz"), strict=True):
        assert back == structure
        assert back.info["config_type"] == structure.info["config_type"]
        assert back.get_potential_energy() == structure.get_potential_energy()
        np.testing.assert_array_equal(back.get_forces(), structure.get_forces())


def test_progress_counts_every_structure() -> None:
    calls = []
    recipe = [datasets.Sweep(name, 2, (2.2, 2.6), silicon.dimer) for name in ("short", "long")]
    datasets.simulate(recipe, silicon.POTENTIAL, progress=lambda *call: calls.append(call))
    assert calls == [("short", 1, 4), ("short", 2, 4), ("long", 3, 4), ("long", 4, 4)]


def test_dynamics_refuse_a_cell_thinner_than_twice_the_cutoff() -> None:
    thin = datasets.Dynamics("thin", 1, (300.0,), 0.01, rattled_primitive_cell)
    with pytest.raises(InputError, match="supercell"):
        datasets.simulate((thin,), silicon.POTENTIAL)
