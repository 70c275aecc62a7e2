"""Structures that have no environments, and how the user is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ase
import numpy as np
import pytest

from quests_jax.atoms.describe import environments, get_descriptors
from quests_jax.base.checks import InputError, located

GOOD = ase.Atoms("C2", [[0, 0, 0], [1.5, 1.5, 1.5]], cell=[3, 3, 3], pbc=True)


def changed(change: Callable[[ase.Atoms], Any]) -> ase.Atoms:
    atoms = GOOD.copy()
    change(atoms)
    return atoms


def coincide(atoms: ase.Atoms) -> None:
    atoms.positions[1] = atoms.positions[0] + 1e-4


def coincide_across_the_boundary(atoms: ase.Atoms) -> None:
    atoms.positions[1] = [3, 6, 3 - 1e-4]


def be_singular(atoms: ase.Atoms) -> None:
    atoms.cell.array[2] = atoms.cell.array[0] + atoms.cell.array[1]


BAD = {
    "position not a number": (lambda a: a.positions.__setitem__((1, 2), np.nan), r"structure 5, atom 1"),
    "position infinite": (lambda a: a.positions.__setitem__((0, 0), -np.inf), r"structure 5, atom 0"),
    "cell not a number": (lambda a: a.cell.array.__setitem__((0, 1), np.nan), r"structure 5: the cell"),
    "cell singular": (be_singular, r"structure 5: the cell is singular"),
    "cell missing": (lambda a: a.set_cell(np.zeros((3, 3))), r"structure 5: the cell is singular"),
    "vector missing": (lambda a: a.cell.array.__setitem__(1, 0), r"structure 5: the cell is singular"),
    "coincident": (coincide, r"structure 5, atoms 0 and 1.*coincide"),
    "across the boundary": (coincide_across_the_boundary, r"structure 5, atoms 0 and 1.*coincide"),
}


@pytest.mark.parametrize("name", BAD)
def test_the_message_names_file_structure_and_atom(name: str) -> None:
    change, expected = BAD[name]
    with pytest.raises(InputError, match=f"^data.xyz: .*{expected}") as refused, located("data.xyz"):
        environments([GOOD] * 5 + [changed(change)] + [GOOD], k=5, cutoff=3.2)
    assert "\n" not in str(refused.value)


def test_the_number_of_a_structure_counts_from_the_start_of_a_long_data_set() -> None:
    gas = ase.Atoms("C3000", 10.0 * np.arange(3000)[:, None] * [1, 0, 0])
    structures = [gas] * 9 + [changed(coincide)]
    with pytest.raises(InputError, match="structure 9, "):
        get_descriptors(structures, k=5, cutoff=3.2)


def test_the_same_places_are_fine_without_periodicity() -> None:
    atoms = changed(coincide_across_the_boundary)
    atoms.pbc = False
    assert get_descriptors([atoms], k=5, cutoff=3.2).shape == (2, 9)


def test_no_structures_are_refused() -> None:
    for function in (environments, get_descriptors):
        with pytest.raises(InputError, match="no structures"):
            function([])


def test_a_structure_without_atoms_has_no_environments() -> None:
    envs = environments([ase.Atoms(), GOOD, ase.Atoms()], k=5, cutoff=3.2)
    assert envs.counts.tolist() == [0, 2, 0]


@pytest.mark.parametrize(
    "parameters",
    [{"k": 1}, {"k": 0}, {"k": -3}, {"k": 2.5}, {"k": np.nan}, {"k": np.inf}, {"k": None}]
    + [{"cutoff": 0}, {"cutoff": -1}, {"cutoff": np.inf}, {"cutoff": np.nan}, {"cutoff": "far"}],
)
def test_parameters_without_meaning_are_refused(parameters: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(parameters))) as refused:
        get_descriptors([GOOD], **parameters)
    assert "\n" not in str(refused.value)
