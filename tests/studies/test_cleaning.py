"""Faults planted in a clean set: all are found, and none is invented."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from command_line import Call, call, json_of
from scipy.spatial.transform import Rotation

from quests_jax.atoms.reading import read
from quests_jax.atoms.writing import write
from quests_jax.studies.cleaning import Limits, find_faults
from quests_jax.studies.copies import find_copies

__all__ = ["call"]  # the fixture


def labeled(atoms: Atoms, energy: float | None = None, forces: np.ndarray | None = None) -> Atoms:
    """With the energy and forces of a potential, or with others."""
    atoms = atoms.copy()
    atoms.calc = EMT()
    found = {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces()}
    found |= {} if energy is None else {"energy": energy}
    found |= {} if forces is None else {"forces": forces}
    atoms.calc = SinglePointCalculator(atoms, **found)
    return atoms


@pytest.fixture(scope="module")
def clean() -> list[Atoms]:
    """Rattled and strained crystals of an alloy, a molecule and a single atom."""
    found = []
    for seed in range(12):
        atoms = bulk("Cu", cubic=True) * (2, 1, 1)
        atoms.symbols[seed % 8] = "Au"
        atoms.set_cell(atoms.cell * (0.97 + 0.005 * seed), scale_atoms=True)
        atoms.rattle(0.05, seed=seed)
        found.append(labeled(atoms))
    found.append(labeled(Atoms("CO", [(5, 5, 5), (5, 5, 6.1)], cell=[10, 10, 10])))
    single = Atoms("Cu", [(5, 5, 5)], cell=[10, 10, 10])
    single.calc = SinglePointCalculator(single, energy=3.0)
    return [*found, single]


def moved(atoms: Atoms, seed: int) -> Atoms:
    """A copy that is rotated, shifted and permuted, with its labels."""
    rotation = Rotation.random(rng=np.random.default_rng(seed)).as_matrix()
    order = np.random.default_rng(seed).permutation(len(atoms))
    copy = atoms[order]
    copy.set_cell(atoms.cell @ rotation.T)
    copy.positions = atoms.positions[order] @ rotation.T + [0.3, 1.7, -2.0]
    copy.wrap()
    forces = atoms.get_forces()[order] @ rotation.T
    copy.calc = SinglePointCalculator(copy, energy=atoms.get_potential_energy(), forces=forces)
    return copy


def kinds(structures: list[Atoms], **options) -> dict[int, set[str]]:
    found: dict[int, set[str]] = {}
    for finding in find_faults(structures, **options).findings:
        found.setdefault(finding.structure, set()).add(finding.kind)
    return found


def test_nothing_is_invented(clean):
    assert kinds(clean) == {}


def test_all_planted_faults_are_found_at_once_and_nothing_else(clean):
    close = clean[1].copy()
    close.positions[1] = close.positions[0] + [0.9, 0, 0]
    twice = clean[2].copy()
    twice.positions[3] = twice.positions[2]
    broken = clean[3].copy()
    broken.positions[0, 0] = np.nan
    flat = clean[3].copy()
    flat.set_cell([1, 1, 0])
    open_cell = clean[4].copy()
    open_cell.wrap()
    open_cell.rattle(0.05, seed=77)
    open_cell.pbc = False
    bare = clean[5].copy()
    bare.rattle(0.05, seed=99)
    forces = clean[6].get_forces()
    stronger, pulled, unknown = (forces.copy() for _ in range(3))
    stronger[2] += [500, 0, 0]
    pulled += [1.0, 0, 0]
    unknown[4, 1] = np.nan

    def other(seed: int, **labels) -> Atoms:
        atoms = clean[6].copy()
        atoms.rattle(0.05, seed=seed)
        return labeled(atoms, **labels)

    planted = {
        "copy": [clean[0].copy(), moved(clean[7], 1), moved(clean[12], 2)],
        "conflict": [labeled(clean[8], energy=clean[8].get_potential_energy() + 0.5)],
        "contact": [close],
        "coincident": [twice],
        "broken": [broken, flat],
        "cell": [open_cell],
        "missing": [bare],
        "force": [other(21, forces=stronger)],
        "net force": [other(22, forces=pulled)],
        "not finite": [other(23, forces=unknown), other(24, energy=np.nan)],
        "energy": [other(25, energy=-2000.0)],
    }
    for atoms in planted["copy"][:1]:
        atoms.calc = clean[0].calc
    rest = [atoms for kind in planted.values() for atoms in kind]
    expected = [kind for kind, structures in planted.items() for _ in structures]
    found = kinds([*clean, *rest])
    assert found.keys() == set(range(len(clean), len(clean) + len(rest)))
    for place, kind in enumerate(expected):
        assert kind in found[len(clean) + place], (place, kind)
        assert found[len(clean) + place] <= {kind, "missing"}, (place, kind)


def test_near_copies_are_found_on_demand(clean):
    near = clean[0].copy()
    near.rattle(0.003, seed=5)
    structures = [*clean, labeled(near)]
    assert kinds(structures) == {}
    assert kinds(structures, limits=Limits(tolerance=0.05)) == {len(clean): {"near copy"}}


def test_a_copy_of_a_structure_with_a_fault_is_kept(clean):
    good, bad = clean[0], clean[0].copy()
    bad.calc = SinglePointCalculator(bad, energy=np.nan, forces=good.get_forces())
    assert kinds([bad, good, *clean[1:]]) == {0: {"copy", "not finite"}}


def test_elements_in_other_places_are_no_copies():
    one = bulk("Cu", cubic=True) * 2
    structures = []
    for places in ([0, 1], [0, 20], [0, 31], [5, 6]):
        atoms = one.copy()
        atoms.symbols[places] = "Au"
        structures.append(atoms)
    first = find_copies(structures)
    distances = [
        atoms.get_distance(*places, mic=True)
        for atoms, places in zip(structures, ([0, 1], [0, 20], [0, 31], [5, 6]), strict=True)
    ]
    for number, place in enumerate(first):
        assert distances[number] == pytest.approx(distances[place])
    assert len(set(first.tolist())) == len({round(distance, 6) for distance in distances})


@pytest.mark.parametrize("name", ["Li_test", "Mo_test"])
def test_published_sets_are_clean(name: str, shared_data: Path):
    assert kinds(read(shared_data / "mlearn" / f"{name}.xyz.gz")) == {}


def test_a_crystal_that_is_strained_along_each_axis_in_turn_is_there_three_times(shared_data: Path):
    found = kinds(read(shared_data / "mlearn" / "Si_test.xyz.gz"))
    assert found == {number: {"copy"} for number in (20, 21, 23, 24)}


def test_the_command_writes_both_parts_and_the_reasons(clean, call: Call):
    good = [atoms.copy() for atoms in clean[:3]]
    for atoms, original in zip(good, clean, strict=False):
        atoms.calc = original.calc
    bad = good[1].copy()
    bad.positions[1] = bad.positions[0] + [0.9, 0, 0]
    bad.calc = SinglePointCalculator(bad, energy=np.nan, forces=np.zeros((8, 3)))
    write("dirty.xyz", [good[0], bad, *good[1:]])
    found = json_of(call("clean", "dirty.xyz", "-o", "clean.xyz", "-o", "removed.xyz", "--json"))
    assert (found["kept"], found["removed"]) == ([0, 2, 3], [1])
    assert found["counts"]["contact"] == found["counts"]["not finite"] == 1
    assert Path("clean.xyz").read_text() in Path("dirty.xyz").read_text().replace(_frame("dirty.xyz", 1), "")
    assert "0.9" in read("removed.xyz", check=False)[0].info["removed"]
    again = call("clean", "clean.xyz", "-o", "nothing.xyz", "-o", "none.xyz")
    assert "All 3 structures are clean" in again.out
    assert not Path("none.xyz").exists()


def _frame(file: str, number: int) -> str:
    lines = Path(file).read_text().splitlines(keepends=True)
    return "".join(lines[10 * number : 10 * number + 10])
