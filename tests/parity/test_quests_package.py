"""The QUESTS package itself, where it is installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ase
import numpy as np
import pytest
from generated import BANDWIDTH, CUTOFF, K, displaced, generated_structures

from quests_jax.atoms.describe import get_descriptors
from quests_jax.atoms.neighbors import find_pairs, nearest
from quests_jax.atoms.reading import read
from quests_jax.information import delta_entropy, diversity, entropy

pytestmark = pytest.mark.optimised

pytestmark = pytest.mark.filterwarnings("ignore")  # of numba, while it compiles QUESTS
FILES = ["Crystalline_Bulk", "Diamond", "Amorphous_Surfaces", "Nanotubes", "Dimer", "Single_Atom", "Liquid"]


def quests(module: str) -> Any:
    return pytest.importorskip(f"quests.{module}")


def assert_same_rows(structures: list[ase.Atoms], k: int, cutoff: float) -> None:
    """Equal to 1e-8 in every environment without a tie."""
    expected = quests("descriptor").get_descriptors(structures, k=k, cutoff=cutoff)
    found = get_descriptors(structures, k=k, cutoff=cutoff)
    tied = nearest(find_pairs(structures, cutoff=cutoff), k=k)[1].atoms
    clear = np.setdiff1d(np.arange(len(found)), tied)
    assert len(clear) > 0
    np.testing.assert_allclose(found[clear], expected[clear], rtol=0, atol=1e-8)


@pytest.mark.parametrize(("k", "cutoff"), [(K, CUTOFF), (8, 4.1), (50, 6.0)])
def test_descriptors_of_generated_structures(k: int, cutoff: float) -> None:
    structures = [
        displaced(atoms, 0.05, phase) for atoms in generated_structures().values() for phase in (10.0, 11.0)
    ]
    assert_same_rows(structures, k, cutoff)


@pytest.mark.parametrize("name", FILES)
def test_descriptors_of_files(shared_data: Path, name: str) -> None:
    structures = read(shared_data / "carbon_GAP20" / f"{name}.xyz.gz")
    assert_same_rows([atoms for atoms in structures if treated_alike(atoms)], K, CUTOFF)


def treated_alike(atoms: ase.Atoms) -> bool:
    """QUESTS takes partly periodic structures for clusters and finds no images in a left-handed cell."""
    return not atoms.pbc.any() or (bool(atoms.pbc.all()) and np.linalg.det(atoms.cell.array) > 0)


def test_measures() -> None:
    structures = generated_structures()
    x = get_descriptors(list(structures.values()), k=K, cutoff=CUTOFF)
    y = get_descriptors([structures["warm fcc"]], k=K, cutoff=CUTOFF)
    reference = get_descriptors([structures["cold fcc"]], k=K, cutoff=CUTOFF)
    for found, expected in (
        (entropy(x), quests("entropy").entropy(x, h=BANDWIDTH)),
        (diversity(x), quests("entropy").diversity(x, h=BANDWIDTH)),
        (delta_entropy(y, reference), quests("entropy").delta_entropy(y, reference, h=BANDWIDTH)),
    ):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-8)
